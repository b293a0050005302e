"""People and tokens, by pages and over the API: nobody gives more than they have, and the last owner stays."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from pbxtrack.access import Access, Role
from pbxtrack.passwords import fits
from pbxtrack.storage import people, tables, tokens
from pbxtrack.storage.admission import LastOwner, NameTaken, change_access, let_in
from pbxtrack.storage.database import Database
from tests.contract.api_client import a_token, running
from tests.contract.desk_client import NAME, desk
from tests.contract.site import a_site

OWNER = Access("tests", Role.OWNER)


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection)
        a_site(connection, key="other")
    return database


def person(database: Database, name: str) -> people.Person:
    with database.reading() as connection:
        found = people.find_person(connection, name)
    assert found
    return found


def secret_of(page: str) -> str:
    found = re.search(r"<code>([a-zA-Z0-9_-]+)</code>", page)
    assert found
    return found[1]


@pytest.mark.asyncio
async def test_somebody_is_added_changed_and_removed(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.send("/people", 200, name=" Max ", role="manager", site_demo="on")
        password = secret_of(page)
        found = person(shop, "max")
        assert (found.role, found.sites) == (Role.MANAGER, frozenset({"demo"}))
        with shop.reading() as connection:
            kept = connection.exec_driver_sql("SELECT password FROM people WHERE name = 'max'").scalar()
        assert fits(password, kept)
        assert password not in await reader.page("/people"), "it was shown once"
        assert "taken" in await reader.send("/people", 422, name="MAX", role="owner", all="on")
        assert "or some of them" in await reader.send("/people", 422, name="eve", role="owner")
        await reader.send("/people", 200, name="ida", role="manager", all="on", site_demo="on")
        assert person(shop, "ida").sites == frozenset({"demo"}), "what is chosen singly is meant"
        hostile = await reader.send("/people", 200, name="<b>eve</b>", role="manager", all="on")
        assert "<b>eve" not in hostile
        assert await reader.send(f"/people/{found.id}", role="engineer", all="on") == "/people?done=saved"
        assert (person(shop, "max").role, person(shop, "max").sites) == (Role.ENGINEER, None)
        again = secret_of(await reader.send(f"/people/{found.id}/password", 200))
        assert again != password
        assert await reader.send(f"/people/{found.id}/remove") == "/people?done=removed"
        await reader.page(f"/people/{found.id}", 404)
        await reader.page("/people/%FF", 404)


@pytest.mark.asyncio
async def test_the_last_owner_stays_one(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        me = person(shop, NAME).id
        assert "only owner" in await reader.send(f"/people/{me}", 422, role="manager", all="on")
        assert "only owner" in await reader.send(f"/people/{me}", 422, role="owner", site_demo="on")
        assert "only owner" in await reader.send(f"/people/{me}/remove", 409)
        await reader.send("/people", 200, name="max", role="owner", all="on")
        await reader.send(f"/people/{me}/remove")


@pytest.mark.asyncio
async def test_an_owner_of_one_site_gives_no_more_than_that(shop: Database) -> None:
    async with desk(shop) as reader:
        with shop.transaction() as connection:
            whole = people.add_person(connection, NAME, "none", Role.OWNER, None, datetime.now(UTC))
        reader.log_in(shop, Role.OWNER, frozenset({"demo"}), name="max")
        listed = await reader.page("/people")
        assert f"/people/{whole.id}" not in listed
        await reader.page(f"/people/{whole.id}", 404)
        await reader.send(f"/people/{whole.id}/password", 404)
        await reader.send("/people", 403, name="eve", role="manager", all="on")
        assert "or some of them" in await reader.send("/people", 422, name="eve", role="manager", site_other="on")
        await reader.send("/tokens", 403, name="crm", role="manager", all="on")
        await reader.send("/people", 200, name="eve", role="engineer", site_demo="on")


@pytest.mark.asyncio
async def test_times_are_by_the_clocks_of_most_of_the_sites(shop: Database) -> None:
    with shop.transaction() as connection:
        eve = people.add_person(connection, "eve", "none", Role.MANAGER, None, datetime.now(UTC))
        at = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
        connection.execute(update(tables.people).where(tables.people.c.id == eve.id).values(seen_at=at))
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page("/people")
        assert re.search("2 Mar( 2026)?, 01:30", page)
        assert "Europe/Moscow" in page
        with shop.transaction() as connection:
            a_site(connection, key="far", timezone="Asia/Tokyo")
            a_site(connection, key="far-too", timezone="Asia/Tokyo")
        assert "Europe/Moscow" in await reader.page("/people"), "of as many the first"
        with shop.transaction() as connection:
            a_site(connection, key="far-three", timezone="Asia/Tokyo")
        page = await reader.page("/people")
        assert re.search("2 Mar( 2026)?, 07:30", page)
        assert "Asia/Tokyo" in page


@pytest.mark.asyncio
async def test_a_token_is_made_shown_once_and_revoked(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        secret = secret_of(await reader.send("/tokens", 200, name="crm", role="manager", site_demo="on"))
        headers = {"Authorization": f"Bearer {secret}"}
        assert (await reader.client.get("/api/v1/calls", headers=headers)).status == 200
        assert (await reader.client.get("/api/v1/users", headers=headers)).status == 403
        assert secret not in await reader.page("/tokens")
        assert "taken" in await reader.send("/tokens", 422, name="crm", role="manager", all="on")
        assert "cannot be" in await reader.send("/tokens", 422, name="123", role="manager", all="on")
        assert await reader.send("/tokens/1/revoke") == "/tokens?done=revoked"
        await reader.send("/tokens/1/revoke", 404)
        assert (await reader.client.get("/api/v1/calls", headers=headers)).status == 401
        await reader.send("/tokens", 200, name="crm", role="manager", all="on")


def test_a_name_is_nobody_else_s(shop: Database) -> None:
    now = datetime.now(UTC)
    with shop.transaction() as connection:
        made = let_in(connection, OWNER, "Ann", "none", Role.OWNER, None, now)
        with pytest.raises(NameTaken):
            let_in(connection, OWNER, "ann ", "none", Role.MANAGER, None, now)
        with pytest.raises(LastOwner):
            change_access(connection, OWNER, made.id, Role.ENGINEER, None)


async def asked(client: Any, method: str, path: str, headers: dict[str, str], status: int, **body: Any) -> Any:
    async with client.request(method, path, headers=headers, **({"json": body} if body else {})) as response:
        text = await response.text()
        assert response.status == status, text
        return await response.json(content_type=None) if text else None


@pytest.mark.asyncio
async def test_people_and_tokens_over_the_api(shop: Database) -> None:
    headers = a_token(shop)
    async with running(shop) as client:
        users = "/api/v1/users"
        made = await asked(client, "POST", users, headers, 201, name="Ann", role="owner", sites=None)
        assert len(made["password"]) > 10
        with_own = {"name": "max", "role": "manager", "sites": ["demo"], "password": "correct horse 1"}
        second = await asked(client, "POST", users, headers, 201, **with_own)
        assert second["password"] is None
        await asked(client, "POST", users, headers, 409, **with_own)
        await asked(client, "POST", users, headers, 422, **{**with_own, "name": "x", "sites": ["nowhere"]})
        await asked(client, "POST", users, headers, 422, **{**with_own, "name": "x", "password": "aaaaaaaaaaaa"})
        last = await asked(client, "PATCH", f"{users}/{made['id']}", headers, 409, role="manager")
        assert last["type"].endswith("last-owner")
        changed = await asked(client, "PATCH", f"{users}/{second['id']}", headers, 200, role="engineer")
        assert (changed["role"], changed["sites"]) == ("engineer", ["demo"])
        changed = await asked(client, "PATCH", f"{users}/{second['id']}", headers, 200, sites=None)
        assert (changed["role"], changed["sites"]) == ("engineer", None)
        page = await asked(client, "GET", users, headers, 200)
        assert [one["name"] for one in page["items"]] == ["ann", "max"]
        assert "password" not in page["items"][0]
        await asked(client, "DELETE", f"{users}/{second['id']}", headers, 204)
        await asked(client, "GET", f"{users}/{second['id']}", headers, 404)

        keys = "/api/v1/tokens"
        token = await asked(client, "POST", keys, headers, 201, name="crm", role="owner", sites=["demo"])
        own = {"Authorization": f"Bearer {token['token']}"}
        assert [one["name"] for one in (await asked(client, "GET", keys, own, 200))["items"]] == ["crm"]
        await asked(client, "POST", keys, own, 403, name="wide", role="manager", sites=None)
        await asked(client, "POST", keys, own, 403, name="else", role="manager", sites=["other"])
        await asked(client, "PATCH", f"{keys}/{token['id']}", headers, 409, name="tests")
        assert (await asked(client, "PATCH", f"{keys}/{token['id']}", headers, 200, name="crm 2"))["name"] == "crm 2"
        await asked(client, "DELETE", f"{keys}/{token['id']}", headers, 204)
        await asked(client, "GET", keys, own, 401)
    with shop.reading() as connection:
        assert [token.revoked_at is None for token in tokens.list_tokens(connection)] == [True, False]
