"""Reports for managers and programs."""

from __future__ import annotations

from aiohttp import web

from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas import AccuracyPage, ReportQuery
from pbxtrack.api.services import SERVICES
from pbxtrack.storage.accuracy import accuracy


async def report_accuracy(request: web.Request, query: ReportQuery) -> web.Response:
    items = await request.app[SERVICES].database.read(
        lambda connection: accuracy(connection, query.since, query.until, query.site)
    )
    return answer({"items": items, "next": None})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/reports/accuracy",
        handler=report_accuracy,
        summary="How good attributions are, by site and month",
        description="Of calls to leased numbers: what the attributions expect of themselves; and, of those calls whose "
        "visitor became known otherwise, how often they were right: the reliability diagram. A call's visitor is known "
        "where people corrected it, where one visitor tapped the number in the half minute before it, or where one of "
        "these tells of another call of the same caller.",
        audience=Audience.MANAGER,
        query=ReportQuery,
        answer=Answer(200, "Of each site, its whole (`month` null), then its months, the latest first.", AccuracyPage),
    ),
)
