"""The schema's versions: bring a database up to date, or tell whether it is."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.database import Database

_HERE = Path(__file__).parent / "migrations"


def upgrade(database: Database, revision: str = "head") -> str | None:
    """Run the migrations that are missing, in one transaction; the revision that the database was at before."""
    before = current(database)
    with database.transaction() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return before


def current(database: Database) -> str | None:
    """The database's revision; None for an empty database."""
    with database.transaction() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this version of pbxtrack wants."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def check(database: Database) -> None:
    """Raise StorageUnavailable, saying what to do, unless the schema is the one this version wants."""
    at, wanted = current(database), head()
    if at != wanted:
        state = "has no tables yet" if at is None else f"is at revision {at}, and this version needs {wanted}"
        raise StorageUnavailable(f"the database {state}; run `pbxtrack db upgrade`")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config
