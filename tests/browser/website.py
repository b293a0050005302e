"""A website on one address and pbxtrack's API on another, both on loopback ports, in a thread of their own.

Browsers are told that every name under ``.example`` is this machine, so that pages and API have names as on the web.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy import select

from pbxtrack.api.app import create_app
from pbxtrack.api.services import ORIGINS
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import sites
from tests.contract.api_client import services
from tests.contract.site import a_site

KEY = "demo"
COMPANY = "+74951234567"
TOLL_FREE = "+78005553535"
EMAIL = "sales@shop.example"
POOL = [f"+749512301{index:02}" for index in range(100)]
ODD_EMAIL = "^a+b.c@shop.example"
ODD = [f"+78005551{index:03}" for index in range(10)]
BARE = [f"+78005550{index:03}" for index in range(10)]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Asked:
    """A request that the API got, with what it answered."""

    method: str
    path: str
    body: Any
    status: int = 0
    answer: Any = None
    at: float = field(default_factory=time.monotonic)

    @property
    def event(self) -> str | None:
        """The kind of a sign of life."""
        return self.body.get("event") if isinstance(self.body, dict) else None


@dataclass(slots=True)
class Trouble:
    """What befalls requests for leases: an answer instead of the API's own, a wait (seconds), a broken connection."""

    status: int | None = None
    text: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    broken: bool = False
    paths: str = ""  # only addresses that end so


class Website:
    """Pages by path, and an API whose requests can be read and troubled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runners: list[web.AppRunner] = []
        self._pages: dict[str, tuple[str, dict[str, str]]] = {}
        self._folders: dict[str, Path] = {}
        self.asked: list[Asked] = []
        self.trouble: Trouble | None = None
        self.amended: dict[str, Any] = {}  # members of good answers that are to be others
        self.port = self.api_port = 0

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self.api_port = self._run(self._serve(self._api()))
        site = web.Application()
        site.router.add_get("/{path:.*}", self._page)
        self.port = self._run(self._serve(site))
        with self._database.transaction() as connection:
            a_site(
                connection,
                key=KEY,
                origins=[self.origin(), self.origin("shop.example"), self.origin("other.example")],
                replace=[COMPANY, TOLL_FREE],
                email=EMAIL,
                pool=POOL,
            )
            a_site(connection, key="bare", origins=[self.origin()], replace=[], pool=BARE)
            a_site(connection, key="odd", origins=[self.origin()], replace=[COMPANY], email=ODD_EMAIL, pool=ODD)
            a_site(connection, key="removed", removed_at=datetime.now(UTC))

    def stop(self) -> None:
        for runner in self._runners:
            self._run(runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """Forget pages, requests and troubles."""
        self._pages.clear()
        self._folders.clear()
        self.asked.clear()
        self.trouble = None
        self.amended = {}

    def origin(self, host: str = "www.shop.example") -> str:
        return f"http://{host}:{self.port}"

    def admit(self, origin: str) -> None:
        """Let pages of this origin ask too."""
        with self._database.transaction() as connection:
            known: list[str] = connection.scalar(select(sites.c.origins).where(sites.c.key == KEY)) or []
            connection.execute(sites.update().where(sites.c.key == KEY).values(origins=[*known, origin]))
        self._app[ORIGINS]._known._until = float("-inf")

    @property
    def api(self) -> str:
        return f"http://calls.example:{self.api_port}"

    def tag(self, options: str = "", key: str = KEY) -> str:
        """The line that is all a page needs."""
        return f'<script async src="{self.api}/s/{key}.js" {options}></script>'

    def put(self, body: str, *, path: str = "/", head: str | None = None, options: str = "", **headers: str) -> str:
        """Put a page there; its address. ``head`` stands in for the snippet's tag."""
        tag = self.tag(options) if head is None else head
        html = f'<!doctype html><html lang="ru"><head><meta charset="utf-8"><title>Shop</title>{_STYLE}{tag}</head>'
        return self.put_html(f"{html}<body>{body}</body></html>", path=path, **headers)

    def put_html(self, html: str, *, path: str = "/", **headers: str) -> str:
        """Put a whole page there, as it is."""
        self._pages[path] = html, {name.replace("_", "-"): value for name, value in headers.items()}
        return self.origin() + path

    def put_folder(self, prefix: str, folder: Path) -> None:
        """Serve a folder's files below a path that begins and ends with a slash."""
        self._folders[prefix] = folder

    def leases(self) -> list[Asked]:
        """The requests for a number."""
        return [one for one in self.asked if one.path == "/api/v1/leases"]

    def signs(self, event: str | None = None) -> list[Asked]:
        """The signs of life, or those of an event."""
        found = [one for one in self.asked if one.path.endswith("/renew")]
        return [one for one in found if one.event == event] if event else found

    def until(self, condition: Callable[[], Any], seconds: float = 5.0) -> Any:
        """What the condition gives, once it is true."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"did not happen; the API was asked {self.asked}"
            time.sleep(0.02)
        return found

    def _api(self) -> web.Application:
        app = create_app(services(self._database, address_rate=None, site_rate=None))
        app.middlewares.insert(0, self._observe)
        self._app = app
        return app

    @web.middleware
    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        text = await request.text()
        asked = Asked(request.method, request.path, json.loads(text) if text else None)
        self.asked.append(asked)
        trouble = self.trouble if request.method == "POST" else None
        if trouble and not request.path.endswith(trouble.paths):
            trouble = None
        if trouble and trouble.wait:
            await asyncio.sleep(trouble.wait)
        if trouble and trouble.broken:
            assert request.transport
            request.transport.abort()
        if trouble and trouble.status:
            headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
            return web.Response(text=trouble.text, status=trouble.status, headers=headers | trouble.headers)
        response = await handler(request)
        asked.status = response.status
        if isinstance(response, web.Response) and response.content_type == "application/json" and response.status < 300:
            assert isinstance(response.body, bytes)
            asked.answer = json.loads(response.body) | self.amended
            response.body = json.dumps(asked.answer).encode()
        return response

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if request.path in self._pages:
            html, headers = self._pages[request.path]
            return web.Response(text=html, headers={"Content-Type": "text/html; charset=utf-8"} | headers)
        for prefix, folder in self._folders.items():
            file = folder / request.path.removeprefix(prefix)
            if request.path.startswith(prefix) and file.is_file():
                return web.FileResponse(file)
        return web.Response(status=204)  # a favicon, a picture that a template names

    async def _serve(self, app: web.Application) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


_STYLE = """<style>
body { font: 17px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; }
header, footer { display: flex; gap: 1rem; align-items: center; justify-content: space-between; padding: 1rem 0; }
</style>"""


@contextlib.contextmanager
def website(database: Database) -> Iterator[Website]:
    """A website that runs while the block does."""
    site = Website(database)
    site.start()
    try:
        yield site
    finally:
        site.stop()
