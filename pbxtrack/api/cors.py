"""Cross-origin requests of websites: answered to a site's own origins only, without cookies or credentials."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import hdrs, web

from pbxtrack.api.services import ORIGINS
from pbxtrack.web.problems import Problem

_ALLOWED = web.RequestKey("ALLOWED", str)
_ASKED = web.RequestKey("ASKED", bool)
_READABLE = "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"
_REMEMBER_SECONDS = "600"


async def admit(request: web.Request) -> None:
    """Let a request pass that comes from some site's origin, or from no browser; Problem for any other.

    Which site it asks for is not known yet: see :func:`admit_to`.
    """
    request[_ASKED] = True
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return
    if len(request.headers.getall(hdrs.ORIGIN)) > 1 or not await request.app[ORIGINS].anywhere(origin):
        raise _foreign()
    request[_ALLOWED] = origin


async def admit_to(request: web.Request, site: str) -> None:
    """Let a request pass that was admitted, if its origin is one of this very site's."""
    origin = request.get(_ALLOWED)
    if origin is not None and not await request.app[ORIGINS].of_site(origin, site):
        raise refuse(request)


async def sites(request: web.Request) -> Collection[str] | None:
    """The keys of the sites that a request which was admitted may speak for; None: of any."""
    origin = request.get(_ALLOWED)
    return None if origin is None else await request.app[ORIGINS].sites_of(origin)


def refuse(request: web.Request) -> Problem:
    """The answer to a request that was admitted and asks for another site than its own: its page is not to read it."""
    request.pop(_ALLOWED, None)
    return _foreign()


async def preflight(request: web.Request) -> web.Response:
    """OPTIONS: may a page of this origin POST here?"""
    await admit(request)
    headers = {hdrs.ALLOW: "OPTIONS, POST"}
    if _ALLOWED in request:
        headers |= {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Content-Type",
            hdrs.ACCESS_CONTROL_MAX_AGE: _REMEMBER_SECONDS,
        }
    return web.Response(status=204, headers=headers)


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Mark the answer, good or bad, as readable by the origin that was admitted."""
    if _ASKED not in request:
        return
    response.headers[hdrs.VARY] = "Origin"
    if _ALLOWED in request:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request[_ALLOWED]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _READABLE


def _foreign() -> Problem:
    return Problem("foreign-origin", "Add the origin to the site's `origins` if the page is yours.")
