"""A call tells of the visit that brought it, whatever the website sent of it."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.api_client import T0, a_token, put_call, running
from tests.contract.leasing import one
from tests.contract.site import a_site

NUMBER = "+74951230100"
SCRIPT = "</script><script>alert(1)</script>"
HOSTILE = "https://shop.example/?" + urlencode(
    {f"utm_{name}": SCRIPT for name in ("source", "medium", "campaign", "term", "content")} | {"gclid": SCRIPT}
)


def visit(database: Database, page: str) -> LeaseGrant:
    """A visitor lands on the page a minute before the call, looks at another, and taps the number."""
    with database.transaction() as connection:
        a_site(connection, pool=[NUMBER])
        store = SqlLeases(connection)
        request = LeaseRequest("demo", page, "https://yandex.ru/", region="495", client_ids={"ga": SCRIPT})
        grant = one(store, request, T0 - timedelta(seconds=60))
        for seconds, event in ((40, EventKind.VIEW), (10, EventKind.TAP)):
            sign = Sign(grant.lease.id, event, "https://shop.example/sofas")
            assert renew(store, [sign], T0 - timedelta(seconds=seconds)) != [None]
    return grant


@pytest.mark.asyncio
async def test_a_call_tells_the_pages_that_were_seen_before_it(database: Database) -> None:
    landing = "https://shop.example/?utm_source=yandex&utm_medium=cpc"
    grant = visit(database, landing)
    call_id = put_call(database, 0, dialled=NUMBER)
    async with running(database) as client:
        call = await (await client.get(f"/api/v1/calls/{call_id}", headers=a_token(database))).json()
    assert call["visit"] == {
        "id": grant.visit.id,
        "visitor": grant.visit.visitor,
        "started_at": "2026-03-01T08:59:00.250Z",
        "seen_at": "2026-03-01T08:59:50.250Z",
        "region": "495",
        "referrer": "https://yandex.ru/",
        "click_ids": {},
        "client_ids": {"ga": SCRIPT},
        "events": [
            {"at": "2026-03-01T08:59:00.250Z", "event": "view", "page": landing},
            {"at": "2026-03-01T08:59:20.250Z", "event": "view", "page": "https://shop.example/sofas"},
            {"at": "2026-03-01T08:59:50.250Z", "event": "tap", "page": "https://shop.example/sofas"},
        ],
    }


@pytest.mark.asyncio
async def test_markup_in_campaign_parameters_is_kept_and_never_more_than_text(database: Database) -> None:
    visit(database, HOSTILE)
    put_call(database, 0, dialled=NUMBER)
    async with running(database) as client:
        response = await client.get("/api/v1/calls", headers=a_token(database))
        (call,) = (await response.json())["items"]
    assert response.content_type == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    attribution = call["attribution"]
    assert {attribution[name].lower() for name in ("source", "medium", "campaign", "term", "content")} == {SCRIPT}
