"""What all pages of reports share: the way from one to another, and how they are sent as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.languages import csv_divider
from pbxtrack.dashboard.reports.columns import Column, Kind
from pbxtrack.dashboard.reports.kinds import OF_MONEY, TITLES
from pbxtrack.spreadsheet import BOM, csv_line

_KEPT = ("model", "compare", "columns")


@dataclass(frozen=True, slots=True)
class Other:
    """A report to go on to."""

    title: str
    href: str
    current: bool


def framed(asked: Asked, name: str, template: str, **values: Any) -> web.Response:
    """The page of the report of that name."""
    kept = {of: asked.query[of] for of in _KEPT if of in asked.query}
    others = [
        Other(asked.text(title), asked.address(f"reports/{other}", **kept), other == name)
        for other, title in TITLES.items()
    ]
    others += [Other(asked.text(title), asked.address(other), other == name) for other, title in OF_MONEY.items()]
    title = asked.text({**TITLES, **OF_MONEY}[name])
    return asked.render(f"reports/{template}", name=name, title=title, others=others, **values)


def as_csv(asked: Asked, name: str, heads: Sequence[str], lines: Iterable[Sequence[object]]) -> web.Response:
    """The report as a file, named for the site and the days."""
    period = asked.period
    days = "all" if period.name == "all" else f"{period.first}-{period.last}"
    divider = csv_divider(asked.language)
    body = BOM + "".join(csv_line(line, divider) for line in (heads, *lines))
    response = web.Response(text=body, content_type="text/csv", charset="utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{asked.key}-{name}-{days}.csv"'
    response.enable_compression()
    return response


def csv_head(asked: Asked, column: Column) -> str:
    """What a file calls a column: as the page does, with the unit of lengths of time."""
    name = asked.text(column.head)
    return asked.text("%(name)s, s", name=name) if column.kind in (Kind.CLOCK, Kind.SPELT) else name


def is_csv(asked: Asked) -> bool:
    """Whether the file is asked for, and not the page."""
    return asked.query.get("format") == "csv"
