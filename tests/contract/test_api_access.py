"""Every address of the API: nobody gets anything of a site that is not theirs, or that their role is not for."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from sqlalchemy import select, update

from pbxtrack.access import RIGHTS, Role
from pbxtrack.api.app import ROUTES
from pbxtrack.api.routing import Audience, Route
from pbxtrack.storage import people, tables, tokens
from pbxtrack.storage.database import Database
from pbxtrack.web.sessions import CSRF_HEADER, Session
from tests.contract.api_client import OTHER_STATIC, STATIC, put_call, running
from tests.contract.site import a_site

THEIRS, NOT_THEIRS = "theirs", "foreign-site"
POOL = "+74951230100"
CALLER, OWN_CALLER = "+79167654321", "+79161111111"
_COST = {"first": "2026-03-01", "last": "2026-03-02", "channel": "Billboard", "amount": 5}
_DEAL = {"external_id": "1", "caller": CALLER, "status": "won", "amount": 9}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "PATCH /api/v1/calls/{call}": {"note": "read by others"},
    "POST /api/v1/costs": {"site": NOT_THEIRS, "items": [{**_COST, "channel": "Radio"}]},
    "PATCH /api/v1/costs/{cost}": {"amount": 6},
    "POST /api/v1/deals": {"site": NOT_THEIRS, "items": [{**_DEAL, "external_id": "2"}]},
    "PATCH /api/v1/deals/{deal}": {"amount": 6},
    "POST /api/v1/sites": {"key": "third", "name": "Third", "line": "PJSIP/x"},
    "PATCH /api/v1/sites/{site}": {"name": "by others"},
    "POST /api/v1/sites/{site}/pools": {"name": "second", "numbers": ["+74951239000"]},
    "PATCH /api/v1/sites/{site}/pools/{pool}": {"regions": ["812"]},
    "POST /api/v1/sites/{site}/channels": {"name": "Radio", "match": {"source": "radio"}},
    "PATCH /api/v1/sites/{site}/channels/{channel}": {"line": "PJSIP/x"},
    "POST /api/v1/sites/{site}/numbers": {"numbers": ["+74951239000"], "pool": "main"},
    "PATCH /api/v1/sites/{site}/numbers/{number}": {"channel": "Billboard"},
    "POST /api/v1/users": {"name": "bob", "role": "manager", "sites": None},
    "PATCH /api/v1/users/{user}": {"role": "engineer"},
    "POST /api/v1/tokens": {"name": "bi", "role": "manager", "sites": None},
    "PATCH /api/v1/tokens/{token}": {"name": "bi"},
}
TABLES = (tables.sites, tables.pools, tables.channels, tables.numbers, tables.costs, tables.deals, tables.calls)
NOT_READ = ("/recording", "/waveform")  # what is answered is no text
STREAM_SECONDS = 0.5  # some looks of those that streams are made of

MANAGED = [
    pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES if route.audience is Audience.MANAGER
]


@dataclass(frozen=True)
class World:
    """A site with calls, one of them recorded; another site; ``marks`` are texts that tell of the first."""

    database: Database
    folder: Path
    ids: Mapping[str, str]  # what stands in paths

    def state(self) -> list[Any]:
        """All that somebody could have changed."""
        with self.database.reading() as connection:
            kept = [connection.execute(select(table).order_by(table.c.id)).all() for table in TABLES]
            persons = [(one.name, one.access) for one in people.list_people(connection)]
            return [*kept, persons, [(one.name, one.access, one.revoked_at) for one in tokens.list_tokens(connection)]]

    @property
    def marks(self) -> list[str]:
        return [NOT_THEIRS, "Secret shop", self.ids["call"], "somebody-else", CALLER, CALLER[-7:], STATIC, POOL]

    def running(self) -> Any:
        return running(self.database, recordings={"pbx1": self.folder})

    def headers(self, how: str, role: Role, *sites: str) -> Mapping[str, str]:
        """What somebody sends who has this role at these sites; none: at all."""
        keys, now = frozenset(sites) or None, datetime.now(UTC)
        with self.database.transaction() as connection:
            if how == "token":
                _, secret = tokens.add_token(connection, "x", now, role, keys)
                return {"Authorization": f"Bearer {secret}"}
            person = people.add_person(connection, f"{role.value} {sites}", "hash", role, keys, now)
            secret = people.logged_in(connection, person.id, now)
        return {"Cookie": f"pbxtrack={secret}", CSRF_HEADER: Session(person, secret).csrf}

    async def ask(self, client: TestClient[Any, Any], route: Route, headers: Mapping[str, str]) -> tuple[int, str]:
        """The status, and all that is answered about the first site's call."""
        path = route.path.format(**self.ids)
        headers = {**headers, "Last-Event-ID": "0-0"}
        body = BODIES.get(f"{route.method} {route.path}")
        async with client.request(route.method, path, headers=headers, json=body) as response:
            answered = bytearray()
            try:
                async with asyncio.timeout(STREAM_SECONDS if response.content_type == "text/event-stream" else 10):
                    async for data in response.content.iter_any():
                        answered += data
            except TimeoutError:
                pass
            return response.status, answered.decode("utf-8", "replace")


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    with database.transaction() as connection:
        a_site(connection, key=NOT_THEIRS, name="Secret shop", static=[STATIC], pool=[POOL], overflow_number=None)
        a_site(connection, key=THEIRS, static=[OTHER_STATIC])
    call_id = put_call(database, 0, caller=CALLER, talk=70)
    put_call(database, 1, caller=CALLER, dialled=POOL)
    put_call(database, 2, caller=OWN_CALLER, dialled=OTHER_STATIC, talk=70)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    with database.transaction() as connection:
        theirs = tables.calls.c.id == call_id
        connection.execute(update(tables.calls).where(theirs).values(recording="a.wav"))
        contact = connection.scalar(select(tables.calls.c.contact_id).where(theirs))
        site = connection.scalar(select(tables.sites.c.id).where(tables.sites.c.key == NOT_THEIRS))
        assert site is not None
        now = datetime.now(UTC)
        person = people.add_person(connection, "somebody-else", "hash", Role.MANAGER, frozenset({NOT_THEIRS}), now)
        token, _ = tokens.add_token(connection, "somebody-else", now, Role.MANAGER, frozenset({NOT_THEIRS}))
    ids = {
        "call": call_id, "contact": str(contact), "site": NOT_THEIRS, "pool": "main", "channel": "Billboard",
        "number": POOL, "user": str(person.id), "token": str(token.id), "cost": "1", "deal": "1",
    }  # fmt: skip
    return World(database, tmp_path, ids)


async def with_money(world: World, client: TestClient[Any, Any]) -> None:
    """Let the first site have a cost and a deal, whose ids are 1."""
    owner = world.headers("token", Role.OWNER)
    for kind, item in (("costs", _COST), ("deals", _DEAL)):
        made = await client.post(f"/api/v1/{kind}", json={"site": NOT_THEIRS, "items": [item]}, headers=owner)
        assert made.status == 200, await made.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["token", "session"])
@pytest.mark.parametrize("route", MANAGED)
async def test_nothing_of_another_site_is_answered(world: World, route: Route, how: str) -> None:
    async with world.running() as client:
        await with_money(world, client)
        owner, foreign = world.headers(how, Role.OWNER), world.headers(how, Role.OWNER, THEIRS)
        before = world.state()
        status, answered = await world.ask(client, route, foreign)
        named = route.path.format(**world.ids) + str(BODIES.get(f"{route.method} {route.path}"))  # they know that much
        assert not [mark for mark in world.marks if mark in answered and mark not in named]
        if route.method == "DELETE" and route.path == "/api/v1/sites/{site}":
            assert (status, "not-allowed" in answered) == (403, True)  # for those who see all sites alone
        elif "{" in route.path:
            assert (status, "not-found" in answered or "unknown-site" in answered) == (404, True)
        else:
            assert status == (200 if route.method == "GET" else 404 if "unknown-site" in answered else 403)
        if route.query and "site" in route.query.model_fields:
            refused = await client.get(route.path, params={"site": NOT_THEIRS}, headers=foreign)
            assert (refused.status, (await refused.json())["type"]) == (404, "/docs#problem-unknown-site")
        assert world.state() == before
        # Who may see it is answered with it, and may change it: else all this would say nothing.
        status, answered = await world.ask(client, route, owner)
        assert status in (200, 201, 204), answered
        if route.method == "GET":
            assert route.path.endswith(NOT_READ) or any(mark in answered for mark in world.marks)
        else:
            assert world.state() != before


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["token", "session"])
@pytest.mark.parametrize("route", MANAGED)
async def test_a_role_without_the_right_is_refused(world: World, route: Route, how: str) -> None:
    async with world.running() as client:
        await with_money(world, client)
        for role in sorted(Role, key=lambda role: route.right in RIGHTS[role]):  # who may, last: it may be gone then
            status, answered = await world.ask(client, route, world.headers(how, role))
            if route.right in RIGHTS[role]:
                assert status in (200, 201, 204), (role, answered)
                break
            assert (status, "not-allowed" in answered) == (403, True), role
        status, _ = await world.ask(client, route, {})
        assert status == 401


def test_some_routes_are_not_for_every_role() -> None:
    """Else the test above would refuse nobody."""
    assert {route.right for route in ROUTES} - RIGHTS[Role.ENGINEER]
