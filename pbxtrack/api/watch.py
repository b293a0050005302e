"""Looks for calls that change while somebody listens, and hands them to all who do: one look for however many."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson
import structlog
from aiohttp import web

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.changes import Changes, Found, Position
from pbxtrack.storage.database import Database
from pbxtrack.web.problems import Problem

LOOK_SECONDS = 0.25
MOST_OF_ONE = 10
MOST_OF_ALL = 200
"""Listeners with one token or session, and of the process."""

_AWAY_SECONDS = 1.0  # between looks at a database that does not answer
_QUEUE = 100  # messages that wait for a listener at most
_RETRY_SECONDS = "30"
_RELOAD = b"event: reload\ndata: {}\n\n"

Event = tuple[str | None, bytes]
"""A call: its site's key (None: it has none), and the call as JSON."""

log = structlog.get_logger(__name__)


class Listener:
    """Somebody who is told of the calls that ``wants`` (a site's key, None: of no site) holds for."""

    def __init__(self, wants: Callable[[str | None], bool], position: Position) -> None:
        self.position = position
        self._wants = wants
        self._queue: asyncio.Queue[tuple[bytes, Position] | None] = asyncio.Queue(_QUEUE)
        self._over = False

    def tell(self, events: Sequence[Event], found: Found) -> None:
        """Let them have what was found; who has not read a hundred messages is let go."""
        message = self._message(events, self.position) if found.whole else _RELOAD
        if not message:
            if self._queue.empty():
                self.position = found.position
            return
        try:
            self._queue.put_nowait((message, found.position))
        except asyncio.QueueFull:
            log.info("listener_let_go")
            self.end()

    def end(self) -> None:
        """Tell them nothing more."""
        self._over = True
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def next(self, seconds: float) -> bytes | None:
        """The next message, empty after so many seconds without one; None at the end."""
        try:
            async with asyncio.timeout(seconds):
                if self._over or (told := await self._queue.get()) is None:
                    return None
        except TimeoutError:
            return b""
        message, self.position = told
        return message + self.mark()

    def caught_up(self, found: Found) -> bytes:
        """What happened while they were away, after the position that they knew."""
        return self._message(_events(found.calls), found.position) if found.whole else _RELOAD

    def mark(self) -> bytes:
        """What lets whoever comes back go on from here."""
        return f"id: {self.position}\n\n".encode()

    def _message(self, events: Sequence[Event], before: Position) -> bytes:
        """Those that they want; each bears the position before all of them: the connection may break anywhere."""
        mark = str(before).encode()
        wanted = [data for site, data in events if self._wants(site)]
        return b"".join(b"event: call\nid: %b\ndata: %b\n\n" % (mark, data) for data in wanted)


class Watch:
    """The listeners of this process. It looks only while there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = Changes()
        self._position: Position | None = None  # None: it does not look
        self._listeners: dict[Listener, str] = {}
        self._places: Counter[str] = Counter()
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @contextlib.asynccontextmanager
    async def listening(self, who: str, wants: Callable[[str | None], bool]) -> AsyncIterator[Listener]:
        """Listen as ``who``, a credential. Problem where too many do; StorageUnavailable."""
        if self._places[who] >= MOST_OF_ONE or self._places.total() >= MOST_OF_ALL:
            most = f"{MOST_OF_ONE} with one token or session, {MOST_OF_ALL} in all"
            headers = {"Retry-After": _RETRY_SECONDS}
            raise Problem("too-many-streams", f"So many may listen at once: {most}.", headers=headers)
        self._places[who] += 1
        try:
            listener = Listener(wants, await self._begin())
            self._listeners[listener] = who
            if self._closed:
                listener.end()
            try:
                yield listener
            finally:
                del self._listeners[listener]
        finally:
            self._places[who] -= 1
            if not self._places[who]:
                del self._places[who]
            if not self._places and self._task is not None:
                self._task.cancel()
                self._task = self._position = None

    async def close(self) -> None:
        """Let every listener go, now and from now on."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _begin(self) -> Position:
        async with self._beginning:
            if self._position is None:
                self._changes = Changes()
                self._position = (await self._look()).position
                self._task = asyncio.create_task(self._run())
            return self._position

    async def _look(self) -> Found:
        changes, now = self._changes, asyncio.get_running_loop().time()
        return await self._database.read(lambda connection: changes.look(connection, now))

    async def _run(self) -> None:
        away = False
        while True:
            await asyncio.sleep(_AWAY_SECONDS if away else LOOK_SECONDS)
            try:
                found = await self._look()
            except StorageUnavailable as error:
                if not away:
                    log.warning("live_without_database", reason=str(error))
                away = True
                continue
            except Exception:  # whatever it is: streams that stay open and are told nothing would be worse
                log.exception("live_failed")
                self._position = self._task = None
                for listener in self._listeners:
                    listener.end()
                return
            away = False
            self._position = found.position
            events = _events(found.calls)
            for listener in self._listeners:
                listener.tell(events, found)


def _events(calls: Sequence[dict[str, Any]]) -> list[Event]:
    """The calls as listeners are told of them."""
    return [(call["site"], orjson.dumps(call)) for call in calls]


WATCH = web.AppKey("WATCH", Watch)


def sites_wanted(sites: Sequence[str]) -> Callable[[str | None], bool]:
    """Which sites' calls: of these keys; none: of all there are, and those of none."""
    return (lambda key: key in sites) if sites else (lambda key: True)
