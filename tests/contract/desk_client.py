"""The desk on a loopback port, over a real database, with somebody logged in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import CookieJar, FormData
from aiohttp.test_utils import TestClient

from pbxtrack.access import Role
from pbxtrack.api.app import create_app
from pbxtrack.api.services import ADDRESSES
from pbxtrack.dashboard import app as dashboard
from pbxtrack.dashboard.desk import Desk
from pbxtrack.pool.needs import NoAnswer, Question
from pbxtrack.storage import people
from pbxtrack.storage.database import Database
from pbxtrack.web.sessions import COOKIE, Session
from tests.contract.api_client import Served, services

NAME = "ann"


class Reader:
    """Somebody with a browser."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client
        self.session: Session | None = None

    def log_in(
        self, database: Database, role: Role = Role.OWNER, sites: frozenset[str] | None = None, *, name: str = NAME
    ) -> None:
        """Begin a session, without the password's tenth of a second."""
        now = datetime.now(UTC)
        with database.transaction() as connection:
            person = people.find_person(connection, name) or people.add_person(
                connection, name, "none", role, sites, now
            )
            secret = people.logged_in(connection, person.id, now)
        self.session = Session(person, secret)
        self.client.session.cookie_jar.update_cookies({COOKIE: secret}, self.client.make_url("/"))

    async def page(self, path: str, status: int = 200, **options: Any) -> str:
        """A page's text; asserts its status."""
        async with self.client.get(path, allow_redirects=False, **options) as response:
            text = await response.text()
            assert response.status == status, text[:2_000]
            return text

    async def send(self, path: str, status: int = 303, /, **fields: Any) -> str:
        """Send a form as the page would; where it leads, or the text where it leads nowhere."""
        assert self.session is not None
        form = FormData({"csrf": self.session.csrf, **fields})
        async with self.client.post(path, data=form, allow_redirects=False) as response:
            text = await response.text()
            assert response.status == status, text[:2_000]
            return response.headers.get("Location", text)


async def no_sizes(question: Question, seconds: float) -> NoAnswer:
    """Replaying takes seconds: who tests it brings an answer."""
    return NoAnswer.NOT_YET


@asynccontextmanager
async def desk(database: Database, **changes: Any) -> AsyncIterator[Reader]:
    """A reader of the running desk, not logged in. ``changes`` are of what the pages need."""
    of_api = services(database)
    app = create_app(of_api)
    given: dict[str, Any] = {
        "database": database,
        "addresses": app[ADDRESSES],
        "now": lambda: datetime.now(UTC),
        "ready": of_api.ready,
        "default_region": "RU",
        "sizes": no_sizes,
    }
    dashboard.add(app, Desk(**(given | changes)))
    async with TestClient(Served(app), cookie_jar=CookieJar(unsafe=True)) as client:
        yield Reader(client)
