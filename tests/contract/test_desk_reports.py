"""The reports as pages: the figures are those of the API, and what visitors wrote is text and nothing else."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import update

from pbxtrack.access import Role
from pbxtrack.dashboard.reports.kinds import TITLES
from pbxtrack.dashboard.reports.table import FEW
from pbxtrack.money.costs import Cost
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.storage.annotations import annotate_call
from pbxtrack.storage.costs import write_costs
from pbxtrack.storage.database import Database
from pbxtrack.storage.deals import write_deals
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import calls
from tests.contract.api_client import STATIC, T0, TESTS, put_call
from tests.contract.desk_client import Reader, desk
from tests.contract.leasing import one
from tests.contract.site import a_site

REPORTS = "/sites/demo/reports"
DAYS = "from=2026-03-01&to=2026-03-01"
HOSTILE = ["<img src=x onerror=alert(1)>", "\u202ednert", "=HYPERLINK(1)", "c" * 10_000, "100%s %(n)s {{ 7*7 }}"]


@pytest.fixture
def shop(database: Database) -> Database:
    """A site with visitors by campaigns of hostile names, each of whom called, and a call to a channel's own number."""
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], pool=[f"+749512301{n:02}" for n in range(9)])
        a_site(connection, key="empty", name="Empty shop")
        store = SqlLeases(connection)
        leased = []
        for n, campaign in enumerate(["spring", *HOSTILE]):
            page = f"https://shop.example/{n}?utm_source=yandex&utm_medium=cpc&utm_campaign={quote(campaign)}"
            grant = one(store, LeaseRequest("demo", page, "", None), T0 - timedelta(minutes=1))
            assert grant.number
            leased.append(grant.number)
    for n, number in enumerate(leased):
        put_call(database, n, dialled=number, caller=f"+7916000000{n}", talk=70)
    told = put_call(database, 9)
    put_call(database, 8 * 60, dialled=leased[0], caller="+79160000000")
    with database.transaction() as connection:
        annotate_call(connection, told, {"attribution": {"channel": HOSTILE[0]}}, TESTS, T0, "RU")
    return database


async def table(reader: Reader, path: str) -> list[list[str]]:
    """The report as its file has it: heads, then rows."""
    text = await reader.page(f"{path}{'&' if '?' in path else '?'}format=csv")
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


@pytest.mark.asyncio
@pytest.mark.parametrize("name", TITLES)
async def test_each_report_is_a_page_whatever_its_rows_say(shop: Database, name: str) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        for query in (
            "",
            "&compare=1",
            "&rows=all&sort=-target&q=a&model=linear&by=missed",
            "&sort=-&model=<b>&by=x",
        ):
            page = await reader.page(f"{REPORTS}/{name}?{DAYS}{query}")
            assert "<img" not in page
            assert "{{" not in page.replace("{{ 7*7 }}", "")
            assert 'aria-current="page"' in page
        await reader.page(f"{REPORTS}/{name}?period=all&compare=1")
        assert "yandex" not in await reader.page(f"/sites/empty/reports/{name}?{DAYS}")
        assert await table(reader, f"{REPORTS}/{name}?{DAYS}")


@pytest.mark.asyncio
async def test_the_first_is_channels_of_the_same_days(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, Role.ENGINEER)
        async with reader.client.get(f"{REPORTS}?{DAYS}", allow_redirects=False) as response:
            assert response.headers["Location"] == f"{REPORTS}/channels?{DAYS}"


@pytest.mark.asyncio
async def test_rows_lead_to_their_calls_and_add_up(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page(f"{REPORTS}/channels?{DAYS}")
        assert f'href="/sites/demo/calls?from=2026-03-01&amp;to=2026-03-01&amp;channel={quote(HOSTILE[0], "")}' in (
            page.replace("+", "%20")
        )
        (total,) = re.findall(r"<tfoot>.*</tfoot>", page, re.DOTALL)
        assert re.findall(r">(\d+)</a>", total) == ["8", "7", "6", "6", "2", "2"]
        heads, *rows = await table(reader, f"{REPORTS}/channels?{DAYS}")
        assert heads[:4] == ["Channel", "Calls", "Share", "Unique"]
        assert [(name, calls) for name, calls, *_ in rows] == [("Paid: yandex", "7"), (HOSTILE[0], "1")]


@pytest.mark.asyncio
async def test_campaigns_are_searched_sorted_and_compared(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        heads, *found = await table(reader, f"{REPORTS}/campaigns?{DAYS}&q=YANDEX+spring&compare=1")
        assert heads[3:5] == ["Calls", "Calls, period before"]
        assert [line[:5] for line in found] == [["yandex", "cpc", "spring", "2", "0"]]
        _, *every = await table(reader, f"{REPORTS}/campaigns?{DAYS}&sort=campaign")
        assert [line[2] for line in every if line[2].startswith("'")] == ["'=HYPERLINK(1)"], "no formula in a file"
        page = await reader.page(f"{REPORTS}/campaigns?{DAYS}&sort=campaign")
        assert '<th scope="col" aria-sort="ascending"><a href=' in page
        later = await reader.page(f"{REPORTS}/campaigns?from=2026-03-02&to=2026-03-02&compare=1")
        assert "−100%" in later


@pytest.mark.asyncio
async def test_what_the_model_does_is_told(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        assert "divided evenly" in await reader.page(f"{REPORTS}/pages?model=linear")
        assert "Last visit" not in await reader.page(f"{REPORTS}/operators"), "which has none"


@pytest.mark.asyncio
async def test_long_reports_show_few_rows_until_all_are_asked_for(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
    for n in range(FEW + 1):
        call = put_call(database, n)
        with database.transaction() as connection:
            annotate_call(connection, call, {"attribution": {"channel": f"Channel {n:02}"}}, TESTS, T0, "RU")
    async with desk(database) as reader:
        reader.log_in(database)
        page = await reader.page(f"{REPORTS}/channels?{DAYS}")
        assert "50 of 51 rows" in page
        assert "Channel 50" not in page
        assert "Channel 50" in await reader.page(f"{REPORTS}/channels?{DAYS}&rows=all")
        assert len(await table(reader, f"{REPORTS}/channels?{DAYS}")) == 52


@pytest.mark.asyncio
async def test_hours_are_told_in_words_and_by_share(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page(f"{REPORTS}/hours?{DAYS}")
        assert "Most calls: Sunday, 12:00–13:00 – 7, or 87.5% of all." in page
        assert 'class="s9" data-tip="Sun, 12:00–13:00\n7 calls\nmissed: 1">7<' in page
        assert ">14<" in await reader.page(f"{REPORTS}/hours?{DAYS}&by=missed")


@pytest.mark.asyncio
async def test_a_number_that_leaked_is_told_with_what_to_do(database: Database) -> None:
    listed = "+74951230100"
    with database.transaction() as connection:
        a_site(connection, pool=[listed, *(f"+749512302{index:02}" for index in range(10))])
    for n in range(12):
        put_call(database, n * 24 * 60, dialled=listed, caller=f"+7916000{n:04}")
    async with desk(database) as reader:
        reader.log_in(database)
        page = await reader.page(f"{REPORTS}/numbers?from=2026-03-01&to=2026-03-31")
        assert "1 number is known outside" in page
        assert "To be taken out of the pool: 8 (495) 123-01-00." in page
        assert "known outside" not in await reader.page(f"{REPORTS}/numbers?from=2026-03-11&to=2026-03-31")


@pytest.mark.asyncio
async def test_what_is_not_known_is_said(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        assert "whether these attributions are right cannot be said" in await reader.page(f"{REPORTS}/accuracy?{DAYS}")
        assert "No calls to numbers of a pool" in await reader.page("/sites/empty/reports/accuracy")
        assert "have taught nothing yet" in await reader.page(f"{REPORTS}/curves")


@pytest.mark.asyncio
async def test_costs_that_tell_no_campaign_are_no_campaign_s_loss(shop: Database) -> None:
    day = T0.date()
    with shop.transaction() as connection:
        (site,) = live_sites(connection, ["demo"])
        spent = [Cost(day, day, "Direct", 100_00), Cost(day, day, "Paid: yandex", 10_00, campaign="spring")]
        write_costs(connection, site.id, spent, "tests", T0)
        sold = {"caller": "+79160000000", "amount": 50_00, "status": "won", "won_at": T0 + timedelta(minutes=5)}
        write_deals(connection, site.id, [sold], "tests", T0, "RU")
    async with desk(shop) as reader:
        reader.log_in(shop)
        heads, *rows = await table(reader, f"{REPORTS}/campaigns?{DAYS}&columns=money")
        by_name = {(row[2], row[3]): dict(zip(heads, row, strict=True)) for row in rows}
        assert by_name["spring", ""]["ROI"] == "4"
        assert [by_name["", "Direct"][name] for name in ("Cost", "Revenue", "ROI")] == ["100", "", ""]
        _, *with_calls = await table(reader, f"{REPORTS}/campaigns?{DAYS}")
        assert len(with_calls) == len(rows) - 1, "where only calls are told, there are only rows with calls"
        await reader.send("/language", language="ru")
        page = await reader.page(f"{REPORTS}/campaigns?{DAYS}&columns=money")
        assert 'Расходы канала</span> <bdi class="clip">Прямые заходы</bdi>' in page
        assert "стоят отдельно" in page
        assert "sort=channel" not in page, "no column for the channel of few rows"
        assert "Расходы канала" not in await reader.page(f"{REPORTS}/campaigns?{DAYS}&compare=1")


@pytest.mark.asyncio
async def test_what_nobody_knows_opens_its_calls(shop: Database) -> None:
    with shop.transaction() as connection:
        connection.execute(update(calls).where(calls.c.linkedid == "1772355600.2").values(channel=None, visit_id=None))
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page(f"{REPORTS}/channels?{DAYS}")
        (there,) = re.findall(r'<th scope="row"><a href="([^"]*channel=)"><span class="faint">Unknown', page)
        listed = await reader.page(there.replace("&amp;", "&"))
        assert re.findall(r'<tr data-call="pbx1-1772355600\.(\d+)"', listed) == ["2"]
