"""Is pbxtrack alive, is it ready, what does it count, and what does its API look like?"""

from __future__ import annotations

from aiohttp import hdrs, web

from pbxtrack.api.openapi import DOCUMENT
from pbxtrack.api.page import PAGE
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.service import Alive, Ready
from pbxtrack.api.services import SERVICES
from pbxtrack.metrics import CONTENT_TYPE
from pbxtrack.web.problems import Problem


async def healthz(request: web.Request) -> web.Response:
    return answer({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    readiness = await request.app[SERVICES].ready()
    checks = [{"name": check.name, "ok": check.ok, "reason": str(check.reason)} for check in readiness.checks]
    if not readiness.ok:
        raise Problem("not-ready", readiness.reason, checks=checks)
    return answer({"status": "ready", "checks": checks})


async def metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[SERVICES].metrics(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


async def openapi_json(request: web.Request) -> web.Response:
    return answer(request.app[DOCUMENT])


async def docs(request: web.Request) -> web.Response:
    page = request.app[PAGE]
    return web.Response(
        body=page.html.encode(),
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": page.policy},
    )


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        handler=healthz,
        summary="Is the process alive?",
        audience=Audience.ANYONE,
        answer=Answer(200, "It is.", Alive),
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=readyz,
        summary="Can it do its work?",
        audience=Audience.ANYONE,
        answer=Answer(200, "It can.", Ready),
        problems=("not-ready", "unavailable"),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        summary="What it counts, for Prometheus",
        description="Of this process, in Prometheus's text format; `docs/metrics.md` explains each metric. It is"
        " answered also while the database is not.",
        audience=Audience.ANYONE,
        answer=Answer(200, "The metrics.", content_type="text/plain"),
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=openapi_json,
        summary="This description",
        audience=Audience.ANYONE,
        answer=Answer(200, "OpenAPI 3.1."),
    ),
    Route(
        method="GET",
        path="/docs",
        handler=docs,
        summary="This description, for people",
        audience=Audience.ANYONE,
        answer=Answer(200, "A page.", content_type="text/html"),
    ),
)
