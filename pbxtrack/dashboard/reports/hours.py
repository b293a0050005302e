"""At which hours of the week people call, and at which nobody answers them: a map of 168 hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import Format
from pbxtrack.dashboard.reports.columns import OF_CALLS
from pbxtrack.dashboard.reports.frame import as_csv, csv_head, framed, is_csv
from pbxtrack.storage.reports import hours_of_week

SHADES = 9
"""Shades of a cell; the tenth is none at all."""
ENOUGH = 5
"""Calls in an hour, from which on the share of the missed says something."""


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the week, Monday is 1; ``missed`` are those of its calls that nobody answered."""

    weekday: int
    hour: int
    calls: int = 0
    missed: int = 0

    @property
    def lost(self) -> float | None:
        """The share of the missed; None where there are too few calls to tell."""
        return self.missed / self.calls if self.calls >= ENOUGH else None


@dataclass(frozen=True, slots=True)
class Shaded:
    """A cell: what it says, how dark it is (0 to :data:`SHADES`), and what is told of it besides."""

    text: str
    shade: int
    tip: str


def week(rows: Sequence[Mapping[str, Any]]) -> list[list[Hour]]:
    """Every hour of every day, from Monday on; those without calls, too."""
    found = {(row["weekday"], row["hour"]): row for row in rows}

    def hour(weekday: int, hour: int) -> Hour:
        row = found.get((weekday, hour))
        return Hour(weekday, hour, row["calls"], row["missed"]) if row else Hour(weekday, hour)

    return [[hour(weekday, at) for at in range(24)] for weekday in range(1, 8)]


def together(hours: Sequence[Hour]) -> Hour:
    """Hours as one."""
    return Hour(hours[0].weekday, hours[0].hour, sum(one.calls for one in hours), sum(one.missed for one in hours))


def shade(value: float | None, most: float) -> int:
    """How dark a value is, where the darkest is ``most``; only nothing is without any shade."""
    if not value or most <= 0:
        return 0
    return max(1, min(SHADES, round(value / most * SHADES)))


def busiest(hours: Sequence[Hour]) -> Hour | None:
    """The hour with most calls; None without calls."""
    found = max(hours, key=lambda one: one.calls)
    return found if found.calls else None


def worst(hours: Sequence[Hour]) -> Hour | None:
    """The hour in which most calls were missed; None where none was."""
    found = max(hours, key=lambda one: (one.missed, -one.calls))
    return found if found.missed else None


async def show(asked: Asked) -> web.StreamResponse:
    rows = await asked.read(lambda connection: hours_of_week(connection, asked.calls))
    if is_csv(asked):
        heads = (asked.text("Day of the week, 1 is Monday"), asked.text("Hour"))
        names = ("weekday", "hour", *(column.name for column in OF_CALLS))
        return as_csv(
            asked,
            "hours",
            [*heads, *(csv_head(asked, column) for column in OF_CALLS)],
            ([row[name] for name in names] for row in rows),
        )
    by_missed = asked.query.get("by") == "missed"
    days = week(rows)
    every = [hour for day in days for hour in day]
    most = 1.0 if by_missed else max(hour.calls for hour in every)
    f = asked.format

    def cell(hour: Hour) -> Shaded:
        when = f"{f.weekday(hour.weekday)}, {_from_to(hour.hour)}"
        calls = asked.texts.ngettext("%(n)s call", "%(n)s calls", hour.calls) % {"n": f.number(hour.calls)}
        tip = f"{when}\n{calls}\n{asked.text('missed: %(n)s', n=f.number(hour.missed))}" if hour.calls else when
        return Shaded(_text(f, hour, by_missed), shade(hour.lost if by_missed else hour.calls, most), tip)

    return framed(
        asked,
        "hours",
        "hours.html",
        by_missed=by_missed,
        rows=[
            (f.weekday(day[0].weekday), [cell(hour) for hour in day], _text(f, together(day), by_missed))
            for day in days
        ],
        hours=[(f"{at:02}", _text(f, together([day[at] for day in days]), by_missed)) for at in range(24)],
        total=_text(f, together(every), by_missed),
        sentences=_sentences(asked, every),
        shades=range(SHADES + 1),
        enough=ENOUGH,
    )


def _text(f: Format, hour: Hour, by_missed: bool) -> str:
    if not hour.calls:
        return ""
    if not by_missed:
        return f.number(hour.calls)
    return f.number(round(hour.lost * 100)) if hour.lost is not None else "·"


def _from_to(hour: int) -> str:
    return f"{hour:02}:00–{(hour + 1) % 24:02}:00"


def _sentences(asked: Asked, every: Sequence[Hour]) -> list[str]:
    """What the map says, in words."""
    f, total, found = asked.format, together(every), []
    if busy := busiest(every):
        found.append(
            asked.text(
                "Most calls: %(day)s, %(hours)s – %(calls)s, or %(share)s of all.",
                day=f.weekday(busy.weekday, wide=True),
                hours=_from_to(busy.hour),
                calls=f.number(busy.calls),
                share=f.percent(busy.calls / total.calls, 1),
            )
        )
    if bad := worst(every):
        found.append(
            asked.text(
                "Most missed calls: %(day)s, %(hours)s – %(missed)s of %(calls)s, or %(share)s.",
                day=f.weekday(bad.weekday, wide=True),
                hours=_from_to(bad.hour),
                missed=f.number(bad.missed),
                calls=f.number(bad.calls),
                share=f.percent(bad.missed / bad.calls),
            )
        )
    return found


PAGES = (Page(path="/sites/{site}/reports/hours", handler=show),)
