"""Who may read and write calls over HTTP, and what may be written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pbxtrack.calls.events import LegEnded
from pbxtrack.calls.service import record
from pbxtrack.storage import tokens
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from tests.contract.api_client import OTHER_STATIC, STATIC, T0, a_token, put_call, running
from tests.contract.site import a_site

CALLS = "/api/v1/calls"


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    return a_token(database)


@pytest.mark.asyncio
async def test_people_write_on_a_call(database: Database, manager: dict[str, str]) -> None:
    address = f"{CALLS}/{put_call(database, 0)}"
    async with running(database) as client:

        async def patched(**changes: Any) -> tuple[Any, Any]:
            response = await client.patch(address, json=changes, headers=manager)
            assert response.status == 200
            call = await response.json()
            assert call == await (await client.get(address, headers=manager)).json()
            return call["note"], call["tags"]

        assert await patched(note="asked for a price", tags=["hot", "hot", "дом"]) == (
            "asked for a price",
            ["hot", "дом"],
        )
        assert await patched(tags=[]) == ("asked for a price", [])
        assert await patched(note=None) == (None, [])
        assert await patched() == (None, [])


@pytest.mark.asyncio
async def test_what_people_wrote_outlives_later_facts(database: Database, manager: dict[str, str]) -> None:
    call_id = put_call(database, 0)
    async with running(database) as client:
        await client.patch(f"{CALLS}/{call_id}", json={"note": "mine", "tags": ["a"]}, headers=manager)
        with database.transaction() as connection:
            late = LegEnded(node="pbx1", linkedid="1772355600.0", at=T0 + timedelta(seconds=9), leg="c", cause=16)
            record(SqlCalls(connection), [late], T0, "RU")
        call = await (await client.get(f"{CALLS}/{call_id}", headers=manager)).json()
    assert (call["note"], call["tags"]) == ("mine", ["a"])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [
        {"note": "x" * 10_001},
        {"note": "\x00"},
        {"note": 7},
        {"tags": None},
        {"tags": [""]},
        {"tags": ["\x00"]},
        {"tags": ["x"] * 51},
        {"status": "answered"},
        {"attribution": {}},
    ],
)
async def test_nothing_else_can_be_changed(database: Database, manager: dict[str, str], changes: Any) -> None:
    address = f"{CALLS}/{put_call(database, 0)}"
    async with running(database) as client:
        response = await client.patch(address, json=changes, headers=manager)
        assert response.status == 422
        assert (await response.json())["errors"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic dXNlcjpwYXNz", "Bearer " + "x" * 500, "Bearer \xff"],
)
async def test_without_a_valid_token_it_is_401(database: Database, manager: dict[str, str], header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with running(database) as client:
        for method, path in (("GET", CALLS), ("GET", f"{CALLS}/x"), ("PATCH", f"{CALLS}/x")):
            response = await client.request(method, path, headers=headers)
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert response.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.asyncio
async def test_a_revoked_token_is_refused(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        assert (await client.get(CALLS, headers=manager)).status == 200
        with database.transaction() as connection:
            assert tokens.revoke_token(connection, 1, T0)
            assert not tokens.revoke_token(connection, 1, T0)
        assert (await client.get(CALLS, headers=manager)).status == 401


@pytest.mark.asyncio
async def test_the_use_of_a_token_is_noted_once_a_minute(database: Database, manager: dict[str, str]) -> None:
    used: list[datetime | None] = []
    now = [T0]
    async with running(database, now=lambda: now[0]) as client:
        for seconds in (0, 30, 61):
            now[0] = T0 + timedelta(seconds=seconds)
            await client.get(CALLS, headers=manager)
            with database.transaction() as connection:
                used.append(tokens.list_tokens(connection)[0].used_at)
    assert used == [T0, T0, T0 + timedelta(seconds=61)]
