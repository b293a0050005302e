"""The HTTP API as an aiohttp application."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiohttp import hdrs, web
from multidict import istr

from pbxtrack.api import (
    calls,
    contacts,
    cors,
    costs,
    deals,
    leases,
    live,
    openapi,
    people,
    recordings,
    reports,
    routing,
    site_numbers,
    site_parts,
    sites,
    status,
)
from pbxtrack.api.kept import Kept
from pbxtrack.api.origins import Origins
from pbxtrack.api.page import PAGE, render
from pbxtrack.api.routing import Audience
from pbxtrack.api.services import (
    ADDRESS_LIMITER,
    ADDRESSES,
    ORIGINS,
    RENEW_ADDRESS_LIMITER,
    RENEW_LEASE_LIMITER,
    SERVICES,
    SHARES,
    SITE_LIMITER,
    Services,
)
from pbxtrack.api.shares import Shares
from pbxtrack.api.snippet import route as snippet
from pbxtrack.api.watch import WATCH, Watch
from pbxtrack.web import problems
from pbxtrack.web.client_address import ClientAddresses
from pbxtrack.web.limits import Limiter
from pbxtrack.web.server import HEAD_SECONDS, Runner, room_for_connections

ROUTES = (
    *snippet.ROUTES,
    *leases.ROUTES,
    *calls.ROUTES,
    *recordings.ROUTES,
    *contacts.ROUTES,
    *live.ROUTES,
    *costs.ROUTES,
    *deals.ROUTES,
    *reports.ROUTES,
    *sites.ROUTES,
    *site_parts.ROUTES,
    *site_numbers.ROUTES,
    *people.ROUTES,
    *status.ROUTES,
)

_KEEP_ALIVE = 75.0  # seconds
_DRAIN = 5.0  # seconds that requests under way are given when the service stops
_HEADERS: Mapping[str, str] = {
    istr("X-Content-Type-Options"): "nosniff",
    istr("X-Frame-Options"): "DENY",
    istr("Referrer-Policy"): "no-referrer",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    hdrs.CACHE_CONTROL: "no-store",
}


def create_app(services: Services) -> web.Application:
    """The application; it opens and closes nothing that is not its own."""
    app = web.Application(middlewares=[problems.middleware], client_max_size=routing.MAX_BODY)
    app[SERVICES] = services
    app[ORIGINS] = Origins(services.database)
    app[snippet.PAGES] = Kept(services.database, snippet.read_pages)
    app[ADDRESS_LIMITER] = Limiter(services.address_rate)
    app[SITE_LIMITER] = Limiter(services.site_rate)
    app[RENEW_ADDRESS_LIMITER] = Limiter(services.renew_address_rate)
    app[RENEW_LEASE_LIMITER] = Limiter(services.renew_lease_rate)
    app[SHARES] = Shares()
    app[recordings.WAVEFORMS] = recordings.Waveforms()
    app[WATCH] = Watch(services.database)
    app[ADDRESSES] = ClientAddresses(services.trusted_proxies)
    app[openapi.DOCUMENT] = openapi.describe(ROUTES)
    app[PAGE] = render(app[openapi.DOCUMENT])
    for route in ROUTES:
        routing.add(app, route)
    for path in dict.fromkeys(route.path for route in ROUTES if route.audience is Audience.WEBSITE):
        app.router.add_route("OPTIONS", routing.pattern(path), cors.preflight)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_end_streams)
    return app


_SILENT = logging.getLogger("pbxtrack.api.refused")
_SILENT.setLevel(logging.CRITICAL + 1)


def create_runner(
    app: web.Application, *, head_seconds: float = HEAD_SECONDS, connections: int | None = None
) -> web.AppRunner:
    """A runner without an access log (a page's address may hold personal data), and that leaves signals alone.

    It takes so many ``connections`` at once (None: what the process has room for), and gives each ``head_seconds`` for
    the headers of a request.

    aiohttp logs a request that is no HTTP with a traceback that quotes it, tokens and numbers included, for anybody
    who sends one; our own middleware logs what is worth it.
    """
    return Runner(
        app,
        headers=_HEADERS,
        head_seconds=head_seconds,
        most=connections or room_for_connections(),
        access_log=None,
        logger=_SILENT,
        auto_decompress=False,  # a few bytes that are gigabytes inside would keep everybody waiting
        handle_signals=False,
        keepalive_timeout=_KEEP_ALIVE,
        shutdown_timeout=_DRAIN,
    )


async def _end_streams(app: web.Application) -> None:
    await app[WATCH].close()


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop(hdrs.SERVER, None)
    await cors.add_headers(request, response)
