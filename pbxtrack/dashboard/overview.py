"""What the advertising brought: the first page of a site."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.calls.models import Model
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.charts import Bar, bars, scale
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import Format
from pbxtrack.dashboard.periods import Chosen
from pbxtrack.reports.periods import Zone
from pbxtrack.reports.questions import CHANNELS, By
from pbxtrack.storage.reports import Period, answers, totals, trend
from pbxtrack.storage.views import CallFilter, calls_page

_ROWS = 8
_MISSED = 6
_MOST_LABELS = 8


async def show(asked: Asked) -> web.StreamResponse:
    chosen = asked.period
    by = _by(asked.query.get("by"), chosen)
    found = await asked.read(lambda connection: _found(connection, asked, chosen, by))
    return asked.render("overview.html", by=by, steps=list(By), **found)


def _found(connection: Connection, asked: Asked, chosen: Chosen, by: By) -> dict[str, Any]:
    period = asked.calls
    (total,) = totals(connection, period, compare=chosen.comparable)
    steps = _steps(trend(connection, period, by), chosen, by)
    before: list[tuple[datetime, dict[str, Any]]] = []
    if chosen.comparable and by is not By.WEEK:
        earlier = _before(chosen)
        before = _steps(trend(connection, Period(earlier.since, earlier.until, [asked.key]), by), earlier, by)
    channels = answers(connection, CHANNELS, period, Model.LAST_NON_DIRECT, _ROWS + 1)
    missed = CallFilter(since=period.since, until=period.until, sites=[asked.key], unsettled=True)
    return {
        "total": total,
        "channels": channels[:_ROWS],
        "more": len(channels) > _ROWS,
        "missed": calls_page(connection, missed, limit=_MISSED)[0],
        **_chart(asked, steps, before, by),
    }


def _by(asked: str | None, chosen: Chosen) -> By:
    """The steps that are asked for, unless there were too many of them."""
    days = (chosen.last - chosen.first).days + 1
    if asked in list(By) and not (asked == By.HOUR and days > 8) and not (asked == By.DAY and days > 400):
        return By(asked)
    return chosen.by


def _before(chosen: Chosen) -> Chosen:
    """As many days just before."""
    days = chosen.last - chosen.first + timedelta(days=1)
    return Chosen("days", chosen.first - days, chosen.first - timedelta(days=1), chosen.zone, chosen.now)


def _steps(rows: list[dict[str, Any]], chosen: Chosen, by: By) -> list[tuple[datetime, dict[str, Any]]]:
    """Every step of the days with its row; those without calls have an empty one. Steps yet to come are there."""
    found = {datetime.fromisoformat(row["at"]): row for row in rows}
    if chosen.name == "all":
        first = chosen.zone.day(min(found)) if found else chosen.last
    else:
        first = chosen.first
    return [(at, found.get(at, {})) for at in _begins(first, chosen.last, chosen.zone, by)]


def _begins(first: date, last: date, zone: Zone, by: By) -> list[datetime]:
    if by is By.HOUR:
        span = zone.span(first, last + timedelta(days=1))
        hours = int((span.until - span.since) / timedelta(hours=1))
        return [span.since + timedelta(hours=n) for n in range(hours)]
    if by is By.WEEK:
        first -= timedelta(days=first.weekday())
    step = 7 if by is By.WEEK else 1
    return [zone.midnight(first + timedelta(days=n)) for n in range(0, (last - first).days + 1, step)]


def _chart(
    asked: Asked,
    steps: list[tuple[datetime, dict[str, Any]]],
    before: list[tuple[datetime, dict[str, Any]]],
    by: By,
) -> dict[str, Any]:
    f = asked.format
    lines = scale(max([row.get("calls", 0) for _, row in [*steps, *before]], default=0))
    earlier = [row.get("calls", 0) for _, row in before] + [None] * len(steps)
    made, rows = [], []
    for (at, row), was in zip(steps, earlier, strict=False):
        name = _name(f, at, by)
        told = asked.texts.ngettext("%(n)s call", "%(n)s calls", int(row.get("calls", 0))) % {
            "n": f.number(row.get("calls", 0))
        }
        targets = asked.text("target: %(n)s", n=f.number(row.get("target", 0)))
        href = asked.address("calls", **_days(asked, at, by)) if row else None
        made.append(Bar(row.get("calls", 0), row.get("target", 0), was, f"{name}\n{told}\n{targets}", href))
        rows.append((name, row, href))
    return {
        "chart": bars(made, lines[-1]),
        "lines": [f.number(line) for line in reversed(lines)],
        "labels": [_label(f, steps[index][0], by) for index in _spread(len(steps), _MOST_LABELS)],
        "rows": [row for row in rows if row[1]],
    }


def _spread(count: int, most: int) -> list[int]:
    """So many of the places from the first to the last, as even as may be."""
    if count <= most:
        return list(range(count))
    gaps = next((n for n in range(most - 1, 3, -1) if (count - 1) % n == 0), most - 1)
    return [round(n * (count - 1) / gaps) for n in range(gaps + 1)]


def _days(asked: Asked, at: datetime, by: By) -> Mapping[str, str]:
    first = asked.zone.day(at)
    last = first + timedelta(days=6) if by is By.WEEK else first
    query = {"from": first.isoformat(), "to": last.isoformat()}
    return {**query, "hour": f"{asked.zone.local(at):%H}"} if by is By.HOUR else query


def _name(f: Format, at: datetime, by: By) -> str:
    match by:
        case By.HOUR:
            return f.when(at)
        case By.DAY:
            return f.day(at, "EEE, d MMMM y")
        case By.WEEK:
            first = at.astimezone(f.zone).date()
            return f.days(first, first + timedelta(days=6))


def _label(f: Format, at: datetime, by: By) -> str:
    return f.clock(at) if by is By.HOUR else f.day(at, "d MMM")


PAGES = (Page(path="/sites/{site}", handler=show),)
