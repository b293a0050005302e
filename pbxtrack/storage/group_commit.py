"""Writes gathered into common transactions: a commit costs the same for one request and for a hundred."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog
from sqlalchemy import Connection

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.database import Database, in_the_way

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_QUEUE_LIMIT = 20_000  # requests that may wait; past that the database is in trouble and callers are told so
_BATCH_LIMIT = 500
_BATCH_LEAST = 16  # of a batch that could be larger
_TRIES = 3  # of a request that others are in the way of

log = structlog.get_logger(__name__)


class GroupCommit(Generic[Request, Answer]):
    """Gathers requests that wait and does them in one transaction, each answered once it is durable.

    While a transaction runs, the next requests gather; nothing waits for a timer, unless ``gather`` says so. If a
    transaction fails, its requests are done one by one, so that one bad request does not fail the others.

    A writer's thread takes the next requests itself, as soon as a transaction is durable: were they handed to it by the
    event loop, the database would be idle while the loop does whatever came first.
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
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        # Shared with the threads of the writers, under the lock:
        self._lock = threading.Lock()
        self._waiting: list[_Asked[Request, Answer]] = []
        self._drains = 0
        self._done = 0  # requests of the latest transaction

    async def submit(self, request: Request) -> Answer:
        """Do the request; StorageUnavailable when the database does not take it (and nothing was done)."""
        return await self.enqueue(request)

    def enqueue(self, request: Request) -> asyncio.Future[Answer]:
        """Like :meth:`submit`, in the order of the calls; the future is done when the request is durable."""
        if self._closed:
            raise StorageUnavailable("the service is stopping")
        if len(self._waiting) >= _QUEUE_LIMIT:
            raise StorageUnavailable("the database does not keep up: too many requests wait for it")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if self._patience is not None:
            self._time(future, self._patience)
        with self._lock:
            self._waiting.append((request, future))
            begin = self._drains < self._parallel
            self._drains += begin
        if begin:
            self._idle.clear()
            self._begin(loop)
        return future

    async def close(self) -> None:
        """Refuse new requests and wait until those under way are answered."""
        self._closed = True
        await self._idle.wait()
        if self._timer:
            self._timer.cancel()

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

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._gather and not self._closed:
            loop.call_later(self._gather, self._database.in_writer, lambda: self._drain(loop))
        else:
            self._database.in_writer(lambda: self._drain(loop))

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do one transaction, in a writer's thread, and come again while there is more."""
        batch = self._take()
        outcomes = self._commit(batch) if batch else []
        with self._lock:
            more = bool(self._waiting)
            self._drains -= not more  # in the same step as the last look at what waits: nothing can slip in between
        if more and not self._gather:
            self._database.in_writer(lambda: self._drain(loop))
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(self._answer, outcomes, more)

    def _take(self) -> list[_Asked[Request, Answer]]:
        with self._lock:
            limit = _BATCH_LIMIT
            if not self._gather:
                # Half of those who ask at once: while one half is made durable, the other is answered and asks again.
                # All together would have whoever asks and the database wait for each other in turn.
                limit = min(limit, max(_BATCH_LEAST, (len(self._waiting) + self._done + 1) // 2))
            batch, self._waiting = self._waiting[:limit], self._waiting[limit:]
            self._done = len(batch)
        # Whoever asked may have gone (a browser that left): its request is not worth doing.
        return [asked for asked in batch if not asked[1].done()]

    def _answer(self, outcomes: Sequence[_Outcome[Answer]], more: bool) -> None:
        """Tell those who asked, on the event loop."""
        for future, answer, error in outcomes:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(answer)  # type: ignore[arg-type]
        if more and self._gather:
            self._begin(asyncio.get_running_loop())
        elif not self._drains:
            self._idle.set()

    def _commit(self, batch: Sequence[_Asked[Request, Answer]], tries: int = _TRIES) -> list[_Outcome[Answer]]:
        requests = [request for request, _ in batch]
        try:
            with self._database.transaction() as connection:
                answers = self._work(connection, requests)
            assert len(answers) == len(batch)
        except StorageUnavailable as error:
            return _failed(batch, error)
        except Exception as error:
            if len(batch) > 1:
                log.warning("batch_failed", size=len(batch), error=type(error).__name__)
                return [outcome for single in batch for outcome in self._commit([single])]
            if tries > 1 and in_the_way(error):
                return self._commit(batch, tries - 1)
            return _failed(batch, error)
        return [(future, answer, None) for (_, future), answer in zip(batch, answers, strict=True)]


_Asked = tuple[Request, asyncio.Future[Answer]]
_Outcome = tuple[asyncio.Future[Answer], Answer | None, Exception | None]


def _failed(batch: Sequence[_Asked[Request, Answer]], error: Exception) -> list[_Outcome[Answer]]:
    return [(future, None, error) for _, future in batch]
