"""What leases changed in a site's pools over time, and for how many visitors no number was left.

One scan of the leases that began in that time, by their ids, which sort by time; the database adds them up by slots.
Of those that had begun before, each number's last one is looked up: no other can still be held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Connection, String, and_, cast, func, select

from pbxtrack.ids import earliest_id, milliseconds_of
from pbxtrack.pool.usage import slot_of
from pbxtrack.storage.tables import leases, numbers

MOST_LEASES = 300_000
"""Leases that are read at once, the latest."""

MINUTE, TEN_MINUTES, HOUR = timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1)
"""The slots that there are; see :mod:`pbxtrack.pool.usage`."""

_KEPT = {MINUTE: 16, TEN_MINUTES: 15, HOUR: 13}  # characters of a time on SQLite that tell it: ``2026-11-23 12:3``
_REST = "2000-01-01 00:00:00+00:00"


@dataclass(frozen=True, slots=True)
class Usage:
    """``held``: how many more numbers, less how many fewer, were held after each slot than before, by the pool's id.

    ``overflow``: how many visitors came for whom none was left, by slot. ``since``: from when on it is known; later
    than was asked for where there were too many leases.
    """

    held: Mapping[int, Mapping[int, int]]
    overflow: Mapping[int, int]
    since: datetime


def usage(connection: Connection, site_id: int, since: datetime, until: datetime, slot: timedelta) -> Usage:
    """What leases changed from ``since`` on and before ``until``, by slots of MINUTE, TEN_MINUTES or HOUR.

    A number counts where it is now, also for the time before it came there.
    """
    after, before = earliest_id(since), earliest_id(until)
    newest = select(leases.c.id).where(leases.c.id >= after, leases.c.id < before).order_by(leases.c.id.desc())
    if too_many := connection.scalar(newest.limit(1).offset(MOST_LEASES)):
        since = datetime.fromtimestamp((milliseconds_of(too_many) + 1) / 1000, UTC)
        after = earliest_id(since)
    held: defaultdict[int, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    overflow: defaultdict[int, int] = defaultdict(int)
    began, ended = (_slot(connection, column, slot) for column in (leases.c.started_at, leases.c.ends_at))
    none_left = leases.c.number_id.is_(None)
    begun = (
        select(none_left, numbers.c.pool_id, began, ended, func.count())
        .outerjoin_from(leases, numbers, numbers.c.id == leases.c.number_id)
        .where(leases.c.id >= after, leases.c.id < before, leases.c.site_id == site_id)
        .group_by(none_left, numbers.c.pool_id, began, ended)
    )
    for none, pool_id, first, last, count in connection.execute(begun):
        if none:
            overflow[_place(first, slot)] += count
        elif pool_id is not None:  # the number is still a pool's
            held[pool_id][_place(first, slot)] += count
            held[pool_id][_place(last, slot)] -= count
    at_first = slot_of(since, slot) - 1
    for pool_id, last, count in connection.execute(_held_at(site_id, since, ended)):
        held[pool_id][at_first] += count
        held[pool_id][_place(last, slot)] -= count
    return Usage(held, overflow, since)


def _held_at(site_id: int, at: datetime, ended: Any) -> Any:
    """The leases that began before a time and ended after, by pool and the slot of their end."""
    earlier = leases.alias("earlier")
    latest = (
        select(func.max(earlier.c.started_at))
        .where(earlier.c.number_id == numbers.c.id, earlier.c.started_at < at)
        .scalar_subquery()
    )
    return (
        select(numbers.c.pool_id, ended, func.count())
        .join_from(numbers, leases, and_(leases.c.number_id == numbers.c.id, leases.c.started_at == latest))
        .where(
            numbers.c.site_id == site_id,
            numbers.c.pool_id.is_not(None),
            leases.c.site_id == site_id,
            leases.c.ends_at > at,
        )
        .group_by(numbers.c.pool_id, ended)
    )


def _slot(connection: Connection, column: Any, slot: timedelta) -> Any:
    """A time's slot, in the way that costs the database least: SQLite keeps times as text."""
    if connection.dialect.name == "sqlite":
        return func.substr(column, 1, _KEPT[slot], type_=String)
    return cast(func.floor(func.extract("epoch", column) / int(slot.total_seconds())), BigInteger)


def _place(found: Any, slot: timedelta) -> int:
    return _read(found, slot) if isinstance(found, str) else int(found)


@lru_cache(maxsize=100_000)
def _read(text: str, slot: timedelta) -> int:
    return slot_of(datetime.fromisoformat(text + _REST[len(text) :]), slot)
