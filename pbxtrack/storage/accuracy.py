"""How good attributions were, by site and month: what they expected of themselves, and what became known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, select

from pbxtrack.reports.goodness import Goodness
from pbxtrack.reports.periods import Span, Zone
from pbxtrack.storage.judging import judged
from pbxtrack.storage.reports import Period
from pbxtrack.storage.rollups import ACCURACY, documents, parts_of
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import rollup_accuracy


def accuracy(
    connection: Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    keys: Sequence[str] = (),
    *,
    raw: bool = False,
) -> list[dict[str, Any]]:
    """Of each site its calls to leased numbers from ``since`` on and before ``until``: as a whole, then by month.

    ``keys``: only these sites. Months are of the site's own time zone. Calls to numbers that were static then are
    certain, and not in it. What later calls told is in it as far as the last fold knew, or, if ``raw``, all of it.
    """
    span = Period(since, until).span
    listed = []
    for site in live_sites(connection, keys):
        by_month: defaultdict[str, Goodness] = defaultdict(Goodness)
        whole = Goodness()
        for day, found in _days(connection, site.id, site.timezone, span, raw=raw):
            by_month[f"{day:%Y-%m}"].add(found)
            whole.add(found)
        listed.append({"site": site.key, "month": None, **whole.told()})
        listed += [
            {"site": site.key, "month": month, **by_month[month].told()}
            for month in sorted(by_month, reverse=True)
            if by_month[month].calls
        ]
    return listed


def _days(
    connection: Connection, site_id: int, timezone: str, span: Span, *, raw: bool
) -> Iterator[tuple[date, Goodness]]:
    zone = Zone(timezone)
    parts = None if raw else parts_of(connection, site_id, timezone, span)
    if parts is not None:
        kept = rollup_accuracy.c
        statement = select(kept.day, kept.found).where(
            kept.site_id == site_id, kept.day >= parts.first, kept.day < parts.end, kept.day.not_in(parts.without)
        )
        for day, found in connection.execute(statement):
            yield day, Goodness(orjson.loads(found))
        for at, document in documents(connection, site_id, ACCURACY, parts.steps):
            yield zone.day(at), Goodness(document)
    for rest in parts.unknown if parts else [span]:
        yield from judged(connection, site_id, rest, zone.day).items()
