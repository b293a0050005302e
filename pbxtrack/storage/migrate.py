"""The schema's versions: bring a database up to date, or tell whether it is."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.database import Database


class SchemaOutdated(StorageUnavailable):
    """The database answers, but its tables are not those of this version."""


_HERE = Path(__file__).parent / "migrations"


def upgrade(database: Database, revision: str = "head") -> str | None:
    """Run the migrations that are missing, in one transaction; the revision that the database was at before."""
    with database.transaction() as connection:
        if not database.is_sqlite:  # two processes may start on an empty database at once; SQLite's lock serves there
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('pbxtrack migrations'))"))
        before = MigrationContext.configure(connection).get_current_revision()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return before


def downgrade(database: Database, revision: str) -> None:
    """Go back to an older revision, or to "base": no tables. What newer tables held is gone."""
    with database.transaction() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def current(database: Database) -> str | None:
    """The database's revision; None for an empty database."""
    return database.read_now(lambda connection: MigrationContext.configure(connection).get_current_revision())


def head() -> str:
    """The revision that this version of pbxtrack wants."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def check(database: Database) -> None:
    """Raise SchemaOutdated, saying what to do, unless the schema is the one this version wants."""
    at, wanted = current(database), head()
    if at != wanted:
        state = "has no tables yet" if at is None else f"is at revision {at}, and this version needs {wanted}"
        raise SchemaOutdated(f"the database {state}; run `pbxtrack db upgrade`")


def prepare(database: Database) -> None:
    """Make the tables in an empty database; SchemaOutdated for one that another version made.

    Changing existing tables is left to `pbxtrack db upgrade`: the operator chooses when.
    """
    if current(database) is None:
        upgrade(database)
    check(database)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config
