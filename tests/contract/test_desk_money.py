"""Costs and deals at the desk: shown before they are written, entered and removed by who may."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import FormData
from sqlalchemy import update

from pbxtrack.access import Role
from pbxtrack.storage.costs import CostFilter, costs_page
from pbxtrack.storage.database import Database
from pbxtrack.storage.deal_views import DealFilter, deals_page
from pbxtrack.storage.tables import calls, channels
from tests.contract.api_client import CALLER, STATIC, put_call
from tests.contract.desk_client import Reader, desk
from tests.contract.site import a_site

COSTS, DEALS = "/sites/demo/costs", "/sites/demo/deals"
DAYS = "from=2026-03-01&to=2026-03-31"
FILE = "Дата;Канал;Расход\n01.03.2026;<img src=x>;1 000,50\n02.03.2026;Яндекс;200\nИтого;;1200,50\n"


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other")
    put_call(database, 0, talk=70)
    return database


async def previewed(reader: Reader, content: bytes, status: int = 200, **fields: str) -> str:
    assert reader.session is not None
    form = FormData({"csrf": reader.session.csrf, **fields})
    form.add_field("file", content, filename="costs.csv", content_type="text/csv")
    async with reader.client.post(f"{COSTS}/preview?{DAYS}", data=form, allow_redirects=False) as response:
        text = await response.text()
        assert response.status == status, text[:2_000]
        return text


async def entered(reader: Reader, expected: int, path: str = DEALS, **fields: str) -> str:
    """Send the form of a deal; the page that comes."""
    assert reader.session is not None
    form = {"csrf": reader.session.csrf, **fields}
    async with reader.client.post(path, data=form, allow_redirects=False) as response:
        text = await response.text()
        assert response.status == expected, text[:2_000]
        return text


def confirmed(page: str) -> dict[str, Any]:
    """What the page sends to write what it shows."""
    return dict(re.findall(r'name="(packed|channel|plan|replace)" value="([^"]*)"', page))


def costs(database: Database) -> dict[str, float]:
    return {item["channel"]: item["amount"] for item in costs_there(database)}


def costs_there(database: Database) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return costs_page(connection, CostFilter())[0]


def deals(database: Database) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return deals_page(connection, DealFilter())[0]


@pytest.mark.asyncio
async def test_a_file_is_shown_then_written_and_removed_by_month(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, Role.MANAGER)
        page = await previewed(reader, FILE.encode("cp1251"))
        assert "<img" not in page
        assert "New: 2." in page
        assert "1 line of sums is left out" in page
        assert costs(shop) == {}, "nothing is written by looking"
        assert await reader.send(COSTS, **confirmed(page)) == f"{COSTS}?done=written&from=2026-03-01&to=2026-03-02"
        assert costs(shop) == {"<img src=x>": 1000.5, "Яндекс": 200}
        listed = await reader.page(f"{COSTS}?{DAYS}")
        assert "March 2026" in listed
        assert "<img" not in listed
        assert "RUB" in listed or "₽" in listed
        await reader.send(f"{COSTS}/remove?{DAYS}", month="2026-03-01", channel="Яндекс", count="1", amount="20000")
        assert costs(shop) == {"<img src=x>": 1000.5}
        report = await reader.page(f"/sites/demo/reports/channels?{DAYS}&columns=money")
        assert "Per contact" in report


def removing(page: str) -> dict[str, str]:
    """What the page's only form that removes costs sends."""
    return dict(re.findall(r'name="(month|channel|count|amount)" value="([^"]*)"', page))


@pytest.mark.asyncio
async def test_what_is_removed_is_what_was_shown(shop: Database) -> None:
    """Whole months, whatever days are asked for; and nothing where there is more by now."""
    of_march = b"date,channel,cost\n2026-03-01,VK,1.44\n2026-03-31,VK,600\n"
    async with desk(shop) as reader:
        reader.log_in(shop)
        await reader.send(COSTS, **confirmed(await previewed(reader, of_march)))
        shown = await reader.page(f"{COSTS}?from=2026-03-01&to=2026-03-04")
        assert "Remove 2 entries" in shown
        assert "601.44" in shown
        await reader.send(COSTS, **confirmed(await previewed(reader, b"date,channel,cost\n2026-03-07,VK,5\n")))
        for form in (removing(shown), removing(shown) | {"count": "3"}, {"month": "2026-03-01", "channel": "VK"}):
            refused = await reader.send(f"{COSTS}/remove?{DAYS}", 200, **form)
            assert "Nothing was removed" in refused
            assert "Remove 3 entries" in refused
            assert len(costs_there(shop)) == 3
        await reader.send(f"{COSTS}/remove?{DAYS}", **removing(refused))
        assert costs_there(shop) == []


@pytest.mark.asyncio
async def test_what_would_change_something_else_by_now_is_shown_again(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        first = confirmed(await previewed(reader, FILE.encode()))
        less = confirmed(await previewed(reader, FILE.replace("Яндекс;200", "Яндекс;150").encode(), replace="1"))
        await reader.send(COSTS, **first)
        again = await reader.send(COSTS, 200, **less)
        assert "The costs were changed meanwhile" in again
        assert "With another amount than before: 1." in again
        assert costs(shop)["Яндекс"] == 200
        await reader.send(COSTS, **confirmed(again))
        assert costs(shop)["Яндекс"] == 150


@pytest.mark.asyncio
async def test_what_is_wrong_and_built_in_channels_are_told_in_the_reader_s_language(shop: Database) -> None:
    long = "x" * 301
    wrong = f"date,channel,cost\n2026-02-30,A,1\n2026-03-01,{long},1\n2026-03-01,Direct,100%s\n".encode()
    async with desk(shop) as reader:
        reader.log_in(shop, Role.MANAGER)
        assert "the Channel is longer than 300 characters" in await previewed(reader, wrong)
        await reader.send("/language", language="ru")
        page = await previewed(reader, wrong)
        assert "даты &#39;2026-02-30&#39; не существует" in page
        assert "поле «Канал» длиннее 300 знаков" in page
        assert "&#39;100%s&#39; нельзя однозначно прочесть" in page
        page = await previewed(reader, b"date,channel,cost\n2026-03-01,Direct,1234.5\n")
        assert "Прямые заходы" in page
        assert "1\xa0234,50" in page


@pytest.mark.asyncio
async def test_a_built_in_channel_may_be_written_as_it_is_shown(shop: Database) -> None:
    content = "date,channel,cost\n2026-03-01,Прямые заходы,7\n2026-03-01,Реклама: bing,8\n2026-03-01,Радио,9\n"
    async with desk(shop) as reader:
        reader.log_in(shop)
        await reader.send("/language", language="ru")
        page = await previewed(reader, content.encode())
        await reader.send(COSTS, **confirmed(page))
        assert costs(shop) == {"Direct": 7, "Paid: bing": 8, "Радио": 9}
        twice = content.encode() + b"2026-03-01,Direct,7\n"
        assert "packed" not in await previewed(reader, twice), "the same channel twice"


@pytest.mark.asyncio
async def test_a_channel_of_the_site_s_own_is_what_it_is_called(shop: Database) -> None:
    with shop.transaction() as connection:
        connection.execute(update(channels).values(name="Прямые заходы"))
    async with desk(shop) as reader:
        reader.log_in(shop)
        await reader.send("/language", language="ru")
        page = await previewed(reader, "date,channel,cost\n2026-03-01,Прямые заходы,7\n".encode())
        await reader.send(COSTS, **confirmed(page))
        assert costs(shop) == {"Прямые заходы": 7}


@pytest.mark.asyncio
async def test_a_channel_nobody_has_heard_of_is_told_and_taken(shop: Database) -> None:
    put_call(shop, 1)
    with shop.transaction() as connection:
        connection.execute(update(calls).values(channel="Called"))
    names = ("Direct", "Billboard", "Called", "Paid: yandx", "<img>")
    file = "date,channel,cost\n" + "".join(f"2026-03-01,{name},1\n" for name in names)
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await previewed(reader, file.encode())
        (told,) = re.findall(r"costs or rules so far of:(.*)</p>", page)
        assert re.findall(r"<bdi>(.*?)</bdi>", told) == ["&lt;img&gt;", "Paid: yandx"]
        await reader.send(COSTS, **confirmed(page))
        assert len(costs(shop)) == len(names)
        assert "rules so far of" not in await previewed(reader, file.encode()), "by now there are costs"
        assert "this is an Excel file" in await previewed(reader, b"PK\x03\x04" + b"x" * 100)


@pytest.mark.asyncio
async def test_a_wrong_file_says_which_lines_and_writes_nothing(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await previewed(reader, b"date,channel,cost\n2026-03-01,A,1\n2026-02-30,B,<img>\n")
        assert "1 line cannot be read" in page
        assert '<th scope="row">3</th>' in page
        assert "packed" not in page
        for content in (b"", b"\x00\xff\xfe", b"date\n" * 9, "<img>".encode("utf-16")):
            page = await previewed(reader, content)
            assert "packed" not in page
        for packed in ("", "no base 64!", "eJw", "\ud7ff"):
            await reader.send(COSTS, 200, packed=packed, plan="")
        assert "Choose a file first" in await reader.send(f"{COSTS}/preview", 200)
        assert "cannot be read" in await reader.send(f"{COSTS}/remove", 200, month="13", channel="A")
        assert costs(shop) == {}


@pytest.mark.asyncio
async def test_a_deal_is_entered_changed_and_removed(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        name = "<img src=x>" + "\u202e" + "n" * 500
        await entered(reader, 303, caller=CALLER, name=name, amount="12 500,50", status="won", day="2026-03-02")
        (deal,) = deals(shop)
        assert (deal["amount"], deal["status"], deal["caller"]) == (12500.5, "won", CALLER)
        assert deal["won_at"].startswith("2026-03-02T09:00")
        page = await reader.page(f"{DEALS}?{DAYS}")
        assert "<img" not in page
        assert f"/sites/demo/calls/{deal['call']}" in page
        assert "<img" not in await reader.page(f"{DEALS}?{DAYS}&status=lost&cursor=none")
        await entered(reader, 303, f"{DEALS}/{deal['id']}", amount="1", status="lost")
        assert [(one["amount"], one["status"]) for one in deals(shop)] == [(1, "lost")]
        assert await reader.send(f"/sites/other/deals/{deal['id']}/remove", 404)
        assert await reader.send(f"{DEALS}/99999999999999999999/remove", 404)
        await reader.send(f"{DEALS}/{deal['id']}/remove")
        assert deals(shop) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"caller": "+79990000000"}, "Nobody has called the site from this number."),
        ({"caller": ""}, "Nobody has called the site from this number."),
        ({"amount": "much"}, "This amount cannot be read"),
        ({"day": "yesterday"}, "This day cannot be read"),
        ({"status": "sold"}, "This deal cannot be"),
    ],
)
async def test_a_deal_that_cannot_be_is_told_by_its_field(shop: Database, fields: dict[str, str], words: str) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await entered(
            reader, 200, **({"caller": CALLER, "name": "Sofa", "amount": "1", "status": "won"} | fields)
        )
        assert words in page
        assert 'value="Sofa"' in page, "what was typed is there still"
        assert deals(shop) == []


@pytest.mark.asyncio
async def test_who_may_not_write_sees_no_forms(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, Role.ENGINEER)
        assert "multipart" not in await reader.page(COSTS)
        assert "Enter a deal" not in await reader.page(DEALS)
        await previewed(reader, FILE.encode(), 403)
        await previewed(reader, b"x" * 100_000, 413)
        await reader.send(DEALS, 403, caller=CALLER)
