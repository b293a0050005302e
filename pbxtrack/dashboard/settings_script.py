"""Settings: the line of HTML for the website, and whether it is there, by the visitors that were seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import hdrs, web
from sqlalchemy import Connection

from pbxtrack.access import NotTheirs, Right
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.settings_change import told
from pbxtrack.sitefile.values import origin as read_origin
from pbxtrack.sources.address import split
from pbxtrack.storage.site_changes import the_site
from pbxtrack.storage.site_use import Seen, latest_visitors

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_MOST_OTHERS = 5
_SHOWN = 120  # characters of a page's address


@dataclass(frozen=True, slots=True)
class Last:
    """The last visitor seen from an origin; None: nobody."""

    origin: str
    page: str | None = None
    at: datetime | None = None


async def show(asked: Asked) -> web.StreamResponse:
    try:
        found = await asked.read(lambda connection: _found(connection, asked))
    except NotTheirs:
        raise NoSuchPage from None
    return asked.render("settings_script.html", server=server(asked.request), done=told(asked), **found)


def _found(connection: Connection, asked: Asked) -> dict[str, Any]:
    assert asked.site is not None
    site = the_site(connection, asked.key, asked.access)
    own, others = by_origin(site.origins, latest_visitors(connection, asked.site.id))
    return {"own": own, "others": others, "replace": site.replace, "numbers": sum(len(p.numbers) for p in site.pools)}


def by_origin(origins: Sequence[str], visitors: Iterable[Seen]) -> tuple[list[Last], list[Last]]:
    """The last visitor of each origin of the site, and of others, those of websites that no origin names.

    ``visitors`` come with the latest first.
    """
    found: dict[str, Last] = {}
    for seen in visitors:
        address = split(seen.page)
        try:
            origin = read_origin(f"{address.scheme or 'https'}://{address.authority.rpartition('@')[2]}")
        except ValueError:
            continue
        shown = f"{origin}{address.path}"
        found.setdefault(origin, Last(origin, shown[:_SHOWN], seen.at))
    others = [last for origin, last in found.items() if origin not in origins]
    return [found.get(origin, Last(origin)) for origin in origins], others[:_MOST_OTHERS]


def server(request: web.Request) -> str:
    """This service's address as whoever asks has it: ``https://calls.example``. A proxy in front says its scheme."""
    forwarded = request.headers.get(hdrs.X_FORWARDED_PROTO, "").partition(",")[0].strip().lower()
    scheme = forwarded if forwarded in ("http", "https") else request.scheme
    return f"{scheme}://{request.host}" if _HOST.fullmatch(request.host) else "https://calls.example"


PAGES = (Page(path="/sites/{site}/settings/script", handler=show, right=Right.CONFIGURE),)
