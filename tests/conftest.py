"""What all tests share: a database of each kind, fresh for each test that asks."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database
from tests import postgres

_names = itertools.count()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[str]:
    """The folder of a PostgreSQL cluster's socket, with a migrated template database."""
    with postgres.cluster() as folder:
        template = Database(postgres.create(folder, "migrated"))
        migrate.upgrade(template)
        template.close()
        yield folder


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
    folder = request.getfixturevalue("postgres_cluster")
    name = f"test{next(_names)}"
    yield postgres.create(folder, name, template="migrated")
    postgres.drop(folder, name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database, migrated and empty."""
    opened = Database(database_url)
    yield opened
    opened.close()
