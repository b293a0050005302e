"""The stores of leases behind one face, and what is in them, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import delete, select

from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign, SiteSettings
from pbxtrack.pool.service import ForeignSite, UnknownSite, acquire, renew
from pbxtrack.sitefile.model import Channel, Pool, Site
from pbxtrack.storage import sites, tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.testing.memory import MemoryLeases
from tests.contract.leasing_model import LONG_AGO, Place, Rules

Answers = Sequence[LeaseGrant | UnknownSite]
Renewals = Sequence[LeaseGrant | ForeignSite | None]


@dataclass(frozen=True)
class LeaseRow:
    number: str | None
    seq: int
    visit: str
    visitor: str
    started_at: datetime
    seen_at: datetime
    guaranteed_until: datetime
    ends_at: datetime


@dataclass(frozen=True)
class NumberRow:
    seq: int
    free_at: datetime
    guaranteed_until: datetime


@dataclass(frozen=True)
class VisitRow:
    """``events``: when, of what kind and on which page, in the order of time."""

    seen_at: datetime
    events: Sequence[tuple[datetime, str, str]]


@dataclass(frozen=True)
class Rows:
    leases: Mapping[str, LeaseRow]
    numbers: Mapping[str, NumberRow]
    visits: Mapping[str, VisitRow]


class Shops(Protocol):
    """A few sites, in one kind of store."""

    def acquire(self, requests: Sequence[LeaseRequest], now: datetime) -> Answers: ...

    def renew(self, signs: Sequence[Sign], now: datetime) -> Renewals: ...

    def pool_id(self, place: Place) -> int | None: ...

    def rows(self) -> Rows: ...


class InMemory:
    """A store for each site: one of memory has one."""

    def __init__(self, rules: Mapping[str, Rules], places: Sequence[Place], numbers: Mapping[str, Place]) -> None:
        self._stores = {}
        self._pools: dict[tuple[str, str], int] = {}
        for index, (key, rule) in enumerate(rules.items()):
            site = SiteSettings(
                id=index,
                key=key,
                name=key,
                line="PJSIP/sales",
                hold=rule.hold,
                hold_guaranteed=rule.guaranteed,
                overflow_number=rule.overflow_number,
            )
            pools = {place.region: _at(place, numbers) for place in places if place.site == key and place.pool}
            self._pools |= {(key, region): index for index, region in enumerate(pools)}
            self._stores[key] = MemoryLeases(site, pools)

    def acquire(self, requests: Sequence[LeaseRequest], now: datetime) -> Answers:
        answers: dict[int, LeaseGrant | UnknownSite] = {}
        for key in sorted({request.site_key for request in requests}):
            mine = [index for index, request in enumerate(requests) if request.site_key == key]
            store = self._stores.get(key) or next(iter(self._stores.values()))
            answers.update(zip(mine, acquire(store, [requests[index] for index in mine], now), strict=True))
        return [answers[index] for index in range(len(requests))]

    def renew(self, signs: Sequence[Sign], now: datetime) -> Renewals:
        by_store = [renew(store, signs, now) for store in self._stores.values()]
        return [next((grant for grant in grants if grant), None) for grants in zip(*by_store, strict=True)]

    def pool_id(self, place: Place) -> int | None:
        return self._pools.get((place.site, place.region))

    def rows(self) -> Rows:
        leases, numbers, visits = {}, {}, {}
        for store in self._stores.values():
            for lease in store._leases.values():
                leases[lease.id] = LeaseRow(
                    lease.number, lease.seq, lease.visit, lease.visitor,
                    lease.started_at, lease.seen_at, lease.guaranteed_until, lease.ends_at,
                )  # fmt: skip
            for number in store._numbers.values():
                numbers[number.e164] = _number(number.seq, number.free_at, number.guaranteed_until)
            for visit in store._visits.values():
                events = [(event.at, event.kind.value, event.page) for event in store.events.get(visit.id, [])]
                visits[visit.id] = VisitRow(visit.seen_at, in_order_of_time(events))
        return Rows(leases, numbers, visits)


class InDatabase:
    """All in one database, put in and changed as by a site file."""

    def __init__(
        self,
        database: Database,
        rules: Mapping[str, Rules],
        places: Sequence[Place],
        numbers: Mapping[str, Place],
        now: datetime,
    ) -> None:
        self._database = database
        self._rules = rules
        self._places = places
        self._known = KnownSites()
        with database.transaction() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                if table is not tables.revisions:
                    connection.execute(delete(table))
        self.apply(rules, numbers, now, force=False)

    def acquire(self, requests: Sequence[LeaseRequest], now: datetime) -> Answers:
        with self._database.transaction() as connection:
            return acquire(SqlLeases(connection, self._known), requests, now)

    def renew(self, signs: Sequence[Sign], now: datetime) -> Renewals:
        with self._database.transaction() as connection:
            return renew(SqlLeases(connection, self._known), signs, now)

    def apply(
        self, keys: Iterable[str], numbers: Mapping[str, Place | None], now: datetime, *, force: bool
    ) -> Sequence[str]:
        """Put these sites and numbers in force, as `pbxtrack apply` does; the numbers that visitors are shown."""
        wanted = [self._site(key, numbers) for key in sorted(keys)]
        with self._database.transaction() as connection:
            sites.lock(connection)
            plan = sites.plan(connection, wanted, now)
            if plan.changes and (force or not plan.held):
                sites.apply(connection, wanted, plan.held, now)
        return sorted(plan.held)

    def _site(self, key: str, numbers: Mapping[str, Place | None]) -> Site:
        rules, mine = self._rules[key], [place for place in self._places if place.site == key]
        return Site(
            key,
            key,
            "PJSIP/sales",
            hold=rules.hold,
            hold_guaranteed=rules.guaranteed,
            overflow_number=rules.overflow_number,
            pools=tuple(Pool(p.name, _at(p, numbers), (p.region,) if p.region else ()) for p in mine if p.pool),
            channels=tuple(Channel(p.name, {}, _at(p, numbers)) for p in mine if not p.pool),
        )

    def pool_id(self, place: Place) -> int | None:
        pools, sites = tables.pools, tables.sites
        wanted = select(pools.c.id).join(sites).where(sites.c.key == place.site, pools.c.name == place.name)
        with self._database.transaction() as connection:
            found: int | None = connection.scalar(wanted)
        return found

    def rows(self) -> Rows:
        numbers, leases, visits, events = tables.numbers, tables.leases, tables.visits, tables.visit_events
        happened: dict[str, list[tuple[datetime, str, str]]] = {}
        with self._database.transaction() as connection:
            for row in connection.execute(select(events).order_by(events.c.visit_id, events.c.id)):
                happened.setdefault(row.visit_id, []).append((row.at, row.kind, row.page))
            seen = connection.execute(select(visits.c.id, visits.c.seen_at, visits.c.events)).all()
            held = connection.execute(select(leases, numbers.c.e164).outerjoin(numbers)).all()
            every = connection.execute(select(numbers).where(numbers.c.kind != "overflow")).all()
        assert {row.id: row.events for row in seen if row.events} == {key: len(own) for key, own in happened.items()}
        return Rows(
            leases={
                row.id: LeaseRow(
                    row.e164, row.seq, row.visit_id, row.visitor_id,
                    row.started_at, row.seen_at, row.guaranteed_until, row.ends_at,
                )
                for row in held
            },
            numbers={row.e164: _number(row.seq, row.free_at, row.guaranteed_until) for row in every},
            visits={row.id: VisitRow(row.seen_at, happened.get(row.id, [])) for row in seen},
        )  # fmt: skip


def in_order_of_time(events: Sequence[tuple[datetime, str, str]]) -> list[tuple[datetime, str, str]]:
    """Those of one moment stay in their order."""
    return sorted(events, key=lambda event: event[0])


def _at(place: Place, numbers: Mapping[str, Place | None]) -> tuple[str, ...]:
    return tuple(sorted(e164 for e164, at in numbers.items() if at == place))


def _number(seq: int, free_at: datetime, guaranteed_until: datetime) -> NumberRow:
    """Each store has its own idea of when a number that nobody ever had became free."""
    long_ago = seq == 0 and free_at <= LONG_AGO + timedelta(days=1)
    return NumberRow(seq, LONG_AGO, LONG_AGO) if long_ago else NumberRow(seq, free_at, guaranteed_until)
