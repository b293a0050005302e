"""Listens to one Asterisk: its events become facts, and each is recorded, in order, whatever the database does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import islice

import structlog

from pbxtrack.ami.client import AmiClient
from pbxtrack.ami.events import read_time
from pbxtrack.ami.lines import LineKeeper, Lines
from pbxtrack.ami.link import AmiRefused, AmiSettings, LinkState, Timing
from pbxtrack.ami.messages import Message
from pbxtrack.ami.resync import OpenCalls, resync
from pbxtrack.ami.translate import Translator
from pbxtrack.calls.events import FALLBACK_REASONS, OTHER_REASON, Fact, FallbackTaken
from pbxtrack.errors import StorageUnavailable
from pbxtrack.metrics import AmiCounts

Record = Callable[[Sequence[Fact]], Awaitable[None]]
"""Makes facts durable; raises StorageUnavailable when it cannot now."""

MAX_BATCH = 1_000  # facts
MAX_WAITING = 100_000  # facts; some ten thousand calls
MAX_AHEAD = 5 * MAX_BATCH  # facts; while the store works, the socket waits for it beyond them
_RETRY_MOST = 10.0  # s
_COMPARE_AGAIN = 1.0  # s, while the store does not say which calls go on
_DRAIN = 5.0  # s, to record what is left when the service ends

log = structlog.get_logger(__name__)


class AmiListener:
    """One Asterisk's listener. Its counters only grow: events, facts, malformed, reconnects, repaired_lines, lost."""

    def __init__(
        self,
        settings: AmiSettings,
        *,
        record: Record,
        open_calls: OpenCalls,
        lines: Lines,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timing: Timing | None = None,
        lines_every: float = 10.0,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._record, self._open_calls, self._clock = record, open_calls, clock
        self._client = AmiClient(
            settings, on_event=self._hear, on_login=self._greet, timing=timing or Timing(), clock=clock
        )
        self._translator = Translator(settings.node, clock=clock)
        self._keeper = LineKeeper(self._client, lines, every=lines_every)
        self._waiting: deque[Fact] = deque()
        self._max_waiting = max_waiting
        self._compare_again = min(lines_every, _COMPARE_AGAIN)
        self._news = asyncio.Event()
        self._room = MAX_AHEAD  # facts that may be heard before the store has taken the next
        self._taken = asyncio.Event()
        self._away = False
        self._losing = False
        self._defects = 0
        self._fallbacks = Counter(dict.fromkeys((*FALLBACK_REASONS, OTHER_REASON), 0))
        self._latest: tuple[Message, datetime] | None = None  # an event that tells its time, and when it came
        self.node = settings.node
        self.events = 0
        self.facts = 0
        self.rejected = 0  # facts that the store would never take
        self.lost = 0  # facts that found no room while the store was away

    @property
    def state(self) -> LinkState:
        """How the connection is."""
        return self._client.state

    @property
    def waiting(self) -> int:
        """Facts that are not recorded yet."""
        return len(self._waiting)

    @property
    def malformed(self) -> int:
        """Events that could not be read."""
        return self._translator.malformed + self._client.overlong + self._defects

    @property
    def reconnects(self) -> int:
        """Log-ins after the first."""
        return max(self._client.logins - 1, 0)

    @property
    def repaired_lines(self) -> int:
        """Entries of Asterisk's database that had to be mended."""
        return self._keeper.repaired

    @property
    def calls(self) -> int:
        """Calls of ours that go on."""
        return self._translator.calls.ours

    @property
    def lag(self) -> float | None:
        """Seconds from the latest event's own time until it came to us; None before one that tells it.

        A difference between Asterisk's clock and ours is in it.
        """
        if self._latest is None or (at := read_time(self._latest[0])) is None:
            return None
        return (self._latest[1] - at).total_seconds()

    @property
    def heard_at(self) -> datetime | None:
        """When anything was last heard."""
        return self._client.last_heard_at

    @property
    def counts(self) -> AmiCounts:
        """All counters, as they are now."""
        return AmiCounts(
            events=self.events,
            facts=self.facts,
            malformed=self.malformed,
            reconnects=self.reconnects,
            lost=self.lost,
            rejected=self.rejected,
            repaired_lines=self.repaired_lines,
            fallbacks=dict(self._fallbacks),
        )

    async def run(self) -> None:
        """Listen until cancelled; then what was heard is still recorded, within a few seconds."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._client.run())
                group.create_task(self._write())
        finally:
            self._client.close()
            await self._drain()

    async def _hear(self, event: Message) -> None:
        self._take(event)
        while self._room <= 0 and not self._away:
            self._taken.clear()
            await self._taken.wait()

    def _take(self, event: Message) -> None:
        self.events += 1
        if "Timestamp" in event:
            self._latest = event, self._clock()
        try:
            facts = self._translator.feed(event)
        except Exception:  # a defect of ours must not cost the next event
            self._defects += 1
            log.exception("an AMI event could not be read", node=self.node, event_name=event.get("Event"))
            return
        self._keep(facts)

    def _keep(self, facts: Sequence[Fact]) -> None:
        room = self._max_waiting - len(self._waiting)
        self._waiting.extend(facts[:room])
        self._room -= len(facts)
        self.facts += len(facts)
        for fact in facts:
            if isinstance(fact, FallbackTaken):
                # A dialplan may say anything: what we do not know must not make ever more time series.
                self._fallbacks[fact.reason if fact.reason in FALLBACK_REASONS else OTHER_REASON] += 1
        if len(facts) > room:
            # The newest go, so that the gap has a clear beginning: Asterisk's own CDR and CEL files have what is lost.
            if not self._losing:
                log.error("no room for more facts; import-cdr can add them later", node=self.node, since=facts[room].at)
            self._losing = True
            self.lost += len(facts) - room
        if facts:
            self._news.set()

    async def _write(self) -> None:
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                try:
                    await self._write_batch()
                except StorageUnavailable as error:
                    failures += 1
                    self._away = True
                    self._taken.set()
                    if failures == 1:
                        log.error("facts cannot be recorded; they wait", node=self.node, reason=str(error))
                    pause = min(_RETRY_MOST, 0.1 * 2 ** min(failures, 10))
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                    continue
                if failures:
                    log.info("facts are recorded again", node=self.node, waiting=len(self._waiting), lost=self.lost)
                failures, self._losing, self._away = 0, False, False

    async def _write_batch(self) -> None:
        """Record the oldest facts; only then do they leave the queue."""
        await self._write_all(list(islice(self._waiting, MAX_BATCH)))

    async def _write_all(self, facts: Sequence[Fact]) -> None:
        """Record the facts, which are the oldest. Of those that the store would never take only they are lost."""
        try:
            await self._record(facts)
        except StorageUnavailable:
            raise
        except Exception as error:
            if len(facts) > 1:
                log.warning("facts could not be recorded; trying half of them", node=self.node, facts=len(facts),
                            error=type(error).__name__)  # fmt: skip
                half = len(facts) // 2
                await self._write_all(facts[:half])
                await self._write_all(facts[half:])
                return
            self.rejected += 1
            log.exception("a fact cannot be recorded", node=self.node, call=facts[0].call_id, kind=facts[0].kind)
        for _ in facts:
            self._waiting.popleft()
        # However many wait, the socket is never left alone for long: Asterisk would cut us off.
        self._room = max(MAX_AHEAD - len(self._waiting), MAX_BATCH // 2)
        self._taken.set()

    async def _greet(self) -> None:
        """After each log-in. The lines come last, for their keeper stays."""
        heard = self._client.heard_before
        while True:
            try:
                self._keep(await resync(self._client, self._translator, self._open_calls, self._clock, heard))
                break
            except StorageUnavailable:
                await asyncio.sleep(self._compare_again)
            except AmiRefused as error:
                log.error("open calls cannot be compared with Asterisk's", node=self.node, reason=str(error))
                break
        await self._keeper.run()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(_DRAIN):
                while self._waiting:
                    try:
                        await self._write_batch()
                    except StorageUnavailable:
                        await asyncio.sleep(0.2)
        except TimeoutError:
            self.lost += len(self._waiting)
            log.error("facts were not recorded; import-cdr can add them", node=self.node, facts=len(self._waiting))
