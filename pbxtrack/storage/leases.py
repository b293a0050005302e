"""Visits and leases, in SQL: what a transaction of leasing reads and writes, each statement for all its requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, Table, and_, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.ids import new_id
from pbxtrack.pool.model import Hold, Lease, PoolAddress, SiteSettings, Visit, VisitEvent
from pbxtrack.pool.policy import MAX_EVENTS, rests_until
from pbxtrack.pool.ports import Changes, FreeNumber, Known, PoolInfo
from pbxtrack.sources.touch import ChannelRule
from pbxtrack.storage import clock
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.rows import LEASE_COLUMNS, SITE_COLUMNS, VISIT_COLUMNS, lease_of, site_of, taps_of, visit_of
from pbxtrack.storage.tables import addresses, channels, leases, numbers, pools, sites, visit_events, visitors, visits

_site_by_key = Prepared(select(*SITE_COLUMNS).where(sites.c.key == bindparam("key"), sites.c.removed_at.is_(None)))
_site_by_id = Prepared(select(*SITE_COLUMNS).where(sites.c.id == bindparam("id"), sites.c.removed_at.is_(None)))
_rules = Prepared(
    select(channels.c.name, channels.c.match, channels.c.line)
    .where(channels.c.site_id == bindparam("site_id"), channels.c.removed_at.is_(None))
    .order_by(channels.c.position, channels.c.id)
)
_pools = Prepared(
    select(
        pools.c.id,
        pools.c.regions,
        func.count(numbers.c.id).label("size"),
        select(func.count())
        .where(addresses.c.pool_id == pools.c.id, addresses.c.removed_at.is_(None))
        .scalar_subquery()
        .label("addresses"),
    )
    .outerjoin(numbers, and_(numbers.c.pool_id == pools.c.id, numbers.c.removed_at.is_(None)))
    .where(pools.c.site_id == bindparam("site_id"), pools.c.removed_at.is_(None))
    .group_by(pools.c.id)
    .order_by(pools.c.position, pools.c.id)
)

# The pool of a lease's number, if that is its visitor's to have on: nobody had it since, and the pool is the site's.
_pool = case(
    (
        and_(
            numbers.c.seq == leases.c.seq,
            numbers.c.site_id == leases.c.site_id,
            numbers.c.removed_at.is_(None),
        ),
        numbers.c.pool_id,
    )
).label("pool")
# And its pool's address, if that is theirs to have on.
_own_address = and_(
    addresses.c.id == leases.c.address_id,
    addresses.c.seq == leases.c.address_seq,
    addresses.c.site_id == leases.c.site_id,
    addresses.c.pool_id.is_not(None),
    addresses.c.removed_at.is_(None),
)
_KNOWN = (
    *VISIT_COLUMNS,
    *LEASE_COLUMNS,
    _pool,
    leases.c.email,
    leases.c.address_id,
    leases.c.address_seq,
    addresses.c.address,
)
_known_visitors = Prepared(
    select(*_KNOWN)
    .join_from(visitors, visits, visits.c.id == visitors.c.visit_id)
    .outerjoin(leases, leases.c.id == visitors.c.lease_id)
    .outerjoin(numbers, numbers.c.id == leases.c.number_id)
    .outerjoin(addresses, _own_address)
    .where(Among(visitors.c.site_id, "site_ids"), Among(visitors.c.id, "visitors")),
    many=True,
)
_known_leases = Prepared(
    select(*_KNOWN)
    .join_from(leases, visits, visits.c.id == leases.c.visit_id)
    .outerjoin(numbers, numbers.c.id == leases.c.number_id)
    .outerjoin(addresses, _own_address)
    .where(Among(leases.c.id, "leases")),
    many=True,
)
# PostgreSQL only: SQLite has one writer at a time anyway. Visitors are locked by name, since one who comes for the
# first time, twice at once, has no row yet. Locks are taken in one order.
_LOCK_VISITORS = """
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended(name, 0) AS key FROM unnest(%(names)s::text[]) AS name ORDER BY key
    ) AS keys
"""
_leases_of = Prepared(
    select(visitors.c.lease_id).where(Among(visitors.c.site_id, "site_ids"), Among(visitors.c.id, "visitors"))
)
_lock_numbers = Prepared(
    select(numbers.c.id)
    .where(numbers.c.id.in_(select(leases.c.number_id).where(Among(leases.c.id, "leases"))))
    .order_by(numbers.c.id)
    .with_for_update()
)


_lock_addresses = Prepared(
    select(addresses.c.id).where(Among(addresses.c.id, "addresses")).order_by(addresses.c.id).with_for_update()
)


def _next(table: Table, name: str, until: str) -> Prepared:
    """Those of a pool whose time has come."""
    time = table.c[until]
    return Prepared(
        select(table.c.id, table.c[name], table.c.seq, (table.c.free_at > bindparam("now")).label("live"))
        .where(table.c.pool_id == bindparam("pool"), table.c.removed_at.is_(None), time <= bindparam("now"))
        .order_by(time, table.c.id)
        .limit(bindparam("count", type_=Integer))
        .with_for_update(skip_locked=True),
        many=True,
    )


def _hold(table: Table) -> Gathered:
    return Gathered(
        update(table)
        .where(table.c.id == bindparam("which"))
        .values(
            seq=bindparam("to"),
            free_at=bindparam("until"),
            rests_until=bindparam("rests"),
            guaranteed_until=bindparam("guaranteed"),
        )
    )


_rested, _deserted = (_next(numbers, "e164", until) for until in ("rests_until", "guaranteed_until"))
_rested_address, _deserted_address = (
    _next(addresses, "address", until) for until in ("rests_until", "guaranteed_until")
)
hold_number, _hold_address = _hold(numbers), _hold(addresses)
_add_address = Gathered(
    update(leases)
    .where(leases.c.id == bindparam("lease"))
    .values(address_id=bindparam("address"), address_seq=bindparam("of_address"))
)
_end_lease = Gathered(
    update(leases)
    .where(leases.c.number_id == bindparam("number"), leases.c.seq == bindparam("of"))
    .values(ends_at=bindparam("now"))
)
_renew_lease = Gathered(
    update(leases)
    .where(leases.c.id == bindparam("lease"))
    .values(seen_at=bindparam("seen"), guaranteed_until=bindparam("guaranteed"), ends_at=bindparam("until"))
)
_tell_lease = Gathered(
    update(leases)
    .where(leases.c.id == bindparam("lease"))
    .values(taps=bindparam("taps"), left_at=bindparam("left"), called=bindparam("has_called"))
)
_see_visit = Gathered(
    update(visits)
    .where(visits.c.id == bindparam("visit"), visits.c.seen_at < bindparam("seen"))
    .values(seen_at=bindparam("seen"))
)
_count_events = Gathered(
    update(visits).where(visits.c.id == bindparam("visit")).values(events=visits.c.events + bindparam("count"))
)
_events_so_far = Prepared(select(visits.c.id, visits.c.events).where(Among(visits.c.id, "visits")), many=True)
_add_visit, _add_lease = Gathered(visits.insert()), Gathered(leases.insert())
_add_event = Gathered(visit_events.insert())


def _upsert(insert: Any) -> Gathered:
    statement = insert(visitors)
    latest = {name: statement.excluded[name] for name in ("visit_id", "lease_id")}
    return Gathered(statement.on_conflict_do_update(index_elements=["site_id", "id"], set_=latest))


_visitors = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}


class SqlLeases:
    """:class:`~pbxtrack.pool.ports.LeaseStore` on a connection. With ``known``, it reads the sites only once."""

    def __init__(self, connection: Connection, known: KnownSites | None = None) -> None:
        self._connection = connection
        self._postgresql = connection.dialect.name == "postgresql"
        self._known = known.read(connection) if known is not None else {}

    def now(self) -> datetime:
        """The database's clock where there is one: processes that lease the same numbers must agree on the time."""
        return clock.now(self._connection)

    def site(self, key: str) -> SiteSettings | None:
        return self._site(("site", key), _site_by_key, {"key": key})

    def site_by_id(self, site_id: int) -> SiteSettings | None:
        return self._site(("site", site_id), _site_by_id, {"id": site_id})

    def _site(self, known_as: object, query: Prepared, parameters: Mapping[str, Any]) -> SiteSettings | None:
        site: SiteSettings | None = self._known.get(known_as)
        if site is None:
            row = query.one_or_none(self._connection, parameters)
            if row is None:
                return None
            found = _rules.all(self._connection, {"site_id": row.s_id})
            rules = [ChannelRule(rule.name, rule.match) for rule in found if rule.match]
            site = site_of(row, rules=rules, channel_lines={rule.name: rule.line for rule in found if rule.line})
            self._known[known_as] = site
        return site

    def pools(self, site_id: int) -> Sequence[PoolInfo]:
        found: Sequence[PoolInfo] | None = self._known.get(("pools", site_id))
        if found is None:
            rows = _pools.all(self._connection, {"site_id": site_id})
            found = self._known[("pools", site_id)] = [
                PoolInfo(row.id, row.regions, row.size, row.addresses) for row in rows
            ]
        return found

    def visitors(self, wanted: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], Known]:
        which = {"site_ids": {site_id for site_id, _ in wanted}, "visitors": {visitor for _, visitor in wanted}}
        if self._postgresql:
            names = [f"{site_id} {visitor}" for site_id, visitor in wanted]
            self._connection.exec_driver_sql(_LOCK_VISITORS, {"names": names})
            self._lock_numbers(row.lease_id for row in _leases_of.all(self._connection, which))
        found = (_known(row) for row in self._read(_known_visitors, which))
        return {(known.visit.site_id, known.visit.visitor): known for known in found}

    def leases(self, ids: Collection[str]) -> Mapping[str, Known]:
        if self._postgresql:
            self._lock_numbers(ids)
        return {row.id: _known(row) for row in self._read(_known_leases, {"leases": ids})}

    def _read(self, query: Prepared, which: Mapping[str, Any]) -> Sequence[Any]:
        """What is known of leases, of which pools' addresses are locked; most have none."""
        rows = query.all(self._connection, which)
        if self._postgresql and (held := {row.address_id for row in rows if row.address_id is not None}):
            _lock_addresses.all(self._connection, {"addresses": held})
            rows = query.all(self._connection, which)  # somebody may have taken one before it was locked
        return rows

    def _lock_numbers(self, lease_ids: Iterable[str | None]) -> None:
        if ids := [lease_id for lease_id in lease_ids if lease_id]:
            _lock_numbers.all(self._connection, {"leases": ids})

    def take(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[FreeNumber]:
        query = _deserted if deserted else _rested
        rows = query.all(self._connection, {"pool": pool_id, "now": hold.since, "count": count})
        _end_lease.run(
            self._connection, [{"number": row.id, "of": row.seq, "now": hold.since} for row in rows if row.live]
        )
        hold_number.run(self._connection, [_taken(row, hold) for row in rows])
        return [FreeNumber(row.id, row.e164, row.seq + 1, pool_id) for row in rows]

    def take_addresses(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[PoolAddress]:
        query = _deserted_address if deserted else _rested_address
        rows = query.all(self._connection, {"pool": pool_id, "now": hold.since, "count": count})
        _hold_address.run(self._connection, [_taken(row, hold) for row in rows])
        return [PoolAddress(row.id, row.address, row.seq + 1) for row in rows]

    def add_addresses(self, leases: Sequence[Lease]) -> None:
        rows = [
            {"lease": lease.id, "address": lease.address.id, "of_address": lease.address.seq}
            for lease in leases
            if lease.address
        ]
        _add_address.run(self._connection, rows)

    def save(self, changes: Changes) -> None:
        connection = self._connection
        _end_lease.run(
            connection,
            [{"number": lease.number_id, "of": lease.seq, "now": lease.ends_at} for lease in changes.ended],
        )
        hold_number.run(
            connection,
            [
                _held(lease, lease.number_id, lease.seq)
                for lease in (*changes.kept, *changes.renewed)
                if lease.number_id is not None
            ],
        )
        _hold_address.run(
            connection,
            [
                _held(lease, lease.address.id, lease.address.seq)
                for lease in (*changes.kept, *changes.renewed, *changes.leases)
                if lease.address
            ],
        )
        _renew_lease.run(
            connection,
            [
                {
                    "lease": lease.id,
                    "seen": lease.seen_at,
                    "guaranteed": lease.guaranteed_until,
                    "until": lease.ends_at,
                }
                for lease in changes.renewed
            ],
        )
        told = {lease.id: lease for lease in changes.told}
        _tell_lease.run(
            connection,
            [
                {"lease": lease.id, "taps": taps_of(lease), "left": lease.left_at, "has_called": lease.called}
                for lease in told.values()
            ],
        )
        _see_visit.run(connection, [{"visit": visit, "seen": seen} for visit, seen in sorted(changes.seen.items())])
        self._add_events(changes)
        _add_visit.run(connection, [visit_values(visit, client_ids) for visit, client_ids in changes.visits])
        new = [*changes.leases, *changes.kept]
        _add_lease.run(connection, [lease_values(lease) for lease in new])
        _visitors[connection.dialect.name].run(
            connection,
            [
                {
                    "site_id": lease.site_id,
                    "id": lease.visitor,
                    "first_seen_at": lease.started_at,
                    "visit_id": lease.visit,
                    "lease_id": lease.id,
                }
                for lease in sorted(new, key=lambda lease: (lease.site_id, lease.visitor))
            ],
        )

    def _add_events(self, changes: Changes) -> None:
        if not changes.events:
            return
        rows = _events_so_far.all(self._connection, {"visits": {event.visit for event in changes.events}})
        so_far = {row.id: row.events for row in rows}
        added: dict[str, int] = {}
        kept = []
        for event in changes.events:
            place = so_far[event.visit] + added.get(event.visit, 0)
            if place < MAX_EVENTS:
                added[event.visit] = added.get(event.visit, 0) + 1
                kept.append(
                    {
                        "visit_id": event.visit,
                        "id": _event_id(event, place),
                        "at": event.at,
                        "kind": event.kind.value,
                        "page": event.page,
                    }
                )
        _add_event.run(self._connection, kept)
        _count_events.run(
            self._connection, [{"visit": visit, "count": count} for visit, count in sorted(added.items())]
        )


def _event_id(event: VisitEvent, place: int) -> str:
    """An id whose time is followed by the event's place in the visit: those of one millisecond stay in order."""
    made = new_id(event.at)
    return f"{made[:10]}{place:04}{made[14:]}"


def _taken(row: Any, hold: Hold) -> dict[str, Any]:
    """Of a number or an address that is somebody else's from now on."""
    return {
        "which": row.id,
        "to": row.seq + 1,
        "until": hold.ends_at,
        "rests": hold.ends_at,
        "guaranteed": hold.guaranteed_until,
    }


def _held(lease: Lease, which: int, seq: int) -> dict[str, Any]:
    """Of the lease's number or address."""
    return {
        "which": which,
        "to": seq,
        "until": lease.ends_at,
        "rests": rests_until(lease),
        "guaranteed": lease.guaranteed_until,
    }


def _known(row: Any) -> Known:
    address = PoolAddress(row.address_id, row.address, row.address_seq) if row.address else None
    return Known(visit_of(row), lease_of(row, row.email, address) if row.id else None, row.pool)


def visit_values(visit: Visit, client_ids: Mapping[str, str]) -> dict[str, Any]:
    """What is kept of a visit that begins, by column."""
    touch = visit.touch
    return {
        "id": visit.id,
        "site_id": visit.site_id,
        "visitor_id": visit.visitor,
        "started_at": visit.started_at,
        "seen_at": visit.seen_at,
        "events": 0,
        "region": visit.region,
        "page": touch.page,
        "referrer": touch.referrer,
        "source": touch.source,
        "medium": touch.medium,
        "campaign": touch.campaign,
        "term": touch.term,
        "content": touch.content,
        "click_ids": dict(touch.click_ids),
        "client_ids": dict(client_ids),
        "channel": visit.channel,
    }


def lease_values(lease: Lease) -> dict[str, Any]:
    """What is kept of a lease, by column."""
    return {
        "id": lease.id,
        "site_id": lease.site_id,
        "number_id": lease.number_id,
        "seq": lease.seq,
        "visit_id": lease.visit,
        "visitor_id": lease.visitor,
        "started_at": lease.started_at,
        "seen_at": lease.seen_at,
        "guaranteed_until": lease.guaranteed_until,
        "ends_at": lease.ends_at,
        "taps": taps_of(lease),
        "left_at": lease.left_at,
        "called": lease.called,
        "email": lease.email,
        "address_id": lease.address.id if lease.address else None,
        "address_seq": lease.address.seq if lease.address else None,
    }
