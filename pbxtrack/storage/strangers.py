"""Calls to pool numbers by people whom nobody showed them, and the numbers that leaked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from pbxtrack.calls.attribution import Method
from pbxtrack.pool.leaks import StrangersCalls, leaked
from pbxtrack.pool.model import NumberKind
from pbxtrack.storage.tables import calls, numbers, pools, sites
from pbxtrack.storage.views import came_in
from pbxtrack.utc import moved

_PERIOD = timedelta(days=30)


class _Heard(NamedTuple):
    """A call; ``strange``: most likely of nobody who was shown the number."""

    at: datetime
    caller: str | None
    strange: bool


def pool_numbers(
    connection: Connection, now: datetime, since: datetime | None, until: datetime | None, keys: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Every number of the sites' pools with its calls, how many were strangers', and whether it seems to have leaked.

    Those that leaked come first, then those with most calls. Without ``since``, of the thirty days before ``until``,
    or before ``now``. ``keys``: of these sites only.
    """
    since = since or moved(until or now, -_PERIOD)
    wanted = (
        select(sites.c.id, sites.c.key, sites.c.timezone, pools.c.name.label("pool"), numbers.c.e164)
        .join_from(numbers, sites, sites.c.id == numbers.c.site_id)
        .join(pools, pools.c.id == numbers.c.pool_id)
        .where(numbers.c.kind == NumberKind.POOL.value, numbers.c.removed_at.is_(None), sites.c.removed_at.is_(None))
        .order_by(sites.c.key, pools.c.position, numbers.c.id)
    )
    if keys:
        wanted = wanted.where(sites.c.key.in_(list(keys)))
    listed = connection.execute(wanted).all()
    heard = _heard(connection, {row.id for row in listed}, since, until)
    by_pool: defaultdict[tuple[str, str], list[StrangersCalls]] = defaultdict(list)
    for row in listed:
        by_pool[row.key, row.pool].append(_strangers(row.e164, ZoneInfo(row.timezone), heard[row.id, row.e164]))
    gone = {
        number
        for (site, name), pool in by_pool.items()
        for number in leaked(
            pool, [one for key in by_pool if key[0] == site and key[1] != name for one in by_pool[key]]
        )
    }
    strange = {one.number: one for pool in by_pool.values() for one in pool}
    items = [
        {
            "site": row.key,
            "pool": row.pool,
            "number": row.e164,
            "calls": len(heard[row.id, row.e164]),
            "strangers": strange[row.e164].calls,
            "strange_callers": strange[row.e164].callers,
            "days": strange[row.e164].days,
            "leaked": row.e164 in gone,
        }
        for row in listed
    ]
    return sorted(items, key=lambda item: (not item["leaked"], -item["calls"]))


def _heard(
    connection: Connection, site_ids: set[int], since: datetime, until: datetime | None
) -> defaultdict[tuple[int, str], list[_Heard]]:
    """The calls of each site to each number: one that was another site's was called for other reasons then."""
    statement = select(
        calls.c.site_id,
        calls.c.dialled,
        calls.c.caller,
        calls.c.started_at,
        calls.c.method,
        calls.c.corrected_visit_id,
    ).where(calls.c.site_id.in_(site_ids), *came_in(since, until))
    heard: defaultdict[tuple[int, str], list[_Heard]] = defaultdict(list)
    for row in connection.execute(statement):
        strange = row.method == Method.NONE.value and row.corrected_visit_id is None
        heard[row.site_id, row.dialled].append(_Heard(row.started_at, row.caller, strange))
    return heard


def _strangers(number: str, zone: ZoneInfo, heard: Sequence[_Heard]) -> StrangersCalls:
    strange = [call for call in heard if call.strange]
    return StrangersCalls(
        number,
        len(strange),
        len({call.caller for call in strange}),
        len({call.at.astimezone(zone).date() for call in strange}),
    )
