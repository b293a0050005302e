"""Style sheets and scripts: served from memory, under addresses that change with them, and so kept by browsers."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aiohttp import hdrs, web

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    compressed: bytes
    digest: str
    content_type: str


@cache
def _files() -> dict[str, _File]:
    found = {}
    for file in files("pbxtrack.dashboard").joinpath("static").iterdir():
        content_type = _TYPES.get("." + file.name.rpartition(".")[2])
        if content_type:
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            found[file.name] = _File(body, gzip.compress(body, mtime=0), digest, content_type)
    return found


def address(name: str) -> str:
    """Where a file is to be had as it is now."""
    return f"/static/{_files()[name].digest}/{name}"


async def serve(request: web.Request) -> web.StreamResponse:
    """A file; an older or newer one's address gives the one there is, which is not kept."""
    file = _files().get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    headers = {hdrs.CACHE_CONTROL: _FOREVER if request.match_info["digest"] == file.digest else "no-store"}
    body = file.body
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = file.compressed
    headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)


async def serve_icon(request: web.Request) -> web.StreamResponse:
    """The icon, where browsers look for one of answers that are no pages."""
    file = _files()["icon.svg"]
    return web.Response(body=file.body, content_type=file.content_type, headers={hdrs.CACHE_CONTROL: "max-age=86400"})
