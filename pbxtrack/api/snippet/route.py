"""``GET /s/KEY.js``: the script that a website embeds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import istr
from sqlalchemy import Connection, select

from pbxtrack.api.kept import Kept
from pbxtrack.api.routing import Answer, Audience, Route
from pbxtrack.api.snippet.script import Script, removed, render
from pbxtrack.storage.tables import sites


@dataclass(frozen=True, slots=True)
class Page:
    """What a site's pages show of their own, which is to be swapped."""

    replace: tuple[str, ...]
    email: str | None
    removed: bool


PAGES = web.AppKey("PAGES", Kept[dict[str, Page]])

# Five minutes: as long as a number that was added to `replace` may take. For a day more a browser shows the page with
# the script it has and asks for a newer one meanwhile; where we do not answer, it keeps that.
_CACHE = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=86400"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)

_UNKNOWN = "// pbxtrack: no site has this key. The address ends with the site's key and .js.\n"

_select_pages = select(sites.c.key, sites.c.replace, sites.c.email, sites.c.removed_at)


def read_pages(connection: Connection) -> dict[str, Page]:
    """Every site's, the removed ones' too."""
    rows = connection.execute(_select_pages)
    return {row.key: Page(tuple(row.replace), row.email, row.removed_at is not None) for row in rows}


async def snippet(request: web.Request) -> web.Response:
    key = request.match_info["site"]
    page = (await request.app[PAGES].get()).get(key)
    if page is None:
        # A script, too: browsers block what is none, and would not show the 404 in the console.
        return web.Response(status=404, text=_UNKNOWN, content_type="text/javascript", charset="utf-8")
    script = removed() if page.removed else render(key, _server(request), page.replace, page.email)
    return _answer(request, script)


def _server(request: web.Request) -> str:
    """Where the API is, whatever scheme a proxy before it speaks. The Host header is the client's own words."""
    return f"//{request.host}" if _HOST.fullmatch(request.host) else ""


def _answer(request: web.Request, script: Script) -> web.Response:
    headers = {
        hdrs.CACHE_CONTROL: _CACHE,
        hdrs.ETAG: f'W/"{script.etag}"',  # weak: compressed and not, it is the same script
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",  # for pages that say `crossorigin`; nothing in it is secret
        istr("Cross-Origin-Resource-Policy"): "cross-origin",
    }
    if any(tag.value in (script.etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = script.body
    if _GZIP.search(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        body, headers[hdrs.CONTENT_ENCODING] = script.compressed, "gzip"
    return web.Response(body=body, headers=headers, content_type="text/javascript", charset="utf-8")


ROUTES = (
    Route(
        method="GET",
        path="/s/{site}.js",
        handler=snippet,
        summary="The script that swaps numbers on a website's pages",
        description="For `<script async src>`. A site that was removed gets a script that does nothing.",
        audience=Audience.ANYONE,
        path_parameters={"site": "The site's key."},
        answer=Answer(200, "The script.", content_type="text/javascript"),
        also=(
            Answer(304, "It is still what `If-None-Match` names.", content_type=None),
            Answer(404, "No site has this key: a script that does nothing.", content_type="text/javascript"),
        ),
        problems=("unavailable",),
    ),
)
