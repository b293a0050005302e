"""What each advertising channel brought, by a model that the reader chooses."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from pbxtrack.calls.models import LOOKBACK, Model, Touchpoint, credit
from pbxtrack.storage.tables import calls, sites, visits
from pbxtrack.storage.views import came_in, channel_told, is_target

_COUNTED = ("calls", "answered", "unique", "target")
_DIRECT = "(none)"  # the medium of a visit that nothing brought
_visit_id = func.coalesce(calls.c.corrected_visit_id, calls.c.visit_id)


def channels(
    connection: Connection,
    model: Model,
    since: datetime | None = None,
    until: datetime | None = None,
    keys: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Of each site's channels the calls that are credited to them, in parts of calls; those with most first.

    A call to a channel's own number is the channel's, whatever the model; so is one that people corrected to a channel.
    What nobody can tell is in a row whose channel is None. ``keys``: of these sites only.
    """
    conditions = [*came_in(since, until), sites.c.removed_at.is_(None)]
    if keys:
        conditions.append(sites.c.key.in_(list(keys)))
    rows = connection.execute(
        select(
            sites.c.key,
            calls.c.started_at,
            channel_told.label("channel"),
            and_(calls.c.corrected_channel.is_not(None), calls.c.corrected_visit_id.is_(None)).label("told"),
            calls.c.answered_at.is_not(None).label("answered"),
            calls.c.is_unique.label("unique"),
            is_target.label("target"),
            visits.c.visitor_id,
            visits.c.site_id,
            visits.c.started_at.label("visited_at"),
        )
        .join_from(calls, sites, sites.c.id == calls.c.site_id)
        .outerjoin(visits, visits.c.id == _visit_id)
        .where(*conditions)
    ).all()
    history = _history(connection, conditions)
    sums: defaultdict[tuple[str, str | None], list[float]] = defaultdict(lambda: [0.0] * len(_COUNTED))
    for row in rows:
        counted = (1, row.answered, row.unique, row.target)
        for channel, part in _credit(row, history, model):
            line = sums[row.key, channel]
            for index, one in enumerate(counted):
                line[index] += part * one
    items = [
        {"site": site, "channel": channel, **{name: round(n, 2) for name, n in zip(_COUNTED, line, strict=True)}}
        for (site, channel), line in sums.items()
    ]
    return sorted(items, key=lambda item: (item["site"], -item["calls"], item["channel"] or ""))


_History = dict[tuple[int, str], list[tuple[datetime, Touchpoint]]]


def _history(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> _History:
    """The visits of everybody who called, by time."""
    callers = (
        select(visits.c.site_id, visits.c.visitor_id)
        .join_from(calls, sites, sites.c.id == calls.c.site_id)
        .join(visits, visits.c.id == _visit_id)
        .where(*conditions)
        .distinct()
        .subquery()
    )
    found: defaultdict[tuple[int, str], list[tuple[datetime, Touchpoint]]] = defaultdict(list)
    for row in connection.execute(
        select(visits.c.site_id, visits.c.visitor_id, visits.c.started_at, visits.c.channel, visits.c.medium)
        .join(callers, and_(callers.c.visitor_id == visits.c.visitor_id, callers.c.site_id == visits.c.site_id))
        .order_by(visits.c.started_at, visits.c.id)
    ):
        touchpoint = Touchpoint(row.channel, row.medium == _DIRECT)
        found[row.site_id, row.visitor_id].append((row.started_at, touchpoint))
    return found


def _credit(row: Row[Any], history: _History, model: Model) -> list[tuple[str | None, float]]:
    if row.visitor_id is None or row.told:
        return [(row.channel, 1.0)]
    of_visitor = history[row.site_id, row.visitor_id]
    end = bisect_right(of_visitor, row.visited_at, key=lambda one: one[0])
    before = [touchpoint for at, touchpoint in of_visitor[:end] if at >= row.started_at - LOOKBACK]
    return list(credit(before, model).items()) or [(row.channel, 1.0)]
