"""A site's settings by pages: what they change, what they tell first, what they refuse."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from pbxtrack.access import Role
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.sitefile.model import Site
from pbxtrack.sitefile.parse import parse
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.sites import apply, read_sites
from tests.contract.desk_client import Reader, desk
from tests.contract.leasing import one
from tests.contract.site import a_site

SETTINGS = "/sites/demo/settings"
HOSTILE = "<img src=x onerror=alert(1)>\u202e"
FILE = """
[[site]]
key = "demo"
name = "Demo shop"
line = "PJSIP/sales"
origins = ["https://shop.example"]
replace = ["+74951234567"]
[[site.pool]]
name = "main"
numbers = ["+74951230100..+74951230104"]
[[site.channel]]
name = "Billboard"
numbers = ["+74951230001"]
[[site.channel]]
name = "Brand"
match = { source = "yandex", campaign = "*brand*" }
[[site]]
key = "other"
name = "Other shop"
line = "PJSIP/other"
[[site.pool]]
name = "main"
numbers = ["+74951230200"]
"""


@pytest.fixture
def shop(database: Database) -> Database:
    """Two sites as a site file says."""
    with database.transaction() as connection:
        apply(connection, parse(FILE.encode(), "sites.toml", "RU"), [], datetime.now(UTC))
    return database


def the_site(database: Database, key: str = "demo") -> Site:
    with database.reading() as connection:
        return next(site for site in read_sites(connection) if site.key == key)


def visit(database: Database, page: str = "https://shop.example/sofas?utm_source=x") -> str:
    with database.transaction() as connection:
        grant = one(SqlLeases(connection), LeaseRequest("demo", page), datetime.now(UTC))
    assert grant.number
    return grant.number


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of a page's question, as its button would send them."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in fields if name not in ("csrf", "next")}


def values(site: Site, **changes: str) -> dict[str, str]:
    """The site's form, as it is shown, with other values in some fields."""
    return {
        "name": site.name,
        "line": site.line,
        "origins": "\n".join(site.origins),
        "replace": "\n".join(site.replace),
        "timezone": site.timezone,
        "hold": "30m",
        "hold_guaranteed": "3m",
        "target_talk": "1m",
        "overflow_number": site.overflow_number or "",
        "email_separator": "+",
    } | changes


@pytest.mark.asyncio
async def test_a_site_is_changed_by_its_form(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        assert "https://shop.example" in await reader.page(SETTINGS)
        changed = values(the_site(shop), name=HOSTILE.replace("\u202e", ""), hold="1h", unique_days="30", record="on")
        assert await reader.send(SETTINGS, 303, **changed) == f"{SETTINGS}?done=saved"
        assert await reader.send(SETTINGS, 303, **changed) == f"{SETTINGS}?done=same"
        site = the_site(shop)
        assert (site.hold, site.unique_days, site.record) == (timedelta(hours=1), 30, True)
        page = await reader.page(f"{SETTINGS}?done=saved")
        assert "<img" not in page
        assert "&lt;img" in page
    assert the_site(shop, "other").name == "Other shop", "nothing else is changed"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("field", "given", "told"),
    [
        ("line", "PJSIP/a,b", "is not a line"),
        ("origins", "https://shop.example/path", "is not an origin"),
        ("hold", "forever", "is not a duration"),
        ("hold", "10s", "must be 1m to 30d"),
        ("timezone", "Mars/Olympus", "is not a time zone"),
        ("unique_days", "never", "must be a whole number"),
        ("unique_days", "0", "must be 1 to 3650"),
        ("overflow_number", "+74951230200", "is in use at the site other already"),
        ("overflow_number", "+74951230100", "is in the pool main already"),
        ("replace", "+74951230100", "is in a pool"),
        ("name", " ", "must not be empty"),
        ("name", "x" * 10_000, "is longer than 200 characters"),
    ],
)
async def test_what_cannot_be_is_told_at_its_field(shop: Database, field: str, given: str, told: str) -> None:
    before = the_site(shop)
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.send(SETTINGS, 422, **values(before, **{field: given}))
    wrong = re.search(rf'<span class="wrong" id="wrong-{field}">([^<]*)</span>', page)
    assert wrong
    assert told in unescape(wrong[1])
    assert the_site(shop) == before


@pytest.mark.asyncio
async def test_what_is_wrong_is_told_in_russian_too(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        await reader.send("/language", language="ru", next="/")
        page = await reader.send(SETTINGS, 422, **values(the_site(shop), hold="forever"))
        assert "не длительность" in page


@pytest.mark.asyncio
async def test_numbers_that_visitors_see_are_taken_only_when_that_was_said(shop: Database) -> None:
    number = visit(shop)
    pool = f"{SETTINGS}/numbers/one?name=main"
    rest = [one for one in the_site(shop).pools[0].numbers if one != number]
    async with desk(shop) as reader:
        reader.log_in(shop)
        question = await reader.send(pool, 200, name="main", numbers="\n".join(rest), regions="")
        assert f"- number {number}: pool main" in unescape(question)
        assert "at this moment" in question
        assert number in the_site(shop).pools[0].numbers
        answer = form_of(question)
        assert "at this moment" in await reader.send(pool, 200, **{**answer, "force": ""})
        assert await reader.send(pool, 303, **answer) == f"{SETTINGS}/numbers?done=saved"
    assert list(the_site(shop).pools[0].numbers) == rest


@pytest.mark.asyncio
async def test_a_pool_has_addresses(shop: Database) -> None:
    pool = f"{SETTINGS}/numbers/one?name=main"
    numbers = "\n".join(the_site(shop).pools[0].numbers)
    async with desk(shop) as reader:
        reader.log_in(shop)
        await reader.send(SETTINGS, 303, **values(the_site(shop), email="sales@shop.example"))
        await reader.send(pool, 303, name="main", numbers=numbers, regions="", emails="b@shop.example\na@shop.example")
        assert the_site(shop).pools[0].emails == ("a@shop.example", "b@shop.example")
        assert "a@shop.example\nb@shop.example" in await reader.page(pool)


@pytest.mark.asyncio
async def test_what_was_agreed_to_is_what_is_done(shop: Database) -> None:
    pool = f"{SETTINGS}/numbers/one?name=main"
    async with desk(shop) as reader:
        reader.log_in(shop)
        answer = form_of(await reader.send(pool, 200, name="main", numbers="+74951230100..+74951230103", regions=""))
        answer["numbers"] = "+74951230100"
        assert "What changes" in await reader.send(pool, 200, **answer), "other numbers go: that is asked anew"
    assert len(the_site(shop).pools[0].numbers) == 5


@pytest.mark.asyncio
async def test_channels_come_move_and_go(shop: Database) -> None:
    channels = f"{SETTINGS}/channels"
    async with desk(shop) as reader:
        reader.log_in(shop)
        name = f'{HOSTILE[:-1]} & "a/b"'
        await reader.send(f"{channels}/one", name=name, match_source="vk", match_term='""', line="PJSIP/vk")
        await reader.send(f"{channels}/move", name=name, to="up")
        assert [channel.name for channel in the_site(shop).channels] == ["Billboard", name, "Brand"]
        assert the_site(shop).channels[1].match == {"source": "vk", "term": ""}
        page = await reader.page(f"{channels}/one", params={"name": name})
        assert 'name="match_term" type="text" value="&#34;&#34;"' in page
        assert "<img" not in page + await reader.page(channels)
        nothing = await reader.send(f"{channels}/one", 422, name="Empty")
        assert "needs match, numbers or emails" in nothing
        question = await reader.send(f"{channels}/remove", 200, name="Brand")
        assert await reader.send(f"{channels}/remove", 303, **form_of(question)) == f"{channels}?done=removed"
        await reader.send(f"{channels}/remove", 404, name="Brand")
        await reader.page(f"{channels}/one?name=Brand", 404)
    assert [channel.name for channel in the_site(shop).channels] == ["Billboard", name]


@pytest.mark.asyncio
async def test_an_address_is_tried(shop: Database) -> None:
    channels = f"{SETTINGS}/channels"
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page(
            channels, params={"page": "https://shop.example/?utm_source=yandex&utm_campaign=my+brand&yclid=7"}
        )
        assert re.search(r"Channel: <strong><bdi>Brand</bdi>", page)
        assert "utm_source in the page&#39;s address tells the source." in page
        assert "yclid" in page
        page = await reader.send(channels, 200, page=HOSTILE * 300, referrer="https://www.google.com/")
        assert re.search(r"Channel: <strong><bdi>Organic search</bdi>", page)
        assert "The page that the visitor came from tells the source." in page
        assert re.search(r"no: source\s+<bdi><code>google</code></bdi>\s+is not\s+<bdi><code>yandex", page)
        assert "<img" not in page


@pytest.mark.asyncio
async def test_the_script_s_page_tells_who_was_seen(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        before = await reader.page(f"{SETTINGS}/script")
        assert "nobody yet" in before
        visit(shop, "https://shop.example/sofas?phone=secret")
        visit(shop, "https://stage.shop.example/")
        page = await reader.page(f"{SETTINGS}/script")
        host = reader.client.make_url("/").authority
        assert f"&lt;script async src=&#34;http://{host}/s/demo.js&#34;" in page or f"http://{host}/s/demo.js" in page
        assert "nobody yet" not in page
        assert "https://shop.example/sofas" in page
        assert "secret" not in page
        assert "not among the origins" in page
        proxied = await reader.page(
            f"{SETTINGS}/script", headers={"Host": "calls.example", "X-Forwarded-Proto": "https"}
        )
        assert "https://calls.example/s/demo.js" in proxied
        odd = await reader.page(f"{SETTINGS}/script", headers={"Host": 'x"><script>alert(1)'})
        assert "<script>alert" not in odd


@pytest.mark.asyncio
async def test_a_site_is_made_and_removed(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        given = {"name": "New", "key": "new", "line": "PJSIP/new", "timezone": "Europe/Moscow"}
        taken = await reader.send("/new-site", 422, **{**given, "numbers": "+74951230200"})
        assert "is in use at the site other already" in taken
        assert "already" in await reader.send("/new-site", 422, **{**given, "key": "demo"})
        assert "is not a currency" in await reader.send("/new-site", 422, **given, currency="ABC")
        assert re.search('<input name="currency"[^>]* value="RUB"', await reader.page("/new-site"))
        made = await reader.send("/new-site", 303, **given, currency="KZT", numbers="+74951230300..+74951230301")
        assert made == "/sites/new/settings/script?done=made"
        assert the_site(shop, "new").pools[0].numbers == ("+74951230300", "+74951230301")
        text = await reader.page(f"{SETTINGS}/sites.toml")
        assert parse(text.encode(), "sites.toml", "RU") == [the_site(shop, key) for key in ("demo", "other", "new")]
        question = await reader.send("/sites/new/settings/remove", 200)
        assert "- site new" in question
        assert await reader.send("/sites/new/settings/remove", 303, **form_of(question)) == "/"
        await reader.page("/sites/new/settings", 404)
    with shop.reading() as connection:
        assert [site.key for site in read_sites(connection)] == ["demo", "other"]


@pytest.mark.asyncio
async def test_who_has_one_site_makes_none_and_learns_of_no_other(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, Role.ENGINEER, frozenset({"demo"}), name="eve")
        await reader.page(SETTINGS)
        await reader.page("/new-site", 403)
        await reader.page(f"{SETTINGS}/sites.toml", 403)
        await reader.send("/new-site", 403, key="new", name="New", line="PJSIP/new")
        await reader.send(f"{SETTINGS}/remove", 403)
        await reader.page("/sites/other/settings", 404)
        page = await reader.send(SETTINGS, 422, **values(the_site(shop), overflow_number="+74951230200"))
        assert "is in use elsewhere already" in page
        assert "other" not in re.sub(r"<[^>]+>", " ", page).lower().replace("another", "").replace("otherwise", "")


@pytest.mark.asyncio
async def test_a_site_with_nothing_has_pages(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, origins=[], replace=[], overflow_number=None)
    async with desk(database) as reader:
        reader.log_in(database)
        for path in ("", "/channels", "/numbers", "/script", "/channels/one", "/numbers/one"):
            await reader.page(SETTINGS + path)
        assert "No origin is set" in await reader.page(f"{SETTINGS}/script")


@pytest.mark.asyncio
async def test_the_pages_are_quick_on_many_numbers(database: Database) -> None:
    """Twenty thousand numbers in a pool: the pages still fold them to ranges."""
    file = FILE.replace("+74951230100..+74951230104", "+74952000000..+74952019999")
    with database.transaction() as connection:
        apply(connection, parse(file.encode(), "sites.toml", "RU"), [], datetime.now(UTC))
    async with desk(database) as reader:
        reader.log_in(database)
        page = await reader.page(f"{SETTINGS}/numbers")
        assert "20,000" in page
        assert len(page) < 20_000
        await check_pool_form(reader)


async def check_pool_form(reader: Reader) -> None:
    page = await reader.page(f"{SETTINGS}/numbers/one?name=main")
    assert ">+74952000000..+74952019999</textarea>" in page
