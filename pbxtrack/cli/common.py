"""What several commands need: the settings and the database they name."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from pbxtrack.config import load
from pbxtrack.errors import ConfigError, PbxtrackError, StorageUnavailable
from pbxtrack.settings import Settings
from pbxtrack.storage import migrate
from pbxtrack.storage.database import Database, parse_url
from pbxtrack.storage.fold import fold_all


@contextlib.contextmanager
def open_database(
    settings: Settings | None = None, *, check: bool = True, batches: bool = False, statement_timeout: float = 5.0
) -> Iterator[Database]:
    """The database of the settings. With ``check`` its schema must be the one that this version wants.

    ``batches`` and ``statement_timeout`` as :class:`Database` takes them.
    """
    settings = settings or load()
    url = parse_url(settings.database.url)
    file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if file and check and not file.exists():  # opening it would make it
        raise StorageUnavailable("the database has no tables yet; run `pbxtrack db upgrade`")
    settings.make_database_dir()
    try:
        database = Database(settings.database.url, statement_timeout=statement_timeout, batches=batches)
    except ModuleNotFoundError:
        raise ConfigError("database.url: PostgreSQL needs its driver: pip install 'pbxtrack[postgresql]'") from None
    try:
        if check:
            migrate.check(database)
        yield database
    finally:
        database.close()


def fold(database: Database, *, quiet: bool) -> None:
    """Roll up the days that changed, so that reports are quick again. They are right without it."""
    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("days for reports", total=None)
        for days in fold_all(database):
            progress.advance(task, days)


def no_site(key: str, there: Collection[str]) -> PbxtrackError:
    """There is no site of this key; ``there`` are the keys that there are."""
    known = f"there is {', '.join(sorted(there)[:10])}" if there else "make one with `pbxtrack apply`"
    return PbxtrackError(f"there is no site {key!r}; {known}")


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)
