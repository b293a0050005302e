"""TCP connections that can be cut, or go mute, between programs that know nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own, for as long as the block lasts."""

    def __enter__(self) -> Loop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it there, and wait for the end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class Link:
    """Takes connections at ``listen`` and carries them to ``to``: a (host, port), or the path of a socket."""

    def __init__(self, loop: Loop, listen: tuple[str, int], to: tuple[str, int] | str) -> None:
        self._loop, self._listen, self._to = loop, listen, to
        self._server: asyncio.Server | None = None
        self._mute = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Carry from now on; what was mute is ended, as by a router that has come back and knows nothing of it."""
        self._loop.do(self._open())

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self._loop.do(self._cut())

    def mute(self) -> None:
        """Keep all connections, take new ones, and carry nothing in either direction."""
        self._mute = True

    def close(self) -> None:
        """The end."""
        self._loop.do(self._close())

    async def _open(self) -> None:
        if self._mute:
            self._abort()
        self._mute = False
        if self._server is None:
            self._server = await asyncio.start_server(self._take, *self._listen)

    async def _cut(self) -> None:
        self._mute = False
        if self._server is not None:
            self._server.close()
            self._server = None
        self._abort()

    async def _close(self) -> None:
        await self._cut()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mute:
            await reader.read()  # until it is ended
            return
        if isinstance(self._to, str):
            there, onward = await asyncio.open_unix_connection(self._to)
        else:
            there, onward = await asyncio.open_connection(*self._to)
        self._writers.add(onward)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, onward))
                group.create_task(self._pass(there, writer))
        except* OSError:
            pass
        finally:
            onward.transport.abort()
            self._writers.discard(onward)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self._mute:
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
