"""What the database keeps by itself, whatever the code believes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from pbxtrack.storage import migrate, tables
from pbxtrack.storage.database import Database
from tests.contract.site import a_site

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def lease(connection: Connection, **values: Any) -> None:
    connection.execute(
        tables.leases.insert(),
        {
            "id": "a",
            "site_id": 1,
            "number_id": 1,
            "seq": 1,
            "visit_id": "v",
            "visitor_id": "w",
            "started_at": NOW,
            "seen_at": NOW,
            "guaranteed_until": NOW + timedelta(minutes=3),
            "ends_at": NOW + timedelta(minutes=30),
        }
        | values,
    )


def test_two_leases_of_one_number_with_one_seq_are_refused(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
        lease(connection)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        lease(connection, id="b")


def test_a_lease_cannot_end_before_it_starts(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
    with pytest.raises(IntegrityError), database.transaction() as connection:
        lease(connection, ends_at=NOW - timedelta(seconds=1))


def test_a_number_is_in_one_place_only(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
    with pytest.raises(IntegrityError), database.transaction() as connection:
        a_site(connection, key="other", pool=["+74951230100"])


OF_EXPRESSIONS = {"ix_calls_traits", "ix_calls_channel", "ix_calls_campaign"}


def test_times_keep_their_microseconds_and_come_back_in_utc(database: Database) -> None:
    exact = NOW + timedelta(microseconds=123_456)
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
        lease(connection, started_at=exact)
        assert connection.scalar(select(tables.leases.c.started_at)) == exact


# SQLAlchemy reads no index of an expression from SQLite; PostgreSQL's are compared.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_schema_is_what_the_migrations_make(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate.check(database)
    with database.transaction() as connection:
        opts = {"compare_type": True, "include_object": lambda _, name, *__: name not in OF_EXPRESSIONS}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, tables.metadata) == []


def test_indexes_of_expressions_are_what_the_migrations_make(database: Database) -> None:
    """Word for word: or queries would not find them."""
    made = [index for index in tables.calls.indexes if index.name in OF_EXPRESSIONS]
    assert len(made) == len(OF_EXPRESSIONS)
    with database.transaction() as connection:
        before = definitions(connection)
        for index in made:
            index.drop(connection)
            index.create(connection)
        assert definitions(connection) == before


def definitions(connection: Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
    else:
        rows = connection.exec_driver_sql("SELECT indexname, indexdef FROM pg_indexes")
    listed = {row[0]: row[1] for row in rows}
    return {re.sub(r"[\s()]", "", listed[name]) for name in OF_EXPRESSIONS}


def test_who_reads_keeps_nobody_from_writing(database: Database) -> None:
    there = select(tables.sites.c.key)
    with database.reading() as reader:
        assert reader.scalars(there).all() == []
        with database.transaction() as writer:
            a_site(writer)
        if database.is_sqlite:
            assert reader.scalars(there).all() == [], "what is read is as it was when reading began"
    assert database.read_now(lambda connection: connection.scalars(there).all()) == ["demo"]
