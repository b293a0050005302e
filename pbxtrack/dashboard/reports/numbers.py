"""The pools' numbers: how often each was called, and which are known to people who were never shown them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.reports.frame import as_csv, framed, is_csv
from pbxtrack.storage.strangers import pool_numbers

COLUMNS = (
    ("calls", marked("Calls")),
    ("strangers", marked("Calls of strangers")),
    ("strange_callers", marked("Strangers")),
    ("days", marked("Days with strangers")),
)
_IN_FILE = (("pool", marked("Pool")), ("number", marked("Number")), *COLUMNS)


async def show(asked: Asked) -> web.StreamResponse:
    period = asked.calls
    items = await asked.read(lambda connection: pool_numbers(connection, asked.now, *_times(asked), period.keys))
    if is_csv(asked):
        yes, no = asked.text("yes"), asked.text("no")
        return as_csv(
            asked,
            "numbers",
            [*(asked.text(head) for _, head in _IN_FILE), asked.text("Known outside")],
            ([*(item[name] for name, _ in _IN_FILE), yes if item["leaked"] else no] for item in items),
        )
    leaked = [item for item in items if item["leaked"]]
    return framed(
        asked,
        "numbers",
        "numbers.html",
        columns=COLUMNS,
        items=items,
        total=sums(items),
        leaked=[asked.format.phone(item["number"]) for item in leaked],
    )


def _times(asked: Asked) -> tuple[Any, Any]:
    return asked.period.span.since, asked.period.until


def sums(items: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """What adds up over numbers: calls. Callers and days may be the same of several."""
    return {name: sum(item[name] for item in items) for name in ("calls", "strangers")}


PAGES = (Page(path="/sites/{site}/reports/numbers", handler=show),)
