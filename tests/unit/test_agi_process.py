"""The process that answers Asterisk: started, heard, replaced, ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pbxtrack.agi import process as module
from pbxtrack.agi.process import AgiProcess
from pbxtrack.agi.server import OUTCOMES
from pbxtrack.agi.worker import Setup
from pbxtrack.calls.events import CallArrived
from pbxtrack.errors import PbxtrackError
from pbxtrack.settings import Address
from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database
from tests.agi_environment import environment
from tests.contract.site import a_site

ANY_PORT = Address("127.0.0.1", 0)


def a_setup(folder: Path) -> Setup:
    """With a database that has a static number."""
    url = f"sqlite:///{folder}/pbxtrack.db"
    database = Database(url)
    migrate.upgrade(database)
    with database.transaction() as connection:
        a_site(connection, static=["+74951230001"])
    database.close()
    return Setup(url, "RU", "pbx1", 0.3, 500, "info", "text")


@asynccontextmanager
async def answering(setup: Setup, heard: list[CallArrived]) -> AsyncIterator[AgiProcess]:
    agi = AgiProcess(setup, ANY_PORT, heard.append)
    await agi.start()
    try:
        yield agi
    finally:
        await agi.stop()


async def ask(address: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def until(condition: object, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)


async def gone(pid: int) -> None:
    def ended() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
            return True
        return state == "Z"

    await until(ended)


@pytest.mark.asyncio
async def test_a_call_is_answered_and_its_arrival_is_told(tmp_path: Path) -> None:
    heard: list[CallArrived] = []
    async with answering(a_setup(tmp_path), heard) as agi:
        data = environment(extension="84951230001", callerid="+79161234567", calleridname="Анна", uniqueid="1795.7")
        answer = await ask(agi.address, data)
        assert b"PBXTRACK_LINE=PJSIP/sales" in answer
        assert b"__PBXTRACK_CALL=pbx1-1795.7" in answer
        await until(lambda: heard)
    (arrived,) = heard
    assert (arrived.call_id, arrived.dialled, arrived.caller) == ("pbx1-1795.7", "84951230001", "+79161234567")
    assert (arrived.caller_name, arrived.withheld, arrived.heard) == ("Анна", False, "agi")
    assert arrived.at.utcoffset() is not None


@pytest.mark.asyncio
async def test_a_dialplan_that_named_the_call_is_not_told_its_name(tmp_path: Path) -> None:
    async with answering(a_setup(tmp_path), []) as agi:
        answer = await ask(agi.address, environment(extension="+74951230001", arguments=["pbx2", "1795.9"]))
    assert b"PBXTRACK_LINE=PJSIP/sales" in answer
    assert b"PBXTRACK_CALL" not in answer
    assert b"PBXTRACK_DID" not in answer


@pytest.mark.asyncio
async def test_what_was_heard_before_the_end_is_told(tmp_path: Path) -> None:
    heard: list[CallArrived] = []
    async with answering(a_setup(tmp_path), heard) as agi:
        calls = [ask(agi.address, environment(extension="+74951230001", uniqueid=f"1795.{i}")) for i in range(20)]
        assert all(await asyncio.gather(*calls))
        pid = agi.process.pid if agi.process else 0
    assert sorted(fact.linkedid for fact in heard) == sorted(f"1795.{i}" for i in range(20))
    await gone(pid)


@pytest.mark.asyncio
async def test_a_process_that_dies_is_replaced_on_the_same_port(tmp_path: Path) -> None:
    async with answering(a_setup(tmp_path), []) as agi:
        address, process = agi.address, agi.process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: not agi.ready)
        await until(lambda: agi.ready and agi.starts == 2)
        assert agi.address == address
        assert b"PJSIP/sales" in await ask(address, environment(extension="+74951230001"))


@pytest.mark.asyncio
async def test_a_process_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_EVERY", 0.1)
    async with answering(a_setup(tmp_path), []) as agi:
        assert agi.process is not None
        os.kill(agi.process.pid, signal.SIGSTOP)
        await until(lambda: agi.starts == 2 and agi.ready)
        assert b"PJSIP/sales" in await ask(agi.address, environment(extension="+74951230001"))


@pytest.mark.asyncio
async def test_a_process_does_not_outlive_the_link(tmp_path: Path) -> None:
    """As when the service is killed: nobody is left to answer in its name."""
    async with answering(a_setup(tmp_path), []) as agi:
        assert agi.process is not None
        assert agi._link is not None
        first = agi.process.pid
        agi._link.transport.abort()
        await gone(first)


@pytest.mark.asyncio
async def test_it_heeds_no_signal_that_is_meant_for_the_service(tmp_path: Path) -> None:
    async with answering(a_setup(tmp_path), []) as agi:
        assert agi.process is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(agi.process.pid, number)
        await asyncio.sleep(0.2)
        assert b"PJSIP/sales" in await ask(agi.address, environment(extension="+74951230001"))
        assert agi.starts == 1


@pytest.mark.asyncio
async def test_a_process_that_cannot_start_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    setup = replace(a_setup(tmp_path), database_url="nonsense")
    agi = AgiProcess(setup, ANY_PORT, lambda _: None)
    with pytest.raises(PbxtrackError, match="the process that answers FastAGI did not start"):
        await agi.start()
    assert "database.url" in capfd.readouterr().err


@pytest.mark.asyncio
async def test_a_database_that_is_away_fails_the_call_at_once_and_is_used_when_it_is_back(tmp_path: Path) -> None:
    setup = a_setup(tmp_path)
    file, away = tmp_path / "pbxtrack.db", tmp_path / "away.db"
    file.rename(away)
    async with answering(setup, []) as agi:
        data = environment(extension="+74951230001")
        assert await ask(agi.address, data) == b"", "closed without a word: the dialplan takes the last known line"
        away.rename(file)
        assert b"PJSIP/sales" in await ask(agi.address, data)


@pytest.mark.asyncio
async def test_how_sessions_ended_is_counted_over_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ASK_EVERY", 0.1)
    agi = AgiProcess(a_setup(tmp_path), ANY_PORT, lambda _: None)
    await agi.start()
    try:
        assert agi.outcomes == dict.fromkeys(OUTCOMES, 0)
        await ask(agi.address, environment(extension="+74951230001"))
        await ask(agi.address, b"GET / HTTP/1.1\r\n\n\n")
        await until(lambda: sum(agi.outcomes.values()) == 2)
        before = agi.outcomes
        assert before["not_agi"] == 1
        assert agi.process is not None
        os.kill(agi.process.pid, signal.SIGKILL)
        await until(lambda: agi.ready and agi.starts == 2)
        assert agi.outcomes == before
        await ask(agi.address, b"GET / HTTP/1.1\r\n\n\n")
    finally:
        await agi.stop()
    assert agi.outcomes == {**before, "not_agi": 2}, "the last words of a process that is told to end"
