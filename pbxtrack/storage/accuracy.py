"""How good attributions were, by site and month: what they expected of themselves, and what became known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, select

from pbxtrack.calls.attribution import Method
from pbxtrack.calls.evidence import CALLER_BINDING
from pbxtrack.calls.scores import BANDS, Scored, score
from pbxtrack.calls.truth import TAP_TELLS, Made, Tap, ToldBy, Truth, truths
from pbxtrack.storage.rows import LEASE_COLUMNS, lease_of
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import calls, leases, numbers, visits
from pbxtrack.storage.views import came_in
from pbxtrack.utc import moved


class _Said(NamedTuple):
    """A call, and what the attribution said of it: ``visitor`` None for nobody."""

    made: Made
    visitor: str | None
    confidence: float


def accuracy(
    connection: Connection, since: datetime | None = None, until: datetime | None = None, keys: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Of each site its calls to leased numbers from ``since`` on and before ``until``: as a whole, then by month.

    ``keys``: only these sites. Months are of the site's own time zone. Calls to numbers that were static
    then are certain, and not in it.
    """
    looked_at = since, until and moved(until, CALLER_BINDING)  # so much later another call may tell of one
    listed = []
    for site in live_sites(connection, keys):
        said = _said(connection, site.id, *looked_at)
        told = truths([one.made for one in said], _taps(connection, site.id, *looked_at))
        known = [(one, truth) for one, truth in zip(said, told, strict=True) if until is None or one.made.at < until]
        zone = ZoneInfo(site.timezone)
        by_month: defaultdict[str, list[tuple[_Said, Truth | None]]] = defaultdict(list)
        for one, truth in known:
            by_month[f"{one.made.at.astimezone(zone):%Y-%m}"].append((one, truth))
        listed.append(_row(site.key, None, known))
        listed += [_row(site.key, month, by_month[month]) for month in sorted(by_month, reverse=True)]
    return listed


def _said(connection: Connection, site_id: int, since: datetime | None, until: datetime | None) -> list[_Said]:
    said, told = visits.alias("said"), visits.alias("told")
    statement = (
        select(
            calls.c.started_at,
            calls.c.dialled,
            calls.c.caller,
            calls.c.confidence,
            said.c.visitor_id.label("visitor"),
            told.c.visitor_id.label("corrected"),
        )
        .outerjoin_from(calls, said, said.c.id == calls.c.visit_id)
        .outerjoin(told, and_(told.c.id == calls.c.corrected_visit_id, calls.c.corrected_channel.is_not(None)))
        .where(calls.c.site_id == site_id, *came_in(since, until), calls.c.method != Method.STATIC.value)
        .order_by(calls.c.started_at, calls.c.id)
    )
    return [
        _Said(Made(row.started_at, row.dialled, row.caller, row.corrected), row.visitor, row.confidence)
        for row in connection.execute(statement)
    ]


def _taps(connection: Connection, site_id: int, since: datetime | None, until: datetime | None) -> dict[str, list[Tap]]:
    statement = (
        select(*LEASE_COLUMNS)
        .join_from(leases, visits, visits.c.id == leases.c.visit_id)
        .join(numbers, numbers.c.id == leases.c.number_id)
        .where(leases.c.site_id == site_id, leases.c.taps.is_not(None))
    )
    if since is not None:
        statement = statement.where(leases.c.seen_at >= moved(since, -TAP_TELLS))  # a tap is a sign of life
    if until is not None:
        statement = statement.where(leases.c.started_at < until)
    found: defaultdict[str, list[Tap]] = defaultdict(list)
    for lease in map(lease_of, connection.execute(statement)):
        if lease.number is not None:
            found[lease.number] += [Tap(at, lease.visitor) for at in lease.taps]
    return {number: sorted(taps) for number, taps in found.items()}


def _row(site: str, month: str | None, calls_of: Sequence[tuple[_Said, Truth | None]]) -> dict[str, Any]:
    named = [one.confidence for one, _ in calls_of if one.visitor]
    checked = [
        Scored(one.visitor is not None, one.confidence, one.visitor == truth.visitor)
        for one, truth in calls_of
        if truth is not None
    ]
    scores = score(checked)
    right_of = {
        by: [one.visitor == truth.visitor for one, truth in calls_of if truth is not None and truth.by is by]
        for by in ToldBy
    }
    return {
        "site": site,
        "month": month,
        "calls": len(calls_of),
        "attributed": len(named),
        "coverage": round(len(named) / len(calls_of), 4) if calls_of else None,
        "expected_precision": round(sum(named) / len(named), 4) if named else None,
        "known": {by.value: len(right) for by, right in right_of.items()},
        "right": {by.value: round(sum(right) / len(right), 4) if right else None for by, right in right_of.items()},
        "precision": round(scores.precision, 4) if any(one.named for one in checked) else None,
        "accuracy": round(scores.accuracy, 4) if checked else None,
        "brier": round(scores.brier, 4) if checked else None,
        "calibration_error": round(scores.calibration_error, 4) if checked else None,
        "bands": [
            {
                "from": index / BANDS,
                "to": (index + 1) / BANDS,
                "calls": band.calls if band else 0,
                "said": round(band.confidence, 4) if band else None,
                "right": round(band.right, 4) if band else None,
            }
            for index, band in enumerate(scores.bands)
        ],
    }
