"""Sites, visits, leases and the directory of numbers, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.calls.attribution import CALLER_BINDING, Method
from pbxtrack.pool.model import (
    Holder,
    Lease,
    NumberKind,
    NumberOwner,
    Resolution,
    SiteSettings,
    Visit,
)
from pbxtrack.pool.policy import EARLIER_HOLDERS
from pbxtrack.pool.ports import FreeNumber, PoolInfo
from pbxtrack.sources.touch import ChannelRule, Touch
from pbxtrack.storage.prepared import Prepared, Reader
from pbxtrack.storage.tables import calls, channels, leases, numbers, pools, revisions, sites, visitors, visits

# Statements are built once: building one costs more than running it.
_LEASE: tuple[ColumnElement[Any], ...] = (
    leases.c.id,
    leases.c.site_id,
    leases.c.number_id,
    leases.c.seq,
    leases.c.visit_id,
    leases.c.visitor_id,
    leases.c.started_at,
    leases.c.seen_at,
    leases.c.guaranteed_until,
    leases.c.ends_at,
    numbers.c.e164,
)
VISIT_COLUMNS: tuple[ColumnElement[Any], ...] = tuple(
    column.label(f"v_{column.name}") for column in visits.c if column is not visits.c.client_ids
)
_SITE: tuple[ColumnElement[Any], ...] = tuple(column.label(f"s_{column.name}") for column in sites.c)

_site_by_key = select(*_SITE).where(sites.c.key == bindparam("key"), sites.c.removed_at.is_(None))
_rules = (
    select(channels.c.name, channels.c.match, channels.c.line)
    .where(channels.c.site_id == bindparam("site_id"), channels.c.removed_at.is_(None))
    .order_by(channels.c.position, channels.c.id)
)
_pools = (
    select(pools.c.id, pools.c.regions)
    .where(pools.c.site_id == bindparam("site_id"), pools.c.removed_at.is_(None))
    .order_by(pools.c.position, pools.c.id)
)
_latest_visit = (
    select(*VISIT_COLUMNS, *_LEASE)
    .outerjoin_from(visits, leases, leases.c.visit_id == visits.c.id)
    .outerjoin(numbers, numbers.c.id == leases.c.number_id)
    .where(visits.c.visitor_id == bindparam("visitor"), visits.c.site_id == bindparam("site_id"))
    .order_by(visits.c.started_at.desc(), leases.c.started_at.desc())
    .limit(1)
)
_lease_by_id = (
    select(*_LEASE, *VISIT_COLUMNS, *_SITE)
    .join_from(leases, visits, visits.c.id == leases.c.visit_id)
    .join(sites, sites.c.id == leases.c.site_id)
    .outerjoin(numbers, numbers.c.id == leases.c.number_id)
    .where(leases.c.id == bindparam("lease"), sites.c.removed_at.is_(None))
)
_free = (
    select(numbers.c.id, numbers.c.e164, numbers.c.seq)
    .where(
        numbers.c.pool_id == bindparam("pool"), numbers.c.removed_at.is_(None), numbers.c.free_at <= bindparam("now")
    )
    .order_by(numbers.c.free_at, numbers.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_deserted = (
    select(numbers.c.id, numbers.c.e164, numbers.c.seq)
    .where(
        numbers.c.pool_id == bindparam("pool"),
        numbers.c.removed_at.is_(None),
        numbers.c.guaranteed_until <= bindparam("now"),
    )
    .order_by(numbers.c.guaranteed_until, numbers.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_hold_number = (
    update(numbers)
    .where(numbers.c.id == bindparam("number_id"), numbers.c.seq == bindparam("seq_held"))
    .values(free_at=bindparam("until"), guaranteed_until=bindparam("guaranteed"))
)
_owner = Prepared(
    select(
        numbers.c.id,
        numbers.c.kind,
        channels.c.name.label("channel"),
        channels.c.line.label("channel_line"),
        *_SITE,
    )
    .join_from(numbers, sites, sites.c.id == numbers.c.site_id)
    .outerjoin(channels, channels.c.id == numbers.c.channel_id)
    .where(numbers.c.e164 == bindparam("number"), numbers.c.removed_at.is_(None), sites.c.removed_at.is_(None))
)
_holders = Prepared(
    select(*_LEASE, *VISIT_COLUMNS)
    .join_from(leases, visits, visits.c.id == leases.c.visit_id)
    .join(numbers, numbers.c.id == leases.c.number_id)
    .where(leases.c.number_id == bindparam("number_id"), leases.c.started_at <= bindparam("at"))
    .order_by(leases.c.started_at.desc())
    .limit(EARLIER_HOLDERS)
)
_bound = Prepared(
    select(*VISIT_COLUMNS)
    .join_from(calls, visits, visits.c.id == calls.c.visit_id)
    .where(
        calls.c.dialled == bindparam("number"),
        calls.c.caller == bindparam("caller"),
        calls.c.started_at < bindparam("at"),
        calls.c.started_at >= bindparam("since"),
        or_(*(calls.c.method == method for method in (Method.LEASE, Method.CALLER, Method.PAST_LEASE))),
    )
    .order_by(calls.c.started_at.desc())
    .limit(1)
)
_channel_line = Prepared(
    select(channels.c.line).where(
        channels.c.site_id == bindparam("site_id"),
        channels.c.name == bindparam("name"),
        channels.c.removed_at.is_(None),
    )
)


_revision = Prepared(select(revisions.c.number).where(revisions.c.name == "sites"))


class KnownSites:
    """What a process read of the sites' numbers, as long as nobody changes them. Safe from several threads."""

    def __init__(self, most: int = 100_000) -> None:
        """``most`` numbers are kept."""
        self._most = most
        self._revision = 0
        self._known: dict[object, Any] = {}

    def at(self, revision: int) -> dict[object, Any]:
        """What is known at a revision; of an older one than the newest that was seen, nothing."""
        if revision < self._revision:
            return {}
        if revision > self._revision or len(self._known) > self._most:
            self._revision, self._known = revision, {}
        return self._known


class SqlDirectory:
    """:class:`~pbxtrack.pool.ports.Directory` on a connection. With ``known``, it reads the same thing only once."""

    def __init__(self, reader: Reader, known: KnownSites | None = None) -> None:
        self._reader = reader
        self._known: dict[object, Any] = {}
        if known is not None and (row := _revision.one_or_none(reader, {})):
            self._known = known.at(row.number)

    def owner(self, number: str) -> NumberOwner | None:
        owner: NumberOwner | None = self._known.get(number)
        if owner is None:
            owner = self._read_owner(number)
            if owner is not None:  # what callers dial beside our numbers would fill the memory
                self._known[number] = owner
        return owner

    def _read_owner(self, number: str) -> NumberOwner | None:
        row = _owner.one_or_none(self._reader, {"number": number})
        if row is None:
            return None
        lines = {row.channel: row.channel_line} if row.channel and row.channel_line else {}
        return NumberOwner(number, row.id, NumberKind(row.kind), _site(row, channel_lines=lines), row.channel)

    def resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        owner = self.owner(number)
        if owner is None or owner.kind is not NumberKind.POOL:
            return Resolution(number, at, owner)
        holders = self._holders(owner.number_id, at)
        current = holders[0] if holders and holders[0].lease.live(at) else None
        earlier = holders[1:] if current else holders
        return Resolution(number, at, owner, current, earlier, self._bound(number, at, caller))

    def channel_line(self, site_id: int, channel: str) -> str | None:
        """The own line of a site's advertising channel, if it has one."""
        key = site_id, channel
        if key not in self._known:
            self._known[key] = self._read_channel_line(site_id, channel)
        line: str | None = self._known[key]
        return line

    def _read_channel_line(self, site_id: int, channel: str) -> str | None:
        row = _channel_line.one_or_none(self._reader, {"site_id": site_id, "name": channel})
        line: str | None = row.line if row else None
        return line

    def rehearse(self, at: datetime) -> None:
        """Run every query of a resolve once, for nobody: the first caller then does not wait for their making."""
        self._read_owner("")
        self._holders(0, at)
        self._bound("", at, "")
        self._read_channel_line(0, "")

    def _holders(self, number_id: int, at: datetime) -> list[Holder]:
        rows = _holders.all(self._reader, {"number_id": number_id, "at": at})
        return [Holder(_lease(row), visit_of(row)) for row in rows]

    def _bound(self, number: str, at: datetime, caller: str | None) -> Visit | None:
        if caller is None:
            return None
        since = at - CALLER_BINDING
        row = _bound.one_or_none(self._reader, {"number": number, "caller": caller, "at": at, "since": since})
        return visit_of(row) if row else None


class SqlLeases:
    """:class:`~pbxtrack.pool.ports.LeaseStore` on a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def site(self, key: str) -> SiteSettings | None:
        row = self._connection.execute(_site_by_key, {"key": key}).one_or_none()
        if row is None:
            return None
        found = self._connection.execute(_rules, {"site_id": row.s_id}).all()
        rules = [ChannelRule(rule.name, rule.match) for rule in found if rule.match]
        return _site(row, rules=rules, channel_lines={rule.name: rule.line for rule in found if rule.line})

    def pools(self, site_id: int) -> Sequence[PoolInfo]:
        return [PoolInfo(row.id, row.regions) for row in self._connection.execute(_pools, {"site_id": site_id})]

    def latest_visit(self, site_id: int, visitor: str) -> tuple[Visit, Lease | None] | None:
        row = self._connection.execute(_latest_visit, {"site_id": site_id, "visitor": visitor}).one_or_none()
        if row is None:
            return None
        return visit_of(row), _lease(row) if row.id else None

    def add_visit(self, visit: Visit, client_ids: Mapping[str, str]) -> None:
        touch = visit.touch
        insert = sqlite.insert if self._connection.dialect.name == "sqlite" else postgresql.insert
        self._connection.execute(
            insert(visitors).on_conflict_do_nothing(),
            {"id": visit.visitor, "site_id": visit.site_id, "first_seen_at": visit.started_at},
        )
        self._connection.execute(
            visits.insert(),
            {
                "id": visit.id,
                "site_id": visit.site_id,
                "visitor_id": visit.visitor,
                "started_at": visit.started_at,
                "seen_at": visit.seen_at,
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
            },
        )

    def see_visit(self, visit_id: str, now: datetime) -> None:
        self._connection.execute(
            visits.update().where(visits.c.id == visit_id, visits.c.seen_at < now).values(seen_at=now)
        )

    def take(self, pool_id: int, now: datetime) -> FreeNumber | None:
        parameters = {"pool": pool_id, "now": now}
        row = self._connection.execute(_free, parameters).one_or_none()
        if row is None:
            row = self._connection.execute(_deserted, parameters).one_or_none()
            if row is None:
                return None
            self._connection.execute(
                leases.update().where(leases.c.number_id == row.id, leases.c.ends_at > now).values(ends_at=now)
            )
        self._connection.execute(
            numbers.update().where(numbers.c.id == row.id, numbers.c.seq == row.seq).values(seq=row.seq + 1)
        )
        return FreeNumber(row.id, row.e164, row.seq + 1)

    def add_lease(self, lease: Lease) -> None:
        if lease.number_id is not None:
            self._hold_number(lease)
        self._connection.execute(
            leases.insert(),
            {
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
            },
        )

    def lease(self, lease_id: str) -> tuple[Lease, Visit, SiteSettings] | None:
        row = self._connection.execute(_lease_by_id, {"lease": lease_id}).one_or_none()
        return (_lease(row), visit_of(row), _site(row)) if row else None

    def extend(self, lease: Lease) -> bool:
        if lease.number_id is not None and not self._hold_number(lease):
            return False
        self._connection.execute(
            leases.update()
            .where(leases.c.id == lease.id)
            .values(seen_at=lease.seen_at, guaranteed_until=lease.guaranteed_until, ends_at=lease.ends_at)
        )
        return True

    def _hold_number(self, lease: Lease) -> bool:
        """Keep the number for the lease; False if a later lease has it. The row's lock orders this against take()."""
        held = self._connection.execute(
            _hold_number,
            {
                "number_id": lease.number_id,
                "seq_held": lease.seq,
                "until": lease.ends_at,
                "guaranteed": lease.guaranteed_until,
            },
        )
        return held.rowcount == 1


def _site(row: Row[Any], **more: Any) -> SiteSettings:
    return SiteSettings(
        id=row.s_id,
        key=row.s_key,
        name=row.s_name,
        line=row.s_line,
        hold=timedelta(seconds=row.s_hold_seconds),
        hold_guaranteed=timedelta(seconds=row.s_guaranteed_seconds),
        origins=row.s_origins,
        replace=row.s_replace,
        record=row.s_record,
        whisper=row.s_whisper,
        overflow_number=row.s_overflow_number,
        email=row.s_email,
        email_separator=row.s_email_separator,
        timezone=row.s_timezone,
        target_talk=timedelta(seconds=row.s_target_seconds),
        **more,
    )


def visit_of(row: Row[Any]) -> Visit:
    return Visit(
        id=row.v_id,
        site_id=row.v_site_id,
        visitor=row.v_visitor_id,
        started_at=row.v_started_at,
        seen_at=row.v_seen_at,
        touch=Touch(
            source=row.v_source,
            medium=row.v_medium,
            campaign=row.v_campaign,
            term=row.v_term,
            content=row.v_content,
            referrer=row.v_referrer,
            page=row.v_page,
            click_ids=row.v_click_ids,
        ),
        channel=row.v_channel,
        region=row.v_region,
    )


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        id=row.id,
        site_id=row.site_id,
        visit=row.visit_id,
        visitor=row.visitor_id,
        number=row.e164,
        number_id=row.number_id,
        seq=row.seq,
        started_at=row.started_at,
        seen_at=row.seen_at,
        guaranteed_until=row.guaranteed_until,
        ends_at=row.ends_at,
    )
