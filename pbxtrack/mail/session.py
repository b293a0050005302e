"""One client's conversation: aiosmtpd's commands; addresses, the end of DATA and limits as they must be here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiosmtpd.smtp import SMTP, syntax

from pbxtrack.emails.model import Resolved
from pbxtrack.mail.block import Client
from pbxtrack.mail.framing import Framing
from pbxtrack.mail.relay import Incoming

if TYPE_CHECKING:
    from pbxtrack.mail.server import MailServer

_LINE = 64 * 1024  # bytes that are read ahead, about
_AT_ONCE = 1 << 24  # more than can have been read ahead: all of it is taken
_MESSAGE = 900.0  # s for one message to come, however steadily
_ADDRESS = 254
_STRANGERS = 200  # recipients of no site that one session may name
_CALLS = {"*": 20, "EHLO": 100, "MAIL": 10_000, "RCPT": 100_000, "DATA": 10_000, "RSET": 10_000, "NOOP": 1_000}
_PATH = re.compile(r"\s*<(?:@[^<>:\s]*:)?([^<>\s]*)>(.*)", re.DOTALL)
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"'
_LOCAL = rf"(?:[^\x00-\x20\x7f()<>\[\]:;@\\,\".]+(?:\.[^\x00-\x20\x7f()<>\[\]:;@\\,\".]+)*|{_QUOTED})"
_DOMAIN = r"(?:[^\x00-\x2c/:;<=>?@\[\\\]^`{|}~\x7f]+|\[[A-Za-z0-9:.-]+\])"
_MAILBOX = re.compile(rf"{_LOCAL}@{_DOMAIN}")
_XCLIENT = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"})
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Said:
    """What a front says of the client by XCLIENT or PROXY; empty where it says nothing."""

    address: str = ""
    helo: str = ""
    protocol: str = ""


@dataclass(slots=True)
class _Transaction:
    sender: str | None = None
    utf8: bool = False
    to: dict[str, Resolved] = field(default_factory=dict)


class MailSession(SMTP):
    """A connection. What the server knows and bounds is in :class:`~pbxtrack.mail.server.MailServer`."""

    line_length_limit = _LINE
    command_size_limit = 2048  # the library's 512 have no room for a VERP sender with parameters

    def __init__(self, server: MailServer) -> None:
        super().__init__(
            server,
            data_size_limit=server.limits.max_bytes,
            enable_SMTPUTF8=True,
            hostname=server.hostname,
            ident="pbxtrack",
            tls_context=server.tls,
            timeout=server.limits.idle,
            auth_exclude_mechanism=("PLAIN", "LOGIN"),
            command_call_limit=_CALLS,
            proxy_protocol_timeout=server.limits.idle if server.limits.proxy else None,
            loop=asyncio.get_running_loop(),
        )
        self._server = server
        self._said = _Said()
        self._mail = _Transaction()
        self._strangers = 0
        self.busy = False  # a message is being answered

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; or, where there are too many, be gone."""
        again = self._original_transport is not None  # STARTTLS: the same client
        if not again and (reply := self._server.opened(self)):
            cast(asyncio.Transport, transport).write(f"{reply}\r\n".encode())
            transport.close()
            self._refused = True
            return
        super().connection_made(transport)

    _refused = False

    def connection_lost(self, error: Exception | None) -> None:
        """The client, or we, closed it."""
        if not self._refused:
            self._server.ended(self)
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Bytes came; of one that was refused they are of no interest."""
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The client says no more."""
        return False if self._refused else super().eof_received()

    def dismiss(self) -> None:
        """The service stops: say so between commands, or after the answer that is under way."""
        if self.transport is None or self.busy:
            return
        cast(asyncio.Transport, self.transport).write(f"421 4.3.2 {self.hostname} is going down\r\n".encode())
        self.transport.close()

    def cut(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()  # type: ignore[no-untyped-call]
        self._mail = _Transaction()

    async def handle_exception(self, error: Exception) -> str:
        """A defect of ours: the client may try again, and the log has no addresses."""
        log.error("mail_defect", exc_info=error)
        return "451 4.3.0 Internal error"

    # Methods, not properties: the library looks at every member of a session before there is anything to tell.

    def client(self) -> Client:
        """Who hands messages in."""
        assert self.session is not None
        kind = "ESMTP" if self.session.extended_smtp else "SMTP"
        if self._mail.utf8:
            kind = "UTF8SMTP"
        return Client(
            address=self._said.address or self._peer(),
            helo=self._said.helo or self.session.host_name or "",
            protocol=self._said.protocol or kind + ("S" if self.session.ssl else ""),
        )

    def _peer(self) -> str:
        assert self.session is not None
        peer = self.session.peer
        return str(peer[0]).partition("%")[0] if isinstance(peer, tuple) else ""

    def trusted(self) -> bool:
        """Whether whoever connected may say who the client is."""
        return within(self._peer(), self._server.limits.fronts)

    # Commands

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """An address in angle brackets and what follows. As it is: the library would write some anew."""
        found = _PATH.fullmatch(arg)
        if not found or any("\ud800" <= character <= "\udfff" for character in arg):
            return None, None
        address = found[1]
        if address and (len(address.encode()) > _ADDRESS or not _MAILBOX.fullmatch(address)):
            bare_postmaster = address.lower() == "postmaster"
            if not bare_postmaster:
                return None, None
        return address or "<>", found[2].strip()

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        """There are no log-ins here."""
        await self.push("502 5.5.1 AUTH is not offered")

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: N802
        """Nobody is told which addresses there are."""
        await self.push("252 2.1.5 Send some mail, and see")

    @syntax("XCLIENT attribute=value…")
    async def smtp_XCLIENT(self, arg: str | None) -> None:  # noqa: N802
        """A front that is trusted tells who its client is (Postfix's XCLIENT_README)."""
        if not self.trusted():
            await self.push("550 5.7.0 You may not say who the client is")
            return
        said = _Said()
        for pair in (arg or "").split():
            name, _, value = pair.partition("=")
            if name.upper() not in _XCLIENT:
                await self.push("501 5.5.4 Unknown XCLIENT attribute")
                return
            value = "" if value.upper() in _UNKNOWN else _XTEXT.sub(lambda code: chr(int(code[1], 16)), value)
            match name.upper():
                case "ADDR":
                    said.address = value.removeprefix("IPv6:").removeprefix("IPV6:")
                case "HELO":
                    said.helo = value
                case "PROTO":
                    said.protocol = value if value in ("SMTP", "ESMTP") else ""
        self._said = said
        self._set_rset_state()  # type: ignore[no-untyped-call]
        assert self.session is not None
        self.session.host_name = None
        await self.push(f"220 {self.hostname} pbxtrack")

    async def take_mail(self, address: str, options: Sequence[str]) -> str:
        """The answer to MAIL that has been understood."""
        if self._server.stopping:
            return f"421 4.3.2 {self.hostname} is going down"
        utf8 = "SMTPUTF8" in options
        sender = "" if address == "<>" else address
        if not sender.isascii() and not utf8:
            return "553 5.6.7 An internationalised address needs SMTPUTF8"
        assert self.envelope is not None
        self.envelope.mail_from = address
        self._mail = _Transaction(sender, utf8)
        return "250 2.1.0 Ok"

    async def take_recipient(self, address: str) -> str:
        """The answer to RCPT that has been understood."""
        if len(self._mail.to) >= self._server.limits.recipients:
            return "452 4.5.3 Too many recipients"
        resolved = await self._server.resolve(address)
        if isinstance(resolved, str):
            return resolved
        if resolved is None:
            self._strangers += 1
            if self._strangers > _STRANGERS:
                assert self.transport is not None
                asyncio.get_running_loop().call_soon(self.transport.close)
                return "421 4.7.0 Too many unknown recipients"
            return "550 5.1.1 No such address here"
        assert self.envelope is not None
        self.envelope.rcpt_tos.append(address)
        self._mail.to[address.lower()] = resolved
        return "250 2.1.5 Ok"

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """A message: read as it comes, whatever it is, and answered when it is safe."""
        if self._mail.sender is None or not self._mail.to:
            await self.push("503 5.5.1 Send MAIL and RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
            return
        self.busy = True
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            framing = Framing(self._server.limits.max_bytes)
            try:
                room = await self._read(framing)
                reply = await self._answer(framing) if room else ""
            finally:
                self._server.in_flight -= framing.size
            self._set_post_data_state()
            if not reply:
                await self.push(
                    "552 5.3.4 The message is too large" if framing.too_large else "421 4.3.1 Too much, or too slowly"
                )
                assert self.transport is not None
                self.transport.close()
                return
            await self.push(reply)
        finally:
            self.busy = False
        if self._server.stopping:
            self.dismiss()
        self._reset_timeout()

    async def _read(self, framing: Framing) -> bool:
        """Read a message to its end; False where the client is not to go on: it sends what there is no room for."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _MESSAGE
        while True:
            chunk = await self._reader.read(_AT_ONCE)
            before = framing.size
            rest = framing.feed(chunk)
            self._server.in_flight += framing.size - before
            if rest is not None:
                if rest:
                    self._reader.feed_data(rest)  # nothing else is there: all was taken
                return True
            # A little too large is answered at its end, as it ought to be; who goes on and on is cut off.
            if framing.size > 2 * self._server.limits.max_bytes or self._server.overloaded:
                return False
            if not chunk or loop.time() > until:
                return False
            self._reset_timeout(min(self._server.limits.idle, max(until - loop.time(), 1.0)))

    async def _answer(self, framing: Framing) -> str:
        if framing.too_large:
            return "552 5.3.4 The message is too large"
        assert self._mail.sender is not None
        self._reset_timeout(self._server.limits.answer)
        return await self._server.accept(
            Incoming(framing.message(), self._mail.sender, [*self._mail.to.values()], self.client(), self._mail.utf8)
        )

    def proxied(self, address: object) -> None:
        """The PROXY header tells the client's address."""
        self._said = _Said(address=str(address or ""))


def within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks."""
    try:
        found: Any = ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
