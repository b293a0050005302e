"""What all tests share: a database of each kind, fresh for each test that asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import metadata
from tests import postgres


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[str]:
    """The folder of a PostgreSQL cluster's socket."""
    with postgres.cluster() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_url(postgres_cluster: str) -> str:
    """The address of a migrated database that tests use one after another."""
    return _migrated(postgres_cluster, "tests")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    database.close()
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """An open SQLite database, migrated and empty."""
    path = tmp_path / "pbxtrack.db"
    shutil.copy(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def postgresql_database(postgres_cluster: str, postgres_url: str) -> Iterator[Database]:
    """An open PostgreSQL database, migrated and empty."""
    opened = Database(postgres_url)
    yield opened
    opened.close()
    try:
        postgres.empty(postgres_cluster, "tests", list(metadata.tables))
    except psycopg.Error:  # the test took tables away
        postgres.drop(postgres_cluster, "tests")
        _migrated(postgres_cluster, "tests")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """An open database, migrated and empty; the test runs once on each kind."""
    opened: Database = request.getfixturevalue(f"{request.param}_database")
    return opened


def _migrated(folder: str, name: str) -> str:
    url = postgres.create(folder, name)
    database = Database(url)
    migrate.upgrade(database)
    database.close()
    return url
