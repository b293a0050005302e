"""Calls as they change, as server-sent events."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from pbxtrack.access import Right
from pbxtrack.api.managers import credential, sites_asked, still_may
from pbxtrack.api.routing import Answer, Audience, Route
from pbxtrack.api.schemas.reports import SitesQuery
from pbxtrack.api.services import SERVICES
from pbxtrack.api.watch import WATCH, Listener, sites_wanted
from pbxtrack.storage.changes import Position, changed_since

KEEP_ALIVE = 15.0  # s
CHECK_EVERY = 30.0  # s between looks whether who listens still may
_TICK = 1.0  # s in which it is noticed that the other side is gone
_PATIENCE = 15.0  # s for a listener that does not read
_CONTENT_TYPE = "text/event-stream"
_RESUME = "Last-Event-ID"
_RETRY = b"retry: 2000\n"
_HEADERS = {hdrs.CONTENT_TYPE: _CONTENT_TYPE, "X-Accel-Buffering": "no"}  # nginx would keep events back


async def live(request: web.Request, query: SitesQuery) -> web.StreamResponse:
    wants = sites_wanted(sites_asked(request, query.site))
    response = web.StreamResponse(headers=_HEADERS)
    async with request.app[WATCH].listening(credential(request), wants) as listener:
        message = _RETRY + await _missed(request, listener) + listener.mark()
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            await _stream(request, response, listener, message)
        except ConnectionError:
            pass  # they are gone
        except TimeoutError:  # they do not read: what waits for them would wait for good
            if request.transport is not None:
                request.transport.abort()
    return response


async def _missed(request: web.Request, listener: Listener) -> bytes:
    """What happened since the last event that they know of; nothing for who comes for the first time."""
    last = request.headers.get(_RESUME)
    if not last:
        return b""
    position = Position.parse(last) or Position(2**62, 0)  # none of ours: as one that nobody knows
    return listener.caught_up(
        await request.app[SERVICES].database.read(lambda connection: changed_since(connection, position))
    )


async def _stream(request: web.Request, response: web.StreamResponse, listener: Listener, message: bytes) -> None:
    """Write the message and those that come after it, until one side has enough."""
    clock = asyncio.get_running_loop().time
    checked = written = clock()
    while True:
        if message:
            async with asyncio.timeout(_PATIENCE):
                await response.write(message)
            written = clock()
        following = await listener.next(_TICK)
        if following is None or request.transport is None:
            return
        if clock() - checked >= CHECK_EVERY:
            if not await still_may(request, Right.READ):
                return
            checked = clock()
        message = following or (b": still here\n" + listener.mark() if clock() - written >= KEEP_ALIVE else b"")


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/live",
        handler=live,
        summary="Calls as they change",
        description="Server-sent events, for as long as the connection lasts. `call`: a call began or changed; its data"
        " is the call as the call log lists it, whole. A call may be told of twice. Who loses the connection comes back"
        " with the last `id` in the header `Last-Event-ID`, as browsers do by themselves, and is told what changed"
        " meanwhile; `reload` says that it was too much, and that the log is to be read anew. To miss nothing, open the"
        " stream first, then read the log. Of several `site`s any may fit. The stream ends within a minute when the"
        " token is revoked, the session is over or its sites are others.",
        audience=Audience.MANAGER,
        query=SitesQuery,
        answer=Answer(200, "The events.", content_type=_CONTENT_TYPE),
        problems=("too-many-streams",),
    ),
)
