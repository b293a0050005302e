"""Websites lease numbers over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import select

from pbxtrack.api.app import create_app, create_runner
from pbxtrack.errors import StorageUnavailable
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from tests.contract.api_client import ORIGIN, PAGE, assert_problem, leased, running, services
from tests.contract.site import a_site

LEASES = "/api/v1/leases"
FROM_SHOP = {"Origin": ORIGIN}
BODY = {"site": "demo", "page": PAGE}


@pytest.fixture(autouse=True)
def _site(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"], email="sales@shop.example")


@pytest.mark.asyncio
async def test_a_lease_has_the_shape_that_websites_know(database: Database) -> None:
    async with running(database) as client:
        response = await client.post(LEASES, json={**BODY, "region": "495", "client_ids": {"ga": "1.2"}})
        document = await response.json()
    assert response.status == 201
    assert list(document) == [
        "lease", "visitor", "visit", "number", "display", "region", "email", "expires_at", "guaranteed_until",
        "renew_after", "overflow",
    ]  # fmt: skip
    assert document["number"] == "+74951230100"
    assert document["display"] == "8 (495) 123-01-00"
    assert document["region"] == "495"
    assert re.fullmatch(r"sales\+[0-9a-z]{10}@shop\.example", document["email"])
    assert document["renew_after"] == 60
    assert document["overflow"] is False
    expires, guaranteed = (datetime.fromisoformat(document[name]) for name in ("expires_at", "guaranteed_until"))
    assert document["expires_at"].endswith("Z")
    assert (expires - guaranteed).total_seconds() == pytest.approx(1620, abs=1)
    assert response.headers["Cache-Control"] == "no-store"
    assert "Server" not in response.headers


@pytest.mark.asyncio
async def test_the_same_visit_keeps_its_number(database: Database) -> None:
    async with running(database) as client:
        first = await (await client.post(LEASES, json=BODY)).json()
        again = await client.post(LEASES, json={**BODY, "visitor": first["visitor"]})
        document = await again.json()
    assert again.status == 201
    assert (document["lease"], document["number"]) == (first["lease"], first["number"])
    assert document["email"] == first["email"]


@pytest.mark.asyncio
async def test_a_used_up_pool_shows_the_overflow_number(database: Database) -> None:
    async with running(database) as client:
        await client.post(LEASES, json=BODY)
        document = await (await client.post(LEASES, json=BODY)).json()
    assert (document["number"], document["overflow"]) == ("+74950000000", True)


@pytest.mark.asyncio
async def test_without_any_number_the_lease_says_so(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, key="bare", overflow_number=None)
    async with running(database) as client:
        response = await client.post(LEASES, json={**BODY, "site": "bare"})
        document = await response.json()
    assert response.status == 201
    assert (document["number"], document["display"], document["overflow"]) == (None, None, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("content_type", ["text/plain", "text/plain;charset=UTF-8", "application/json; charset=utf-8"])
async def test_json_is_taken_as_browsers_send_it(database: Database, content_type: str) -> None:
    async with running(database) as client:
        response = await client.post(LEASES, data=json.dumps(BODY), headers={"Content-Type": content_type})
        assert response.status == 201


@pytest.mark.asyncio
@pytest.mark.parametrize("event", ["view", "tap", "copy", "leave"])
async def test_a_sign_of_life_holds_the_number_on(database: Database, event: str) -> None:
    async with running(database) as client:
        lease = await (await client.post(LEASES, json=BODY)).json()
        beacon = json.dumps({"page": PAGE, "event": event})
        response = await client.post(
            f"{LEASES}/{lease['lease']}/renew", data=beacon, headers={"Content-Type": "text/plain", **FROM_SHOP}
        )
        renewed = await response.json()
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert renewed["lease"] == lease["lease"]
    assert renewed["expires_at"] >= lease["expires_at"]


@pytest.mark.asyncio
async def test_an_empty_sign_of_life_is_enough(database: Database) -> None:
    async with running(database) as client:
        lease = await (await client.post(LEASES, json=BODY)).json()
        assert (await client.post(f"{LEASES}/{lease['lease']}/renew")).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("lease", ["x", "0" * 26, "%00", "%FF%FE", "a%2Fb", "%ED%A0%80", "9" * 500, "{lease}"])
async def test_a_lease_that_is_gone_is_410(database: Database, lease: str) -> None:
    async with running(database) as client:
        response = await client.post(f"{LEASES}/{lease}/renew")
        assert_problem(response, 410, await response.json())


@pytest.mark.asyncio
async def test_an_unknown_site_is_404(database: Database) -> None:
    async with running(database) as client:
        response = await client.post(LEASES, json={**BODY, "site": "nobody"}, headers=FROM_SHOP)
        assert_problem(response, 404, await response.json())
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b"\xff\xfe", 400),
        (b'{"site":"demo","page":"\\ud800"}', 400),
        (b"[" * 20_000, 400),
        (b"null", 422),
        (b"[]", 422),
        (b'{"site":"demo"}', 422),
        (b'{"site":"demo","page":7}', 422),
        (b'{"site":"demo","page":"a\\u0000b"}', 422),
        (b'{"site":"de\\u0000mo","page":"/"}', 422),
        (json.dumps({**BODY, "page": "x" * 8193}).encode(), 422),
        (json.dumps({**BODY, "referrer": "x" * 8193}).encode(), 422),
        (json.dumps({**BODY, "region": "1" * 17}).encode(), 422),
        (json.dumps({**BODY, "visitor": "v" * 65}).encode(), 422),
        (json.dumps({**BODY, "client_ids": {str(n): "x" for n in range(21)}}).encode(), 422),
        (json.dumps({**BODY, "client_ids": {"ga": "x" * 257}}).encode(), 422),
        (json.dumps({**BODY, "client_ids": {"ga": {"deep": 1}}}).encode(), 422),
        (json.dumps({**BODY, "more": "x" * 33_000}).encode(), 413),
    ],
)
async def test_a_bad_body_is_refused(database: Database, body: bytes, status: int) -> None:
    async with running(database) as client:
        response = await client.post(LEASES, data=body, headers={"Content-Type": "application/json"})
        assert_problem(response, status, await response.json())
    assert leased(database) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/html", "application/json; charset=utf-16", "", ";;"]
)
async def test_other_content_types_are_415(database: Database, content_type: str) -> None:
    async with running(database) as client:
        response = await client.post(LEASES, data=json.dumps(BODY), headers={"Content-Type": content_type})
        assert_problem(response, 415, await response.json())


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x"])
async def test_a_compressed_body_is_not_unpacked(sqlite_database: Database, encoding: str) -> None:
    runner = create_runner(create_app(services(sqlite_database)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    body = zlib.compress(b" " * 1_000_000)  # a thousand times smaller than what it would become
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{LEASES}"
    async with aiohttp.ClientSession() as client, client.post(url, data=body, headers=headers) as response:
        assert_problem(response, 415, await response.json())
    await runner.cleanup()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "page",
    [
        "https://shop.example/?utm_source=a%00b&utm_medium=cpc",
        "https://shop.example/?utm_source=%ED%A0%80&gclid=%00",
        "https://shop.example/?utm_source=" + "x" * 5000,
        "https://[",
        "\u202e\x01 no address",
    ],
)
async def test_whatever_the_address_of_the_page_it_gets_a_number(database: Database, page: str) -> None:
    async with running(database) as client:
        response = await client.post(LEASES, json={**BODY, "page": page})
        assert response.status == 201


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LEASES, f"{LEASES}/{'0' * 26}/renew"])
async def test_without_the_database_it_is_503_and_says_no_secrets(database: Database, path: str) -> None:
    async def gone(_: LeaseRequest | str) -> LeaseGrant:
        raise StorageUnavailable("the database is not available: password of user pbxtrack refused")

    async with running(database, acquire=gone, renew=gone) as client:
        response = await client.post(path, json=BODY, headers=FROM_SHOP)
        document = await response.json()
    assert_problem(response, 503, document)
    assert int(response.headers["Retry-After"]) >= 1
    assert "password" not in json.dumps(document)


@pytest.mark.asyncio
async def test_a_robot_is_shown_the_companys_own_number_and_leaves_no_trace(database: Database) -> None:
    robot = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    async with running(database) as client:
        response = await client.post(LEASES, json={**BODY, "region": "495"}, headers=robot)
        document = await response.json()
        unknown = await client.post(LEASES, json={**BODY, "site": "nobody"}, headers=robot)
    assert response.status == 200
    assert document == {
        "lease": None,
        "visitor": None,
        "visit": None,
        "number": "+74951234567",
        "display": "8 (495) 123-45-67",
        "region": "495",
        "email": "sales@shop.example",
        "expires_at": None,
        "guaranteed_until": None,
        "renew_after": None,
        "overflow": False,
    }
    assert unknown.status == 404
    with database.transaction() as connection:
        assert connection.execute(select(tables.visits)).all() == []


@pytest.mark.asyncio
async def test_one_address_cannot_use_up_the_pool_and_its_pages_do_not_notice(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, key="big", pool=[f"+749512399{index:02}" for index in range(20)])

    def from_address(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address}

    everybody = [ip_network("127.0.0.0/8")]
    body = {**BODY, "site": "big"}
    async with running(database, trusted_proxies=everybody) as client:
        greedy = [await client.post(LEASES, json=body, headers=from_address("203.0.113.7")) for _ in range(8)]
        documents = [await response.json() for response in greedy]
        at_once = await asyncio.gather(
            *(client.post(LEASES, json=body, headers=from_address("203.0.113.8")) for _ in range(8))
        )
        other = await (await client.post(LEASES, json=body, headers=from_address("203.0.113.9"))).json()
        first = {**body, "visitor": documents[0]["visitor"]}
        again = await (await client.post(LEASES, json=first, headers=from_address("203.0.113.7"))).json()
        local = [await (await client.post(LEASES, json=body)).json() for _ in range(9)]
        concurrent = [await response.json() for response in at_once]
    assert {response.status for response in greedy} == {201}
    assert [document["overflow"] for document in documents] == [False] * 5 + [True] * 3
    assert {document["number"] for document in documents[5:]} == {"+74950000000"}
    assert sum(not document["overflow"] for document in concurrent) == 5
    assert not other["overflow"]
    assert again["lease"] == documents[0]["lease"], "who has a number keeps it"
    assert not any(document["overflow"] for document in local), "a program on this machine asks for others"


@pytest.mark.asyncio
async def test_one_address_leaves_half_of_a_regions_numbers_to_others(database: Database) -> None:
    north, south = [f"+781212301{n:02}" for n in range(4)], [f"+786312301{n:02}" for n in range(8)]
    with database.transaction() as connection:
        a_site(connection, key="regional", regions={"812": north, "863": south})
    everybody = [ip_network("127.0.0.0/8")]
    body = {**BODY, "site": "regional", "region": "812"}

    async def ask(address: str, **more: str) -> Any:
        response = await client.post(LEASES, json=body | more, headers={"X-Forwarded-For": address})
        return await response.json()

    async with running(database, trusted_proxies=everybody) as client:
        greedy = [await ask("203.0.113.7") for _ in range(4)]
        page = "https://shop.example/?utm_source=vk&utm_medium=cpc"
        again = [await ask("203.0.113.7", visitor=greedy[0]["visitor"], page=page) for _ in range(2)]
        others = [await ask(f"203.0.113.{n}") for n in (8, 9)]
    assert [document["number"] in north for document in greedy] == [True, True, False, False]
    assert greedy[2]["number"] in south, "a foreign code beats no number at all"
    assert greedy[3]["overflow"]
    assert {document["number"] for document in again} == {greedy[0]["number"]}, "who has a number keeps it"
    assert all(document["number"] in north for document in others)


@pytest.mark.asyncio
async def test_pages_taps_and_copies_are_kept_in_their_order(database: Database) -> None:
    async with running(database) as client:
        lease = await (await client.post(LEASES, json=BODY)).json()
        for event, page in (("view", "/sofas"), (None, "/sofas"), ("copy", "/sofas"), ("tap", "/order")):
            await client.post(f"{LEASES}/{lease['lease']}/renew", json={"event": event, "page": page})
        again = {**BODY, "visitor": lease["visitor"], "page": "https://shop.example/contacts"}
        assert (await (await client.post(LEASES, json=again)).json())["lease"] == lease["lease"]
    with database.transaction() as connection:
        rows = connection.execute(select(tables.visit_events).order_by(tables.visit_events.c.id)).all()
    assert {row.visit_id for row in rows} == {lease["visit"]}
    assert [(row.kind, row.page) for row in rows] == [
        ("view", "/sofas"),
        ("copy", "/sofas"),
        ("tap", "/order"),
        ("view", "https://shop.example/contacts"),
    ]


@pytest.mark.asyncio
async def test_a_website_may_bring_its_own_visitors_ids(database: Database) -> None:
    async with running(database) as client:
        body = {**BODY, "visitor": "session-" + "9" * 56}
        first, second = [await (await client.post(LEASES, json=body)).json() for _ in range(2)]
    assert first["visitor"] == second["visitor"] == body["visitor"]
    assert first["lease"] == second["lease"]
