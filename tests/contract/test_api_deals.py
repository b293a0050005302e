"""What contacts bought, over HTTP: known by the CRM's id, tied to whoever called."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from pbxtrack.access import Role
from pbxtrack.storage.database import Database
from pbxtrack.storage.tokens import add_token
from tests.contract.api_client import CALLER, OTHER_STATIC, STATIC, T0, a_token, assert_problem, put_call, running
from tests.contract.site import a_site

DEALS = "/api/v1/deals"


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    return a_token(database)


async def post(client: TestClient[Any, Any], headers: dict[str, str], *items: Any, site: str = "demo") -> Any:
    response = await client.post(DEALS, json={"site": site, "items": items}, headers=headers)
    return response, await response.json()


def at(minutes: int) -> str:
    return (T0 + timedelta(minutes=minutes)).isoformat()


@pytest.mark.asyncio
async def test_a_deal_is_of_whoever_called(database: Database, manager: dict[str, str]) -> None:
    first, second = put_call(database, 0), put_call(database, 10)
    put_call(database, 5, dialled=OTHER_STATIC)
    async with running(database) as client:
        for tie in ({"caller": "8 (916) 123-45-67"}, {"call": first}):
            _, done = await post(client, manager, {**tie, "status": "won", "won_at": at(7), "amount": 99.9})
            (deal,) = done["items"]
            assert (deal["caller"], deal["call"], deal["channel"]) == (CALLER, first, "Billboard")
        _, done = await post(client, manager, {"contact": deal["contact"], "status": "won", "won_at": at(11)})
        assert done["items"][0]["call"] == second, "the latest before it"
        _, done = await post(client, manager, {"contact": deal["contact"], "status": "won", "won_at": at(-60)})
        assert done["items"][0]["call"] == first, "clocks differ"
        hidden = put_call(database, 20, caller=None)
        _, done = await post(client, manager, {"call": hidden, "status": "won"})
        assert (done["items"][0]["contact"], done["items"][0]["call"]) == (None, hidden)


@pytest.mark.asyncio
async def test_the_crms_id_tells_which_deal_it_is(database: Database, manager: dict[str, str]) -> None:
    put_call(database, 0)
    put_call(database, 1, dialled=OTHER_STATIC)
    opened = {"external_id": "A-1", "caller": CALLER, "name": "a sofa", "opened_at": at(5), "amount": 10}
    async with running(database) as client:
        _, done = await post(client, manager, opened)
        (deal,) = done["items"]
        assert (done["added"], deal["status"], deal["at"], deal["won_at"]) == (1, "open", deal["opened_at"], None)
        _, done = await post(client, manager, {"external_id": "A-1", "status": "won", "won_at": at(60), "amount": 20})
        (won,) = done["items"]
        assert (done["added"], won["id"], won["name"], won["opened_at"]) == (0, deal["id"], "a sofa", deal["opened_at"])
        assert (won["amount"], won["closed_at"], won["at"]) == (20, won["won_at"], won["won_at"])
        _, done = await post(client, manager, {"external_id": "A-1", "status": "lost", "closed_at": at(90)})
        (lost,) = done["items"]
        assert (lost["won_at"], lost["at"]) == (None, lost["closed_at"])
        _, done = await post(client, manager, opened, site="other")
        assert done["added"] == 1, "of another site it is another"
        history = (await (await client.get(f"{DEALS}/{deal['id']}", headers=manager)).json())["history"]
        assert [one["after"]["status"] for one in history] == ["lost", "won", "open"]
        assert history[1]["before"] == {"status": "open", "amount": 10, "won_at": None, "closed_at": None}


@pytest.mark.asyncio
async def test_all_are_written_or_none(database: Database, manager: dict[str, str]) -> None:
    call = put_call(database, 0, dialled=OTHER_STATIC)
    fine = {"external_id": "1", "caller": CALLER}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "items/1"), ({"caller": CALLER, "contact": 1}, "items/1"), ({"external_id": "2"}, "items/1"),
        ({"caller": "+79160000000"}, "items/1/caller"), ({"caller": "withheld"}, "items/1/caller"),
        ({"call": call}, "items/1/call"), ({"contact": 10**6}, "items/1/contact"), (fine, "items/1/external_id"),
        ({"caller": CALLER, "won_at": at(0)}, "items/1"), ({"caller": CALLER, "status": "sold"}, "items/1/status"),
        ({"caller": CALLER, "status": "lost", "won_at": at(0)}, "items/1"),
        ({"caller": CALLER, "amount": 0.001}, "items/1/amount"),
    ]  # fmt: skip
    put_call(database, 1)
    async with running(database) as client:
        for item, place in wrong:
            response, problem = await post(client, manager, fine, item)
            assert_problem(response, 422, problem)
            assert problem["errors"][0]["at"] == place, item
        page = await (await client.get(DEALS, headers=manager)).json()
        assert page == {"items": [], "next": None}


@pytest.mark.asyncio
async def test_a_list_is_of_what_is_asked_for(database: Database, manager: dict[str, str]) -> None:
    put_call(database, 0)
    won = [{"caller": CALLER, "name": f"{n}", "status": "won", "won_at": at(n)} for n in range(5)]
    async with running(database) as client:
        await post(client, manager, *won, {"caller": CALLER, "name": "open", "opened_at": at(-5)})

        async def found(**query: Any) -> list[str]:
            names: list[str] = []
            while True:
                page = await (await client.get(DEALS, params={**query, "limit": 2}, headers=manager)).json()
                names += [item["name"] for item in page["items"]]
                if page["next"] is None:
                    return names
                query["cursor"] = page["next"]

        assert await found() == ["4", "3", "2", "1", "0", "open"]
        assert await found(since=at(1), until=at(3)) == ["2", "1"]
        assert await found(status="open") == ["open"]
        assert await found(channel="Billboard", site="demo", since=at(4)) == ["4"]
        assert await found(channel="Radio") == await found(site="other") == []
        response = await client.get(DEALS, params={"cursor": "eCAx"}, headers=manager)
        assert_problem(response, 400, await response.json())


@pytest.mark.asyncio
async def test_one_is_changed_and_removed_by_who_may(database: Database, manager: dict[str, str]) -> None:
    put_call(database, 0)
    with database.transaction() as connection:
        _, engineers = add_token(connection, "engineer", T0, Role.ENGINEER)
        _, others = add_token(connection, "other", T0, Role.MANAGER, frozenset({"other"}))
    async with running(database) as client:
        _, done = await post(client, manager, {"external_id": "1", "caller": CALLER}, {"caller": CALLER})
        first, second = (f"{DEALS}/{item['id']}" for item in done["items"])
        for secret, status in ((engineers, 403), (others, 404)):
            headers = {"Authorization": f"Bearer {secret}"}
            for answer in (
                await client.patch(second, json={}, headers=headers),
                await client.delete(second, headers=headers),
            ):
                assert_problem(answer, status, await answer.json())
        twin = await client.patch(second, json={"external_id": "1"}, headers=manager)
        assert_problem(twin, 409, await twin.json())
        wrong = await client.patch(second, json={"closed_at": at(1)}, headers=manager)
        assert_problem(wrong, 422, await wrong.json())
        nobody = await client.patch(second, json={"caller": "+79160000000"}, headers=manager)
        assert_problem(nobody, 422, await nobody.json())
        changed = await client.patch(second, json={"status": "won", "stage": "paid", "amount": 5}, headers=manager)
        deal = await changed.json()
        assert (deal["status"], deal["stage"], deal["amount"], len(deal["history"])) == ("won", "paid", 5, 2)
        assert (await client.delete(first, headers=manager)).status == 204
        gone = await client.get(first, headers=manager)
        assert_problem(gone, 404, await gone.json())
