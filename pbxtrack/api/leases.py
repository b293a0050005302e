"""Websites lease numbers here: one for each visit, held while the page gives signs of life."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import structlog
from aiohttp import hdrs, web

from pbxtrack.api import cors
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.leases import LeaseAnswer, LeaseBody, RenewBody
from pbxtrack.api.services import (
    ADDRESS_LIMITER,
    ADDRESSES,
    RENEW_ADDRESS_LIMITER,
    RENEW_LEASE_LIMITER,
    SERVICES,
    SHARES,
    SITE_LIMITER,
    Services,
)
from pbxtrack.numbers import Number
from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Others, Sign
from pbxtrack.pool.policy import HEARTBEAT
from pbxtrack.pool.service import ForeignSite, UnknownSite
from pbxtrack.sources.bots import is_bot
from pbxtrack.storage.times import rfc3339
from pbxtrack.web.client_address import is_local
from pbxtrack.web.limits import Limiter
from pbxtrack.web.problems import Problem

log = structlog.get_logger(__name__)

_LEASE_ID = re.compile(r"[0-9a-z]{26}")
_GONE = "It expired, or its number went to another visitor."


async def acquire(request: web.Request, body: LeaseBody) -> web.Response:
    await cors.admit_to(request, body.site)
    services = request.app[SERVICES]
    if is_bot(request.headers.get(hdrs.USER_AGENT, ""), from_page=hdrs.ORIGIN in request.headers):
        return await _bot(services, body)
    peer = _peer(request)
    app = request.app
    headers = _count((app[ADDRESS_LIMITER], peer), (app[SITE_LIMITER], body.site)) if peer else {}
    shares, now = request.app[SHARES], services.now()
    with shares.asking(body.site, peer, now) if peer else nullcontext(Others()) as others:
        wanted = LeaseRequest(
            site_key=body.site,
            page=body.page,
            referrer=body.referrer or "",
            visitor=body.visitor or None,
            region=body.region or "",
            client_ids=body.client_ids or {},
            others=others,
        )
        try:
            grant = await services.acquire(wanted)
        except UnknownSite:
            raise Problem("unknown-site", headers=headers) from None
        if peer:
            _note(request.app, peer, grant)
    log.debug("lease_granted", site=grant.site.key, visit=grant.visit.id, overflow=grant.lease.overflow)
    return answer(_lease(grant, services.default_region), status=201, headers=headers)


async def renew(request: web.Request, body: RenewBody) -> web.Response:
    app, services = request.app, request.app[SERVICES]
    lease_id, peer = request.match_info["lease"], _peer(request)
    headers = _count((app[RENEW_ADDRESS_LIMITER], peer), (app[RENEW_LEASE_LIMITER], lease_id)) if peer else {}
    if not _LEASE_ID.fullmatch(lease_id):  # it was never given out: the database need not see it
        raise Problem("lease-gone", _GONE, headers=headers)
    event = EventKind(body.event) if body.event else None
    sign = Sign(lease_id, event, body.page or "", sites=await cors.sites(request))
    try:
        grant = await services.renew(sign)
    except ForeignSite:
        raise cors.refuse(request) from None
    if grant is None:
        raise Problem("lease-gone", _GONE, headers=headers)
    if peer:
        _note(app, peer, grant)
    log.debug("lease_renewed", site=grant.site.key, visit=grant.visit.id, sign=body.event)
    return answer(_lease(grant, services.default_region), headers=headers)


async def _bot(services: Services, body: LeaseBody) -> web.Response:
    """A robot is shown the company's own number: a lease would be wasted on it, and its visit is no visit."""
    site = await services.site(body.site)
    if site is None:
        raise Problem("unknown-site")
    number = site.replace[0] if site.replace else None
    return answer(
        dict.fromkeys(LeaseAnswer.model_fields)
        | {
            "number": number,
            "display": Number(number).display(services.default_region) if number else None,
            "region": body.region or "",
            "email": site.email,
            "overflow": False,
        }
    )


def _peer(request: web.Request) -> str | None:
    """The address to count by; None for a program on this machine, which may as well ask for others."""
    services = request.app[SERVICES]
    peer = request.app[ADDRESSES].of(request.remote, tuple(request.headers.getall("X-Forwarded-For", ())))
    return None if services.trust_local and is_local(peer) else peer


def _note(app: web.Application, peer: str, grant: LeaseGrant) -> None:
    if grant.pool is not None:
        app[SHARES].holds(grant.site.key, peer, grant.visit.visitor, grant.pool, grant.lease.ends_at)


def _count(by_address: tuple[Limiter, str], by_other: tuple[Limiter, str]) -> Mapping[str, str]:
    """Count a request by its address, then by its site or lease; a Problem where that is one too many.

    The headers tell of the limit of the address, or of the one that was met.
    """
    verdicts = []
    for limiter, key in (by_address, by_other):
        verdict = limiter.take(key)
        if not verdict.allowed:
            wait = verdict.headers[hdrs.RETRY_AFTER]
            raise Problem("too-many-requests", f"Try again in {wait} s.", headers=verdict.headers)
        verdicts.append(verdict)
    return verdicts[0].headers


def _lease(grant: LeaseGrant, region: str) -> dict[str, Any]:
    return {
        "lease": grant.lease.id,
        "visitor": grant.visit.visitor,
        "visit": grant.visit.id,
        "number": grant.number,
        "display": Number(grant.number).display(region) if grant.number else None,
        "region": grant.visit.region,
        "email": grant.email,
        "expires_at": rfc3339(grant.lease.ends_at),
        "guaranteed_until": rfc3339(grant.lease.guaranteed_until),
        "renew_after": int(HEARTBEAT.total_seconds()),
        "overflow": grant.lease.overflow,
    }


_LEASE_PROBLEMS = ("unknown-site", "too-many-requests")

ROUTES = (
    Route(
        method="POST",
        path="/api/v1/leases",
        handler=acquire,
        summary="Lease a number for a visit",
        description="The same visitor on the same visit gets the same number. So do they on a later visit, if nobody"
        " had it meanwhile.",
        audience=Audience.WEBSITE,
        body=LeaseBody,
        answer=Answer(201, "The lease, new or renewed.", LeaseAnswer),
        also=(Answer(200, "To a robot: the company's own number, and no lease.", LeaseAnswer),),
        problems=_LEASE_PROBLEMS,
    ),
    Route(
        method="POST",
        path="/api/v1/leases/{lease}/renew",
        handler=renew,
        summary="Hold the number on",
        description="To be sent every `renew_after` seconds while the page is looked at, and when it is left.",
        audience=Audience.WEBSITE,
        body=RenewBody,
        body_optional=True,
        path_parameters={"lease": "`lease` of the answer that gave the number."},
        answer=Answer(200, "The lease with its new times.", LeaseAnswer),
        problems=("lease-gone", "too-many-requests"),
    ),
)
