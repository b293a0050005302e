"""The reports as pages: what advertising brought, when people call, who answers, how sure all of that is."""

from __future__ import annotations

from aiohttp import web

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.reports import accuracy, costs, curves, deals, grouped, hours, numbers


async def _first(asked: Asked) -> web.StreamResponse:
    return asked.redirect("reports/channels")


PAGES = (
    Page(path="/sites/{site}/reports", handler=_first),
    *grouped.PAGES,
    *hours.PAGES,
    *numbers.PAGES,
    *accuracy.PAGES,
    *curves.PAGES,
    *costs.PAGES,
    *deals.PAGES,
)
