"""The numbers that a site's calls are tracked on: listed, added, moved, removed one by one."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from pbxtrack.access import Right
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.sites import ForceQuery, NumberMove, NumberOfSite, NumbersBody, NumbersOfSite, NumbersQuery
from pbxtrack.api.services import SERVICES
from pbxtrack.api.site_changes import change, site_of
from pbxtrack.api.sites import SITE
from pbxtrack.numbers import InvalidNumber, Number
from pbxtrack.pool.model import NumberKind
from pbxtrack.sitefile.data import Data
from pbxtrack.sitefile.edit import Kind, with_numbers, without_number
from pbxtrack.sitefile.model import Place, Site, ascending
from pbxtrack.web.problems import Problem

_PAGE = 1_000


async def list_site_numbers(request: web.Request, query: NumbersQuery) -> web.Response:
    places = dict((await site_of(request)).numbers())
    after = query.cursor
    order = [one for one in ascending(places) if after is None or (len(one), one) > (len(after), after)]
    page = order[:_PAGE]
    following = page[-1] if len(order) > len(page) else None
    return answer({"items": [_number(number, places[number]) for number in page], "next": following})


async def show_number(request: web.Request) -> web.Response:
    return answer(_found(await site_of(request), _asked(request)))


async def add_numbers(request: web.Request, body: NumbersBody) -> web.Response:
    kind, name = _place(body)
    before = dict((await site_of(request)).numbers())
    site = await change(request, lambda data: with_numbers(data, kind, name, body.numbers), force=False)
    places = dict(site.numbers())
    added = [number for number in ascending(places) if number not in before]
    items = [_number(number, places[number]) for number in added[:_PAGE]]
    return answer({"items": items, "next": added[_PAGE - 1] if len(added) > _PAGE else None}, status=201)


async def move_number(request: web.Request, body: NumberMove, query: ForceQuery) -> web.Response:
    number, (kind, name) = _asked(request), _place(body)

    def edit(data: Data) -> Data:
        return with_numbers(without_number(data, number), kind, name, [number])

    return answer(_found(await change(request, edit, force=query.force), number))


async def delete_number(request: web.Request, query: ForceQuery) -> web.Response:
    number = _asked(request)
    await change(request, lambda data: without_number(data, number), force=query.force)
    return web.Response(status=204)


def _asked(request: web.Request) -> str:
    given = request.match_info["number"]
    try:
        return Number.parse(given, request.app[SERVICES].default_region).e164
    except InvalidNumber:
        raise Problem("not-found", "The site has no such number.") from None


def _place(body: NumbersBody | NumberMove) -> tuple[Kind, str]:
    if (body.pool is None) == (body.channel is None):
        raise Problem("invalid-body", "Name either a pool or a channel.")
    return ("pool", body.pool) if body.pool is not None else ("channel", str(body.channel))


def _found(site: Site, number: str) -> dict[str, Any]:
    place = dict(site.numbers()).get(number)
    if place is None:
        raise Problem("not-found", "The site has no such number.")
    return _number(number, place)


def _number(number: str, place: Place) -> dict[str, Any]:
    return {
        "number": number,
        "kind": place.kind.value,
        "pool": place.name if place.kind is NumberKind.POOL else None,
        "channel": place.name if place.kind is NumberKind.STATIC else None,
    }


_NUMBER = {**SITE, "number": "A number, however written."}
_OWN: dict[str, Any] = {"audience": Audience.MANAGER, "right": Right.CONFIGURE}

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/sites/{site}/numbers",
        handler=list_site_numbers,
        summary="The numbers of a site",
        audience=Audience.MANAGER,
        path_parameters=SITE,
        query=NumbersQuery,
        answer=Answer(200, "A page of numbers.", NumbersOfSite),
        problems=("unknown-site",),
    ),
    Route(
        method="POST",
        path="/api/v1/sites/{site}/numbers",
        handler=add_numbers,
        summary="Add numbers to a pool or a channel",
        path_parameters=SITE,
        body=NumbersBody,
        answer=Answer(201, "The numbers that came.", NumbersOfSite),
        problems=("unknown-site", "not-found", "number-held"),
        **_OWN,
    ),
    Route(
        method="GET",
        path="/api/v1/sites/{site}/numbers/{number}",
        handler=show_number,
        summary="One number",
        audience=Audience.MANAGER,
        path_parameters=_NUMBER,
        answer=Answer(200, "What the number is for.", NumberOfSite),
        problems=("unknown-site", "not-found"),
    ),
    Route(
        method="PATCH",
        path="/api/v1/sites/{site}/numbers/{number}",
        handler=move_number,
        summary="Move a number to another pool or channel of the site",
        path_parameters=_NUMBER,
        query=ForceQuery,
        body=NumberMove,
        answer=Answer(200, "What the number is for now.", NumberOfSite),
        problems=("unknown-site", "not-found", "number-held"),
        **_OWN,
    ),
    Route(
        method="DELETE",
        path="/api/v1/sites/{site}/numbers/{number}",
        handler=delete_number,
        summary="Remove a number",
        path_parameters=_NUMBER,
        query=ForceQuery,
        answer=Answer(204, "It is removed.", content_type=None),
        problems=("unknown-site", "not-found", "number-held"),
        **_OWN,
    ),
)
