"""Reports for managers and programs."""

from __future__ import annotations

from aiohttp import web

from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas import (
    AccuracyPage,
    ChannelsPage,
    ChannelsQuery,
    CurvesPage,
    NumbersPage,
    ReportQuery,
    SitesQuery,
)
from pbxtrack.api.services import SERVICES
from pbxtrack.storage import curves
from pbxtrack.storage.accuracy import accuracy
from pbxtrack.storage.channels import channels
from pbxtrack.storage.strangers import pool_numbers


async def report_accuracy(request: web.Request, query: ReportQuery) -> web.Response:
    items = await request.app[SERVICES].database.read(
        lambda connection: accuracy(connection, query.since, query.until, query.site)
    )
    return answer({"items": items, "next": None})


async def report_numbers(request: web.Request, query: ReportQuery) -> web.Response:
    services = request.app[SERVICES]
    items = await services.database.read(
        lambda connection: pool_numbers(connection, services.now(), query.since, query.until, query.site)
    )
    return answer({"items": items, "next": None})


async def report_curves(request: web.Request, query: SitesQuery) -> web.Response:
    items = await request.app[SERVICES].database.read(lambda connection: curves.shown(connection, query.site))
    return answer({"items": items, "next": None})


async def report_channels(request: web.Request, query: ChannelsQuery) -> web.Response:
    items = await request.app[SERVICES].database.read(
        lambda connection: channels(connection, query.model, query.since, query.until, query.site)
    )
    return answer({"items": items, "next": None})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/reports/channels",
        handler=report_channels,
        summary="What each advertising channel brought",
        description="A call to a channel's own number is the channel's, whatever the model.",
        audience=Audience.MANAGER,
        query=ChannelsQuery,
        answer=Answer(200, "Of each site the channels, those with most calls first.", ChannelsPage),
    ),
    Route(
        method="GET",
        path="/api/v1/reports/curves",
        handler=report_curves,
        summary="What attribution weighs by: how soon visitors call",
        audience=Audience.MANAGER,
        query=SitesQuery,
        answer=Answer(200, "The latest curves of each site.", CurvesPage),
    ),
    Route(
        method="GET",
        path="/api/v1/reports/numbers",
        handler=report_numbers,
        summary="The pools' numbers, and which of them leaked",
        description="A number that many strangers call, steadily and far more often than the others of its pool, is "
        "known outside: in a listing, or to robots. Taken out of the pool in the site file, it confuses nothing any "
        "more. Without `since`, of thirty days.",
        audience=Audience.MANAGER,
        query=ReportQuery,
        answer=Answer(200, "Those that leaked first, then those with most calls.", NumbersPage),
    ),
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
