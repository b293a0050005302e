"""Leasing in memory: the same promises as in SQL, without a database. For unit tests and replays."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pbxtrack.calls.curves import PRIOR
from pbxtrack.calls.evidence import (
    CALLER_BINDING,
    MAX_EARLIER_CALLS,
    MAX_HOLDERS,
    EarlierCall,
    Holder,
    Resolution,
)
from pbxtrack.pool.model import Hold, Lease, NumberKind, NumberOwner, SiteSettings, Visit, VisitEvent
from pbxtrack.pool.policy import MAX_EVENTS, rests_until
from pbxtrack.pool.ports import Changes, FreeNumber, Known, PoolInfo

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Number:
    id: int
    e164: str
    pool_id: int
    rests_until: datetime = _LONG_AGO
    guaranteed_until: datetime = _LONG_AGO
    seq: int = 0
    leases: list[str] = field(default_factory=list)


class _Queue:
    """The numbers of a pool by a time of theirs, the earliest first; it may have moved on since they were put in."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int]] = []

    def put(self, at: datetime, number_id: int) -> None:
        heapq.heappush(self._waiting, (at, number_id))

    def until(self, now: datetime) -> Iterator[tuple[datetime, int]]:
        while self._waiting and self._waiting[0][0] <= now:
            yield heapq.heappop(self._waiting)


class MemoryLeases:
    """:class:`~pbxtrack.pool.ports.LeaseStore` and :class:`~pbxtrack.calls.evidence.Directory` of one site."""

    def __init__(
        self, site: SiteSettings, pools: Mapping[str, Sequence[str]], static: Mapping[str, str] | None = None
    ) -> None:
        """``pools``: E.164 numbers by the region they are shown to ("" for anyone); ``static``: channel by number."""
        self._site = site
        self._static = dict(static or {})
        self._pools = [
            PoolInfo(index, (region,) if region else (), len(numbers))
            for index, (region, numbers) in enumerate(pools.items())
        ]
        self._numbers: dict[int, _Number] = {}
        for pool_id, numbers in enumerate(pools.values()):
            for e164 in numbers:
                number_id = len(self._numbers) + 1
                self._numbers[number_id] = _Number(number_id, e164, pool_id)
        self._rested, self._deserted = ([_Queue() for _ in self._pools] for _ in range(2))
        for number in self._numbers.values():
            self._queue(number)
        self._by_e164 = {number.e164: number for number in self._numbers.values()}
        self._leases: dict[str, Lease] = {}
        self._visits: dict[str, Visit] = {}
        self._latest: dict[str, tuple[str, str]] = {}  # visit and lease by visitor
        self._overflow: list[str] = []  # leases
        self._calls_to: defaultdict[str, list[EarlierCall]] = defaultdict(list)
        self._calls_by: defaultdict[str, list[EarlierCall]] = defaultdict(list)
        self.events: dict[str, list[VisitEvent]] = {}  # by visit
        self.curves = PRIOR

    def site(self, key: str) -> SiteSettings | None:
        return self._site if key == self._site.key else None

    def site_by_id(self, site_id: int) -> SiteSettings | None:
        return self._site if site_id == self._site.id else None

    def pools(self, site_id: int) -> Sequence[PoolInfo]:
        return self._pools

    def visitors(self, wanted: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], Known]:
        found = {visitor: self._latest[visitor] for _, visitor in wanted if visitor in self._latest}
        return {(self._site.id, visitor): self._known(visit, lease) for visitor, (visit, lease) in found.items()}

    def leases(self, ids: Collection[str]) -> Mapping[str, Known]:
        return {lease: self._known(self._leases[lease].visit, lease) for lease in ids if lease in self._leases}

    def _known(self, visit: str, lease_id: str) -> Known:
        lease = self._leases[lease_id]
        number = self._numbers[lease.number_id] if lease.number_id is not None else None
        return Known(self._visits[visit], lease, number.pool_id if number and number.seq == lease.seq else None)

    def take(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[FreeNumber]:
        queue = (self._deserted if deserted else self._rested)[pool_id]
        taken: list[FreeNumber] = []
        for at, number_id in queue.until(hold.since):
            number = self._numbers[number_id]
            if at != (number.guaranteed_until if deserted else number.rests_until):
                continue  # it was renewed, or taken, and is queued again
            if number.leases and (last := self._leases[number.leases[-1]]).ends_at > hold.since:
                self._leases[last.id] = replace(last, ends_at=hold.since)
            number.seq += 1
            number.rests_until, number.guaranteed_until = hold.rests_until, hold.guaranteed_until
            self._queue(number)
            taken.append(FreeNumber(number.id, number.e164, number.seq, pool_id))
            if len(taken) == count:
                break
        return taken

    def _queue(self, number: _Number) -> None:
        self._rested[number.pool_id].put(number.rests_until, number.id)
        self._deserted[number.pool_id].put(number.guaranteed_until, number.id)

    def save(self, changes: Changes) -> None:
        for visit, _ in changes.visits:
            self._visits[visit.id] = visit
        for visit_id, seen in changes.seen.items():
            visit = self._visits[visit_id]
            self._visits[visit_id] = replace(visit, seen_at=max(visit.seen_at, seen))
        for event in changes.events:
            kept = self.events.setdefault(event.visit, [])
            if len(kept) < MAX_EVENTS:
                kept.append(event)
        for lease in (*changes.ended, *changes.renewed, *changes.leases, *changes.kept):
            self._leases[lease.id] = lease
        for lease in (*changes.leases, *changes.kept):
            self._latest[lease.visitor] = (lease.visit, lease.id)
            if lease.number_id is not None:
                self._numbers[lease.number_id].leases.append(lease.id)
            else:
                self._overflow.append(lease.id)
        for lease in (*changes.renewed, *changes.kept):
            if lease.number_id is not None:
                number = self._numbers[lease.number_id]
                number.seq, number.guaranteed_until = lease.seq, lease.guaranteed_until
                number.rests_until = rests_until(lease)
                self._queue(number)

    def owner(self, number: str) -> NumberOwner | None:
        held = self._by_e164.get(number)
        if held:
            return NumberOwner(number, held.id, NumberKind.POOL, self._site)
        if number in self._static:
            return NumberOwner(number, 0, NumberKind.STATIC, self._site, self._static[number])
        if number == self._site.overflow_number:
            return NumberOwner(number, 0, NumberKind.OVERFLOW, self._site)
        return None

    def shown(self) -> Iterator[tuple[Lease, Visit]]:
        """Every lease of a number, with its visit."""
        return ((lease, self._visits[lease.visit]) for lease in self._leases.values() if lease.number_id is not None)

    def called(self, call: EarlierCall) -> None:
        """Remember a call, as it was attributed."""
        self._calls_to[call.number].append(call)
        if call.caller:
            self._calls_by[call.caller].append(call)

    def resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        owner = self.owner(number)
        if owner is None or owner.kind is NumberKind.STATIC:
            return Resolution(number, at, caller, owner)
        leases = self._overflow if owner.kind is NumberKind.OVERFLOW else self._by_e164[number].leases
        by_caller = _latest(self._calls_by[caller], at) if caller else []
        to_number = _latest(self._calls_to[number], at)
        shown = [lease for lease in reversed(leases[-MAX_HOLDERS:]) if self._leases[lease].started_at <= at]
        older = [tie.lease for call in by_caller if call.number == number for tie in call.ties]
        holders = [self._leases[lease] for lease in dict.fromkeys([*shown, *older])]
        return Resolution(
            number,
            at,
            caller,
            owner,
            [Holder(lease, self._visits[lease.visit]) for lease in holders],
            [*by_caller, *(call for call in to_number if caller is None or call.caller != caller)],
            self.curves,
        )


def _latest(calls: Sequence[EarlierCall], at: datetime) -> list[EarlierCall]:
    listed = reversed(calls[-MAX_EARLIER_CALLS:])
    return [call for call in listed if at - CALLER_BINDING <= call.at < at]
