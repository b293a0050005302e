"""The spool on disk: first in, first out, across processes and crashes, within its bound."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from pbxtrack.calls.events import CallArrived, Fact, LegEnded
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.spool import Spool, spool_folder, strangers, unusable
from tests.unit.test_lifecycle import FACTS

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def fact(number: int) -> Fact:
    return LegEnded(node="pbx1", linkedid=f"1.{number}", leg=f"1.{number}", at=NOW + timedelta(microseconds=number))


def numbered(count: int, begin: int = 0) -> list[Fact]:
    return [fact(number) for number in range(begin, begin + count)]


def taken(spool: Spool, most: int = 500) -> list[Fact]:
    """Everything, done with."""
    found: list[Fact] = []
    while (facts := spool.first(most)) is not None:
        found += facts
        spool.done()
    return found


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", max_bytes=1_000_000)
    yield spool
    spool.close()


def files(spool_folder: Path) -> list[Path]:
    return sorted((spool_folder / "spool").glob("*"))


def test_nothing_is_there_at_first(spool: Spool, tmp_path: Path) -> None:
    assert spool.first(10) is None
    assert spool.facts == 0
    assert files(tmp_path) == []


def test_the_first_in_are_the_first_out(spool: Spool) -> None:
    spool.add(numbered(7))
    spool.add(numbered(5, 7))
    assert spool.first(5) == numbered(5)
    assert spool.first(5) == numbered(5)  # not done yet
    spool.done()
    assert spool.facts == 7
    assert taken(spool, 4) == numbered(7, 5)
    assert spool.facts == 0
    spool.add(numbered(2))
    assert taken(spool) == numbered(2)


def test_what_comes_while_the_oldest_are_recorded_goes_behind_them(spool: Spool) -> None:
    spool.add(numbered(3))
    assert spool.first(500) == numbered(3)
    spool.add(numbered(3, 3))
    spool.done()
    assert taken(spool) == numbered(3, 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.lists(FACTS, min_size=1, max_size=5))
def test_every_kind_of_fact_comes_back_as_it_was(spool: Spool, facts: list[Fact]) -> None:
    spool.add(facts)
    assert taken(spool) == facts


def test_any_text_of_a_caller_comes_back(spool: Spool) -> None:
    said = CallArrived(
        node="pbx1", linkedid="1.1", at=NOW, leg="1.1", dialled="+7495\r\n", caller="\udce9", caller_name='"Ж\x00\n'
    )
    spool.add([said])
    assert taken(spool) == [said]


def test_nobody_else_may_read_it(spool: Spool, tmp_path: Path) -> None:
    spool.add(numbered(1))
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_it_is_bounded_and_has_room_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    kept = 12
    for number in range(kept):
        spool.add([fact(number)])
    with pytest.raises(StorageUnavailable, match="is full"):
        spool.add(numbered(12, kept))
    assert taken(spool) == numbered(kept)
    spool.add(numbered(2))
    assert taken(spool) == numbered(2)


def test_a_disk_that_is_full_keeps_no_half(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.add(numbered(2))
    write = os.pwrite

    def half(descriptor: int, data: bytes, offset: int) -> int:
        if offset > 400:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: len(data) // 2], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(StorageUnavailable, match="No space left"):
        spool.add(numbered(5, 2))
    monkeypatch.undo()
    assert spool.facts == 2
    spool.add(numbered(1, 2))
    assert taken(spool) == numbered(3)


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "file" / "spool", max_bytes=1000)
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        spool.add(numbered(1))
    assert spool.first(10) is None


def test_what_a_killed_process_left_is_taken_over_once(tmp_path: Path) -> None:
    """Killed while it wrote a line: that one is lost, the others are not."""
    program = f"""
import os, signal, sys
from pathlib import Path
from pbxtrack.storage.spool import Spool
from tests.unit.test_spool import numbered
spool = Spool(Path({str(tmp_path)!r}) / "spool", max_bytes=100_000)
spool.add(numbered(600))
spool.first(100)
spool.done()
with next((Path({str(tmp_path)!r}) / "spool").glob("*")).open("ab") as file:
    file.write(b'["ended","pbx1","1.600",17')
print("written", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    first = Spool(tmp_path / "spool", max_bytes=100_000)
    try:
        assert process.stdout.readline() == b"written\n"
        assert first.first(10) is None  # it is held
    finally:
        process.kill()
        process.communicate()
    second = Spool(tmp_path / "spool", max_bytes=100_000)
    assert first.first(500) == numbered(500)
    assert second.first(500) is None
    assert taken(first) == numbered(600)
    assert first.malformed == 1
    assert files(tmp_path) == []
    first.close()
    second.close()


def test_what_is_left_at_the_end_is_for_the_next_process(tmp_path: Path) -> None:
    first = Spool(tmp_path / "spool", max_bytes=100_000)
    first.add(numbered(4))
    first.first(2)
    first.done()
    first.close()
    second = Spool(tmp_path / "spool", max_bytes=100_000)
    second.add(numbered(2, 4))
    assert taken(second) == numbered(6)  # what was done already is told again
    second.close()
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    ['["ended","pbx1","1.1",17954090050000000000,"1.1",{}]', "[" * 100_000, "null", "[]", '["strange",1,2,3,4,{}]'],
)
def test_a_line_that_is_none_costs_only_itself(tmp_path: Path, line: str) -> None:
    left = Spool(tmp_path / "spool", max_bytes=1_000_000)
    left.add(numbered(2))
    left.close()
    (file,) = files(tmp_path)
    file.write_bytes(line.encode() + b"\n" + file.read_bytes())
    spool = Spool(tmp_path / "spool", max_bytes=1_000_000)
    assert taken(spool) == numbered(2)
    assert spool.malformed == 1
    spool.close()


def test_a_file_of_another_that_cannot_be_read_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Spool(tmp_path / "spool", max_bytes=1_000_000)
    left.add(numbered(2))
    left.close()
    spool = Spool(tmp_path / "spool", max_bytes=1_000_000)
    spool.add(numbered(1, 2))
    read = os.pread
    fails = iter([OSError(errno.EIO, "Input/output error")])

    def failing(*arguments: int) -> bytes:
        for error in fails:
            raise error
        return read(*arguments)

    monkeypatch.setattr(os, "pread", failing)
    assert taken(spool) == numbered(1, 2)
    assert len(files(tmp_path)) == 2
    spool.close()


def test_who_would_not_find_what_waits_is_told(tmp_path: Path) -> None:
    ours = spool_folder(tmp_path, make_url("postgresql://u:p@127.0.0.1:5432/pbx"))
    assert ours == spool_folder(tmp_path, make_url("postgresql://other:secret@127.0.0.1:5432/pbx"))
    same = Spool(spool_folder(tmp_path, make_url("postgresql://u:p@localhost:5432/pbx")), max_bytes=1000)
    same.add(numbered(1))
    assert strangers(tmp_path, ours) == [same.folder]
    assert strangers(tmp_path, same.folder) == []
    same.close()


def test_a_folder_that_cannot_be_is_seen_before_it_is_needed(tmp_path: Path) -> None:
    assert unusable(tmp_path / "a" / "b") is None
    (tmp_path / "file").touch()
    assert "is not a folder" in str(unusable(tmp_path / "file" / "b"))
