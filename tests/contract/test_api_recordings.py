"""The recordings of calls over HTTP: heard by those who may, in what browsers play, from their folder alone."""

from __future__ import annotations

import array
import io
import math
import os
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pbxtrack.access import Role
from pbxtrack.recordings.formats import Coding, wav_header
from pbxtrack.storage import tables, tokens
from pbxtrack.storage.database import Database
from tests.contract.api_client import STATIC, T0, a_token, assert_problem, put_call, running
from tests.contract.site import a_site

RATE = 8000
LOUD = array.array("h", (int(16_000 * math.sin(2 * math.pi * 400 * n / RATE)) for n in range(RATE)))
SILENT = array.array("h", bytes(2 * RATE))
SAMPLES = (LOUD + SILENT).tobytes()  # a second of tone, a second of silence

Put = Callable[[str, bytes | None], str]


@pytest.fixture
def manager(sqlite_database: Database) -> dict[str, str]:
    with sqlite_database.transaction() as connection:
        a_site(connection, static=[STATIC])
    return a_token(sqlite_database)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "monitor"
    (made / "pbxtrack").mkdir(parents=True)
    return made


@pytest.fixture
def put(sqlite_database: Database, manager: dict[str, str], folder: Path) -> Put:
    """Puts a call with a recording; the call's address."""
    calls = iter(range(1000))

    def put_one(name: str, data: bytes | None) -> str:
        call_id = put_call(sqlite_database, next(calls), talk=5)
        with sqlite_database.transaction() as connection:
            connection.execute(update(tables.calls).where(tables.calls.c.id == call_id).values(recording=name))
        if data is not None:
            (folder / name).write_bytes(data)
        return f"/api/v1/calls/{call_id}"

    return put_one


def wav(samples: bytes = SAMPLES, *, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(channels)
        written.setsampwidth(width)
        written.setframerate(RATE)
        written.writeframes(samples)
    return file.getvalue()


def gsm_in_wav() -> bytes:
    """As Asterisk writes .WAV: format 0x31."""
    return wav_header(Coding.LINEAR, RATE, 65).replace(b"\x01\x00\x01\x00", b"\x31\x00\x01\x00", 1) + bytes(65)


@pytest.mark.asyncio
async def test_a_recording_is_heard_whole_and_in_parts(
    sqlite_database: Database, manager: dict[str, str], folder: Path, put: Put
) -> None:
    data = wav()
    address = put("pbxtrack/a.wav", data) + "/recording"
    async with running(sqlite_database, recordings={"pbx1": folder}) as client:
        whole = await client.get(address, headers=manager)
        assert (whole.status, whole.content_type, await whole.read()) == (200, "audio/wav", data)
        assert whole.headers["Cache-Control"].startswith("private")
        part = await client.get(address, headers={**manager, "Range": "bytes=100-199"})
        assert (part.status, await part.read()) == (206, data[100:200])
        assert (await client.get(address, headers={**manager, "If-None-Match": whole.headers["ETag"]})).status == 304
        download = await client.get(address, params={"download": "1"}, headers=manager)
        assert download.headers["Content-Disposition"] == 'attachment; filename="a.wav"'


@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "coding"), [("sln", Coding.LINEAR), ("alaw", Coding.ALAW), ("ulaw", Coding.ULAW)])
async def test_raw_samples_are_a_wav_file_to_browsers(
    sqlite_database: Database, manager: dict[str, str], folder: Path, put: Put, name: str, coding: Coding
) -> None:
    samples = os.urandom(200_001)
    address = put(f"pbxtrack/a.{name}", samples) + "/recording"
    expected = wav_header(coding, RATE, len(samples)) + samples
    async with running(sqlite_database, recordings={"pbx1": folder}) as client:

        async def asked(**headers: str) -> tuple[int, bytes, Any]:
            answer = await client.get(address, headers={**manager, **headers})
            return answer.status, await answer.read(), answer.headers

        status, body, headers = await asked()
        assert (status, body, headers["Content-Type"]) == (200, expected, "audio/wav")
        if coding is Coding.LINEAR:
            with wave.open(io.BytesIO(body[:-1])) as read:
                assert (read.getframerate(), read.getnchannels(), read.getnframes()) == (RATE, 1, 100_000)
        for asked_for, first, end in (
            ("0-", 0, len(expected)), ("0-9", 0, 10), ("10-60", 10, 61), ("50-100000", 50, 100_001),
            ("199000-", 199_000, len(expected)), ("-5", len(expected) - 5, len(expected)),
            ("9-9999999", 9, len(expected)),
        ):  # fmt: skip
            status, part, headers = await asked(Range=f"bytes={asked_for}")
            assert (status, part) == (206, expected[first:end]), asked_for
            assert headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(expected)}"
        for nonsense in ("bytes=999999999-", "bytes=x", "bytes=5-2"):
            answer = await client.get(address, headers={**manager, "Range": nonsense})
            assert_problem(answer, 416, await answer.json())
            assert answer.headers["Content-Range"] == f"bytes */{len(expected)}"
        assert (await asked(**{"If-None-Match": headers["ETag"]}))[0] == 304
        assert (await asked(**{"Range": "bytes=0-9", "If-Range": headers["ETag"]}))[0] == 206
        assert (await asked(**{"Range": "bytes=0-9", "If-Range": '"old"'}))[1] == expected
        head = await client.head(address, headers=manager)
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(expected)))
        download = await client.get(address, params={"download": "1"}, headers=manager)
        assert await download.read() == samples


@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "data"), [("a.gsm", bytes(33)), ("a.WAV", gsm_in_wav()), ("a.g722", bytes(80))])
async def test_what_browsers_do_not_play_can_be_kept(
    sqlite_database: Database, manager: dict[str, str], folder: Path, put: Put, name: str, data: bytes
) -> None:
    address = put(name, data)
    async with running(sqlite_database, recordings={"pbx1": folder}) as client:
        for part in ("recording", "waveform"):
            refused = await client.get(f"{address}/{part}", headers=manager)
            assert (refused.status, (await refused.json())["type"]) == (415, "/docs#problem-unplayable")
        kept = await client.get(f"{address}/recording", params={"download": "1"}, headers=manager)
        assert (kept.status, await kept.read()) == (200, data)


@pytest.mark.asyncio
async def test_nothing_outside_of_the_folder_is_given_away(
    sqlite_database: Database, manager: dict[str, str], folder: Path, put: Put
) -> None:
    secret = folder.parent / "secret.wav"
    secret.write_bytes(wav())
    (folder / "out.wav").symlink_to(secret)
    (folder / "out").symlink_to(folder.parent)
    (folder / "circle.wav").symlink_to(folder / "circle.wav")
    (folder / "passwords.txt").write_text("x")
    (folder / "named.wav").symlink_to(folder / "passwords.txt")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    names = [
        "../secret.wav", str(secret), "pbxtrack/../../secret.wav", "out.wav", "out/secret.wav", "circle.wav",
        "passwords.txt", "named.wav", "folder.wav", "pipe.wav", "gone.wav", "", "wav", ".wav", "x" * 390 + ".wav",
    ]  # fmt: skip
    inside = put(str(folder / "whole.wav"), wav())
    async with running(sqlite_database, recordings={"pbx1": folder}) as client:
        assert (await client.get(f"{inside}/recording", headers=manager)).status == 200
        for name in names:
            address = put(name, None)
            for part in ("recording", "recording?download=1", "waveform"):
                answer = await client.get(f"{address}/{part}", headers=manager)
                problem = await answer.json()
                assert (answer.status, problem["type"]) == (404, "/docs#problem-recording-missing"), name
                assert str(folder.parent) not in problem["detail"]


@pytest.mark.asyncio
async def test_it_is_told_why_there_is_nothing_to_hear(
    sqlite_database: Database, manager: dict[str, str], put: Put
) -> None:
    answered, unanswered = put_call(sqlite_database, 500, talk=5), put_call(sqlite_database, 501)
    with sqlite_database.transaction() as connection:
        meant = update(tables.calls).where(tables.calls.c.id == unanswered).values(recording="pbxtrack/x.wav")
        connection.execute(meant)
    recorded = put("pbxtrack/a.wav", None).rpartition("/")[2]
    async with running(sqlite_database) as client:
        kinds = {}
        for call_id in (answered, unanswered, recorded, "none", "%00"):
            answer = await client.get(f"/api/v1/calls/{call_id}/recording", headers=manager)
            assert answer.status == 404
            kinds[call_id] = (await answer.json())["type"].removeprefix("/docs#problem-")
    assert list(kinds.values()) == ["not-recorded", "not-recorded", "recording-missing", "not-found", "not-found"]


@pytest.mark.asyncio
async def test_an_engineer_hears_nothing(sqlite_database: Database, folder: Path, put: Put) -> None:
    address = put("pbxtrack/a.wav", wav())
    with sqlite_database.transaction() as connection:
        _, secret = tokens.add_token(connection, "engineer", T0, Role.ENGINEER)
    async with running(sqlite_database, recordings={"pbx1": folder}) as client:
        for part in ("recording", "waveform"):
            answer = await client.get(f"{address}/{part}", headers={"Authorization": f"Bearer {secret}"})
            assert answer.status == 403


STEREO = array.array("h", (sample for one in LOUD + SILENT for sample in (one, 0))).tobytes()
HALF = 16_000 / 32_767


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "data", "loudest"),
    [
        ("a.wav", wav(), HALF),
        ("b.wav", wav(STEREO, channels=2), HALF),
        ("c.wav", wav(bytes((sample >> 8) + 128 for sample in LOUD + SILENT), width=1), HALF),
        ("d.wav", wav()[:40] + bytes(4) + SAMPLES, HALF),  # still being recorded
        ("a.sln", SAMPLES, HALF),
        ("a.alaw", b"\xaa" * RATE + b"\xd5" * RATE, 1.0),
        ("a.ulaw", b"\x80" * RATE + b"\xff" * RATE, 1.0),
        ("b.ulaw", b"\x8f" * RATE + b"\x7f" * RATE, 0.522),
    ],
)
async def test_a_waveform_shows_where_it_is_loud(
    sqlite_database: Database, manager: dict[str, str], folder: Path, put: Put, name: str, data: bytes, loudest: float
) -> None:
    address = put(name, data)
    async with running(sqlite_database, recordings={"pbx1": folder}) as client:
        drawn = await (await client.get(f"{address}/waveform", headers=manager)).json()
        assert drawn["seconds"] == 2.0
        assert len(drawn["peaks"]) == 600
        assert max(drawn["peaks"]) == pytest.approx(loudest, abs=0.02)
        assert min(drawn["peaks"][:299]) > loudest / 2
        assert max(drawn["peaks"][301:]) < 0.01
        (folder / name).write_bytes(data[:44])  # what is there now counts
        assert (await (await client.get(f"{address}/waveform", headers=manager)).json())["seconds"] < 0.01
