"""The server that takes messages on: a few connections, used again while they live."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import aiosmtplib
import structlog

from pbxtrack.emails.reading import clean
from pbxtrack.settings import Address

_CONNECTIONS = 20
_IDLE = 20.0  # s after which a connection is not used again
_USES = 100  # messages on one connection
_PAUSE = 2.0  # s after a failure in which nobody is kept waiting for the next one
_REPLY = 300  # characters

log = structlog.get_logger(__name__)


class Verdict(StrEnum):
    """What became of a message that was offered."""

    TAKEN = "taken"
    REFUSED = "refused"  # for good
    LATER = "later"  # of this message, not now
    AWAY = "away"  # nobody could be asked, or the answer was not heard


@dataclass(frozen=True, slots=True)
class Outcome:
    """``reply`` is one line, as a server says it: ``550 5.1.1 No such user``."""

    verdict: Verdict
    reply: str


class Upstream:
    """Hands messages to one server. ``hostname`` is what we call ourselves, ``patience`` seconds for each answer."""

    def __init__(self, address: Address, *, hostname: str, patience: float, starttls: bool = False) -> None:
        self.address = address
        self.reason = ""  # why it could not be reached; empty if it was, last time
        self._hostname, self._patience, self._starttls = hostname, patience, starttls
        self._away_until = float("-inf")
        self._free: deque[_Connection] = deque()
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    async def send(self, sender: str, recipient: str, message: bytes, *, utf8: bool = False) -> Outcome:
        """Offer a message, as it is. Never raises but for a defect; ends in time if the caller bounds it."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            return Outcome(Verdict.AWAY, self.reason)
        async with self._slots:
            outcome = await self._try(sender, recipient, message, utf8=utf8)
        away = outcome.verdict is Verdict.AWAY
        self._away_until = loop.time() + _PAUSE if away else float("-inf")
        if away and not self.reason:
            log.warning("upstream_away", address=str(self.address), reason=outcome.reply)
        if not away and self.reason:
            log.info("upstream_back", address=str(self.address))
        self.reason = outcome.reply if away else ""
        return outcome

    async def look(self) -> str:
        """Why nobody answers there; empty if somebody does."""
        try:
            async with asyncio.timeout(self._patience):
                connection = await self._connect()
                with contextlib.suppress(aiosmtplib.SMTPException):
                    await connection.client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return _line(str(error)) or type(error).__name__
        return ""

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._free:
            self._free.popleft().client.close()

    async def _try(self, sender: str, recipient: str, message: bytes, *, utf8: bool) -> Outcome:
        connection: _Connection | None = None
        try:
            connection, outcome = await self._begin(sender, recipient, message, utf8=utf8)
            if outcome is None:
                response = await connection.client.data(message)
                outcome = Outcome(Verdict.TAKEN, f"{response.code} {_line(response.message)}")
        except aiosmtplib.SMTPDataError as error:
            assert connection is not None
            outcome = _judged(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            # Also where the message was sent and the answer not heard: it may come twice, rather than never.
            if connection is not None:
                connection.client.close()
            return Outcome(Verdict.AWAY, f"451 4.4.1 {_line(str(error)) or type(error).__name__}")
        except BaseException:  # the time is over
            if connection is not None:
                connection.client.close()
            raise
        await self._keep(connection, reset=outcome.verdict is not Verdict.TAKEN)
        return outcome

    async def _begin(
        self, sender: str, recipient: str, message: bytes, *, utf8: bool
    ) -> tuple[_Connection, Outcome | None]:
        """A connection that has heard the envelope; or one with the answer that ended it."""
        while True:
            connection = self._take()
            used = connection is not None
            connection = connection or await self._connect()
            try:
                return connection, await _envelope(connection.client, sender, recipient, message, utf8=utf8)
            except (aiosmtplib.SMTPServerDisconnected, OSError):
                connection.client.close()
                if not used:  # one that lay idle may have been closed at the other end
                    raise
            except BaseException:
                connection.client.close()
                raise

    def _take(self) -> _Connection | None:
        now = asyncio.get_running_loop().time()
        while self._free:
            connection = self._free.pop()
            if connection.client.is_connected and now - connection.idle_since < _IDLE:
                return connection
            connection.client.close()
        return None

    async def _connect(self) -> _Connection:
        client = aiosmtplib.SMTP(
            hostname=self.address.host,
            port=self.address.port,
            local_hostname=self._hostname,
            timeout=self._patience,
            start_tls=self._starttls,
        )
        try:
            await client.connect()
            await client.ehlo()
        except BaseException:
            client.close()
            raise
        return _Connection(client)

    async def _keep(self, connection: _Connection, *, reset: bool) -> None:
        connection.uses += 1
        try:
            if connection.uses >= _USES:
                await connection.client.quit()
                return
            if reset:
                await connection.client.rset()
        except (aiosmtplib.SMTPException, OSError):
            connection.client.close()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._free.append(connection)


class _Connection:
    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.uses = 0
        self.idle_since = 0.0


async def _envelope(
    client: aiosmtplib.SMTP, sender: str, recipient: str, message: bytes, *, utf8: bool
) -> Outcome | None:
    """Tell sender and recipient as they are: the library's own way would write some addresses anew."""
    options = []
    if client.supports_extension("size"):
        options.append(f"SIZE={len(message)}")
    if client.supports_extension("8bitmime") and not message.isascii():
        options.append("BODY=8BITMIME")
    if utf8:
        if not client.supports_extension("smtputf8"):
            return Outcome(Verdict.REFUSED, "550 5.6.7 The mailbox's server takes no internationalised mail")
        options.append("SMTPUTF8")
    for command, words in (("MAIL", [f"FROM:<{sender}>", *options]), ("RCPT", [f"TO:<{recipient}>"])):
        code, text = await client.execute_command(command.encode(), *(word.encode() for word in words))
        if code not in (250, 251):
            return _judged(code, text)
    return None


def _judged(code: int, text: str) -> Outcome:
    reply = f"{code} {_line(text)}"
    if code == 421:
        return Outcome(Verdict.AWAY, reply)
    return Outcome(Verdict.REFUSED if 500 <= code < 600 else Verdict.LATER, reply)


def _line(text: str) -> str:
    return clean(text, _REPLY).encode("ascii", "replace").decode()
