"""Calls to pool numbers by people whom nobody showed them, and the numbers that leaked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.pool.leaks import StrangersCalls, leaked
from pbxtrack.pool.model import NumberKind
from pbxtrack.storage.dialling import Dialled, calls_to_numbers
from pbxtrack.storage.reports import Period
from pbxtrack.storage.tables import numbers, pools, sites
from pbxtrack.utc import moved

_PERIOD = timedelta(days=30)
_NONE = Dialled()


def pool_numbers(
    connection: Connection,
    now: datetime,
    since: datetime | None,
    until: datetime | None,
    keys: Sequence[str] = (),
    *,
    raw: bool = False,
) -> list[dict[str, Any]]:
    """Every number of the sites' pools with its calls, how many were strangers', and whether it seems to have leaked.

    Those that leaked come first, then those with most calls. Without ``since``, of the thirty days before ``until``,
    or before ``now``. ``keys``: of these sites only; ``raw``: roll-ups are left alone.
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
    span = Period(since, until).span
    heard = {
        site_id: calls_to_numbers(connection, site_id, timezone, span, raw=raw)
        for site_id, timezone in dict.fromkeys((row.id, row.timezone) for row in listed)
    }
    by_pool: defaultdict[tuple[str, str], list[StrangersCalls]] = defaultdict(list)
    for row in listed:
        by_pool[row.key, row.pool].append(_strangers(row, heard))
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
            "calls": heard[row.id].get(row.e164, _NONE).calls,
            "strangers": strange[row.e164].calls,
            "strange_callers": strange[row.e164].callers,
            "days": strange[row.e164].days,
            "leaked": row.e164 in gone,
        }
        for row in listed
    ]
    return sorted(items, key=lambda item: (not item["leaked"], -item["calls"]))


def _strangers(row: Any, heard: Mapping[int, Mapping[str, Dialled]]) -> StrangersCalls:
    """A number that was another site's was called for other reasons then: only its own site's calls count."""
    found = heard[row.id].get(row.e164, _NONE)
    return StrangersCalls(row.e164, found.strange, len(found.callers), found.days)
