"""Leasing in memory: the same promises as in SQL, without a database. For unit tests and replays."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pbxtrack.pool.model import (
    Hold,
    Holder,
    Lease,
    NumberKind,
    NumberOwner,
    Resolution,
    SiteSettings,
    Visit,
    VisitEvent,
)
from pbxtrack.pool.policy import EARLIER_HOLDERS, MAX_EVENTS
from pbxtrack.pool.ports import Changes, FreeNumber, Known, PoolInfo

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Number:
    id: int
    e164: str
    pool_id: int
    free_at: datetime = _LONG_AGO
    guaranteed_until: datetime = _LONG_AGO
    seq: int = 0
    leases: list[str] = field(default_factory=list)


class MemoryLeases:
    """:class:`~pbxtrack.pool.ports.LeaseStore` and :class:`~pbxtrack.pool.ports.Directory` of one site."""

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
        self._in_pool = [[n for n in self._numbers.values() if n.pool_id == pool.id] for pool in self._pools]
        self._by_e164 = {number.e164: number for number in self._numbers.values()}
        self._leases: dict[str, Lease] = {}
        self._visits: dict[str, Visit] = {}
        self._latest: dict[str, tuple[str, str]] = {}  # visit and lease by visitor
        self.events: dict[str, list[VisitEvent]] = {}  # by visit

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
        def free_from(number: _Number) -> datetime:
            return number.guaranteed_until if deserted else number.free_at

        free = [number for number in self._in_pool[pool_id] if free_from(number) <= hold.since]
        taken = heapq.nsmallest(count, free, key=lambda number: (free_from(number), number.id))
        for number in taken:
            if number.free_at > hold.since:
                last = self._leases[number.leases[-1]]
                self._leases[last.id] = replace(last, ends_at=hold.since)
            number.seq += 1
            number.free_at, number.guaranteed_until = hold.ends_at, hold.guaranteed_until
        return [FreeNumber(number.id, number.e164, number.seq, pool_id) for number in taken]

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
        for lease in (*changes.renewed, *changes.kept):
            if lease.number_id is not None:
                number = self._numbers[lease.number_id]
                number.seq, number.free_at, number.guaranteed_until = lease.seq, lease.ends_at, lease.guaranteed_until

    def owner(self, number: str) -> NumberOwner | None:
        held = self._by_e164.get(number)
        if held:
            return NumberOwner(number, held.id, NumberKind.POOL, self._site)
        if number in self._static:
            return NumberOwner(number, 0, NumberKind.STATIC, self._site, self._static[number])
        if number == self._site.overflow_number:
            return NumberOwner(number, 0, NumberKind.OVERFLOW, self._site)
        return None

    def resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        """As :class:`~pbxtrack.pool.ports.Directory`; there are no earlier calls here that could bind a caller."""
        owner = self.owner(number)
        if owner is None or owner.kind is not NumberKind.POOL:
            return Resolution(number, at, owner)
        leases = [self._leases[lease] for lease in reversed(self._by_e164[number].leases)]
        known = [lease for lease in leases if lease.started_at <= at][:EARLIER_HOLDERS]
        holders = [Holder(lease, self._visits[lease.visit]) for lease in known]
        current = holders[0] if holders and holders[0].lease.live(at) else None
        return Resolution(number, at, owner, current, holders[1:] if current else holders)
