"""What several commands need: the settings and the database they name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pbxtrack.config import load
from pbxtrack.errors import ConfigError, StorageUnavailable
from pbxtrack.settings import Settings
from pbxtrack.sitefile import values
from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database, parse_url
from pbxtrack.storage.times import rfc3339

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class Duration(click.ParamType[timedelta]):
    """A duration as the site file has it: 90s, 30m, 1h or 2d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return values.duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@contextlib.contextmanager
def open_database(settings: Settings | None = None, *, check: bool = True, batches: bool = False) -> Iterator[Database]:
    """The database of the settings. With ``check`` its schema must be the one that this version wants.

    ``batches``: to write very much.
    """
    settings = settings or load()
    url = parse_url(settings.database.url)
    file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if file and check and not file.exists():  # opening it would make it
        raise StorageUnavailable("the database has no tables yet; run `pbxtrack db upgrade`")
    settings.make_database_dir()
    try:
        database = Database(settings.database.url, batches=batches)
    except ModuleNotFoundError:
        raise ConfigError("database.url: PostgreSQL needs its driver: pip install 'pbxtrack[postgresql]'") from None
    try:
        if check:
            migrate.check(database)
        yield database
    finally:
        database.close()


def print_json(value: Any) -> None:
    """Print a value as JSON; times in RFC 3339, UTC."""
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return str(rfc3339(value))
    return str(value)


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)
