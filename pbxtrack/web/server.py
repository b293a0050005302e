"""The HTTP server around the application: bounds on connections, and answers to what is no HTTP.

aiohttp has no settings for these. What is overridden here are methods of :class:`aiohttp.web.RequestHandler`, one of
which serves each connection; the tests of the contract tell when another version of aiohttp calls them otherwise.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Mapping
from typing import Any, cast

import structlog
from aiohttp import hdrs, web

from pbxtrack.web import problems
from pbxtrack.web.problems import Problem

HEAD_SECONDS = 10.0  # from the first byte of a request until its headers are whole
MOST_CONNECTIONS = 10_000
_OTHER_FILES = 200  # files that a process has open beside its connections, at most

_NO_HTTP = "It is no HTTP, or its first line or its headers are too long."

log = structlog.get_logger(__name__)


def room_for_connections() -> int:
    """How many connections a process may have open: none is worth the file that the database then cannot open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files < 0 else max(min(files - _OTHER_FILES, MOST_CONNECTIONS), files // 2, 1)


class Runner(web.AppRunner):
    """A runner of an application whose connections are bounded.

    ``headers`` are those of answers that are made outside the application.
    """

    __slots__ = ("_head_seconds", "_headers", "_most")

    def __init__(
        self, app: web.Application, *, headers: Mapping[str, str], head_seconds: float, most: int, **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._headers = headers
        self._head_seconds = head_seconds
        self._most = most

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, self._headers, self._head_seconds, self._most, **self._kwargs)


class _Server(web.Server):
    """Makes a :class:`_Connection` for each connection."""

    def __init__(
        self, made: web.Server, headers: Mapping[str, str], head_seconds: float, most: int, **options: Any
    ) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory)
        self.headers = headers
        self.head_seconds = head_seconds
        self._most = most
        self._options = options

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, **self._options)

    def make_room(self) -> bool:
        """Whether there is room for one more connection; one that is idle, or only closing, makes room for it."""
        if len(self._connections) < self._most:
            return True
        for connection, transport in self._connections.items():
            if transport.is_closing() or (isinstance(connection, _Connection) and connection.idle):
                del self._connections[connection]
                connection.force_close()
                transport.abort()
                return True
        return False


class _Connection(web.RequestHandler):
    __slots__ = ("_bounds", "_too_slow")

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._bounds = server
        self._too_slow: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of one's headers."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._bounds.make_room():
            super().connection_made(transport)
        else:
            log.warning("too_many_connections")
            cast(asyncio.Transport, transport).abort()  # uvloop's is one, but does not inherit

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.idle:  # as it was: so the headers are not whole yet
            if self._too_slow is None:
                self._too_slow = asyncio.get_running_loop().call_later(self._bounds.head_seconds, self._give_up)
        else:
            self._stop_waiting()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _give_up(self) -> None:
        if self.idle:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, or where the application failed outside its own middleware."""
        super().handle_error(request, status, exc, message)  # raises if an answer has begun already
        if status < 500:
            problem = Problem("bad-request", _NO_HTTP)
        else:
            log.error("internal_error", exc_info=exc)
            problem = Problem("internal-error")
        response = problem.response(_Outside)
        response.headers.update(self._bounds.headers)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:  # such as 417, which no middleware sees
            resp = problems.of_http_error(resp)
        return await super().finish_response(request, resp, start_time)


class _Outside(web.Response):
    """An answer that the application does not see: its signal is not sent, which else takes ``Server`` away."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)
