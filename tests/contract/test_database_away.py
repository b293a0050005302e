"""A database that refuses, hangs or is locked: said clearly and in time; what waits for it is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from pbxtrack.bootstrap import Application
from pbxtrack.calls.events import CallArrived
from pbxtrack.config import load
from pbxtrack.errors import StorageUnavailable
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.storage.database import Database
from tests.contract.site import a_site

ARRIVED = CallArrived(
    node="pbx1", linkedid="1.1", at=datetime(2026, 11, 22, tzinfo=UTC), leg="1.1", dialled="+74951230100", caller=None
)


def test_a_database_that_became_read_only_is_away(postgresql_database: Database) -> None:
    def write_anyway() -> None:
        with postgresql_database.transaction() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            a_site(connection)

    with pytest.raises(StorageUnavailable, match="read-only"):
        write_anyway()


def test_a_broken_promise_is_not_mistaken_for_a_database_that_is_away(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection)
    with pytest.raises(Exception, match=r"(?i)unique") as caught, database.transaction() as connection:
        a_site(connection)
    assert not isinstance(caught.value, StorageUnavailable)


@pytest.mark.asyncio
async def test_leases_fail_in_time_while_sqlite_is_locked_and_facts_follow(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with sqlite_database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
    (tmp_path / "pbxtrack.toml").write_text(f'data_dir = "{tmp_path}"\n')
    application = Application(load(tmp_path / "pbxtrack.toml"), ())
    await application.start()
    other = sqlite3.connect(tmp_path / "pbxtrack.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        started = asyncio.get_running_loop().time()
        request = LeaseRequest("demo", "https://shop.example/")
        recording = asyncio.create_task(application.recorder.record([ARRIVED]))
        answers = await asyncio.gather(*(application.acquire(request) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(answer, StorageUnavailable) for answer in answers)
        await recording
        assert asyncio.get_running_loop().time() - started < 4
        assert application.recorder.waiting == 1
    finally:
        other.execute("ROLLBACK")
        other.close()
    async with asyncio.timeout(20):
        while application.recorder.waiting:
            await asyncio.sleep(0.05)
    assert await application.stop()
    with sqlite_database.transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM calls")) == 1


def test_a_server_that_hangs_is_not_waited_for(postgresql_database: Database) -> None:
    """Stopped where it is, it keeps the connection and says nothing: its own time limits do not run, ours do."""
    database = Database(postgresql_database.url.render_as_string(hide_password=False), statement_timeout=0.1)
    stopped = 0

    def ask() -> None:
        nonlocal stopped
        with database.transaction() as connection:
            stopped = int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)
            os.kill(stopped, signal.SIGSTOP)
            connection.execute(text("SELECT 1"))

    try:
        with pytest.raises(StorageUnavailable, match="does not answer"):
            ask()
        with database.transaction() as connection:  # by another connection
            assert connection.scalar(text("SELECT pg_backend_pid()")) != stopped
    finally:
        os.kill(stopped, signal.SIGCONT)
        database.close()
