"""How a site is used at this moment: numbers held, the visitors seen last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from pbxtrack.storage.tables import leases, numbers, pools, sites, visits

_LATEST = 500  # numbers that are looked at for visitors


class PoolUse(NamedTuple):
    """How many numbers a pool has, and how many of them visitors hold now."""

    numbers: int
    held: int


class Seen(NamedTuple):
    """A visitor who was given a number: the page that the visit began with, and the last sign of life."""

    page: str
    at: datetime


def pools_in_use(connection: Connection, site_id: int, now: datetime) -> Mapping[str, PoolUse]:
    """The site's pools by name."""
    held = func.sum(case((numbers.c.free_at > now, 1), else_=0))
    found = connection.execute(
        select(pools.c.name, func.count(), held)
        .join_from(numbers, pools, pools.c.id == numbers.c.pool_id)
        .where(numbers.c.site_id == site_id, numbers.c.removed_at.is_(None))
        .group_by(pools.c.name)
    )
    return {name: PoolUse(count, int(used or 0)) for name, count, used in found}


def held_by_site(connection: Connection, now: datetime) -> Mapping[str, PoolUse]:
    """Every site's pool numbers together, by its key; sites without one are not in it."""
    held = func.sum(case((numbers.c.free_at > now, 1), else_=0))
    found = connection.execute(
        select(sites.c.key, func.count(), held)
        .join_from(numbers, sites, sites.c.id == numbers.c.site_id)
        .where(numbers.c.pool_id.is_not(None), numbers.c.removed_at.is_(None), sites.c.removed_at.is_(None))
        .group_by(sites.c.key)
        .order_by(sites.c.key)
    )
    return {key: PoolUse(count, int(used or 0)) for key, count, used in found}


def latest_visitors(connection: Connection, site_id: int) -> list[Seen]:
    """The latest holders of the numbers that were held most recently, the latest first."""
    found = connection.execute(
        select(visits.c.page, leases.c.seen_at)
        .join_from(numbers, leases, (leases.c.number_id == numbers.c.id) & (leases.c.seq == numbers.c.seq))
        .join(visits, visits.c.id == leases.c.visit_id)
        .where(numbers.c.site_id == site_id, numbers.c.seq > 0)
        .order_by(numbers.c.free_at.desc())
        .limit(_LATEST)
    )
    return sorted((Seen(page, at) for page, at in found), key=lambda seen: seen.at, reverse=True)
