"""A database that refuses, hangs or is locked: said clearly and in time; what waits for it is kept."""

from __future__ import annotations

import asyncio
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
async def test_leases_fail_in_time_while_sqlite_is_locked_and_facts_are_written_after(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with sqlite_database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
    (tmp_path / "pbxtrack.toml").write_text(f'data_dir = "{tmp_path}"\n')
    application = Application(load(tmp_path / "pbxtrack.toml"), ())
    other = sqlite3.connect(tmp_path / "pbxtrack.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        started = asyncio.get_running_loop().time()
        request = LeaseRequest("demo", "https://shop.example/")
        answers = await asyncio.gather(*(application.acquire(request) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(answer, StorageUnavailable) for answer in answers)
        assert asyncio.get_running_loop().time() - started < 4
        recording = asyncio.create_task(application.record([ARRIVED]))
        await asyncio.sleep(0.5)
    finally:
        other.execute("ROLLBACK")
        other.close()
    try:
        await recording
    except StorageUnavailable:  # its own wait was over: whoever recorded tries again
        await application.record([ARRIVED])
    assert await application.stop()
    with sqlite_database.transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM calls")) == 1
