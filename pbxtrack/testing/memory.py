"""Leasing in memory: the same promises as in SQL, without a database. For unit tests and replays."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter

from pbxtrack.calls.curves import PRIOR
from pbxtrack.calls.evidence import MAX_HOLDERS, EarlierCall, Holder, Resolution, heard, older_leases, recent
from pbxtrack.pool.model import Hold, Lease, NumberKind, NumberOwner, PoolAddress, SiteSettings, Visit, VisitEvent
from pbxtrack.pool.policy import MAX_EVENTS, rests_until
from pbxtrack.pool.ports import Changes, FreeNumber, Known, PoolInfo

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Number:
    id: int
    e164: str
    pool_id: int
    free_at: datetime = _LONG_AGO
    rests_until: datetime = _LONG_AGO
    guaranteed_until: datetime = _LONG_AGO
    seq: int = 0
    leases: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Address:
    id: int
    address: str
    pool_id: int
    rests_until: datetime = _LONG_AGO
    guaranteed_until: datetime = _LONG_AGO
    seq: int = 0

    def hold(self, seq: int, rests_until: datetime, guaranteed_until: datetime) -> None:
        self.seq, self.rests_until, self.guaranteed_until = seq, rests_until, guaranteed_until


class _Queue:
    """The numbers of a pool by a time of theirs, the earliest first.

    A number whose time moves on stays where it is until its turn comes: that happens with every heartbeat.
    """

    def __init__(self, time: Callable[[_Number], datetime]) -> None:
        self._time = time
        self._waiting: list[tuple[datetime, int, _Number]] = []
        self._place: dict[int, datetime] = {}

    def put(self, number: _Number) -> None:
        """Queue a number, or see that it does not wait longer than it must."""
        at = self._time(number)
        if number.id not in self._place or at < self._place[number.id]:
            self._place[number.id] = at
            heapq.heappush(self._waiting, (at, number.id, number))

    def pop(self, until: datetime) -> _Number | None:
        """The first number whose time has come, taken out; None if there is none."""
        while self._waiting and self._waiting[0][0] <= until:
            at, number_id, number = heapq.heappop(self._waiting)
            if self._place.get(number_id) != at:
                continue  # it has an earlier place, or had
            del self._place[number_id]
            if self._time(number) == at:
                return number
            self.put(number)  # its time moved on: others may come before it now
        return None


class MemoryLeases:
    """:class:`~pbxtrack.pool.ports.LeaseStore` and :class:`~pbxtrack.calls.evidence.Directory` of one site."""

    def __init__(
        self,
        site: SiteSettings,
        pools: Mapping[str, Sequence[str]],
        static: Mapping[str, str] | None = None,
        emails: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """``pools``: E.164 numbers by the regions they are shown to, divided by commas ("" for anyone).

        ``static``: the advertising channel by number. ``emails``: the addresses of pools, by the same regions.
        """
        self._site = site
        self._static = dict(static or {})
        own = emails or {}
        self._pools = [
            PoolInfo(index, tuple(filter(None, regions.split(","))), len(numbers), len(own.get(regions, ())))
            for index, (regions, numbers) in enumerate(pools.items())
        ]
        listed = [(pool_id, address) for pool_id, regions in enumerate(pools) for address in own.get(regions, ())]
        self._addresses = [_Address(index, address, pool_id) for index, (pool_id, address) in enumerate(listed)]
        self._numbers: dict[int, _Number] = {}
        for pool_id, numbers in enumerate(pools.values()):
            for e164 in numbers:
                number_id = len(self._numbers) + 1
                self._numbers[number_id] = _Number(number_id, e164, pool_id)
        self._rested = [_Queue(attrgetter("rests_until")) for _ in self._pools]
        self._deserted = [_Queue(attrgetter("guaranteed_until")) for _ in self._pools]
        for number in self._numbers.values():
            self._queue(number)
        self._by_e164 = {number.e164: number for number in self._numbers.values()}
        self._leases: dict[str, Lease] = {}
        self._visits: dict[str, Visit] = {}
        self._latest: dict[str, str] = {}  # lease by visitor
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
        return {(self._site.id, visitor): self._known(lease) for visitor, lease in found.items()}

    def leases(self, ids: Collection[str]) -> Mapping[str, Known]:
        return {lease: self._known(lease) for lease in ids if lease in self._leases}

    def _known(self, lease_id: str) -> Known:
        lease = self._leases[lease_id]
        if lease.address and self._addresses[lease.address.id].seq != lease.address.seq:
            lease = lease._replace(address=None)
        number = self._numbers[lease.number_id] if lease.number_id is not None else None
        pool = number.pool_id if number is not None and number.seq == lease.seq else None
        return Known(self._visits[lease.visit], lease, pool)

    def take(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[FreeNumber]:
        queue = (self._deserted if deserted else self._rested)[pool_id]
        taken: list[FreeNumber] = []
        while len(taken) < count and (number := queue.pop(hold.since)):
            if number.leases and (last := self._leases[number.leases[-1]]).ends_at > hold.since:
                self._leases[last.id] = last._replace(ends_at=hold.since)
            number.seq += 1
            number.free_at = number.rests_until = hold.ends_at
            number.guaranteed_until = hold.guaranteed_until
            self._queue(number)
            taken.append(FreeNumber(number.id, number.e164, number.seq, pool_id))
        return taken

    def take_addresses(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[PoolAddress]:
        time = attrgetter("guaranteed_until" if deserted else "rests_until")
        free = [one for one in self._addresses if one.pool_id == pool_id and time(one) <= hold.since]
        taken = sorted(free, key=time)[:count]
        for address in taken:
            address.hold(address.seq + 1, hold.ends_at, hold.guaranteed_until)
        return [PoolAddress(one.id, one.address, one.seq) for one in taken]

    def add_addresses(self, leases: Sequence[Lease]) -> None:
        self._leases.update((lease.id, lease) for lease in leases)

    def _queue(self, number: _Number) -> None:
        self._rested[number.pool_id].put(number)
        self._deserted[number.pool_id].put(number)

    def save(self, changes: Changes) -> None:
        for visit, _ in changes.visits:
            self._visits[visit.id] = visit
        for visit_id, seen in changes.seen.items():
            visit = self._visits[visit_id]
            if seen > visit.seen_at:
                self._visits[visit_id] = _seen(visit, seen)
        for event in changes.events:
            kept = self.events.setdefault(event.visit, [])
            if len(kept) < MAX_EVENTS:
                kept.append(event)
        for lease in (*changes.ended, *changes.renewed, *changes.leases, *changes.kept):
            self._leases[lease.id] = lease
        for lease in (*changes.leases, *changes.kept):
            self._latest[lease.visitor] = lease.id
            if lease.number_id is not None:
                self._numbers[lease.number_id].leases.append(lease.id)
            else:
                self._overflow.append(lease.id)
        for lease in (*changes.renewed, *changes.leases, *changes.kept):
            if lease.address:
                held = self._addresses[lease.address.id]
                held.hold(lease.address.seq, rests_until(lease), lease.guaranteed_until)
        for lease in (*changes.renewed, *changes.kept):
            if lease.number_id is not None:
                number = self._numbers[lease.number_id]
                number.seq, number.free_at, number.guaranteed_until = lease.seq, lease.ends_at, lease.guaranteed_until
                before, number.rests_until = number.rests_until, rests_until(lease)
                if number.rests_until < before:
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
        by_caller = recent(reversed(self._calls_by[caller]), at) if caller else []
        to_number = recent(reversed(self._calls_to[number]), at)
        shown = [lease for lease in reversed(leases[-MAX_HOLDERS:]) if self._leases[lease].started_at <= at]
        holders = [self._leases[lease] for lease in (*shown, *older_leases(number, by_caller, shown))]
        return Resolution(
            number,
            at,
            caller,
            owner,
            [Holder(lease, self._visits[lease.visit]) for lease in holders],
            heard(caller, by_caller, to_number),
            self.curves,
        )


def _seen(visit: Visit, at: datetime) -> Visit:
    """The visit after a sign of life. Written out, since _replace takes twice as long."""
    return Visit(
        visit.id, visit.site_id, visit.visitor, visit.started_at, at, visit.touch, visit.channel, visit.region
    )  # fmt: skip
