"""What the database keeps by itself, whatever the code believes."""

from __future__ import annotations

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
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_who_reads_keeps_nobody_from_writing(database: Database) -> None:
    there = select(tables.sites.c.key)
    with database.reading() as reader:
        assert reader.scalars(there).all() == []
        with database.transaction() as writer:
            a_site(writer)
        if database.is_sqlite:
            assert reader.scalars(there).all() == [], "what is read is as it was when reading began"
    assert database.read_now(lambda connection: connection.scalars(there).all()) == ["demo"]
