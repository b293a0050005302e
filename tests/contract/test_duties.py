"""Of processes that share a database one does the work; when it is gone, or goes, another does."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from pbxtrack import duty
from pbxtrack.duty import Duty, this_process
from pbxtrack.storage import duties
from pbxtrack.storage.database import Database


class Worker:
    """A process's part, and when it worked."""

    def __init__(self, database: Database, name: str = "ami pbx1") -> None:
        self.works = 0
        self.turns = 0
        self.able = True
        self.duty = Duty(name, self.work, database, this_process(), able=lambda: self.able)

    async def work(self) -> None:
        self.turns += 1
        self.works += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.works -= 1


@contextlib.asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(worker.duty.run()) for worker in workers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty, "_EVERY", 0.05)
    monkeypatch.setattr(duty, "_OVERLAP", 0.2)
    monkeypatch.setattr(duties, "HELD", timedelta(seconds=0.5))


@pytest.mark.asyncio
async def test_one_works_and_another_takes_over_when_it_is_killed(database: Database) -> None:
    one, other = Worker(database), Worker(database)
    async with running(one) as (task,):
        await until(lambda: one.works)
        async with running(other):
            await until(lambda: other.duty.stands_by)
            await asyncio.sleep(0.7)  # longer than it is believed in without a word
            assert (one.works, other.works) == (1, 0)
            task.cancel()
            await until(lambda: other.works)
            assert (one.works, one.turns) == (0, 1)


@pytest.mark.asyncio
async def test_one_that_ends_works_until_another_has_begun(database: Database) -> None:
    one, other = Worker(database), Worker(database)
    async with running(one):
        await until(lambda: one.works)
        async with running(other):
            await until(lambda: other.duty.stands_by)
            await one.duty.hand_over()
            assert (one.works, other.works) == (1, 1)


@pytest.mark.asyncio
async def test_one_that_is_alone_does_not_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty, "_HAND_OVER", 60)
    one, next_one = Worker(database), Worker(database)
    async with running(one):
        await until(lambda: one.works)
        await asyncio.wait_for(one.duty.hand_over(), 5)
    async with running(next_one):
        await until(lambda: next_one.works)


@pytest.mark.asyncio
async def test_a_process_that_was_killed_here_is_not_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duties, "HELD", timedelta(hours=1))
    killed = subprocess.Popen(["sleep", "60"])
    mine = this_process().rsplit("/", 2)
    with database.transaction() as connection:
        duties.claim(connection, "ami pbx1", f"{mine[0]}/{killed.pid}/0badcafe")
        duties.claim(connection, "cel pbx1", f"elsewhere/1/{killed.pid}/0badcafe")
    here, there = Worker(database), Worker(database, "cel pbx1")
    async with running(here, there):
        await until(lambda: here.duty.stands_by and there.duty.stands_by)
        await asyncio.sleep(0.2)
        assert here.works == 0
        killed.kill()
        killed.wait()
        await until(lambda: here.works)
        assert there.works == 0


@pytest.mark.asyncio
async def test_one_that_froze_finds_another_in_its_place(database: Database) -> None:
    one = Worker(database)
    async with running(one):
        await until(lambda: one.works)
        with database.transaction() as connection:
            connection.execute(text("UPDATE duties SET holder = 'another', held_until = '2100-01-01'"))
        await until(lambda: one.duty.stands_by)
        assert one.works == 0
        with database.transaction() as connection:
            connection.execute(text("UPDATE duties SET held_until = '2020-01-01'"))
        await until(lambda: one.works)
        assert one.turns == 2


@pytest.mark.asyncio
async def test_duties_are_apart_and_only_for_who_is_able(database: Database) -> None:
    one, elsewhere = Worker(database), Worker(database, "cel pbx1")
    elsewhere.able = False
    async with running(one, elsewhere):
        await until(lambda: one.works and elsewhere.duty.stands_by)
        assert elsewhere.works == 0
        elsewhere.able = True
        await until(lambda: elsewhere.works)


@pytest.mark.asyncio
async def test_while_the_database_is_away_everybody_works(tmp_path: object) -> None:
    """What two hear is recorded once; what nobody hears is lost."""
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    one, other = Worker(away), Worker(away)
    try:
        async with running(one, other):
            await until(lambda: one.works and other.works)
            assert (one.turns, other.turns) == (1, 1)
    finally:
        away.close()
