"""The first page of a site."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from sqlalchemy import update

from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import calls
from tests.contract.api_client import STATIC, put_call
from tests.contract.desk_client import Reader, desk
from tests.contract.site import a_site

PAGE = "/sites/demo"
DAYS = "from=2026-03-01&to=2026-03-01"


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
    return database


def change(database: Database, call: str, **values: Any) -> None:
    with database.transaction() as connection:
        connection.execute(update(calls).where(calls.c.id == call).values(values))


async def channels(reader: Reader) -> list[tuple[str, str]]:
    """What the rows of channels are called, and lead to."""
    page = await reader.page(f"{PAGE}?{DAYS}")
    table = page.partition('aria-labelledby="channels"')[2].partition("</table>")[0]
    rows = re.findall(r'<th scope="row"><a href="([^"]*)">(.*?)</a>', table)
    return [(re.sub("<[^>]+>", "", name), html.unescape(there)) for there, name in rows]


@pytest.mark.asyncio
async def test_others_are_several_channels_and_unknown_ones_open_their_calls(shop: Database) -> None:
    for n in range(8):
        change(shop, put_call(shop, n), channel=f"Radio {n}")
    change(shop, put_call(shop, 8), channel=None)
    async with desk(shop) as reader:
        reader.log_in(shop)
        rows = dict(await channels(reader))
        assert len(rows) == 9
        assert "Others" not in rows, "one channel is no others"
        listed = await reader.page(rows["Unknown"])
        assert re.findall(r'<tr data-call="pbx1-1772355600\.(\d+)"', listed) == ["8"]
        change(shop, put_call(shop, 9), channel="Radio 9")
        rows = dict(await channels(reader))
        assert len(rows) == 9
        assert rows["Others"].startswith("/sites/demo/reports/channels")
        assert "may be others" in await reader.page(f"{PAGE}?{DAYS}"), "calls are listed by another model"


@pytest.mark.asyncio
async def test_only_what_was_known_of_a_time_is_compared_with(shop: Database) -> None:
    for n in range(3):
        put_call(shop, n)
    put_call(shop, -60 * 24)
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page(f"{PAGE}?{DAYS}")
        assert 'class="change' not in page, "there were calls for half of the day before"
        assert "period before" not in page
        put_call(shop, -60 * 24 * 3)
        page = await reader.page(f"{PAGE}?{DAYS}")
        assert "+200%" in page
        assert "period before" in page
