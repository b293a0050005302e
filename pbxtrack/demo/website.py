"""The demonstration's website: a small shop whose pages have the snippet, with numbers written in every way.

Its pages are strict about where scripts come from, as a careful shop's are: what works here needs no exception but
the service's address in ``script-src`` and ``connect-src``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from string import Template

from aiohttp import hdrs, web

_PAGES = files("pbxtrack.demo").joinpath("pages")
_TITLES = {"home": "Sofas", "catalogue": "Catalogue", "contacts": "Contacts"}

Handler = Callable[[web.Request], Awaitable[web.Response]]


def create_app(api: str, site_key: str) -> web.Application:
    """The website as an application. ``api`` is the service's address, such as http://127.0.0.1:8080."""
    headers = {
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self' {api}; connect-src {api}; style-src 'self'; img-src 'self' data:;"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
    }
    app = web.Application()
    for name, path in (("home", "/"), ("contacts", "/contacts"), ("catalogue", r"/catalogue{rest:(/\w+)?}")):
        app.router.add_get(path, _answer(_page(name, api, site_key), "text/html", headers))
    for file, kind in (("shop.css", "text/css"), ("catalogue.js", "text/javascript")):
        app.router.add_get(f"/{file}", _answer(_read(file), kind, headers))
    return app


def _page(name: str, api: str, site_key: str) -> str:
    layout = Template(_read("layout.html"))
    return layout.substitute(title=_TITLES[name], content=_read(f"{name}.html"), api=api, key=site_key)


def _answer(text: str, content_type: str, headers: dict[str, str]) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers)

    return answer


def _read(file: str) -> str:
    return _PAGES.joinpath(file).read_text("utf-8")
