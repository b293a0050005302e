"""The call log for managers and programs."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aiohttp import web

from pbxtrack.access import Right
from pbxtrack.api.managers import ACCESS, sites_asked
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.calls import CallChanges, CallDetail, CallPage, CallQuery
from pbxtrack.api.services import SERVICES
from pbxtrack.numbers import MAX_LENGTH, InvalidNumber, Number, read_caller
from pbxtrack.storage.annotations import InvalidCorrection, annotate_call
from pbxtrack.storage.call_search import CallFilter
from pbxtrack.storage.views import InvalidCursor, call_detail, calls_page
from pbxtrack.web.problems import Problem

log = structlog.get_logger(__name__)


async def list_calls(request: web.Request, query: CallQuery) -> web.Response:
    services = request.app[SERVICES]
    which = _filter(query, sites_asked(request, query.site), services.default_region)
    try:
        items, following = await services.database.read(
            lambda connection: calls_page(connection, which, query.cursor, query.limit)
        )
    except InvalidCursor as error:
        raise Problem("bad-parameter", f"The parameter cursor: {error}.", parameter="cursor") from None
    return answer({"items": items, "next": following})


async def show_call(request: web.Request) -> web.Response:
    call_id = request.match_info["call"]
    call = await request.app[SERVICES].database.read(lambda connection: call_detail(connection, call_id))
    if call is None or not request[ACCESS].sees(call["site"]):
        raise Problem("not-found", "There is no such call.")
    return answer(call)


async def change_call(request: web.Request, body: CallChanges) -> web.Response:
    services = request.app[SERVICES]
    call_id, access, now = request.match_info["call"], request[ACCESS], services.now()
    changes = body.model_dump(include=body.model_fields_set)
    try:
        call = await services.database.write(
            lambda connection: annotate_call(connection, call_id, changes, access, now, services.default_region)
        )
    except InvalidCorrection as error:
        raise Problem("invalid-body", f"attribution/visit: {error}.") from None
    if call is None:
        raise Problem("not-found", "There is no such call.")
    log.info("call_changed", call=call["id"], changed=sorted(changes), who=access.name)
    return answer(call)


def _filter(query: CallQuery, sites: Sequence[str], region: str) -> CallFilter:
    caller = read_caller(_typed(query.caller), region) if query.caller else None
    return CallFilter(
        since=query.since,
        until=query.until,
        sites=sites,
        channels=query.channel,
        campaigns=query.campaign,
        statuses=[status.value for status in query.status],
        tags=query.tag,
        hour=query.hour,
        caller=caller,
        caller_ends=query.caller_ends,
        withheld=True if query.caller is not None and caller is None else None,
        dialled=_dialled(_typed(query.dialled), region) if query.dialled else None,
        repeat=query.repeat,
        unique=query.unique,
        target=query.target,
        unsettled=query.unsettled,
        min_confidence=query.min_confidence,
        recording=query.recording,
    )


def _dialled(text: str, region: str) -> str:
    """As calls keep it: E.164, or what was dialled where that is no number."""
    try:
        return Number.parse(text, region).e164
    except InvalidNumber:
        return text[:MAX_LENGTH]


def _typed(text: str | None) -> str:
    """What was meant: in an address ``+`` means a space, and few people write ``%2B``."""
    text = text or ""
    return "+" + text[1:] if text.startswith(" ") else text


_CALL = {"call": "The call's `id`."}

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/calls",
        handler=list_calls,
        summary="The call log, newest first",
        audience=Audience.MANAGER,
        query=CallQuery,
        answer=Answer(200, "A page of calls.", CallPage),
    ),
    Route(
        method="GET",
        path="/api/v1/calls/{call}",
        handler=show_call,
        summary="One call",
        audience=Audience.MANAGER,
        path_parameters=_CALL,
        answer=Answer(200, "The call.", CallDetail),
        problems=("not-found",),
    ),
    Route(
        method="PATCH",
        path="/api/v1/calls/{call}",
        handler=change_call,
        summary="Write on a call, and correct it",
        description="Who changed what is kept for good, and shown as `history`. A correction tells "
        "of the caller's later calls, too: they are attributed once more. `pbxtrack rebuild` heeds corrections.",
        audience=Audience.MANAGER,
        right=Right.WRITE,
        body=CallChanges,
        path_parameters=_CALL,
        answer=Answer(200, "The call as it is now.", CallDetail),
        problems=("not-found",),
    ),
)
