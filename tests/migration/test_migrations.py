"""The schema's versions, one after another, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, inspect

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage import migrate
from pbxtrack.storage.accuracy import accuracy
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import fold_all
from pbxtrack.storage.tables import calls
from tests import postgres
from tests.contract.site import a_site

NOW = datetime.now(UTC)
_A_CALL: dict[str, Any] = {
    "id": "p-1", "node": "p", "linkedid": "1", "caller": "+79161234567", "status": "missed", "ringing_seconds": 1.0,
    "talk_seconds": 0.0, "first": True, "target": False, "confidence": 0.0, "candidates": [], "tags": [], "state": {},
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/empty.db")
        yield database
        database.close()
        return
    folder = request.getfixturevalue("postgres_cluster")
    database = Database(postgres.create(folder, "empty"))
    yield database
    database.close()
    postgres.drop(folder, "empty")


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_up_from_nothing_and_down_again(empty: Database) -> None:
    assert migrate.upgrade(empty) is None
    migrate.check(empty)
    made = tables(empty)
    assert {"sites", "numbers", "leases", "call_facts", "calls", "contacts", "outbox"} <= made
    migrate.downgrade(empty, "base")
    assert tables(empty) == set()
    migrate.upgrade(empty)
    assert tables(empty) == made


def test_a_second_upgrade_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    assert migrate.upgrade(empty) == migrate.head()


def test_an_empty_database_is_prepared_and_a_strange_one_is_refused(empty: Database) -> None:
    with pytest.raises(StorageUnavailable, match="no tables yet; run `pbxtrack db upgrade`"):
        migrate.check(empty)
    migrate.prepare(empty)
    migrate.check(empty)
    with empty.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.SchemaOutdated, match="is at revision 9999, and this version needs"):
        migrate.prepare(empty)


def test_roll_ups_that_a_downgrade_removed_are_made_anew(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.transaction() as connection:
        site = a_site(connection)
        called = {"site_id": site, "started_at": NOW - timedelta(days=3), "dialled": "+74950000000", "method": "none"}
        connection.execute(insert(calls).values(_A_CALL | called))
    list(fold_all(empty))
    migrate.downgrade(empty, "0013")
    migrate.upgrade(empty)
    for _ in range(2):
        with empty.reading() as connection:
            assert {item["calls"] for item in accuracy(connection)} == {1}
        list(fold_all(empty))
