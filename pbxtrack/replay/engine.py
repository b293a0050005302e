"""A site in memory, on the clock of a trace: visitors are leased numbers, calls are attributed, the curves are learned.

Leasing and attribution are production's own code: what is here is the clock, the memory, and who dials what.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pbxtrack.calls.attribution import Attribution, Weighing, attribute, decide, earlier_call, weigh
from pbxtrack.calls.curves import Curves
from pbxtrack.calls.evidence import SURE_ENOUGH, Resolution
from pbxtrack.calls.learning import Exposure, Lessons, learn, silence, steps_exposure, visitors_exposure, worth_learning
from pbxtrack.numbers import InvalidNumber, Number, read_caller
from pbxtrack.pool import service
from pbxtrack.pool.model import Lease, LeaseGrant, LeaseRequest, NumberKind, Sign, SiteSettings
from pbxtrack.replay.trace import Called, InvalidTrace, Renewed, Visited
from pbxtrack.testing.memory import MemoryLeases

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When a trace begins on the simulated clock."""

MAX_WEIGHINGS = 5_000
"""Calls that the curves are learned from, the latest."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A call, as it was attributed. ``visit`` and the candidates' are the trace's names; ``truth`` the visitor who
    called, None where the trace says only which number was dialled.
    """

    call: str
    number: str
    kind: NumberKind | None
    attribution: Attribution
    visit: str | None
    candidates: Sequence[tuple[str, float]]
    visitor: str | None
    truth: str | None


def leased(calls: Iterable[Replayed]) -> Iterator[Replayed]:
    """Those to leased numbers, or to the overflow number."""
    return (call for call in calls if call.kind in (NumberKind.POOL, NumberKind.OVERFLOW))


def accuracy(calls: Iterable[Replayed]) -> float | None:
    """Of visitors' calls to leased numbers, the share that was attributed to them; None where there are none."""
    right = [call.visitor == call.truth for call in leased(calls) if call.truth is not None]
    return sum(right) / len(right) if right else None


class Engine:
    """The site that a trace happens to."""

    def __init__(
        self,
        site: SiteSettings,
        pools: Mapping[str, Sequence[str]],
        static: Mapping[str, str] | None = None,
        *,
        region: str = "RU",
    ) -> None:
        """``pools`` and ``static`` as :class:`~pbxtrack.testing.memory.MemoryLeases` takes them."""
        self._site = site
        self._region = region
        self._store = MemoryLeases(site, pools, static)
        self._numbers = sum(len(numbers) for numbers in pools.values())
        self._visited: dict[str, Visited] = {}
        self._grants: dict[str, LeaseGrant] = {}  # by the trace's visits
        self._names: dict[str, str] = {}  # the trace's visits by ours
        self._holds = _Holds()
        self._weighings: deque[tuple[datetime, Weighing]] = deque(maxlen=MAX_WEIGHINGS)
        self._again: list[float] = []
        self._last_call: dict[str, float] = {}  # by caller
        self._called: dict[str, datetime] = {}  # when visitors first called, by lease
        self._calls = self._learned = 0
        self.visits = self.overflows = 0

    @property
    def curves(self) -> Curves:
        """What the calls have taught so far."""
        return self._store.curves

    @property
    def blocking(self) -> float:
        """The share of visits for which no number was left."""
        return self.overflows / (self.visits or 1)

    @property
    def peak(self) -> int:
        """The most numbers that were held at once."""
        return self._holds.peak

    def visit(self, event: Visited) -> None:
        """Lease a number to a visitor."""
        self._visited[event.visit] = event
        self.visits += 1
        if self._lease(event, _time(event.at)).lease.overflow:
            self.overflows += 1

    def _lease(self, event: Visited, at: datetime) -> LeaseGrant:
        request = LeaseRequest(self._site.key, event.page, event.referrer, event.visitor, event.region)
        (grant,) = service.acquire(self._store, [request], at)
        assert isinstance(grant, LeaseGrant)
        self._grants[event.visit] = grant
        self._names[grant.visit.id] = event.visit
        self._holds.held(grant.lease, at)
        return grant

    def renew(self, events: Sequence[Renewed]) -> None:
        """Signs of life between two other events; as the snippet does, one of a lease that is gone asks for another."""
        signs = []
        for at, visit, event in events:
            grant = self._grants.get(visit)
            if grant is None:
                raise InvalidTrace(f"no visit {visit!r} began before its sign of life")
            signs.append(Sign(grant.lease.id, event, "", _time(at)))
        renewals = service.renew(self._store, signs, _time(events[-1].at))
        for (at, visit, _), renewed in zip(events, renewals, strict=True):
            if renewed is None:
                self._lease(self._visited[visit], _time(at))
            else:
                assert isinstance(renewed, LeaseGrant)
                self._holds.prolonged(renewed.lease)

    def call(self, event: Called) -> Replayed:
        """Attribute a call."""
        number, truth = self._dialled(event)
        known = self._store.resolve(number, _time(event.at), read_caller(event.caller, self._region))
        kind = known.owner.kind if known.owner else None
        if kind is None or kind is NumberKind.STATIC:
            attribution = attribute(known)
        else:
            weighing = weigh(known)
            attribution = decide(known, weighing)
            self._remember(event, known, weighing, attribution)
        visit = attribution.visit
        return Replayed(
            event.call,
            number,
            kind,
            attribution,
            self._names[visit.id] if visit else None,
            [(self._names[candidate.visit], candidate.confidence) for candidate in attribution.candidates],
            visit.visitor if visit else None,
            truth,
        )

    def _dialled(self, event: Called) -> tuple[str, str | None]:
        if event.visit is not None:
            grant = self._grants.get(event.visit)
            if grant is None:
                raise InvalidTrace(f"no visit {event.visit!r} began before the call {event.call!r}")
            return grant.number or "", self._visited[event.visit].visitor
        assert event.number is not None
        try:
            return Number.parse(event.number, self._region).e164, None
        except InvalidNumber:
            return event.number, None

    def _remember(self, event: Called, known: Resolution, weighing: Weighing, attribution: Attribution) -> None:
        at, caller = known.at, known.caller
        assert known.number is not None
        self._store.called(earlier_call(at, known.number, caller, attribution.candidates))
        if attribution.lease is not None and attribution.confidence >= SURE_ENOUGH:
            self._called.setdefault(attribution.lease, at)
            sign = Sign(attribution.lease, at=at, call=caller is not None)
            (grant,) = service.renew(self._store, [sign], at)
            if isinstance(grant, LeaseGrant):
                self._holds.prolonged(grant.lease)
        self._weighings.append((at, weighing))
        if caller:
            if weighing.again:
                self._again.append(event.at - self._last_call[caller])
            self._last_call[caller] = event.at
        self._calls += 1
        if worth_learning(self._learned, self._calls):
            self._learned = self._calls
            self._store.curves = learn(self._lessons(event.at), self._store.curves)

    def _lessons(self, now: float) -> Lessons:
        begin, end = self._weighings[0][0] if len(self._weighings) == MAX_WEIGHINGS else BEGIN, _time(now)
        seconds = (end - begin).total_seconds()
        exposure = Exposure(
            visitors=visitors_exposure(
                silence(lease, visit.channel, begin, end, self._called.get(lease.id))
                for lease, visit in self._store.shown()
            ),
            callers=steps_exposure([*self._again, *(now - last for last in self._last_call.values())]),
            numbers=self._numbers * seconds,
            overflow=seconds,
        )
        return Lessons([weighing for _, weighing in self._weighings], self._again, exposure)


class _Holds:
    """How many numbers are held at once."""

    def __init__(self) -> None:
        self._until: dict[int, datetime] = {}
        self._ends: list[tuple[datetime, int]] = []
        self.peak = 0

    def prolonged(self, lease: Lease) -> None:
        if lease.number_id in self._until:
            self._until[lease.number_id] = lease.ends_at

    def held(self, lease: Lease, now: datetime) -> None:
        if lease.number_id is None:
            return
        if lease.number_id not in self._until:
            heapq.heappush(self._ends, (lease.ends_at, lease.number_id))
        self._until[lease.number_id] = lease.ends_at
        while self._ends and self._ends[0][0] <= now:
            _, number_id = heapq.heappop(self._ends)
            if self._until[number_id] > now:
                heapq.heappush(self._ends, (self._until[number_id], number_id))
            else:
                del self._until[number_id]
        self.peak = max(self.peak, len(self._until))


def _time(seconds: float) -> datetime:
    return BEGIN + timedelta(0, seconds)


def run(engine: Engine, events: Iterator[Visited | Renewed | Called]) -> Iterator[Replayed]:
    """Let a trace happen; each call as it was attributed when it came."""
    signs: list[Renewed] = []
    for event in events:
        if isinstance(event, Renewed):
            signs.append(event)
            continue
        if signs:
            engine.renew(signs)
            signs = []
        if isinstance(event, Visited):
            engine.visit(event)
        else:
            yield engine.call(event)
    if signs:
        engine.renew(signs)
