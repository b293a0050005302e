"""The FastAGI server: one short session a call, bounded in time, size and number.

Whatever the other end does (a port probe, rubbish, silence, a hang-up half-way), the session ends by its deadline and
the dialplan goes on. A session that is not answered costs the caller no more than the dialplan's own limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import structlog

from pbxtrack.agi.protocol import MAX_ENVIRONMENT, AgiRequest, NotAgi, parse_environment, set_variables
from pbxtrack.errors import PbxtrackError

Handler = Callable[[AgiRequest], Awaitable[Mapping[str, str]]]
"""Answers a request with channel variables, in the order in which they are to be set."""

_ENVIRONMENT_DEADLINE = 1.0  # s; Asterisk sends it whole, at once
_REPLY_DEADLINE = 2.0  # s for Asterisk to read our commands and close
_BACKLOG = 512
_DRAIN_DEADLINE = 5.0

log = structlog.get_logger(__name__)


class AgiServer:
    """Serves FastAGI at ``host:port``. ``deadline`` in seconds bounds the handler."""

    def __init__(
        self, handler: Handler, host: str, port: int, *, deadline: float = 0.3, max_sessions: int = 500
    ) -> None:
        self._handler = handler
        self._address = host, port
        self._deadline = deadline
        self._max_sessions = max_sessions
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self.outcomes: Counter[str] = Counter()  # how sessions ended, by reason

    @property
    def sessions(self) -> int:
        """How many are open now."""
        return len(self._sessions)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the real port where 0 was asked for."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Begin to listen. Raises PbxtrackError when the address cannot be had."""
        host, port = self._address
        try:
            self._server = await asyncio.start_server(
                self._accept, host, port, limit=MAX_ENVIRONMENT, backlog=_BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise PbxtrackError(
                f"cannot listen for FastAGI at {host}:{port}: {os.strerror(error.errno or 0)}"
            ) from error

    async def stop(self) -> None:
        """Take no new session, and let those under way end."""
        if self._server is None:
            return
        self._server.close()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_DRAIN_DEADLINE)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            self.outcomes[await self._session(reader, writer)] += 1
        except (TimeoutError, ConnectionError, OSError) as error:
            self.outcomes["cut"] += 1
            log.debug("agi_session_cut", error=type(error).__name__)
        finally:
            self._sessions.discard(task)
            writer.close()
            with contextlib.suppress(OSError, ConnectionError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        if len(self._sessions) > self._max_sessions:
            log.warning("agi_refused", reason="too many sessions", limit=self._max_sessions)
            return "refused"
        request = await self._read_request(reader)
        if request is None:
            return "not_agi"
        try:
            async with asyncio.timeout(self._deadline):
                variables = await self._handler(request)
        except TimeoutError:
            log.warning("agi_too_slow", call=request.uniqueid, deadline=self._deadline)
            return "too_slow"
        except PbxtrackError as error:
            log.warning("agi_not_answered", call=request.uniqueid, reason=str(error))
            return "failed"
        except Exception:
            # Closing without an answer sends the call to its last known line; that must not depend on us.
            log.exception("agi_defect", call=request.uniqueid)
            return "failed"
        return await self._answer(reader, writer, variables)

    async def _read_request(self, reader: asyncio.StreamReader) -> AgiRequest | None:
        try:
            async with asyncio.timeout(_ENVIRONMENT_DEADLINE):
                environment = await reader.readuntil(b"\n\n")
            return parse_environment(environment)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, NotAgi) as error:
            log.debug("agi_not_understood", error=type(error).__name__)
            return None

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, variables: Mapping[str, str]
    ) -> str:
        # In one piece, with the end of the stream behind it: Asterisk then does all of it without waiting for us.
        # Half a line would hold the call in Asterisk's read until the connection closes.
        writer.write(set_variables(variables))
        writer.write_eof()
        async with asyncio.timeout(_REPLY_DEADLINE):
            replies = await reader.read(MAX_ENVIRONMENT)
            while replies and (more := await reader.read(MAX_ENVIRONMENT)):
                replies = (replies + more)[-MAX_ENVIRONMENT:]
        if b"200 " not in replies:
            return "hung_up"
        if b"\n5" in b"\n" + replies:
            log.warning("agi_command_refused", reply=replies[:100].decode("utf-8", "replace").strip())
            return "command_refused"
        return "answered"
