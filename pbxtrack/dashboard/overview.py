"""What the advertising brought: the first page of a site."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.calls.models import Model
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.charts import Bar, bars, scale
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.periods import Chosen
from pbxtrack.dashboard.reports.kinds import ALWAYS, MODELS, OWN_VISITS
from pbxtrack.dashboard.steps import asked_by, begins, spread, step_label, step_name
from pbxtrack.reports.questions import CHANNELS, By
from pbxtrack.storage.call_search import CallFilter, first_call
from pbxtrack.storage.reports import Period, answers, totals, trend
from pbxtrack.storage.sites import LiveSite
from pbxtrack.storage.views import calls_page

_ROWS = 8
_MISSED = 6
_WAITING = timedelta(days=7)  # later nobody waits any more, and whoever looks at last year sees who waits today
_MOST_LABELS = 8
_MODEL = Model.LAST_NON_DIRECT


async def show(asked: Asked) -> web.StreamResponse:
    chosen = asked.period
    by = asked_by(asked.query.get("by"), chosen)
    found = await asked.read(lambda connection: _found(connection, asked, chosen, by))
    return asked.render("overview.html", by=by, steps=list(By), **found)


def _found(connection: Connection, asked: Asked, chosen: Chosen, by: By) -> dict[str, Any]:
    period = asked.calls
    comparable = chosen.comparable and _is_known(connection, asked.site, period.before().since)
    (total,) = totals(connection, period, compare=comparable)
    steps = _steps(trend(connection, period, by), chosen, by)
    before: list[tuple[datetime, dict[str, Any]]] = []
    more = False
    if comparable and by is not By.WEEK:
        earlier = _before(chosen)
        before = _steps(trend(connection, Period(earlier.since, earlier.until, [asked.key]), by), earlier, by)
    channels = [row for row in answers(connection, CHANNELS, period, _MODEL, _ROWS + 2) if row["calls"]]
    if len(channels) > _ROWS + 1:  # the others are several
        channels, more = channels[:_ROWS], True
    missed = CallFilter(since=asked.now - _WAITING, sites=[asked.key], unsettled=True)
    return {
        "total": total,
        "channels": channels,
        "more": more,
        "told": [MODELS[_MODEL][1], ALWAYS, OWN_VISITS],
        "missed": calls_page(connection, missed, limit=_MISSED)[0],
        **_chart(asked, steps, before, by),
    }


def _is_known(connection: Connection, site: LiveSite | None, since: datetime | None) -> bool:
    """Whether the site had calls by then: what it lacks of a time would be taken for growth since."""
    assert site is not None
    first = first_call(connection, site.id)
    return since is not None and first is not None and first <= since


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
    return [(at, found.get(at, {})) for at in begins(first, chosen.last, chosen.zone, by)]


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
        name = step_name(f, at, by)
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
        "labels": [step_label(f, steps[index][0], by) for index in spread(len(steps), _MOST_LABELS)],
        "rows": [row for row in rows if row[1]],
    }


def _days(asked: Asked, at: datetime, by: By) -> Mapping[str, str]:
    first = asked.zone.day(at)
    last = first + timedelta(days=6) if by is By.WEEK else first
    query = {"from": first.isoformat(), "to": last.isoformat()}
    return {**query, "hour": f"{asked.zone.local(at):%H}"} if by is By.HOUR else query


PAGES = (Page(path="/sites/{site}", handler=show),)
