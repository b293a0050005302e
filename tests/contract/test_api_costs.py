"""What advertising cost, over HTTP: written once however often it is told, and nobody else's to see."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from sqlalchemy import select

from pbxtrack.access import Role
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.tokens import add_token
from tests.contract.api_client import T0, a_token, assert_problem, running
from tests.contract.site import a_site

COSTS = "/api/v1/costs"
MARCH = {"first": "2026-03-01", "last": "2026-03-31", "channel": "Radio", "amount": 1000}
DAY = {
    "first": "2026-03-02",
    "channel": "Ads",
    "source": "Yandex",
    "medium": "CPC",
    "campaign": "brand",
    "amount": 10.5,
}


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        a_site(connection)
        a_site(connection, key="other", currency="EUR")
    return a_token(database)


async def post(client: TestClient[Any, Any], headers: dict[str, str], *items: Any, **more: Any) -> Any:
    response = await client.post(COSTS, json={"site": "demo", "items": items, **more}, headers=headers)
    return response, await response.json()


async def listed(client: TestClient[Any, Any], headers: dict[str, str], **query: Any) -> list[Any]:
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await (await client.get(COSTS, params={**query, **cursor}, headers=headers)).json()
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def counts(done: Any) -> tuple[int, ...]:
    return tuple(done[name] for name in ("added", "changed", "unchanged", "removed"))


@pytest.mark.asyncio
async def test_the_same_told_twice_is_there_once(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        _, done = await post(client, manager, MARCH, DAY)
        assert counts(done) == (2, 0, 0, 0)
        day = done["items"][1]
        assert (day["last"], day["source"], day["medium"], day["term"]) == ("2026-03-02", "yandex", "cpc", None)
        assert (day["amount"], day["currency"]) == (10.5, "RUB")
        _, again = await post(client, manager, {**DAY, "amount": 12}, MARCH)
        assert counts(again) == (0, 1, 1, 0)
        assert [item["id"] for item in again["items"]] == [item["id"] for item in reversed(done["items"])]
        assert [item["amount"] for item in await listed(client, manager, limit=1)] == [12, 1000]


@pytest.mark.asyncio
async def test_a_period_is_replaced_by_what_comes_for_it(database: Database, manager: dict[str, str]) -> None:
    days = [{**DAY, "first": f"2026-03-{day:02}"} for day in (1, 2, 3)]
    async with running(database) as client:
        await post(client, manager, *days, {**days[0], "channel": "Radio"})
        _, done = await post(
            client, manager, days[1], replace={"first": "2026-03-01", "last": "2026-03-02", "channel": "Ads"}
        )
        assert counts(done) == (0, 0, 1, 1)
        assert [(item["first"][-2:], item["channel"]) for item in await listed(client, manager)] == [
            ("03", "Ads"), ("02", "Ads"), ("01", "Radio"),
        ]  # fmt: skip
        outside = await post(client, manager, days[2], replace={"first": "2026-03-01", "last": "2026-03-02"})
        assert_problem(outside[0], 409, outside[1])
        await post(client, manager, MARCH)
        cut = await post(client, manager, replace={"first": "2026-03-01", "last": "2026-03-02"})
        assert_problem(cut[0], 409, cut[1])
        assert "lies only in part" in cut[1]["detail"]
        assert len(await listed(client, manager)) == 4


@pytest.mark.asyncio
async def test_all_are_written_or_none(database: Database, manager: dict[str, str]) -> None:
    wrong = [
        {**DAY, "amount": 1.005}, {**DAY, "amount": -1}, {**DAY, "amount": "5"}, {**DAY, "amount": True},
        {**DAY, "amount": 1e30}, {**DAY, "first": "2026-02-30"}, {**DAY, "first": "22.11.2026"},
        {**DAY, "last": "2026-03-01"}, {**DAY, "last": "2999-01-01"}, {**DAY, "channel": " "},
        {**DAY, "channel": "\0"}, {**DAY, "colour": "red"}, MARCH,
    ]  # fmt: skip
    async with running(database) as client:
        for item in wrong:
            response, problem = await post(client, manager, MARCH, item)
            assert_problem(response, 422, problem)
            assert problem["errors"][0]["at"].startswith("items/1"), item
        many = [{**DAY, "campaign": f"{n}"} for n in range(1_001)]
        response, problem = await post(client, manager, *many)
        assert_problem(response, 422, problem)
        assert await listed(client, manager) == []
        response, done = await post(client, manager, *many[1:])
        assert (response.status, counts(done)) == (200, (1_000, 0, 0, 0))
        assert len({item["id"] for item in await listed(client, manager, limit=250)}) == 1_000
        assert (await client.post(COSTS, data=BytesIO(b"x" * 1_100_000), headers=manager)).status == 413


@pytest.mark.asyncio
async def test_a_list_is_of_what_is_asked_for(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        await post(client, manager, MARCH, DAY)

        async def found(**query: str) -> set[str]:
            return {item["channel"] for item in await listed(client, manager, **query)}

        assert await found() == {"Ads", "Radio"}
        assert await found(since="2026-03-03") == {"Radio"}, "a span that reaches into it"
        assert await found(until="2026-03-02") == {"Radio"}
        assert await found(until="2026-03-01") == set()
        assert await found(channel="Ads", site="demo") == {"Ads"}
        assert await found(site="other") == set()
        for query in ({"since": "yesterday"}, {"cursor": "x"}, {"cursor": "MjAyNi0xMy0wMSA1"}):
            response = await client.get(COSTS, params=query, headers=manager)
            assert_problem(response, 400, await response.json())


@pytest.mark.asyncio
async def test_who_changed_what_is_kept(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        _, done = await post(client, manager, MARCH, DAY)
        march, day = (f"{COSTS}/{item['id']}" for item in done["items"])
        changed = await (await client.patch(day, json={"amount": 9, "campaign": None}, headers=manager)).json()
        assert (changed["amount"], changed["campaign"], changed["source"]) == (9, None, "yandex")
        assert [(one["who"], one["before"], one["after"] and one["after"]["amount"]) for one in changed["history"]] == [
            ("tests", {"amount": 10.5, "campaign": "brand"}, 9),
            ("tests", None, 10.5),
        ]
        await client.patch(day, json={"amount": 9}, headers=manager)
        assert len((await (await client.get(day, headers=manager)).json())["history"]) == 2, "nothing was changed"
        twin = {name: MARCH[name] for name in ("first", "last", "channel")}
        in_the_way = await client.patch(day, json={**twin, "source": "", "medium": ""}, headers=manager)
        assert_problem(in_the_way, 409, await in_the_way.json())
        wrong = await client.patch(day, json={"last": "2026-01-01"}, headers=manager)
        assert_problem(wrong, 422, await wrong.json())
        assert (await client.delete(march, headers=manager)).status == 204
        for gone in (march, f"{COSTS}/x", f"{COSTS}/99999999999999999999"):
            for asked in (client.get, client.delete):
                response = await asked(gone, headers=manager)
                assert_problem(response, 404, await response.json())
    kept = tables.money_audit.c
    with database.reading() as connection:
        last = connection.execute(select(kept.before, kept.after).order_by(kept.id.desc())).first()
    assert last is not None
    assert (last.before["channel"], last.after) == ("Radio", None)


@pytest.mark.asyncio
async def test_only_who_may_writes_and_only_to_their_sites(database: Database, manager: dict[str, str]) -> None:
    with database.transaction() as connection:
        _, engineers = add_token(connection, "engineer", T0, Role.ENGINEER)
        _, others = add_token(connection, "other", T0, Role.MANAGER, frozenset({"other"}))
    engineer, other = ({"Authorization": f"Bearer {secret}"} for secret in (engineers, others))
    async with running(database) as client:
        _, done = await post(client, manager, DAY)
        cost = f"{COSTS}/{done['items'][0]['id']}"
        for headers, status in ((engineer, 403), (other, 404)):
            response, problem = await post(client, headers, MARCH)
            assert_problem(response, status, problem)
            for answer in (
                await client.patch(cost, json={"amount": 1}, headers=headers),
                await client.delete(cost, headers=headers),
            ):
                assert_problem(answer, status, await answer.json())
        assert (await client.get(cost, headers=engineer)).status == 200
        assert (await client.get(cost, headers=other)).status == 404
        assert await listed(client, other) == []
        assert len(await listed(client, manager)) == 1
        response, problem = await post(client, manager, DAY, site="nobody's")
        assert_problem(response, 404, problem)
