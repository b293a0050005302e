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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated, empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        path = tmp_path / "pbxtrack.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    yield request.getfixturevalue("postgres_url")
    folder = request.getfixturevalue("postgres_cluster")
    try:
        postgres.empty(folder, "tests", list(metadata.tables))
    except psycopg.Error:  # the test took tables away
        postgres.drop(folder, "tests")
        _migrated(folder, "tests")


def _migrated(folder: str, name: str) -> str:
    url = postgres.create(folder, name)
    database = Database(url)
    migrate.upgrade(database)
    database.close()
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database, migrated and empty."""
    opened = Database(database_url)
    yield opened
    opened.close()
