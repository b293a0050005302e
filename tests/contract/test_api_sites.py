"""Sites, pools, channels and numbers over the API: the site file's own rules, one change at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pbxtrack.access import Role
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.sitefile.parse import parse
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.sites import apply
from pbxtrack.storage.tokens import add_token
from tests.contract.api_client import a_token, running
from tests.contract.leasing import one
from tests.contract.test_desk_settings import FILE

SITES = "/api/v1/sites"
DEMO = f"{SITES}/demo"


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        apply(connection, parse(FILE.encode(), "sites.toml", "RU"), [], datetime.now(UTC))
    return a_token(database)


class Program:
    """Asks with one token."""

    def __init__(self, client: Any, headers: dict[str, str]) -> None:
        self._client = client
        self._headers = headers

    async def __call__(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        options = {"json": body} if body else {}
        async with self._client.request(method, path, headers=self._headers, **options) as response:
            text = await response.text()
            assert response.status == status, text
            return await response.json(content_type=None) if text else None


@pytest.mark.asyncio
async def test_a_site_from_beginning_to_end(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        ask = Program(client, manager)
        made = await ask("POST", SITES, 201, key="new", name="New", line="PJSIP/new")
        assert made == await ask("GET", f"{SITES}/new")
        assert (made["hold"], made["timezone"], made["unique_days"]) == ("30m", "UTC", None)
        await ask("POST", SITES, 422, key="new", name="Again", line="PJSIP/new")
        changed = await ask("PATCH", f"{SITES}/new", hold="1h30m", unique_days=30, email="a@b.example")
        assert (changed["hold"], changed["unique_days"]) == ("90m", 30)
        assert (await ask("PATCH", f"{SITES}/new", unique_days=None))["unique_days"] is None
        wrong = await ask("PATCH", f"{SITES}/new", 422, hold="soon")
        assert wrong["errors"] == [{"at": "hold", "message": "'soon' is not a duration; write 90s, 30m, 1h30m or 2d"}]
        assert [site["key"] for site in (await ask("GET", SITES))["items"]] == ["demo", "other", "new"]
        await ask("DELETE", f"{SITES}/new", 204)
        await ask("GET", f"{SITES}/new", 404)
        await ask("DELETE", f"{SITES}/new", 404)


@pytest.mark.asyncio
async def test_pools_and_channels_in_their_order(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        ask = Program(client, manager)
        odd = "a/b ü%"
        await ask("POST", f"{DEMO}/channels", 201, name=odd, match={"medium": "cpc", "term": ""})
        path = f"{DEMO}/channels/a%2Fb%20%C3%BC%25"
        assert (await ask("GET", path))["match"] == {"medium": "cpc", "term": ""}
        await ask("PATCH", path, position=0)
        assert (await ask("GET", f"{DEMO}/channels"))["items"][0]["name"] == odd
        await ask("PATCH", path, 422, match=None)
        renamed = await ask("PATCH", path, name="Paid")
        assert renamed["name"] == "Paid"
        await ask("DELETE", f"{DEMO}/channels/Paid", 204)
        await ask("DELETE", f"{DEMO}/channels/Paid", 404)
        numbers = ["+74951230300..+74951230301", "8 495 123 03 02"]
        pool = await ask("POST", f"{DEMO}/pools", 201, name="south", numbers=numbers, regions=["861"])
        assert pool["numbers"] == ["+74951230300..+74951230302"]
        taken = await ask("POST", f"{DEMO}/pools", 422, name="west", numbers=["+74951230300"])
        assert taken["errors"] == [{"at": "numbers/0", "message": "+74951230300 is in the pool south already"}]


@pytest.mark.asyncio
async def test_addresses_of_a_pool(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client:
        ask = Program(client, manager)
        await ask("PATCH", DEMO, email=None)
        homeless = await ask("PATCH", f"{DEMO}/pools/main", 422, emails=["info1@shop.example"])
        assert homeless["errors"][0]["message"] == "need a mailbox that their mail goes to: the key email"
        await ask("PATCH", DEMO, email="sales@shop.example")
        pool = await ask("PATCH", f"{DEMO}/pools/main", emails=["Info1@shop.example", "info2@shop.example"])
        assert pool["emails"] == ["info1@shop.example", "info2@shop.example"]
        taken = await ask("POST", f"{DEMO}/pools", 422, name="west", numbers=[], emails=["info1@shop.example"])
        assert taken["errors"][0]["message"] == "info1@shop.example is in the pool main already"
        await ask("PATCH", DEMO, 422, email="info1@shop.example")
        with database.transaction() as connection:
            held = one(SqlLeases(connection), LeaseRequest("demo", "https://shop.example/"), datetime.now(UTC)).email
        problem = await ask("PATCH", f"{DEMO}/pools/main", 409, emails=[])
        assert problem["numbers"] == [held]
        assert (await ask("PATCH", f"{DEMO}/pools/main?force=true", emails=[]))["emails"] == []


@pytest.mark.asyncio
async def test_a_number_under_a_live_lease_stays_unless_forced(database: Database, manager: dict[str, str]) -> None:
    with database.transaction() as connection:
        held = one(SqlLeases(connection), LeaseRequest("demo", "https://shop.example/"), datetime.now(UTC)).number
    async with running(database) as client:
        ask = Program(client, manager)
        for method, path, body in (
            ("DELETE", f"{DEMO}/numbers/{held}", {}),
            ("PATCH", f"{DEMO}/numbers/{held}", {"channel": "Billboard"}),
            ("DELETE", f"{DEMO}/pools/main", {}),
            ("PATCH", f"{DEMO}/pools/main", {"name": "chief"}),
            ("DELETE", DEMO, {}),
        ):
            problem = await ask(method, path, 409, **body)
            assert problem["type"].endswith("number-held")
            assert problem["numbers"] == [held]
        moved = await ask("PATCH", f"{DEMO}/numbers/{held}?force=true", channel="Billboard")
        assert moved == {"number": held, "kind": "static", "pool": None, "channel": "Billboard"}
        await ask("DELETE", f"{DEMO}/numbers/{held}", 204)
        await ask("GET", f"{DEMO}/numbers/{held}", 404)
        added = await ask("POST", f"{DEMO}/numbers", 201, numbers=[held], pool="main")
        assert [one["number"] for one in added["items"]] == [held]
        await ask("POST", f"{DEMO}/numbers", 422, numbers=[held], pool="main", channel="Billboard")
        await ask("POST", f"{DEMO}/numbers", 404, numbers=["+74951230999"], pool="nowhere")
        assert len((await ask("GET", f"{DEMO}/numbers"))["items"]) == 6


@pytest.mark.asyncio
async def test_one_site_s_token_sees_and_changes_that_site_alone(database: Database, manager: dict[str, str]) -> None:
    with database.transaction() as connection:
        _, secret = add_token(connection, "one", datetime.now(UTC), Role.ENGINEER, frozenset({"demo"}))
        _, reading = add_token(connection, "two", datetime.now(UTC), Role.MANAGER)
    async with running(database) as client:
        ask = Program(client, {"Authorization": f"Bearer {secret}"})
        assert [site["key"] for site in (await ask("GET", SITES))["items"]] == ["demo"]
        for path in ("", "/pools", "/channels", "/numbers", "/pools/main", "/numbers/+74951230200"):
            await ask("GET", f"{SITES}/other{path}", 404)
        await ask("PATCH", f"{SITES}/other", 404, name="Mine")
        await ask("DELETE", f"{SITES}/other/numbers/+74951230200", 404)
        await ask("POST", SITES, 403, key="new", name="New", line="PJSIP/new")
        await ask("DELETE", DEMO, 403)
        taken = await ask("POST", f"{DEMO}/numbers", 422, numbers=["+74951230200"], pool="main")
        assert taken["detail"].endswith("is in use elsewhere already.")
        only = Program(client, {"Authorization": f"Bearer {reading}"})
        await only("GET", f"{DEMO}/pools")
        await only("PATCH", DEMO, 403, name="Mine")
