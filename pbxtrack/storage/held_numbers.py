"""Who holds which number now: pools by how much of them is left, numbers with their visitors and latest calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select
from sqlalchemy.sql import ColumnElement, Select

from pbxtrack.pool.model import NumberKind
from pbxtrack.storage.tables import calls, channels, leases, numbers, pools, visits
from pbxtrack.storage.times import rfc3339
from pbxtrack.utc import moved

MAX_PAGE = 250
STATES = ("guaranteed", "held", "resting", "free")
"""Of a pool's number: its visitor's for certain; theirs while others suffice; nobody's, but kept back; anybody's."""

_SHOWN = timedelta(days=2)  # since when somebody who was shown the overflow number began: few look at it for longer
_of_pool = numbers.c.kind == NumberKind.POOL.value
_ORDER = case({NumberKind.POOL.value: 0, NumberKind.STATIC.value: 1}, value=numbers.c.kind, else_=2)


@dataclass(frozen=True, slots=True)
class NumberFilter:
    """Which of a site's numbers; every condition that is given must hold.

    ``digits``: some of the number's; ``named``: part of the name of its pool or channel, of which either may fit.
    ``state``: one of STATES. Calls are counted from ``since`` on and before ``until``.
    """

    since: datetime | None = None
    until: datetime | None = None
    digits: str = ""
    named: str = ""
    pool: str | None = None
    kind: NumberKind | None = None
    state: str | None = None


def pools_now(connection: Connection, site_id: int, now: datetime) -> list[dict[str, Any]]:
    """Each pool of the site, in order: ``id``, ``name``, ``regions``, how many ``numbers`` and how many by STATES."""
    state = _state(now)
    counted = [func.count(case((state == one, 1))).label(one) for one in STATES]
    rows = connection.execute(
        select(pools.c.id, pools.c.name, pools.c.regions, func.count(numbers.c.id).label("numbers"), *counted)
        .outerjoin_from(pools, numbers, and_(numbers.c.pool_id == pools.c.id, numbers.c.removed_at.is_(None)))
        .where(pools.c.site_id == site_id, pools.c.removed_at.is_(None))
        .group_by(pools.c.id)
        .order_by(pools.c.position, pools.c.id)
    )
    return [dict(row._mapping) for row in rows]


def shown_overflow(connection: Connection, site_id: int, now: datetime) -> int:
    """How many visitors are shown the site's overflow number now, or nothing, for want of others."""
    statement = select(func.count()).where(
        leases.c.number_id.is_(None),
        leases.c.started_at > moved(now, -_SHOWN),
        leases.c.started_at <= now,
        leases.c.site_id == site_id,
        leases.c.ends_at > now,
    )
    return connection.scalar(statement) or 0


def numbers_page(
    connection: Connection, site_id: int, which: NumberFilter, now: datetime, *, skip: int = 0, limit: int = 50
) -> tuple[list[dict[str, Any]], int]:
    """A page of the site's numbers, those of pools first, and how many there are in all."""
    chosen = (
        select(numbers.c.id, numbers.c.e164, numbers.c.kind, pools.c.name.label("pool"))
        .add_columns(channels.c.name.label("channel"), numbers.c.seq, numbers.c.free_at, numbers.c.rests_until)
        .add_columns(numbers.c.guaranteed_until, case((_of_pool, _state(now))).label("state"))
        .outerjoin_from(numbers, pools, pools.c.id == numbers.c.pool_id)
        .outerjoin(channels, channels.c.id == numbers.c.channel_id)
        .where(numbers.c.site_id == site_id, numbers.c.removed_at.is_(None), *_conditions(which, now))
    )
    total = connection.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    page = chosen.order_by(_ORDER, pools.c.position, channels.c.position, numbers.c.e164)
    page = page.limit(max(1, min(limit, MAX_PAGE))).offset(max(0, skip))
    rows = connection.execute(_with_visitors(page, site_id, which)).all()
    return [_number(row) for row in rows], total


def _state(now: datetime) -> ColumnElement[Any]:
    return case(
        (and_(numbers.c.free_at > now, numbers.c.guaranteed_until > now), "guaranteed"),
        (numbers.c.free_at > now, "held"),
        (numbers.c.rests_until > now, "resting"),
        (numbers.c.id.is_not(None), "free"),  # a pool without numbers has none that is free
    )


def _conditions(which: NumberFilter, now: datetime) -> Sequence[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if which.digits or which.named:
        any_of = []
        if which.digits:
            any_of.append(numbers.c.e164.contains(which.digits, autoescape=True))
        if which.named:
            any_of += [column.icontains(which.named, autoescape=True) for column in (pools.c.name, channels.c.name)]
        found.append(or_(*any_of))
    if which.pool is not None:
        found += [_of_pool, pools.c.name == which.pool]
    if which.kind is not None:
        found.append(numbers.c.kind == which.kind.value)
    if which.state is not None:
        found += [_of_pool, _state(now) == which.state]
    return found


def _with_visitors(page: Select[Any], site_id: int, which: NumberFilter) -> Select[Any]:
    """The numbers of a page with their latest leases, those leases' calls, their latest calls and how many of them.

    Each number's own, by indexes: few numbers are on a page, and many calls are in a log.
    """
    one = page.subquery("one")
    # By the number's calls, which may have been another site's, and not by the site's, of which there are many.
    to_it = [calls.c.dialled == one.c.e164, calls.c.site_id + 0 == site_id]
    last_call = (
        select(calls.c.id).where(*to_it).order_by(calls.c.started_at.desc(), calls.c.id.desc()).limit(1)
    ).scalar_subquery()
    of_lease = (
        select(calls.c.id)
        .where(*to_it, calls.c.started_at >= leases.c.started_at, calls.c.lease_id == leases.c.id)
        .order_by(calls.c.started_at)
        .limit(1)
    ).scalar_subquery()
    within = [*to_it, *([calls.c.started_at >= which.since] if which.since else [])]
    counted = select(func.count()).where(*within, *([calls.c.started_at < which.until] if which.until else []))
    last = calls.alias("last")
    touch = [visits.c[name] for name in ("source", "medium", "campaign", "region")]
    return (
        select(one, leases.c.started_at, leases.c.seen_at, leases.c.ends_at, leases.c.visit_id)
        .add_columns(*touch, visits.c.channel.label("visit_channel"), of_lease.label("lease_call"))
        .add_columns(last.c.id.label("last_call"), last.c.started_at.label("last_call_at"))
        .add_columns(counted.scalar_subquery().label("calls"))
        .outerjoin_from(
            one,
            leases,
            and_(leases.c.number_id == one.c.id, leases.c.seq == one.c.seq, leases.c.site_id == site_id),
        )
        .outerjoin(visits, visits.c.id == leases.c.visit_id)
        .outerjoin(last, last.c.id == last_call)
    )


def _number(row: Any) -> dict[str, Any]:
    lease = None
    if row.started_at is not None:
        lease = {
            "started_at": rfc3339(row.started_at),
            "seen_at": rfc3339(row.seen_at),
            "ends_at": rfc3339(row.ends_at),
            "visit": row.visit_id,
            "region": row.region or None,
            "channel": row.visit_channel,
            "source": row.source,
            "medium": row.medium,
            "campaign": row.campaign or None,
            "call": row.lease_call,
        }
    until = {"guaranteed": row.free_at, "held": row.free_at, "resting": row.rests_until}.get(row.state or "")
    return {
        "number": row.e164,
        "kind": row.kind,
        "pool": row.pool,
        "channel": row.channel,
        "state": row.state,
        "until": rfc3339(until),
        "guaranteed_until": rfc3339(row.guaranteed_until) if row.state == "guaranteed" else None,
        "lease": lease,
        "calls": row.calls,
        "last_call": {"id": row.last_call, "started_at": rfc3339(row.last_call_at)} if row.last_call else None,
    }
