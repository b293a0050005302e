"""What contacts bought, for managers and programs."""

from __future__ import annotations

from typing import Any

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import Right
from pbxtrack.api.managers import ACCESS, row_id, site_to_write, sites_asked
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.money import (
    MAX_BODY,
    DealChanges,
    DealDetail,
    DealPage,
    DealQuery,
    DealsBody,
    DealsWritten,
)
from pbxtrack.api.services import SERVICES
from pbxtrack.storage.deal_views import DealFilter, deal_detail, deals_page, deals_told
from pbxtrack.storage.deals import DealConflict, InvalidDeals, change_deal, remove_deal, write_deals
from pbxtrack.storage.views import InvalidCursor
from pbxtrack.web.problems import Problem

log = structlog.get_logger(__name__)


async def list_deals(request: web.Request, query: DealQuery) -> web.Response:
    statuses = [status.value for status in query.status]
    which = DealFilter(query.since, query.until, sites_asked(request, query.site), query.channel, statuses)
    try:
        items, following = await request.app[SERVICES].database.read(
            lambda connection: deals_page(connection, which, query.cursor, query.limit)
        )
    except InvalidCursor as error:
        raise Problem("bad-parameter", f"The parameter cursor: {error}.", parameter="cursor") from None
    return answer({"items": items, "next": following})


async def add_deals(request: web.Request, body: DealsBody) -> web.Response:
    services = request.app[SERVICES]
    access, now = request[ACCESS], services.now()
    wanted = [item.model_dump(include=item.model_fields_set) for item in body.items]

    def write(connection: Connection) -> dict[str, Any]:
        site_id = site_to_write(connection, access, body.site)
        added, ids = write_deals(connection, site_id, wanted, access.name, now, services.default_region)
        return {"added": added, "items": deals_told(connection, ids)}

    try:
        done = await services.database.write(write)
    except InvalidDeals as error:
        raise _misfit(error, "items/{}") from None
    log.info("deals_written", site=body.site, who=access.name, deals=len(done["items"]), added=done["added"])
    return answer(done)


async def show_deal(request: web.Request) -> web.Response:
    deal_id, access = row_id(request, "deal"), request[ACCESS]
    found = await request.app[SERVICES].database.read(lambda connection: deal_detail(connection, deal_id, access))
    if found is None:
        raise Problem("not-found", "There is no such deal.")
    return answer(found)


async def patch_deal(request: web.Request, body: DealChanges) -> web.Response:
    services = request.app[SERVICES]
    deal_id, access, now = row_id(request, "deal"), request[ACCESS], services.now()
    changes = body.model_dump(include=body.model_fields_set)
    try:
        found = await services.database.write(
            lambda connection: change_deal(connection, deal_id, changes, access, now, services.default_region)
        )
    except DealConflict as error:
        raise Problem("conflict", f"{error}.") from None
    except InvalidDeals as error:
        raise _misfit(error, "") from None
    if found is None:
        raise Problem("not-found", "There is no such deal.")
    log.info("deal_changed", deal=deal_id, changed=sorted(changes), who=access.name)
    return answer(found)


async def delete_deal(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    deal_id, access, now = row_id(request, "deal"), request[ACCESS], services.now()
    if not await services.database.write(lambda connection: remove_deal(connection, deal_id, access, now)):
        raise Problem("not-found", "There is no such deal.")
    log.info("deal_removed", deal=deal_id, who=access.name)
    return web.Response(status=204)


def _misfit(error: InvalidDeals, place: str) -> Problem:
    errors = [
        {"at": "/".join(part for part in (place.format(index), name) if part), "message": message}
        for index, name, message in error.wrong[:20]
    ]
    return Problem("invalid-body", f"{errors[0]['at'] or 'the body'}: {errors[0]['message']}.", errors=errors)


_DEAL = {"deal": "The deal's `id`."}

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/deals",
        handler=list_deals,
        summary="What contacts bought, the latest first",
        audience=Audience.MANAGER,
        query=DealQuery,
        answer=Answer(200, "A page of deals.", DealPage),
    ),
    Route(
        method="POST",
        path="/api/v1/deals",
        handler=add_deals,
        summary="Write deals, all or none",
        description="One whose `external_id` is known changes. A new one needs one of `contact`, `call` and `caller`, "
        "of somebody who has called the site.",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        body=DealsBody,
        max_body=MAX_BODY,
        answer=Answer(200, "The deals.", DealsWritten),
        problems=("unknown-site",),
    ),
    Route(
        method="GET",
        path="/api/v1/deals/{deal}",
        handler=show_deal,
        summary="One deal, and who changed what of it",
        audience=Audience.MANAGER,
        path_parameters=_DEAL,
        answer=Answer(200, "The deal.", DealDetail),
        problems=("not-found",),
    ),
    Route(
        method="PATCH",
        path="/api/v1/deals/{deal}",
        handler=patch_deal,
        summary="Change a deal",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        body=DealChanges,
        path_parameters=_DEAL,
        answer=Answer(200, "The deal as it is now.", DealDetail),
        problems=("not-found", "conflict"),
    ),
    Route(
        method="DELETE",
        path="/api/v1/deals/{deal}",
        handler=delete_deal,
        summary="Remove a deal",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        path_parameters=_DEAL,
        answer=Answer(204, "It is gone.", content_type=None),
        problems=("not-found",),
    ),
)
