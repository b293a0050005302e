"""The demonstration's website: a small shop whose pages have the company's number in many forms, and the snippet."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_PLACE = "{{snippet}}"
_PAGES = {"/": "index.html", "/catalogue": "catalogue.html", "/contacts": "contacts.html"}
_FILES = {
    "style.css": "text/css",
    "catalogue.js": "text/javascript",
    "items.json": "application/json",
    "samovar.svg": "image/svg+xml",
    "stove.svg": "image/svg+xml",
    "tea.svg": "image/svg+xml",
}


def create_app(api: str, site_key: str) -> web.Application:
    """The website as an application. ``api`` is where its visitors' browsers reach pbxtrack: ``http://host:port``."""
    folder = files(__package__) / "website"
    tag = f'<script async src="{escape(api)}/s/{escape(site_key)}.js"></script>'
    policy = _policy(api)
    app = web.Application()
    for path, name in _PAGES.items():
        html = (folder / name).read_text("utf-8").replace(_PLACE, tag)
        app.router.add_get(path, _serving(html.encode(), "text/html", policy))
    for name, content_type in _FILES.items():
        app.router.add_get(f"/{name}", _serving((folder / name).read_bytes(), content_type, policy))
    return app


def _policy(api: str) -> str:
    """As strict as a shop's pages can be: two lines of it are what the snippet needs."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {api}",
            f"connect-src 'self' {api}",
            "style-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _serving(body: bytes, content_type: str, policy: str) -> Handler:
    headers = {hdrs.CACHE_CONTROL: "no-cache", "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return serve
