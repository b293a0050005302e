"""Reports for managers and programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.api.managers import sites_asked
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.reports import (
    AccuracyPage,
    CampaignsPage,
    ChannelsPage,
    CurvesPage,
    HoursPage,
    KeywordsPage,
    ModelQuery,
    NumbersPage,
    OperatorsPage,
    PagesPage,
    RegionsPage,
    ReportQuery,
    SitesQuery,
    TotalsPage,
    TotalsQuery,
    TrendPage,
    TrendQuery,
)
from pbxtrack.api.services import SERVICES
from pbxtrack.reports.questions import CAMPAIGNS, CHANNELS, KEYWORDS, OPERATORS, PAGES, REGIONS, Question
from pbxtrack.storage import curves
from pbxtrack.storage.accuracy import accuracy
from pbxtrack.storage.reports import Period, answers, hours_of_week, totals, trend
from pbxtrack.storage.strangers import pool_numbers
from pbxtrack.web.problems import Problem


async def report_accuracy(request: web.Request, query: ReportQuery) -> web.Response:
    sites = sites_asked(request, query.site)
    return await _listed(request, lambda connection: accuracy(connection, query.since, query.until, sites))


async def report_numbers(request: web.Request, query: ReportQuery) -> web.Response:
    now, sites = request.app[SERVICES].now(), sites_asked(request, query.site)
    return await _listed(request, lambda connection: pool_numbers(connection, now, query.since, query.until, sites))


async def report_curves(request: web.Request, query: SitesQuery) -> web.Response:
    sites = sites_asked(request, query.site)
    return await _listed(request, lambda connection: curves.shown(connection, sites))


async def report_hours(request: web.Request, query: ModelQuery) -> web.Response:
    period = _period(request, query)
    return await _listed(request, lambda connection: hours_of_week(connection, period))


async def report_trend(request: web.Request, query: TrendQuery) -> web.Response:
    period = _period(request, query)
    return await _listed(request, lambda connection: trend(connection, period, query.by))


async def report_totals(request: web.Request, query: TotalsQuery) -> web.Response:
    if query.compare and query.since is None:
        raise Problem("bad-parameter", "The parameter compare needs since.", parameter="compare")
    period = _period(request, query)
    if query.compare and period.until is None:
        period = replace(period, until=request.app[SERVICES].now())
    return await _listed(request, lambda connection: totals(connection, period, compare=query.compare))


async def _listed(request: web.Request, read: Callable[[Connection], Sequence[Mapping[str, Any]]]) -> web.Response:
    """All that a report reads, in one page."""
    items = await request.app[SERVICES].database.read(read)
    return answer({"items": items, "next": None})


def _period(request: web.Request, query: ReportQuery) -> Period:
    return Period(query.since, query.until, sites_asked(request, query.site))


def _answering(question: Question) -> Callable[[web.Request, ModelQuery], Awaitable[web.Response]]:
    async def report(request: web.Request, query: ModelQuery) -> web.Response:
        period = _period(request, query)
        return await _listed(
            request, lambda connection: answers(connection, question, period, query.model, query.limit)
        )

    report.__name__ = f"report_{question.name}"
    return report


_CREDITED = (
    "A call is credited to visits of whoever called, by a model; one to a channel's own number, or that people said "
    "was a channel's, is the channel's whatever the model. Figures are parts of calls then, and add up to the calls."
)
_OF_THE_CALL = "The model makes no difference."
_ANSWERED = (
    (CHANNELS, "What each advertising channel brought", _CREDITED, ChannelsPage),
    (CAMPAIGNS, "What each campaign brought", _CREDITED, CampaignsPage),
    (KEYWORDS, "What each keyword brought", _CREDITED, KeywordsPage),
    (PAGES, "What each landing page brought", _CREDITED, PagesPage),
    (REGIONS, "From which regions people called", f"Of the visit that a call is tied to. {_OF_THE_CALL}", RegionsPage),
    (OPERATORS, "Who answered, how soon, and for how long", _OF_THE_CALL, OperatorsPage),
)

ROUTES = (
    *(
        Route(
            method="GET",
            path=f"/api/v1/reports/{question.name}",
            handler=_answering(question),
            summary=summary,
            description=description,
            audience=Audience.MANAGER,
            query=ModelQuery,
            answer=Answer(200, "Of each site its rows, those with most calls first.", page),
        )
        for question, summary, description, page in _ANSWERED
    ),
    Route(
        method="GET",
        path="/api/v1/reports/hours",
        handler=report_hours,
        summary="At which hours of the week people call",
        description=f"By the site's clocks; hours without calls are left out. {_OF_THE_CALL}",
        audience=Audience.MANAGER,
        query=ModelQuery,
        answer=Answer(200, "Of each site its hours, from Monday on.", HoursPage),
    ),
    Route(
        method="GET",
        path="/api/v1/reports/trend",
        handler=report_trend,
        summary="How calls became more or fewer",
        description="By hours, days or weeks of the site's clocks; those without calls are left out.",
        audience=Audience.MANAGER,
        query=TrendQuery,
        answer=Answer(200, "Of each site its steps, by time.", TrendPage),
    ),
    Route(
        method="GET",
        path="/api/v1/reports/totals",
        handler=report_totals,
        summary="All calls of a period, and of the period before",
        audience=Audience.MANAGER,
        query=TotalsQuery,
        answer=Answer(200, "A row for each site.", TotalsPage),
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
        "these tells of a later call of the same caller.",
        audience=Audience.MANAGER,
        query=ReportQuery,
        answer=Answer(200, "Of each site, its whole (`month` null), then its months, the latest first.", AccuracyPage),
    ),
)
