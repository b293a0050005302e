"""What sites' calls teach, in SQL: what there is to learn from, and what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from pbxtrack.calls.attribution import Method, Weighing, as_told, weigh
from pbxtrack.calls.curves import EDGES, LENGTHS, PRIOR, STEPS, WIDTHS, Curves, State
from pbxtrack.calls.evidence import SURE_ENOUGH
from pbxtrack.calls.held import as_it_was
from pbxtrack.calls.learning import (
    Exposure,
    Heard,
    Lessons,
    gaps,
    silences,
    steps_exposure,
    visitors_exposure,
    worth_learning,
)
from pbxtrack.calls.ports import Dialled
from pbxtrack.pool.model import NumberKind
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.known import NEXT_REVISION, KnownSites
from pbxtrack.storage.rows import LEASE_COLUMNS, correction_of, curves_of, held_of, kept_curves, lease_of
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import calls, curves, leases, numbers, sites, visits
from pbxtrack.storage.times import rfc3339

MEMORY = timedelta(days=90)
"""How far back calls and visits are learned from."""

MAX_CALLS = 5_000
MAX_LEASES = 200_000
"""How many of a site's calls and leases are learned from, the latest."""

OUTDATED = timedelta(days=1)
"""From which age on curves are learned again, however few calls are new: people's habits change."""

KEPT = 50
"""Versions of a site's curves that are kept, the latest."""

_AT_ONCE = 500  # calls that are weighed with a few queries
_is_weighed = calls.c.method != Method.STATIC.value  # at the time of the call; the number may be another one's now


@dataclass(frozen=True, slots=True)
class Taught:
    """A site, its curves, when they were learned, and how many calls could be learned from now (``heard``)."""

    site_id: int
    key: str
    curves: Curves
    learned_at: datetime | None
    heard: int

    def due(self, now: datetime) -> bool:
        """Whether it is worth while to learn again: of many more calls, or of other ones after a day."""
        outdated = self.learned_at is None or now - self.learned_at >= OUTDATED
        return worth_learning(0 if outdated else self.curves.calls, self.heard)


def taught(connection: Connection, now: datetime) -> list[Taught]:
    """The sites that there are, and what they have taught."""
    heard = (
        select(calls.c.site_id, func.count().label("heard"))
        .where(calls.c.started_at >= now - MEMORY, _is_weighed)
        .group_by(calls.c.site_id)
    )
    by_site = {row.site_id: row.heard for row in connection.execute(heard)}
    rows = connection.execute(select(sites.c.id, sites.c.key).where(sites.c.removed_at.is_(None)).order_by(sites.c.id))
    return [
        Taught(row.id, row.key, *latest(connection, row.id), min(by_site.get(row.id, 0), MAX_CALLS)) for row in rows
    ]


def latest(connection: Connection, site_id: int) -> tuple[Curves, datetime | None]:
    """What a site's calls have taught so far, and when; the prior and None if nothing."""
    row = connection.execute(
        select(curves.c.version, curves.c.learned_at, curves.c.curves)
        .where(curves.c.site_id == site_id)
        .order_by(curves.c.version.desc())
        .limit(1)
    ).one_or_none()
    return (curves_of(row), row.learned_at) if row else (PRIOR, None)


def shown(connection: Connection, keys: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What each site's calls have taught, for people and programs; ``keys``: of these sites only.

    ``steps``: of a thousand people, how many call between ``from`` and ``to`` seconds after what they did last, unless
    something else happens before: visitors who were only seen, whose page was closed, who tapped or copied the number;
    and people who called, that call again.
    """
    listed = []
    for row in live_sites(connection, keys):
        found, learned_at = latest(connection, row.id)
        listed.append(
            {
                "site": row.key,
                "version": found.version,
                "learned_at": rfc3339(learned_at),
                "calls": found.calls,
                "steps": [
                    {
                        "from": EDGES[step],
                        "to": EDGES[step + 1],
                        **{
                            state.name.lower(): round(1_000 * found.rates[state * STEPS + step] * WIDTHS[step], 3)
                            for state in State
                        },
                    }
                    for step in range(STEPS)
                ],
                "strangers_per_number_and_month": round(found.strangers * 30 * 86_400, 3),
                "strangers_to_overflow_per_day": round(found.overflow_strangers * 86_400, 3),
                "channels": {name: round(factor, 3) for name, factor in sorted(found.channels.items())},
                "lengths": [
                    {"from": begin, "factor": round(factor, 3)}
                    for begin, factor in zip(LENGTHS, found.lengths, strict=True)
                ],
                "same_region": round(found.same_region, 3),
                "other_region": round(found.other_region, 3),
            }
        )
    return listed


def keep(connection: Connection, site_id: int, learned: Curves, now: datetime) -> None:
    """Keep what was learned; every process weighs by it from its next call on."""
    connection.execute(
        insert(curves).values(
            site_id=site_id,
            version=learned.version,
            learned_at=now,
            calls=learned.calls,
            curves=kept_curves(learned),
        )
    )
    connection.execute(delete(curves).where(curves.c.site_id == site_id, curves.c.version <= learned.version - KEPT))
    connection.execute(NEXT_REVISION)


def lessons(connection: Connection, site_id: int, now: datetime) -> Lessons:
    """What there is to learn from: the site's latest calls, and the time in which others could have been made.

    Both are of one span of time, the longest of which all calls and leases are looked at.
    """
    called = connection.execute(
        select(
            calls.c.dialled, calls.c.caller, calls.c.started_at, calls.c.lease_id, calls.c.confidence, calls.c.held,
            calls.c.corrected_channel, calls.c.corrected_tie,
        )
        .where(calls.c.site_id == site_id, calls.c.started_at.between(now - MEMORY, now), _is_weighed)
        .order_by(calls.c.started_at.desc())
        .limit(MAX_CALLS)
    ).all()[::-1]  # fmt: skip
    shown = connection.execute(
        select(*LEASE_COLUMNS, visits.c.channel)
        .join_from(leases, visits, visits.c.id == leases.c.visit_id)
        .join(numbers, numbers.c.id == leases.c.number_id)
        .where(leases.c.site_id == site_id, leases.c.started_at >= now - MEMORY)
        .order_by(leases.c.id.desc())
        .limit(MAX_LEASES)
    ).all()[::-1]
    begin = min([row.started_at for row in (*called[:1], *shown[:1])], default=now)
    if len(called) == MAX_CALLS:
        begin = called[0].started_at
    if len(shown) == MAX_LEASES:
        begin = max(begin, shown[0].started_at)
    called = [row for row in called if row.started_at >= begin]
    heard = [
        Heard(row.started_at, row.caller, row.lease_id if row.confidence >= SURE_ENOUGH else None) for row in called
    ]
    again, since_last = gaps(heard, now)
    seconds = (now - begin).total_seconds()
    return Lessons(
        _weighings(connection, called),
        again,
        Exposure(
            visitors=visitors_exposure(silences(((lease_of(row), row.channel) for row in shown), heard, begin, now)),
            callers=steps_exposure([*again, *since_last]),
            numbers=seconds * _numbers(connection, site_id),
            overflow=seconds,
        ),
    )


def _weighings(connection: Connection, called: Sequence[Any]) -> list[Weighing]:
    directory = SqlDirectory(connection, KnownSites())
    weighings: list[Weighing] = []
    for start in range(0, len(called), _AT_ONCE):
        some = called[start : start + _AT_ONCE]
        found = directory.resolve_all([Dialled(row.dialled, row.started_at, row.caller) for row in some])
        for row, known in zip(some, found, strict=True):
            if known.owner and known.owner.kind is not NumberKind.STATIC:
                weighing = weigh(as_it_was(known, held_of(row)))
                correction = correction_of(row)
                weighings.append(as_told(weighing, correction) if correction else weighing)
    return weighings


def _numbers(connection: Connection, site_id: int) -> int:
    return (
        connection.scalar(
            select(func.count())
            .select_from(numbers)
            .where(
                numbers.c.site_id == site_id, numbers.c.kind == NumberKind.POOL.value, numbers.c.removed_at.is_(None)
            )
        )
        or 0
    )
