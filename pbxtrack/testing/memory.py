"""Leasing in memory: the same promises as in SQL, without a database. For unit tests and replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pbxtrack.pool.model import Holder, Lease, NumberKind, NumberOwner, Resolution, SiteSettings, Visit
from pbxtrack.pool.policy import EARLIER_HOLDERS
from pbxtrack.pool.ports import FreeNumber, PoolInfo

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
        self._pools = [PoolInfo(index, (region,) if region else ()) for index, region in enumerate(pools)]
        self._numbers: dict[int, _Number] = {}
        for pool_id, numbers in enumerate(pools.values()):
            for e164 in numbers:
                number_id = len(self._numbers) + 1
                self._numbers[number_id] = _Number(number_id, e164, pool_id)
        self._by_e164 = {number.e164: number for number in self._numbers.values()}
        self._leases: dict[str, Lease] = {}
        self._visits: dict[str, Visit] = {}
        self._latest: dict[str, str] = {}  # visit by visitor
        self._held: dict[str, str] = {}  # lease by visit

    def site(self, key: str) -> SiteSettings | None:
        return self._site if key == self._site.key else None

    def pools(self, site_id: int) -> Sequence[PoolInfo]:
        return self._pools

    def latest_visit(self, site_id: int, visitor: str) -> tuple[Visit, Lease | None] | None:
        visit = self._visits.get(self._latest.get(visitor, ""))
        return (visit, self._leases.get(self._held.get(visit.id, ""))) if visit else None

    def add_visit(self, visit: Visit, client_ids: Mapping[str, str]) -> None:
        self._visits[visit.id] = visit
        self._latest[visit.visitor] = visit.id

    def see_visit(self, visit_id: str, now: datetime) -> None:
        visit = self._visits[visit_id]
        self._visits[visit_id] = replace(visit, seen_at=max(visit.seen_at, now))

    def take(self, pool_id: int, now: datetime) -> FreeNumber | None:
        ours = [number for number in self._numbers.values() if number.pool_id == pool_id]
        free = [number for number in ours if number.free_at <= now]
        number = min(free, key=lambda number: (number.free_at, number.id), default=None)
        if number is None:
            deserted = [number for number in ours if number.guaranteed_until <= now]
            number = min(deserted, key=lambda number: (number.guaranteed_until, number.id), default=None)
            if number is None:
                return None
            last = self._leases[number.leases[-1]]
            self._leases[last.id] = replace(last, ends_at=now)
        number.seq += 1
        return FreeNumber(number.id, number.e164, number.seq)

    def add_lease(self, lease: Lease) -> None:
        if lease.number_id is not None:
            self._hold(self._numbers[lease.number_id], lease)
            self._numbers[lease.number_id].leases.append(lease.id)
        self._leases[lease.id] = lease
        self._held[lease.visit] = lease.id

    def lease(self, lease_id: str) -> tuple[Lease, Visit, SiteSettings] | None:
        lease = self._leases.get(lease_id)
        return (lease, self._visits[lease.visit], self._site) if lease else None

    def extend(self, lease: Lease) -> bool:
        if lease.number_id is not None:
            number = self._numbers[lease.number_id]
            if number.seq != lease.seq:
                return False
            self._hold(number, lease)
        self._leases[lease.id] = lease
        return True

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

    @staticmethod
    def _hold(number: _Number, lease: Lease) -> None:
        number.free_at, number.guaranteed_until = lease.ends_at, lease.guaranteed_until
