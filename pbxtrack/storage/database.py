"""The connection to SQLite or PostgreSQL: reads side by side, writes gathered into common transactions.

The work itself is ordinary blocking SQLAlchemy Core, run in threads: one portable code path for both databases. On
SQLite one thread writes, since SQLite lets one write at a time and waiting in line costs less than being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from pbxtrack.errors import ConfigError, StorageUnavailable

T = TypeVar("T")
Request = TypeVar("Request")
Answer = TypeVar("Answer")

_READERS = 4
_WRITERS = 2  # on PostgreSQL: while one waits for its commit, the other fills the next transaction
_SQLITE_BUSY_MS = 5_000
_READ_HERE_BUSY = 0.1  # s
_QUEUE_LIMIT = 20_000  # requests that may wait; past that the database is in trouble and callers are told so
_BATCH_LIMIT = 500
_BATCH_LEAST = 16  # of a batch that could be larger
_TRIES = 3  # of a request that others are in the way of
_TRY_AGAIN = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the database is well

_NO_TABLES = "the database has no tables yet; run `pbxtrack db upgrade`"

log = structlog.get_logger(__name__)


class Database:
    """One database. Use :meth:`read` and :meth:`write` from asyncio, :meth:`transaction` from anywhere else."""

    def __init__(self, url: str, *, statement_timeout: float = 5.0) -> None:
        """``statement_timeout`` in seconds bounds every statement on PostgreSQL."""
        self.url = parse_url(url)
        self.engine = _engine(self.url, statement_timeout)
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

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a snapshot of the data, in a thread."""
        return await self._run(self._readers, self._reading, work)

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

    def _reading(self, work: Callable[[Connection], T]) -> T:
        with translated_errors(self.url.database if self.is_sqlite else None), self.engine.connect() as connection:
            return work(connection.execution_options(pbxtrack_reading=True))

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


class GroupCommit(Generic[Request, Answer]):
    """Gathers requests that wait and does them in one transaction, each answered once it is durable.

    While a transaction runs, the next requests gather; nothing waits for a timer, unless ``gather`` says so. If a
    transaction fails, its requests are done one by one, so that one bad request does not fail the others.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Connection, Sequence[Request]], Sequence[Answer]],
        *,
        parallel: int | None = None,
        gather: float = 0.0,
        patience: float | None = None,
    ) -> None:
        """``work`` gives one answer for each request. ``parallel=1`` keeps requests strictly in order.

        ``gather`` is for what nobody waits for: seconds that the first request of a transaction waits for others.
        ``patience``: seconds after which a request fails that is not answered; one that has not begun is not done.
        """
        self._database = database
        self._work = work
        self._parallel = parallel or database.writers
        self._gather = gather
        self._patience = patience
        self._pending: deque[tuple[float, asyncio.Future[Answer]]] = deque()  # by the time when patience ends
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._drains = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def submit(self, request: Request) -> Answer:
        """Do the request; StorageUnavailable when the database does not take it (and nothing was done)."""
        return await self.enqueue(request)

    def enqueue(self, request: Request) -> asyncio.Future[Answer]:
        """Like :meth:`submit`, in the order of the calls; the future is done when the request is durable."""
        if self._closed:
            raise StorageUnavailable("the service is stopping")
        if len(self._waiting) >= _QUEUE_LIMIT:
            raise StorageUnavailable("the database does not keep up: too many requests wait for it")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._patience is not None:
            self._time(future, self._patience)
        if self._drains < self._parallel:
            self._drains += 1
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    def _time(self, future: asyncio.Future[Answer], patience: float) -> None:
        """Let the request fail in time. One timer serves all: one for each would cost as much as answering it."""
        loop = asyncio.get_running_loop()
        self._pending.append((loop.time() + patience, future))
        if self._timer is None:
            self._timer = loop.call_later(patience, self._give_up)

    def _give_up(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending and self._pending[0][0] <= loop.time():
            _, future = self._pending.popleft()
            if not future.done():
                future.set_exception(StorageUnavailable("the database does not answer in time"))
        self._timer = loop.call_at(self._pending[0][0], self._give_up) if self._pending else None

    async def close(self) -> None:
        """Refuse new requests and wait until those under way are answered."""
        self._closed = True
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer:
            self._timer.cancel()

    async def _drain(self) -> None:
        done = 0
        while self._waiting:
            limit = _BATCH_LIMIT
            if self._gather:
                if not self._closed:
                    await asyncio.sleep(self._gather)
            else:
                # Half of those who ask at once: while one half is made durable, the other is answered and asks again.
                # All together would have whoever asks and the database wait for each other in turn.
                limit = min(limit, max(_BATCH_LEAST, (len(self._waiting) + done + 1) // 2))
            batch, self._waiting = self._waiting[:limit], self._waiting[limit:]
            done = len(batch)
            # Whoever asked may have gone (a browser that left): its request is not worth doing.
            batch = [(request, future) for request, future in batch if not future.done()]
            if batch:
                await self._commit(batch)
        self._drains -= 1  # in the same step as the last look at what waits: nothing can slip in between

    async def _commit(self, batch: list[tuple[Request, asyncio.Future[Answer]]], tries: int = _TRIES) -> None:
        requests = [request for request, _ in batch]
        try:
            answers = await self._database.write(lambda connection: self._work(connection, requests))
            assert len(answers) == len(batch)
        except StorageUnavailable as error:
            _fail(batch, error)
        except Exception as error:
            if len(batch) > 1:
                log.warning("batch_failed", size=len(batch), error=type(error).__name__)
                for single in batch:
                    await self._commit([single])
            elif tries > 1 and _in_the_way(error):
                await self._commit(batch, tries - 1)
            else:
                _fail(batch, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _in_the_way(error: Exception) -> bool:
    """Whether another transaction was in the way of this one, which may be tried again."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _TRY_AGAIN


def _fail(batch: Sequence[tuple[Request, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


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
        if _in_the_way(error):
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


def _engine(url: URL, statement_timeout: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    milliseconds = int(statement_timeout * 1000)
    return create_engine(
        url,
        hide_parameters=True,  # they hold numbers and addresses, and errors are logged
        pool_size=_READERS + _WRITERS,
        max_overflow=2,
        pool_timeout=statement_timeout,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "pbxtrack",
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC",
        },
    )


def _sqlite(url: URL) -> Engine:
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
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A write transaction takes its lock at the start: one that began by reading could not wait for it later.
        reading = connection.get_execution_options().get("pbxtrack_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
