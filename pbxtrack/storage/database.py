"""The connection to SQLite or PostgreSQL: reads side by side, writes in threads of their own.

The work itself is ordinary blocking SQLAlchemy Core, run in threads: one portable code path for both databases. On
SQLite one thread writes, since SQLite lets one write at a time and waiting in line costs less than being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from pbxtrack.errors import ConfigError, StorageUnavailable
from pbxtrack.storage.conditions import add_functions

T = TypeVar("T")

_READERS = 4
_WRITERS = 2  # on PostgreSQL: while one waits for its commit, the other fills the next transaction
_SQLITE_BUSY_MS = 5_000
_READ_HERE_BUSY = 0.1  # s
_LATE = 2.0  # s that PostgreSQL may take longer than its own limit
_LOOK_EVERY = 0.1  # s
_TRY_AGAIN = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the database is well

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")
# A batch touches a page of the indexes for nearly every call, and the next batch the same pages again: they are kept
# (KiB), and written back to the file less often (pages of 4 KiB), for which nobody waits.
_BATCH_PRAGMAS = ("cache_size=-32768", "wal_autocheckpoint=4000")
_NO_TABLES = "the database has no tables yet; run `pbxtrack db upgrade`"

log = structlog.get_logger(__name__)


class Database:
    """One database.

    Use :meth:`read` and :meth:`write` from asyncio, :meth:`reading` and :meth:`transaction` from anywhere else.
    """

    def __init__(self, url: str, *, statement_timeout: float = 5.0, batches: bool = False) -> None:
        """``statement_timeout`` in seconds bounds every statement on PostgreSQL. ``batches``: to write very much."""
        self.url = parse_url(url)
        self.engine = _engine(self.url, statement_timeout, batches)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.writers = 1 if self.is_sqlite else _WRITERS
        self._kept: sqlite3.Connection | None = None  # read_here's
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="db-read")
        self._write_threads = ThreadPoolExecutor(self.writers, thread_name_prefix="db-write")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that commits at the end; StorageUnavailable where the database does not answer."""
        with translated_errors(self.url.database if self.is_sqlite else None), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with, all of one moment, which keeps nobody from writing. Raises StorageUnavailable."""
        options: dict[str, Any] = {"pbxtrack_reading": True}
        if not self.is_sqlite:  # there, a transaction sees others' commits between its statements unless it says so
            options["isolation_level"] = "REPEATABLE READ"
        with translated_errors(self.url.database if self.is_sqlite else None), self.engine.connect() as connection:
            yield connection.execution_options(**options)

    def look_again(self) -> None:
        """Let PostgreSQL look how large its tables are: while they grow quickly, its plans are for what they were.

        It does so by itself once a minute. Raises StorageUnavailable.
        """
        if not self.is_sqlite:
            with self.transaction() as connection:
                connection.exec_driver_sql("ANALYZE calls, contacts")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a snapshot of the data, in a thread."""
        return await self._run(self._readers, self.read_now, work)

    def read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on a snapshot of the data, in the calling thread, which must always be the same one.

        For what a caller waits for, on SQLite: no hand-over to a thread and back, nothing but the driver. A reader of
        SQLite waits for nobody, but for moments such as a recovery, and for those not long. Raises StorageUnavailable.
        """
        with translated_errors(self.url.database):
            try:
                if self._kept is None:
                    self._kept = self._keep()
                self._kept.execute("BEGIN")
                try:
                    return work(self._kept)
                finally:
                    self._kept.execute("COMMIT")
            except sqlite3.Error as error:
                if self._kept is not None:
                    self._kept.close()
                    self._kept = None
                raise exc.OperationalError("a read", None, error) from error

    def _keep(self) -> sqlite3.Connection:
        """A connection of its own, outside the pool."""
        arguments, options = self.engine.dialect.create_connect_args(self.url)
        own: Any = {**options, "timeout": _READ_HERE_BUSY, "check_same_thread": False, "isolation_level": None}
        driver: sqlite3.Connection = sqlite3.connect(arguments[0], **own)
        return driver

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own, in the writer's thread; returns once it is durable."""
        return await self._run(self._write_threads, self._writing, work)

    async def _run(
        self,
        threads: ThreadPoolExecutor,
        run: Callable[[Callable[[Connection], T]], T],
        work: Callable[[Connection], T],
    ) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, run, work)

    def in_writer(self, run: Callable[[], None]) -> None:
        """Run it in a writer's thread, after what waits for one already; it must not raise. From any thread."""
        self._write_threads.submit(run)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` with :meth:`reading`, in the calling thread. Raises StorageUnavailable."""
        with self.reading() as connection:
            return work(connection)

    def _writing(self, work: Callable[[Connection], T]) -> T:
        with self.transaction() as connection:
            return work(connection)

    def close(self) -> None:
        """Let running work end, then close every connection."""
        self._readers.shutdown()
        self._write_threads.shutdown()
        if self._kept is not None:
            self._kept.close()
        self.engine.dispose()


def in_the_way(error: Exception) -> bool:
    """Whether another transaction was in the way of this one, which may be tried again."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _TRY_AGAIN


@contextlib.contextmanager
def translated_errors(file: str | None = None) -> Iterator[None]:
    """Turn the driver's errors of the database (connection, lock, disk, rights) into StorageUnavailable.

    Errors of what was asked (a value that a column refuses, a broken promise) stay as they are: another try of the
    same would fail the same way, while whatever waits for the database must keep waiting. ``file`` is SQLite's, named
    in errors that are about it.
    """
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except exc.ProgrammingError as error:
        if "no such table" in str(error) or "does not exist" in str(error):
            raise StorageUnavailable(_NO_TABLES) from error
        if "permission denied" in str(error):
            raise StorageUnavailable(f"the database is not available: {_first_line(error)}") from error
        raise
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if in_the_way(error):
            raise
        raise StorageUnavailable(_unavailable(error, file)) from error


def _unavailable(error: Exception, file: str | None) -> str:
    reason = _first_line(error)
    if file and "not a database" in reason:
        return f"{file} is not an SQLite database; see database.url in the settings"
    if file and ("readonly" in reason or "unable to open" in reason):
        return f"{file} cannot be written: see who owns it and its folder, and run as that user"
    return f"the database is not available: {reason}"


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def parse_url(url: str) -> URL:
    """The database's address, with the driver we use; ConfigError where it is none."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigError("database.url is not a database URL; use sqlite:///PATH or postgresql://…") from None
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"database.url names {parsed.get_backend_name()!r}; pbxtrack knows sqlite and postgresql")


def require_file(url: str) -> None:
    """StorageUnavailable where the database is an SQLite file that is not there: opening it would make it."""
    parsed = parse_url(url)
    file = parsed.database if parsed.get_backend_name() == "sqlite" else None
    if file and file != ":memory:" and not Path(file).exists():
        raise StorageUnavailable(_NO_TABLES)


def _engine(url: URL, statement_timeout: float, batches: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, _PRAGMAS + _BATCH_PRAGMAS if batches else _PRAGMAS)
    milliseconds = int(statement_timeout * 1000)
    # A plan that was kept from when a table was empty reads all of it, for each batch.
    plans = " -c plan_cache_mode=force_custom_plan" if batches else ""
    engine = create_engine(
        url,
        hide_parameters=True,  # they hold numbers and addresses, and errors are logged
        pool_size=_READERS + _WRITERS,
        max_overflow=2,
        pool_timeout=statement_timeout,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "pbxtrack",
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC{plans}",
            # A server that vanished without a word (a firewall that forgot the connection) is noticed by the kernel.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _entry: object, _arguments: object, parameters: dict[str, Any]) -> _Bounded:
        connection = _Bounded.connect(**parameters)
        connection.longest = statement_timeout + _LATE
        return connection

    return engine


class _Bounded(psycopg.Connection[Any]):
    """A connection that waits ``longest`` seconds for the server: its own limits do not help where it hangs itself."""

    longest: float | None = None

    def wait(self, gen: Any, interval: float = _LOOK_EVERY, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.longest if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()  # what it would answer now is the answer to something else
            raise psycopg.OperationalError("the server does not answer") from error


def _sqlite(url: URL, pragmas: Sequence[str]) -> Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        if not folder.is_dir():
            raise ConfigError(f"database.url: the folder {folder} does not exist")
        if not url.database.startswith("file:"):
            with contextlib.suppress(OSError):  # which is told of when it is opened
                # Numbers and addresses are for their owner alone; SQLite gives its WAL files the same mode.
                Path(url.database).touch(mode=0o600)
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": _SQLITE_BUSY_MS / 1000, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # the driver must not begin transactions of its own: see _begin
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()
        add_functions(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A write transaction takes its lock at the start: one that began by reading could not wait for it later.
        reading = connection.get_execution_options().get("pbxtrack_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
