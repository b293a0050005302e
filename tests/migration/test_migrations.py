"""The schema's versions, one after another, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database
from tests import postgres


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
