"""What somebody tried on the desk and its API, and must not work again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from pbxtrack.access import Role
from pbxtrack.api import watch
from pbxtrack.storage import tables
from pbxtrack.storage.contacts import contact_figures
from pbxtrack.storage.database import Database
from tests.contract.api_client import CALLER, OTHER_STATIC, STATIC, T0, a_token, put_call, running
from tests.contract.desk_client import desk
from tests.contract.site import a_site


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    return database


@pytest.mark.asyncio
async def test_a_token_is_one_however_it_is_written(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_OF_ONE", 2)
    secret = a_token(shop)["Authorization"].partition(" ")[2]
    written = [f"Bearer {secret}", f"bearer   {secret}", f"BEARER {secret}  "]
    async with running(shop) as client, AsyncExitStack() as stack:
        statuses = []
        for header in written:
            async with asyncio.timeout(10):
                answer = client.get("/api/v1/live", headers={"Authorization": header})
                statuses.append((await stack.enter_async_context(answer)).status)
    assert statuses == [200, 200, 429]


def test_who_was_called_for_another_site_is_not_told(shop: Database) -> None:
    put_call(shop, 0, talk=70)
    outbound = put_call(shop, 5, dialled="+74950000001", caller="+79160000001")
    with shop.transaction() as connection:
        connection.execute(
            update(tables.calls).where(tables.calls.c.id == outbound).values(outbound=CALLER, caller=None)
        )
        assert len(contact_figures(connection, "1")["outbound"]) == 1
        known_there = {"site_id": 2, "caller": CALLER, "first_at": T0 - timedelta(days=1)}
        connection.execute(insert(tables.contacts).values(known_there))
        assert contact_figures(connection, "1")["outbound"] == []


@pytest.mark.asyncio
async def test_a_figure_opens_its_own_calls_after_a_search_too(shop: Database) -> None:
    for minute, source in enumerate(["yandex", "google"]):
        call = put_call(shop, minute, caller=f"+7916000000{minute}")
        with shop.transaction() as connection:
            values = {"campaign": "spring", "source": source, "medium": "cpc", "visit_id": f"v{minute}"}
            connection.execute(update(tables.calls).where(tables.calls.c.id == call).values(values))
            connection.execute(
                insert(tables.visits).values(
                    id=f"v{minute}", site_id=1, visitor_id=f"v{minute}", started_at=T0, seen_at=T0, region="",
                    page="", referrer="", source=source, medium="cpc", campaign="spring", term="", content="",
                    click_ids={}, client_ids={}, channel="Paid",
                )
            )  # fmt: skip
            connection.execute(update(tables.calls).values(method="lease"))
    days = "from=2026-03-01&to=2026-03-01&model=last"
    async with desk(shop) as reader:
        reader.log_in(shop, Role.OWNER)
        for search in ("", "&q=google"):
            page = await reader.page(f"/sites/demo/reports/campaigns?{days}{search}")
            assert "google" in page
            assert "campaign=spring" not in page  # two rows have a campaign of that name: the log would list both
