"""What the pages are declared as, and what they work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from pbxtrack import __version__
from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked
from pbxtrack.examining import Examined
from pbxtrack.health import Readiness
from pbxtrack.metrics import Snapshot
from pbxtrack.pool.needs import Needs, NoAnswer, Question
from pbxtrack.storage.database import Database
from pbxtrack.storage.people import Nobodies
from pbxtrack.web.client_address import ClientAddresses
from pbxtrack.web.limits import Limiter, Rate

MAX_BODY = 64 * 1024  # bytes of a form


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One method of one address. A path with ``{site}`` is of a site that whoever asks must see.

    ``right`` is what they need; an ``open`` page needs no log-in. ``max_body``: bytes of a form.
    """

    path: str
    handler: Callable[[Asked], Awaitable[web.StreamResponse]]
    method: str = "GET"
    right: Right = Right.READ
    open: bool = False
    max_body: int = MAX_BODY


def nothing_counted() -> Snapshot:
    """Where nobody counts."""
    return Snapshot(version=__version__)


def nothing_examined() -> None:
    """Where nobody examines."""
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the pages need of the service. ``default_region`` (ISO 3166) says how numbers are read and shown.

    ``snapshot`` and ``examined`` tell how the service is, and wait for nothing; None: nothing was examined yet.
    """

    database: Database
    addresses: ClientAddresses
    now: Callable[[], datetime]
    ready: Callable[[], Awaitable[Readiness]]
    default_region: str
    sizes: Callable[[Question, float], Awaitable[Needs | NoAnswer]]  # the answer, within seconds
    nobodies: Nobodies = field(default_factory=Nobodies)
    log_ins: Limiter = field(default_factory=lambda: Limiter(Rate(20, 60.0)))  # tries by address
    snapshot: Callable[[], Snapshot] = nothing_counted
    examined: Callable[[], Examined | None] = nothing_examined


DESK = web.AppKey("DESK", Desk)
