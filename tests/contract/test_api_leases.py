"""Websites lease numbers over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import func, select

from pbxtrack.api.limits import Rate
from pbxtrack.errors import StorageUnavailable
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from tests.contract.api_client import ORIGIN, PAGE, running
from tests.contract.site import a_site

LEASES = "/api/v1/leases"
FROM_SHOP = {"Origin": ORIGIN}
BODY = {"site": "demo", "page": PAGE}


@pytest.fixture(autouse=True)
def _site(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"], email="sales@shop.example")


def leased(database: Database) -> int:
    with database.transaction() as connection:
        return connection.scalar(select(func.count()).select_from(tables.leases)) or 0


def assert_problem(response: Any, status: int, document: dict[str, Any]) -> None:
    assert response.status == status
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert document["status"] == status
    assert document["title"]
    assert document["type"]


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
    assert document["email"] == "sales@shop.example"
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
async def test_a_body_that_is_not_compressed_as_it_says_is_400(database: Database) -> None:
    async with running(database) as client:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        response = await client.post(LEASES, data=b"not gzip at all", headers=headers)
        assert response.status == 400


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
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (ORIGIN, True),
        (None, True),
        ("http://shop.example", False),
        ("https://shop.example:8443", False),
        ("https://shop.example.evil.example", False),
        ("https://sub.shop.example", False),
        ("https://other.example", False),  # another site's own
        ("null", False),
        ("", False),
        ("*", False),
    ],
)
async def test_only_a_sites_own_pages_lease_its_numbers(database: Database, origin: str | None, allowed: bool) -> None:
    with database.transaction() as connection:
        a_site(connection, key="other", origins=["https://other.example"])
    headers = {} if origin is None else {"Origin": origin}
    async with running(database) as client:
        response = await client.post(LEASES, json=BODY, headers=headers)
        document = await response.json()
    assert response.headers["Vary"] == "Origin"
    assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert "Access-Control-Allow-Credentials" not in response.headers
    if allowed:
        assert response.status == 201
    else:
        assert_problem(response, 403, document)
    assert leased(database) == allowed


@pytest.mark.asyncio
async def test_another_sites_page_cannot_read_a_lease(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, key="other", origins=["https://other.example"])
    async with running(database) as client:
        lease = await (await client.post(LEASES, json=BODY)).json()
        response = await client.post(f"{LEASES}/{lease['lease']}/renew", headers={"Origin": "https://other.example"})
        assert_problem(response, 403, await response.json())
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [LEASES, f"{LEASES}/abc/renew"])
async def test_a_preflight_is_answered_to_a_sites_own_pages(database: Database, path: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    async with running(database) as client:
        own = await client.options(path, headers={**FROM_SHOP, **asked})
        foreign = await client.options(path, headers={"Origin": "https://evil.example", **asked})
    assert own.status == 204
    assert own.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert own.headers["Access-Control-Allow-Methods"] == "POST"
    assert own.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert foreign.status == 403
    assert "Access-Control-Allow-Origin" not in foreign.headers


@pytest.mark.asyncio
async def test_too_many_requests_are_told_when_to_come_again(database: Database) -> None:
    async with running(database, address_rate=Rate(2, 60.0)) as client:
        answers = [await client.post(LEASES, json=BODY, headers=FROM_SHOP) for _ in range(3)]
        document = await answers[2].json()
    assert [answer.status for answer in answers] == [201, 201, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 30
    assert answers[2].headers["Access-Control-Allow-Origin"] == ORIGIN
    assert_problem(answers[2], 429, document)


@pytest.mark.asyncio
async def test_addresses_are_counted_apart_behind_a_trusted_proxy_only(database: Database) -> None:
    def forwarded(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address}

    rates = {"address_rate": Rate(1, 600.0), "site_rate": None}
    async with running(database, **rates, trusted_proxies=[ip_network("127.0.0.0/8")]) as client:
        behind = [(await client.post(LEASES, json=BODY, headers=forwarded(f"203.0.113.{n}"))).status for n in (1, 2, 1)]
    async with running(database, **rates) as client:
        direct = [(await client.post(LEASES, json=BODY, headers=forwarded(f"203.0.113.{n}"))).status for n in (1, 2)]
    assert behind == [201, 201, 429]
    assert direct == [201, 429]


@pytest.mark.asyncio
async def test_a_site_has_a_limit_of_its_own(database: Database) -> None:
    async with running(database, address_rate=None, site_rate=Rate(1, 60.0)) as client:
        statuses = [(await client.post(LEASES, json=BODY)).status for _ in range(2)]
    assert statuses == [201, 429]


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
async def test_a_page_can_read_that_the_database_went_away(database: Database) -> None:
    clock = Clock()
    async with running(database) as client:
        _set_clock(client, clock)
        assert (await client.post(LEASES, json=BODY, headers=FROM_SHOP)).status == 201
        with database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE sites RENAME TO gone")
        clock.now += 60
        response = await client.post(LEASES, json=BODY, headers=FROM_SHOP)
    assert response.status == 503
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.asyncio
async def test_a_new_origin_counts_within_seconds(database: Database) -> None:
    clock, other = Clock(), {"Origin": "https://new.example"}
    async with running(database) as client:
        _set_clock(client, clock)
        assert (await client.post(LEASES, json=BODY, headers=other)).status == 403
        with database.transaction() as connection:
            connection.execute(tables.sites.update().values(origins=["https://NEW.example:443/"]))
        clock.now += 5
        assert (await client.post(LEASES, json=BODY, headers=other)).status == 201


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _set_clock(client: Any, clock: Callable[[], float]) -> None:
    from pbxtrack.api.services import ORIGINS

    client.server.app[ORIGINS]._clock = clock
