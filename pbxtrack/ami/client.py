"""One AMI connection, kept: log in, listen, ask, and come back after every loss."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from pbxtrack.ami.link import AmiLost, AmiRefused, AmiSettings, LinkState, Phase, Timing
from pbxtrack.ami.messages import MAX_MESSAGE, Message, Parser, encode, text
from pbxtrack.numbers import shorten

MAX_LISTED = 200_000  # items of one answer that are kept
_GREETING = b"Asterisk Call Manager/"
_OUR_IDS = "pbxtrack-"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Asked:
    answer: asyncio.Future[Message]
    items: list[Message] = field(default_factory=list)


class AmiClient:
    """Keeps a connection while :meth:`run` runs. Events go to ``on_event``, one after another, in order.

    ``on_login`` runs beside the reading after every log-in; it may ask. Its failure costs only itself, but AmiLost ends
    the connection: an Asterisk that does not answer is asked anew by the next one.
    """

    def __init__(
        self,
        settings: AmiSettings,
        *,
        on_event: Callable[[Message], Awaitable[None]],
        on_login: Callable[[], Awaitable[None]] | None = None,
        timing: Timing | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings, self._timing, self._clock = settings, timing or Timing(), clock
        self._on_event, self._on_login = on_event, on_login
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[str, _Asked] = {}
        self._ids = itertools.count(1)
        self._asking = asyncio.Event()
        self._closing = asyncio.Event()
        self._heard = 0  # messages of this connection
        self._busy = False  # with those that were read: what came since is not known yet
        self.state = LinkState(Phase.CONNECTING, clock())
        self.last_heard_at: datetime | None = None  # any message, while logged in
        self.heard_before: datetime | None = None  # the last of the connections before this one
        self.logins = 0
        self.overlong = 0

    @property
    def name(self) -> str:
        """Which Asterisk, as whom, for people."""
        return f"{self._settings.node} ({self._settings.username} at {self._settings.host}:{self._settings.port})"

    async def run(self) -> None:
        """Connect, and again after every loss, until :meth:`close` or cancelled."""
        failures = 0
        while not self._closing.is_set():
            loop = asyncio.get_running_loop()
            began, logins = loop.time(), self.logins
            try:
                await self._connection()
            except (OSError, UnicodeError, AmiLost) as error:  # TimeoutError is an OSError
                self._enter(Phase.LOST, self._why(error))
            except AmiRefused as error:
                self._enter(Phase.REFUSED, str(error))
            except Exception as error:
                log.exception("AMI connection failed", ami=self.name)
                self._enter(Phase.LOST, f"{type(error).__name__}; see the log")
            if self._closing.is_set():
                break
            healthy = self.logins > logins and loop.time() - began >= self._timing.healthy
            failures = 0 if healthy else failures + 1
            if self.state.phase is Phase.REFUSED:
                log.error("AMI refuses the log-in; check username and secret", ami=self.name, reason=self.state.error)
            else:
                log.warning("AMI connection lost", ami=self.name, reason=self.state.error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._pause(failures))
        self._enter(Phase.LOST, "closed")

    def close(self) -> None:
        """End the connection, for good."""
        self._closing.set()
        if self._writer:
            self._writer.close()

    async def ask(self, action: str, **fields: str | Sequence[str]) -> Message:
        """Asterisk's response to an action.

        Raises AmiRefused for an error, AmiLost where no answer comes in time, ValueError for a line break in a value.
        """
        return (await self._ask(action, fields, self._timing.answer)).answer.result()

    async def ask_list(self, action: str, **fields: str | Sequence[str]) -> list[Message]:
        """The events that an action lists, as :meth:`ask`; the time limit is on each of Asterisk's silences."""
        return (await self._ask(action, fields, self._timing.answer)).items

    async def _ask(self, action: str, fields: dict[str, str | Sequence[str]], limit: float) -> _Asked:
        writer = self._writer
        if writer is None or writer.is_closing():
            raise AmiLost(f"no connection to {self.name}")
        action_id = f"{_OUR_IDS}{next(self._ids)}"
        data = encode(action, action_id, fields)
        asked = self._asked[action_id] = _Asked(asyncio.get_running_loop().create_future())
        self._asking.set()
        try:
            writer.write(data)
            while not asked.answer.done():
                heard = self._heard
                done, _ = await asyncio.wait([asked.answer], timeout=limit)
                # In a burst the answer comes behind all that was said before it: only silence is a failure.
                if not done and self._heard == heard and not self._busy:
                    raise AmiLost(f"no answer to {action} within {limit:g} s")
        finally:
            self._asked.pop(action_id, None)
        asked.answer.result()
        return asked

    async def _connection(self) -> None:
        """One connection, to its end, which is always an exception (or the end of all)."""
        self._enter(Phase.CONNECTING, self.state.error)
        host, port = self._settings.host, self._settings.port
        async with asyncio.timeout(self._timing.connect):
            # With the least limit the socket is read when we ask for more, not whenever Asterisk says a word.
            reader, writer = await asyncio.open_connection(host, port, limit=1)
        if self._closing.is_set():
            writer.transport.abort()
            return
        self._writer, self._heard, self._busy, self.heard_before = writer, 0, False, self.last_heard_at
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._check_greeting(reader)
            tasks += [asyncio.create_task(self._read(reader)), asyncio.create_task(self._live())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done and self.state.phase is Phase.CONNECTED:
                self.last_heard_at = self._clock()  # it was there until it closed; a mute peer was not
            for task in done:
                task.result()
        finally:
            self._writer = None
            # Aborted, not closed: a mute peer would never take what is still to be sent.
            writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for asked in self._asked.values():
                if not asked.answer.done():
                    asked.answer.set_exception(AmiLost(f"the connection to {self.name} was lost"))
                    asked.answer.exception()  # whoever asked may be gone

    async def _check_greeting(self, reader: asyncio.StreamReader) -> None:
        """Before the secret is sent."""
        greeting = b""
        async with asyncio.timeout(self._timing.connect):
            while len(greeting) < len(_GREETING) and (data := await reader.read(MAX_MESSAGE)):
                greeting += data
        if not greeting.startswith(_GREETING):
            raise AmiLost(f"what answers at {self._settings.host}:{self._settings.port} is not Asterisk's AMI")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = Parser()
        while data := await reader.read(MAX_MESSAGE):
            messages = parser.feed(data)
            if messages and self.state.phase is Phase.CONNECTED:
                self.last_heard_at = self._clock()
            if any("Event" in message for message in messages):
                self.state = replace(self.state, last_event_at=self.last_heard_at)
            self._busy = True
            for message in messages:
                await self._dispatch(message)
                self._heard += 1
            self._busy = False
            if parser.overlong:
                log.warning("AMI message too long, skipped", ami=self.name, bytes=MAX_MESSAGE)
                self.overlong += parser.overlong
                parser.overlong = 0
            if len(data) < MAX_MESSAGE:
                await self._gather()
        raise AmiLost("Asterisk closed the connection")

    async def _gather(self) -> None:
        """Let events gather, unless an answer is awaited."""
        if not self._asked:
            self._asking.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asking.wait(), self._timing.gather)

    async def _dispatch(self, message: Message) -> None:
        action_id = message.get("ActionID")
        if isinstance(action_id, str) and action_id.startswith(_OUR_IDS):
            if asked := self._asked.get(action_id):
                _hear(asked, message)
        elif "Event" in message:
            await self._on_event(message)

    async def _live(self) -> None:
        settings = self._settings
        await self.ask("Login", Username=settings.username, Secret=settings.secret.get_secret_value())
        self.logins += 1
        self._enter(Phase.CONNECTED)
        log.info("AMI connected", ami=self.name)
        tasks = [asyncio.create_task(self._greet()), asyncio.create_task(self._ping())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._timing.ping_every)
            with contextlib.suppress(AmiRefused):  # any answer is a sign of life
                await self._ask("Ping", {}, self._timing.ping_answer)

    async def _greet(self) -> None:
        if self._on_login is None:
            return
        try:
            await self._on_login()
        except AmiLost:
            raise
        except Exception:
            log.exception("after the AMI log-in", ami=self.name)

    def _why(self, error: Exception) -> str:
        """The reason of a loss in words: the system's own name numbers, and each address that was tried."""
        there = f"{self._settings.host}:{self._settings.port}"
        match error:
            case AmiLost():
                return str(error)
            case TimeoutError():
                return f"{there} did not answer in time"
            case ConnectionResetError() | BrokenPipeError():
                return "Asterisk closed the connection"
            case socket.gaierror() | UnicodeError():
                return (
                    f"the host {self._settings.host} is not known: {getattr(error, 'strerror', None) or 'no such name'}"
                )
        # Where a name has several addresses, asyncio may tell of all of them in one OSError without a number.
        if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
            return f"nothing listens at {there}"
        number = getattr(error, "errno", None)
        return f"{there} cannot be reached" + (f": {os.strerror(number)}" if number else "")

    def _pause(self, failures: int) -> float:
        """Seconds until the next try; spread, so that many clients do not come back at once."""
        if self.state.phase is Phase.REFUSED:
            most = self._timing.refused
        else:
            most = min(self._timing.retry_most, self._timing.retry * 2 ** min(failures, 20))
        return most * random.uniform(0.5, 1.0)  # noqa: S311

    def _enter(self, phase: Phase, error: str = "") -> None:
        since = self.state.since if phase is self.state.phase else self._clock()
        self.state = LinkState(phase, since, self.state.last_event_at, shorten(error, 200))


def _hear(asked: _Asked, message: Message) -> None:
    listing = text(message, "EventList").lower()
    if "Response" in message:
        if text(message, "Response") in ("Error", "Failure"):
            if not asked.answer.done():
                reason = shorten(text(message, "Message"), 120)
                asked.answer.set_exception(AmiRefused(f"Asterisk says: {reason or 'error'}"))
        elif listing != "start" and not asked.answer.done():
            asked.answer.set_result(message)
    elif listing in ("complete", "cancelled"):
        if not asked.answer.done():
            asked.answer.set_result(message)
    elif len(asked.items) < MAX_LISTED:
        asked.items.append(message)
