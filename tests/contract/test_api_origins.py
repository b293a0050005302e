"""Which websites may lease a site's numbers, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import select

from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from pbxtrack.web.limits import Rate
from tests.contract.api_client import ORIGIN, PAGE, assert_problem, leased, running
from tests.contract.site import a_site

LEASES = "/api/v1/leases"
FROM_SHOP = {"Origin": ORIGIN}
BODY = {"site": "demo", "page": PAGE}


@pytest.fixture(autouse=True)
def _site(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"], email="sales@shop.example")


@pytest.mark.asyncio
async def test_too_many_requests_are_told_when_to_come_again(database: Database) -> None:
    async with running(database, address_rate=Rate(2, 60.0), trust_local=False) as client:
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

    rates = {"address_rate": Rate(1, 600.0), "site_rate": None, "trust_local": False}
    async with running(database, **rates, trusted_proxies=[ip_network("127.0.0.0/8")]) as client:
        behind = [(await client.post(LEASES, json=BODY, headers=forwarded(f"203.0.113.{n}"))).status for n in (1, 2, 1)]
    async with running(database, **rates) as client:
        direct = [(await client.post(LEASES, json=BODY, headers=forwarded(f"203.0.113.{n}"))).status for n in (1, 2)]
    assert behind == [201, 201, 429]
    assert direct == [201, 429]


@pytest.mark.asyncio
async def test_a_site_has_a_limit_of_its_own(database: Database) -> None:
    async with running(database, address_rate=None, site_rate=Rate(1, 60.0), trust_local=False) as client:
        statuses = [(await client.post(LEASES, json=BODY)).status for _ in range(2)]
    assert statuses == [201, 429]


@pytest.mark.asyncio
@pytest.mark.parametrize("limit", ["address", "lease"])
async def test_renewals_are_limited_by_address_and_by_lease(database: Database, limit: str) -> None:
    rates = {"renew_address_rate": None, "renew_lease_rate": None, f"renew_{limit}_rate": Rate(2, 60.0)}
    async with running(database, **rates, trust_local=False) as client:
        leases = [(await (await client.post(LEASES, json=BODY)).json())["lease"] for _ in range(2)]
        renew, other = (f"{LEASES}/{lease}/renew" for lease in leases)
        answers = [await client.post(renew, headers=FROM_SHOP) for _ in range(3)]
        document = await answers[2].json()
        before = _kept(database)
        assert (await client.post(renew, json={"event": "tap"})).status == 429
        assert _kept(database) == before
        assert (await client.post(other)).status == (429 if limit == "address" else 200)
        assert (await client.post(LEASES, json=BODY)).status == 201, "new leases are counted apart"
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 30
    assert answers[2].headers["RateLimit-Remaining"] == "0"
    assert answers[2].headers["Access-Control-Allow-Origin"] == ORIGIN
    assert_problem(answers[2], 429, document)
    if limit == "address":
        assert [answer.headers["RateLimit-Remaining"] for answer in answers[:2]] == ["1", "0"]


@pytest.mark.asyncio
async def test_renewals_of_leases_that_never_were_count_too(database: Database) -> None:
    async with running(database, renew_address_rate=Rate(1, 60.0), trust_local=False) as client:
        statuses = [(await client.post(f"{LEASES}/{lease}/renew")).status for lease in ("x", "y")]
    async with running(database, renew_address_rate=Rate(1, 60.0)) as client:
        local = [(await client.post(f"{LEASES}/x/renew")).status for _ in range(2)]
    assert statuses == [410, 429]
    assert local == [410, 410], "a program on this machine asks for others"


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
async def test_another_sites_page_can_neither_read_nor_hold_a_lease(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, key="other", origins=["https://other.example"])
    async with running(database) as client:
        lease = await (await client.post(LEASES, json=BODY)).json()
        before = _kept(database)
        renew, other = f"{LEASES}/{lease['lease']}/renew", {"Origin": "https://other.example"}
        response = await client.post(renew, json={"event": "tap", "page": "/"}, headers=other)
        assert_problem(response, 403, await response.json())
        assert "Access-Control-Allow-Origin" not in response.headers
        assert _kept(database) == before
        gone = await client.post(f"{LEASES}/{'0' * 26}/renew", headers=other)
        assert_problem(gone, 410, await gone.json())
        assert (await client.post(renew, headers=FROM_SHOP)).status == 200
    assert _kept(database) != before


def _kept(database: Database) -> Sequence[Sequence[Any]]:
    """All that a sign of life may change."""
    changed = (tables.leases, tables.visits, tables.numbers, tables.visit_events)
    with database.transaction() as connection:
        return [connection.execute(select(table)).all() for table in changed]


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

    client.server.app[ORIGINS]._known._clock = clock
