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
BODIES = {"PATCH": {"note": "read by others"}}
STREAM_SECONDS = 0.5  # some looks of those that streams are made of

MANAGED = [
    pytest.param(route, id=f"{route.method} {route.path}") for route in ROUTES if route.audience is Audience.MANAGER
]


@dataclass(frozen=True)
class World:
    """A site with calls, one of them recorded; another site; ``marks`` are texts that tell of the first."""

    database: Database
    folder: Path
    call: str
    contact: str

    @property
    def marks(self) -> list[str]:
        return [NOT_THEIRS, self.call, CALLER, CALLER[-7:], STATIC, POOL]

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
        path = route.path.format(call=self.call, contact=self.contact)
        headers = {**headers, "Last-Event-ID": "0-0"}
        async with client.request(route.method, path, headers=headers, json=BODIES.get(route.method)) as response:
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
        a_site(connection, key=NOT_THEIRS, static=[STATIC], pool=[POOL])
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
    return World(database, tmp_path, call_id, str(contact))


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["token", "session"])
@pytest.mark.parametrize("route", MANAGED)
async def test_nothing_of_another_site_is_answered(world: World, route: Route, how: str) -> None:
    owner, foreign = world.headers(how, Role.OWNER), world.headers(how, Role.OWNER, THEIRS)
    async with world.running() as client:
        status, answered = await world.ask(client, route, foreign)
        assert not [mark for mark in world.marks if mark in answered]
        assert (status, "not-found" in answered) == ((404, True) if "{" in route.path else (200, False))
        if route.query and "site" in route.query.model_fields:
            refused = await client.get(route.path, params={"site": NOT_THEIRS}, headers=foreign)
            assert (refused.status, (await refused.json())["type"]) == (404, "/docs#problem-unknown-site")
        unchanged = await client.get(f"/api/v1/calls/{world.call}", headers=owner)
        assert (await unchanged.json())["note"] is None
        # Who may see it is answered with it: else all this would say nothing.
        status, answered = await world.ask(client, route, owner)
        assert status == 200
        assert route.path.endswith(("/recording", "/waveform")) or any(mark in answered for mark in world.marks)


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["token", "session"])
@pytest.mark.parametrize("route", MANAGED)
async def test_a_role_without_the_right_is_refused(world: World, route: Route, how: str) -> None:
    async with world.running() as client:
        for role in Role:
            status, answered = await world.ask(client, route, world.headers(how, role))
            assert status == (200 if route.right in RIGHTS[role] else 403), role
            if status == 403:
                assert "not-allowed" in answered
        status, _ = await world.ask(client, route, {})
        assert status == 401


def test_some_routes_are_not_for_every_role() -> None:
    """Else the test above would refuse nobody."""
    assert {route.right for route in ROUTES} - RIGHTS[Role.ENGINEER]
