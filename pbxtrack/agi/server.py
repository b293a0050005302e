"""The FastAGI server: one short session a call, bounded in time, size and number.

Whatever the other end does (a port probe, rubbish, silence, a hang-up half-way), the session ends by its deadline and
the dialplan goes on. A session that is not answered costs the caller no more than the dialplan's own limit.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import structlog

from pbxtrack.agi.protocol import MAX_ENVIRONMENT, AgiRequest, NotAgi, parse_environment, set_variables
from pbxtrack.errors import PbxtrackError
from pbxtrack.settings import Address

Answer = Mapping[str, str]
"""Channel variables, in the order in which they are to be set."""

Handler = Callable[[AgiRequest], Answer | Awaitable[Answer]]
"""Answers a request: at once where it can, for a caller waits; else by something to wait for."""

OUTCOMES = ("answered", "hung_up", "failed", "too_slow", "refused", "command_refused", "cut", "not_agi")
"""How a session may end."""

_ENVIRONMENT_DEADLINE = 1.0  # s; Asterisk sends it whole, at once
_REPLY_DEADLINE = 2.0  # s for Asterisk to read our commands and close
_BACKLOG = 512
_DRAIN_DEADLINE = 5.0
_END = b"\n\n"

log = structlog.get_logger(__name__)


def bind(address: Address) -> socket.socket:
    """A socket at the address, of a name with several addresses at the first that is IPv4. It does not listen yet.

    Raises PbxtrackError when the address cannot be had.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        family, place = min(((info[0], info[4]) for info in found), key=lambda pair: pair[0] != socket.AF_INET)
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(place)
        except BaseException:
            bound.close()
            raise
        return bound
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise PbxtrackError(f"cannot listen for FastAGI at {address}: {reason}") from error


def address_of(listener: socket.socket) -> Address:
    """Where a socket listens; the real port where 0 was asked for."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


class AgiServer:
    """Serves FastAGI on a socket that is bound. ``deadline`` in seconds bounds the handler."""

    def __init__(
        self, handler: Handler, listener: socket.socket, *, deadline: float = 0.3, max_sessions: int = 500
    ) -> None:
        self.handler = handler
        self.deadline = deadline
        self.max_sessions = max_sessions
        self.outcomes: Counter[str] = Counter()  # how sessions ended: of OUTCOMES
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._open: set[_Session] = set()
        self.address = address_of(listener)
        self._idle = asyncio.Event()

    @property
    def sessions(self) -> int:
        """How many are open now."""
        return len(self._open)

    async def start(self) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), sock=self._listener, backlog=_BACKLOG)

    async def stop(self) -> None:
        """Take no new session, and let those under way end."""
        if self._server is None:
            return
        self._server.close()
        if self._open:
            self._idle.clear()
            try:
                await asyncio.wait_for(self._idle.wait(), _DRAIN_DEADLINE)
            except TimeoutError:
                log.warning("agi_sessions_cut", sessions=self.sessions)

    def opened(self, session: _Session) -> None:
        """A session began."""
        self._open.add(session)

    def ended(self, session: _Session, outcome: str) -> None:
        """A session is over."""
        self._open.discard(session)
        self.outcomes[outcome] += 1
        if not self._open:
            self._idle.set()


class _Session(asyncio.Protocol):
    """One connection: Asterisk's environment in, our commands out, its replies in; then it is closed."""

    def __init__(self, server: AgiServer) -> None:
        self._server = server
        self._outcome = "cut"
        self._received = b""
        self._call = ""
        self._asked = self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self._limit = 0.0  # the loop's time by which the present step must be done
        self._late = ""  # the outcome if it is not
        self._handling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit
        self._server.opened(self)
        if self._server.sessions > self._server.max_sessions:
            log.warning("agi_refused", reason="too many sessions", limit=self._server.max_sessions)
            self._end("refused")
        else:
            self._within(_ENVIRONMENT_DEADLINE, "not_agi")

    def data_received(self, data: bytes) -> None:
        if self._answered:
            self._received = (self._received + data)[-MAX_ENVIRONMENT:]
        elif not self._asked:
            self._received += data
            end = self._received.find(_END)
            if end >= 0:
                self._ask(self._received[:end])
            elif len(self._received) > MAX_ENVIRONMENT:
                self._not_understood("too long")

    def eof_received(self) -> bool:
        if self._answered:
            self._end(self._heard())
        elif not self._asked:
            self._not_understood("cut off")
        return not self._transport.is_closing()  # while the handler works, its answer may still be wanted

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._handling:
            self._handling.cancel()
        self._server.ended(self, self._outcome)

    def _ask(self, environment: bytes) -> None:
        self._asked = True
        try:
            request = parse_environment(environment)
        except NotAgi as error:
            self._not_understood(str(error))
            return
        self._call = request.uniqueid
        try:
            answer = self._server.handler(request)
            if isinstance(answer, Mapping):
                self._answer(answer)
                return
        except Exception as error:
            self._failed(error)
            return
        self._handling = asyncio.ensure_future(self._wait_for(answer))
        self._within(self._server.deadline, "too_slow")

    async def _wait_for(self, answer: Awaitable[Answer]) -> None:
        try:
            variables = await answer
        except Exception as error:
            self._failed(error)
        else:
            if not self._transport.is_closing():
                self._answer(variables)

    def _answer(self, variables: Answer) -> None:
        # In one piece, with the end of the stream behind it: Asterisk then does all of it without waiting for us.
        # Half a line would hold the call in Asterisk's read until the connection closes.
        self._transport.write(set_variables(variables))
        self._transport.write_eof()
        self._answered, self._received = True, b""
        self._within(_REPLY_DEADLINE, "cut")

    def _failed(self, error: Exception) -> None:
        """Closing without an answer sends the call to its last known line; that must not depend on us."""
        if isinstance(error, PbxtrackError):
            log.warning("agi_not_answered", call=self._call, reason=str(error))
        else:
            log.error("agi_defect", call=self._call, exc_info=error)
        self._end("failed")

    def _heard(self) -> str:
        if b"200 " not in self._received:
            return "hung_up"
        if b"\n5" in b"\n" + self._received:
            log.warning("agi_command_refused", reply=self._received[:100].decode("utf-8", "replace").strip())
            return "command_refused"
        return "answered"

    def _not_understood(self, reason: str) -> None:
        log.debug("agi_not_understood", reason=reason)
        self._end("not_agi")

    def _within(self, seconds: float, outcome: str) -> None:
        """End the session in so many seconds, unless it comes to its next step."""
        loop = asyncio.get_running_loop()
        self._limit, self._late = loop.time() + seconds, outcome
        # A timer that is due earlier looks again when it is: most sessions need no second one.
        if self._timer is None or self._timer.when() > self._limit:
            if self._timer:
                self._timer.cancel()
            self._timer = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._limit - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
            return
        if self._late == "too_slow":
            log.warning("agi_too_slow", call=self._call, deadline=self._server.deadline)
        self._end(self._late, abort=self._answered)

    def _end(self, outcome: str, *, abort: bool = False) -> None:
        if self._transport.is_closing():
            return
        self._outcome = outcome
        if abort:  # a peer that does not read would keep what is written, and the connection with it
            self._transport.abort()
        else:
            self._transport.close()
