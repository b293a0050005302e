"""The SMTP server: its socket, its sessions and what all of them together may use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import structlog

from pbxtrack.emails.model import Resolved
from pbxtrack.errors import PbxtrackError, StorageUnavailable
from pbxtrack.mail.relay import Incoming
from pbxtrack.mail.session import MailSession
from pbxtrack.settings import Address

RECIPIENTS = ("accepted", "unknown", "failed")
"""How recipients are answered."""

_BACKLOG = 256
_RESOLVING = 2.0  # s
_TOGETHER = 4  # messages of the largest size that may be coming in at once
_DRAIN_DEADLINE = 5.0  # s

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's own: it would tell whole addresses
log = structlog.get_logger(__name__)

Resolve = Callable[[str], Awaitable[Resolved | None]]
Accept = Callable[[Incoming], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds. ``answer``: how long an answer to a message may take; ``fronts`` are trusted."""

    max_bytes: int
    recipients: int
    sessions: int
    idle: float
    answer: float
    fronts: Sequence[IPv4Network | IPv6Network] = ()
    proxy: bool = False


class MailServer:
    """Serves SMTP. It is the handler of its sessions, too."""

    def __init__(
        self,
        address: Address,
        resolve: Resolve,
        accept: Accept,
        *,
        hostname: str,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address, self.hostname, self.limits, self.tls = address, hostname, limits, tls
        self.recipients = Counter(dict.fromkeys(RECIPIENTS, 0))  # by answer
        self.refused_sessions = 0
        self.in_flight = 0  # bytes of messages that are coming in
        self.stopping = False
        self.accept = accept
        self._resolve = resolve
        self._open: set[MailSession] = set()
        self._idle = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def sessions(self) -> int:
        """How many are open now."""
        return len(self._open)

    @property
    def overloaded(self) -> bool:
        """Whether more is coming in than there may be in memory."""
        return self.in_flight > _TOGETHER * self.limits.max_bytes

    @property
    def listening(self) -> bool:
        """Whether clients are answered."""
        return self._server is not None and self._server.is_serving()

    async def start(self) -> None:
        """Listen. Raises PbxtrackError when the address cannot be had."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: MailSession(self), self.address.host, self.address.port, backlog=_BACKLOG
            )
        except OSError as error:
            reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
            raise PbxtrackError(f"cannot listen for SMTP at {self.address}: {reason}") from error
        if not self.address.port:
            self.address = Address(self.address.host, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take nothing new; let messages that are coming in be answered, and end all sessions."""
        self.stopping = True
        if self._server is None:
            return
        self._server.close()
        for session in [*self._open]:
            session.dismiss()
        if self._open:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _DRAIN_DEADLINE)
        if self._open:
            log.warning("mail_sessions_cut", sessions=self.sessions)
        for session in [*self._open]:
            session.cut()

    def opened(self, session: MailSession) -> str:
        """A client connected; the answer if it must go at once."""
        if self.stopping or self.sessions >= self.limits.sessions:
            self.refused_sessions += 1
            log.warning("mail_session_refused", limit=self.limits.sessions)
            return f"421 4.3.2 {self.hostname} is busy"
        self._open.add(session)
        return ""

    def ended(self, session: MailSession) -> None:
        """A session is over."""
        self._open.discard(session)
        if not self._open:
            self._idle.set()

    async def resolve(self, address: str) -> Resolved | str | None:
        """Whose an address is; None where it is nobody's; an answer where that cannot be told."""
        try:
            async with asyncio.timeout(_RESOLVING):
                resolved = await self._resolve(address)
        except (StorageUnavailable, TimeoutError) as error:
            self.recipients["failed"] += 1
            log.warning("mail_recipient_not_resolved", reason=str(error) or "too slow")
            return "451 4.3.0 Addresses cannot be looked up at present"
        self.recipients["accepted" if resolved else "unknown"] += 1
        return resolved

    # What aiosmtpd asks its handler

    async def handle_MAIL(  # noqa: N802
        self, server: MailSession, session: Any, envelope: Any, address: str, options: Sequence[str]
    ) -> str:
        """MAIL."""
        return await server.take_mail(address, options)

    async def handle_RCPT(  # noqa: N802
        self, server: MailSession, session: Any, envelope: Any, address: str, options: Sequence[str]
    ) -> str:
        """RCPT."""
        return await server.take_recipient(address)

    async def handle_EHLO(  # noqa: N802
        self, server: MailSession, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """EHLO: what is offered; not the log-ins that the library would have."""
        session.host_name = hostname
        offered = [line for line in responses if not line.startswith("250-AUTH")]
        extra = ["250-PIPELINING", *(["250-XCLIENT NAME ADDR PORT PROTO HELO"] if server.trusted() else [])]
        return [offered[0], *extra, *offered[1:]]

    async def handle_PROXY(self, server: MailSession, session: Any, envelope: Any, data: Any) -> bool:  # noqa: N802
        """The PROXY header, which must come from a front that is trusted."""
        if not server.trusted():
            return False
        server.proxied(data.src_addr)
        return True
