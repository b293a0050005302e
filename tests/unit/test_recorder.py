"""Facts go to the database, else to the disk, and follow from there when it is back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from pbxtrack.calls.events import Fact
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.recorder import Recorder
from pbxtrack.storage.spool import Spool
from tests.unit.test_spool import numbered

pytestmark = pytest.mark.asyncio


class TheDatabase:
    """As well as it is told to be."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.state = "well"
        self.poison: Fact | None = None
        self.asked = 0

    async def write(self, facts: Sequence[Fact]) -> None:
        self.asked += 1
        if self.state == "away":
            raise StorageUnavailable("it is away")
        if self.state == "hangs":
            await asyncio.Event().wait()
        if self.poison in facts:
            raise ValueError("never")
        self.facts += facts


@contextlib.asynccontextmanager
async def recording(database: TheDatabase, folder: Path, max_bytes: int = 1_000_000) -> AsyncIterator[Recorder]:
    recorder = Recorder(database.write, Spool(folder / "spool", max_bytes=max_bytes), patience=0.1)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.wait([task])
        await recorder.close()


async def until_written(database: TheDatabase, facts: Sequence[Fact]) -> None:
    async with asyncio.timeout(10):
        while database.facts != list(facts):
            await asyncio.sleep(0.01)


async def test_a_database_that_is_well_is_all_that_is_used(tmp_path: Path) -> None:
    database = TheDatabase()
    async with recording(database, tmp_path) as recorder:
        await recorder.record(numbered(3))
        await recorder.record([])
        assert database.facts == numbered(3)
        assert (recorder.spooled, recorder.waiting, recorder.away) == (0, 0, False)
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("fault", ["away", "hangs"])
async def test_facts_wait_on_disk_and_follow(tmp_path: Path, fault: str) -> None:
    database = TheDatabase()
    async with recording(database, tmp_path) as recorder:
        database.state = fault
        await recorder.record(numbered(2))
        asked = database.asked
        await recorder.record(numbered(1200, 2))
        assert database.asked <= asked + 1  # not asked for every one of them
        assert (recorder.spooled, recorder.waiting, recorder.away) == (1202, 1202, True)
        database.state = "well"
        await until_written(database, numbered(1202))
        await recorder.record(numbered(1, 1202))
        await until_written(database, numbered(1203))
        async with asyncio.timeout(10):
            while recorder.waiting:
                await asyncio.sleep(0.01)
        assert (recorder.spooled, recorder.waiting, recorder.away) == (1202, 0, False)


async def test_a_process_that_ends_leaves_them_to_the_next(tmp_path: Path) -> None:
    database = TheDatabase()
    database.state = "away"
    async with recording(database, tmp_path) as recorder:
        await recorder.record(numbered(5))
    database.state = "well"
    async with recording(database, tmp_path):
        await until_written(database, numbered(5))


async def test_one_bad_fact_does_not_hold_up_the_others(tmp_path: Path) -> None:
    database = TheDatabase()
    (database.poison,) = numbered(1, 3)
    database.state = "away"
    async with recording(database, tmp_path) as recorder:
        await recorder.record(numbered(6))
        database.state = "well"
        await until_written(database, numbered(3) + numbered(2, 4))
        assert recorder.rejected == 1


async def test_neither_database_nor_disk(tmp_path: Path) -> None:
    """Who records hears of it, and may try again; as soon as the database is back it is used."""
    database = TheDatabase()
    database.state = "away"
    async with recording(database, tmp_path, max_bytes=10) as recorder:
        for _ in range(3):
            with pytest.raises(StorageUnavailable, match="full"):
                await recorder.record(numbered(1))
        database.state = "well"
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(StorageUnavailable):
                    await recorder.record(numbered(1))
                    break
                await asyncio.sleep(0.01)
        assert database.facts == numbered(1)
