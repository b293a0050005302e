"""What advertising cost, for managers and programs."""

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
    CostChanges,
    CostDetail,
    CostItem,
    CostPage,
    CostQuery,
    CostsBody,
    CostsWritten,
    ReplacedBody,
)
from pbxtrack.api.services import SERVICES
from pbxtrack.money.costs import DETAILS, Cost, checked
from pbxtrack.storage.costs import (
    CostConflict,
    CostFilter,
    Replaced,
    change_cost,
    cost_detail,
    costs_page,
    costs_told,
    remove_cost,
    write_costs,
)
from pbxtrack.storage.views import InvalidCursor
from pbxtrack.web.problems import Problem

log = structlog.get_logger(__name__)


async def list_costs(request: web.Request, query: CostQuery) -> web.Response:
    which = CostFilter(query.since, query.until, sites_asked(request, query.site), query.channel)
    try:
        items, following = await request.app[SERVICES].database.read(
            lambda connection: costs_page(connection, which, query.cursor, query.limit)
        )
    except InvalidCursor as error:
        raise Problem("bad-parameter", f"The parameter cursor: {error}.", parameter="cursor") from None
    return answer({"items": items, "next": following})


async def add_costs(request: web.Request, body: CostsBody) -> web.Response:
    services = request.app[SERVICES]
    access, now = request[ACCESS], services.now()
    wanted, replaced = _costs(body.items), _replaced(body.replace)

    def write(connection: Connection) -> dict[str, Any]:
        site_id = site_to_write(connection, access, body.site)
        plan, ids = write_costs(connection, site_id, wanted, access.name, now, replaced)
        return {**plan.counts(), "items": costs_told(connection, ids)}

    try:
        done = await services.database.write(write)
    except CostConflict as error:
        raise Problem("conflict", f"{error}.") from None
    log.info("costs_written", site=body.site, who=access.name, **{name: done[name] for name in done if name != "items"})
    return answer(done)


async def show_cost(request: web.Request) -> web.Response:
    cost_id, access = row_id(request, "cost"), request[ACCESS]
    found = await request.app[SERVICES].database.read(lambda connection: cost_detail(connection, cost_id, access))
    if found is None:
        raise Problem("not-found", "There is no such cost.")
    return answer(found)


async def patch_cost(request: web.Request, body: CostChanges) -> web.Response:
    services = request.app[SERVICES]
    cost_id, access, now = row_id(request, "cost"), request[ACCESS], services.now()
    changes = body.model_dump(include=body.model_fields_set)
    changes |= {name: changes[name] or "" for name in DETAILS if name in changes}
    try:
        found = await services.database.write(lambda connection: change_cost(connection, cost_id, changes, access, now))
    except CostConflict as error:
        raise Problem("conflict", f"{error}.") from None
    except ValueError as error:
        raise Problem("invalid-body", f"{error}.") from None
    if found is None:
        raise Problem("not-found", "There is no such cost.")
    log.info("cost_changed", cost=cost_id, changed=sorted(changes), who=access.name)
    return answer(found)


async def delete_cost(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    cost_id, access, now = row_id(request, "cost"), request[ACCESS], services.now()
    if not await services.database.write(lambda connection: remove_cost(connection, cost_id, access, now)):
        raise Problem("not-found", "There is no such cost.")
    log.info("cost_removed", cost=cost_id, who=access.name)
    return web.Response(status=204)


def _costs(items: list[CostItem]) -> list[Cost]:
    """The costs of a request; Problem where one cannot be, or two are of the same."""
    costs, wrong = [], []
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        details = {name: getattr(item, name) or "" for name in DETAILS}
        try:
            cost = checked(Cost(item.first, item.last or item.first, item.channel, item.amount, **details))
            if (same := seen.setdefault(cost.key, index)) != index:
                raise ValueError(f"has the same days, channel and campaign as the item {same}")
        except ValueError as error:
            wrong.append({"at": f"items/{index}", "message": str(error)})
        else:
            costs.append(cost)
    if wrong:
        raise Problem("invalid-body", f"{wrong[0]['at']}: {wrong[0]['message']}.", errors=wrong[:20])
    return costs


def _replaced(body: ReplacedBody | None) -> Replaced | None:
    return Replaced(body.first, body.last, body.channel) if body else None


_COST = {"cost": "The cost's `id`."}

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/costs",
        handler=list_costs,
        summary="What advertising cost, the latest days first",
        audience=Audience.MANAGER,
        query=CostQuery,
        answer=Answer(200, "A page of costs.", CostPage),
    ),
    Route(
        method="POST",
        path="/api/v1/costs",
        handler=add_costs,
        summary="Write costs, all or none",
        description="One of the same days, channel, source, medium, campaign and term as one that is there takes its "
        "place, so that the same request twice is as one. `replace` also removes what is there of a period and is not "
        "in the request.",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        body=CostsBody,
        max_body=MAX_BODY,
        answer=Answer(200, "What was done.", CostsWritten),
        problems=("unknown-site", "conflict"),
    ),
    Route(
        method="GET",
        path="/api/v1/costs/{cost}",
        handler=show_cost,
        summary="One cost, and who changed what of it",
        audience=Audience.MANAGER,
        path_parameters=_COST,
        answer=Answer(200, "The cost.", CostDetail),
        problems=("not-found",),
    ),
    Route(
        method="PATCH",
        path="/api/v1/costs/{cost}",
        handler=patch_cost,
        summary="Change a cost",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        body=CostChanges,
        path_parameters=_COST,
        answer=Answer(200, "The cost as it is now.", CostDetail),
        problems=("not-found", "conflict"),
    ),
    Route(
        method="DELETE",
        path="/api/v1/costs/{cost}",
        handler=delete_cost,
        summary="Remove a cost",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        path_parameters=_COST,
        answer=Answer(204, "It is gone.", content_type=None),
        problems=("not-found",),
    ),
)
