"""The call log on the desk: what it shows, finds, keeps and tells while it is open."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from pbxtrack.access import Role
from pbxtrack.calls.events import CallArrived, LineDialled, LineRang
from pbxtrack.calls.service import record
from pbxtrack.storage import people, saved_views
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import calls
from tests.contract.api_client import CALLER, OTHER_STATIC, STATIC, T0, put_call
from tests.contract.desk_client import NAME, desk
from tests.contract.site import a_site

NOW = T0 + timedelta(hours=2)
LIST = "/sites/demo/calls"
MARKUP = "<img src=x onerror=alert(1)>"
HOSTILE = f'{MARKUP}"\u202e' + "я" * 200


@pytest.fixture
def shop(database: Database) -> Database:
    """A site with five calls, and another with one."""
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    put_call(database, 0)
    put_call(database, 1, talk=65)
    put_call(database, 2, caller="+79160000000")
    put_call(database, 3, dialled=OTHER_STATIC)
    put_call(database, 4, caller=None)
    put_call(database, 70, caller="+79165550000")
    return database


def change(database: Database, n: int, **values: Any) -> None:
    with database.transaction() as connection:
        connection.execute(update(calls).where(calls.c.linkedid == f"1772355600.{n}").values(values))


def now() -> datetime:
    return NOW


def site_id(database: Database) -> int:
    with database.reading() as connection:
        return live_sites(connection, ["demo"])[0].id


def listed(page: str) -> list[int]:
    """The calls of a page's rows, in order."""
    return [int(n) for n in re.findall(r'<tr data-call="pbx1-1772355600\.(\d+)"', page)]


def chips(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>|\s*×\s*", "", chip) for chip in re.findall(r'class="chip"[^>]*>(.*?)</a>', page, re.S)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "expected", "said"),
    [
        ("", [70, 4, 2, 1, 0], []),
        ("unique=true", [70, 2, 0], ["Unique: Unique contacts"]),
        ("target=true", [1], ["Target: Target calls"]),
        ("unsettled=true", [70, 2], ["Missed calls: Not called back"]),
        ("status=missed&status=abandoned", [70, 4, 2, 0], ["Status: Missed call", "Status: Hung up while ringing"]),
        ("channel=Billboard&caller=4567", [1, 0], ["Channel: Billboard", "Caller&#39;s number ends with: 4567"]),
        ("channel=", [], ["Channel: Unknown"]),
        ("caller=8 916 123-45-67", [1, 0], ["Caller: 8 (916) 123-45-67"]),
        ("caller=withheld", [4], ["Caller: Withheld"]),
        ("from=2026-03-01&to=2026-03-01&hour=13", [70], ["Hour: 13:00–13:59"]),
        ("hour=12", [4, 2, 1, 0], ["Hour: 12:00–12:59"]),
        ("period=yesterday", [], []),
        ("tag=vip", [], ["Tag: vip"]),
        ("dialled=84951230002", [], ["Dialled: 8 (495) 123-00-02"]),
        ("target=maybe&hour=99&cursor=", [70, 4, 2, 1, 0], []),
    ],
)
async def test_calls_are_found_and_what_is_asked_for_is_said(
    shop: Database, query: str, expected: list[int], said: list[str]
) -> None:
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        page = await reader.page(f"{LIST}?{query.replace('cursor=', '')}")
    assert listed(page) == expected
    assert [re.sub(r"\s+", " ", chip).strip() for chip in chips(page)] == said
    assert ("No calls" in page) == (not expected)


@pytest.mark.asyncio
async def test_who_finds_nothing_by_a_part_of_a_number_is_told_which_part_counts(shop: Database) -> None:
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        assert "last digits, not by digits from the middle" in await reader.page(f"{LIST}?caller=6123")
        assert "not by digits from the middle" not in await reader.page(f"{LIST}?tag=vip")


@pytest.mark.asyncio
async def test_a_call_nobody_called_back_stands_out_in_words(shop: Database) -> None:
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        page = await reader.page(LIST)
    rows = {int(n): row for n, row in re.findall(r'<tr data-call="[^"]*\.(\d+)"(.*?)</tr>', page, re.S)}
    assert [n for n, row in rows.items() if 'class="waiting"' in row and "not called back" in row] == [70, 2]
    assert "called back" in rows[0]  # spoken with a minute later
    assert f'href="{LIST}/pbx1-1772355600.1"' in rows[1]
    assert ">on target<" in rows[1]
    assert ">repeat<" in rows[1]
    assert "5 calls" in re.sub(r"\s+", " ", page)
    assert "not called back: 2" in page


@pytest.mark.asyncio
async def test_pages_go_back_in_time(shop: Database) -> None:
    for n in range(100, 160):
        put_call(shop, n)
    async with desk(shop, now=lambda: NOW + timedelta(hours=5)) as reader:
        reader.log_in(shop)
        first = await reader.page(LIST)
        following = re.search(r'href="([^"]+)" rel="next"', first)
        assert following
        second = await reader.page(following[1].replace("&amp;", "&"))
        lost = await reader.page(f"{LIST}?tag=a&cursor=nonsense", 303)
        foreign = await reader.page(f"{LIST}?cursor={'A' * 2_000}", 303)
    assert "data-live" in first
    assert "data-live" not in second
    assert "To the newest" in second
    assert listed(first) + listed(second) == [*range(159, 99, -1), 70, 4, 2, 1, 0]
    assert (lost, foreign) == ("303: See Other", "303: See Other")


@pytest.mark.asyncio
async def test_hostile_values_are_text_alone(shop: Database) -> None:
    change(
        shop, 1, campaign=HOSTILE, source=HOSTILE, term=HOSTILE, corrected_channel=HOSTILE, tags=[HOSTILE[:60]] * 9,
        note="я" * 10_000, answered_by=HOSTILE[:150], dialled="<b>" * 10, caller="'\"><b>", recording="x.wav",
    )  # fmt: skip
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        with shop.transaction() as connection:
            person = people.find_person(connection, NAME)
            assert person
            people.change_person(connection, person.id, choices={"call_columns": ["source", "campaign", "term"]})
        pages = [
            await reader.page(LIST),
            await reader.page(f"{LIST}.rows"),
            await reader.page(
                LIST, params=[("channel", HOSTILE), ("tag", MARKUP), ("campaign", HOSTILE), ("x", MARKUP)]
            ),
            await reader.page(LIST, params={"caller": MARKUP, "dialled": MARKUP}),
        ]
    for page in pages:
        assert "<img" not in page
        assert "<b>" not in page
        assert len(page) < 200_000
    assert "&lt;img src=x onerror" in pages[0]


@pytest.mark.asyncio
async def test_rows_come_for_calls_that_changed_and_fit(shop: Database) -> None:
    ids = "&".join(f"id=pbx1-1772355600.{n}" for n in (1, 2, 3, 70, 99))
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        rows = await reader.page(f"{LIST}.rows?{ids}&id=%00x", 400)
        rows = await reader.page(f"{LIST}.rows?{ids}")
        fitting = await reader.page(f"{LIST}.rows?{ids}&target=true")
        none = await reader.page(f"{LIST}.rows?{ids}&period=yesterday")
        whole = await reader.page(f"{LIST}.rows")
        page = await reader.page(LIST)
        with shop.transaction() as connection:
            arrived: dict[str, Any] = {"node": "pbx1", "linkedid": "1772355600.71", "at": NOW - timedelta(seconds=4)}
            record(
                SqlCalls(connection),
                [
                    CallArrived(**arrived, leg="1772355600.71", dialled=STATIC, caller=CALLER),
                    LineDialled(**arrived, leg="b", name="PJSIP/sales-0001"),
                    LineRang(**arrived, leg="b", name="PJSIP/sales-0001"),
                ],
                NOW,
                "RU",
            )
        ringing = await reader.page(f"{LIST}.rows?id=pbx1-1772355600.71")
    assert listed(rows) == [70, 2, 1]  # 3 is the other site's
    assert listed(fitting) == [1]
    assert listed(none) == []
    assert listed(whole) == [70, 4, 2, 1, 0]
    row = re.search(r'<tr data-call="pbx1-1772355600\.1".*?</tr>', rows, re.S)
    assert row
    assert row[0] in page  # made in one place
    assert "<html" not in rows
    assert listed(ringing) == [71]
    assert 'data-told="Ringing: 8 (916) 123-45-67, Billboard"' in ringing
    assert "6 calls" in re.sub(r"\s+", " ", ringing)


@pytest.mark.asyncio
async def test_columns_are_each_persons_own(shop: Database) -> None:
    async with desk(shop, now=now) as reader:
        reader.log_in(shop, name="bob")
        reader.log_in(shop)
        with shop.transaction() as connection:
            person = people.find_person(connection, NAME)
            assert person
            people.change_person(connection, person.id, choices={"theme": "dark"})
        leads = await reader.send(f"{LIST}.columns?target=true&period=7d", column="term")
        assert leads == f"{LIST}?period=7d&target=true"
        page = await reader.page(LIST)
        await reader.send(f"{LIST}.columns", column="<script>")
        none = await reader.page(LIST)
        reader.log_in(shop, name="bob")
        bobs = await reader.page(LIST)
    assert re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page) == ["Time", "Caller", "Keyword"]
    assert 'data-theme="dark"' in page
    assert re.findall(r'<th scope="col"[^>]*>(.*?)</th>', none) == ["Time", "Caller"]
    assert ">Status</th>" in bobs


@pytest.mark.asyncio
async def test_views_are_saved_opened_and_removed_by_their_owner(shop: Database) -> None:
    site = site_id(shop)
    async with desk(shop, now=now) as reader:
        reader.log_in(shop, name="bob")
        reader.log_in(shop)
        await reader.send(f"{LIST}.views?unsettled=true&period=7d&cursor=x&colour=red", name=f"  {MARKUP} ")
        await reader.send(f"{LIST}.views?tag=vip", name="Mine")
        await reader.send(f"{LIST}.views?tag=new", name="Mine")
        await reader.send(f"{LIST}.views?tag=new", name="   ")
        page = await reader.page(f"{LIST}?tag=new")
        with shop.transaction() as connection:
            person = people.find_person(connection, NAME)
            assert person
            kept = saved_views.list_views(connection, person.id, site)
        reader.log_in(shop, name="bob")
        bobs = await reader.page(LIST)
        await reader.send(f"{LIST}.views/remove", view=kept[0].id)
        await reader.send(f"{LIST}.views/remove", view="9" * 30)
        reader.log_in(shop)
        still = await reader.page(LIST)
        await reader.send(f"{LIST}.views/remove?tag=new", view=next(view.id for view in kept if view.name == "Mine"))
        after = await reader.page(LIST)
    assert [(view.name, view.query) for view in kept] == [
        (MARKUP, "period=7d&unsettled=true"),
        ("Mine", "tag=new"),
    ]
    assert f'<a href="{LIST}?tag=new" aria-current="true"><bdi>Mine</bdi>' in page
    assert "Mine" not in bobs
    assert "Mine" in still
    assert "onerror" in still
    assert MARKUP not in still
    assert "Mine" not in after


def test_nobody_saves_views_without_end(shop: Database) -> None:
    site = site_id(shop)
    with shop.transaction() as connection:
        person = people.add_person(connection, "bob", "none", Role.MANAGER, None, NOW)
        for n in range(saved_views.MOST):
            saved_views.save_view(connection, person.id, site, str(n), "")
        with pytest.raises(saved_views.TooManyViews):
            saved_views.save_view(connection, person.id, site, "one more", "")
        saved_views.save_view(connection, person.id, site, "0", "tag=vip")  # in place of another
        people.remove_person(connection, person.id)
        assert saved_views.list_views(connection, person.id, site) == []


@pytest.mark.asyncio
async def test_more_calls_than_are_counted_are_said_to_be_more(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbxtrack.storage.call_sums.calls_sums.__defaults__", (3,))
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        page = await reader.page(LIST)
    assert "More than 3 calls" in page


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["calls", "calls.rows"])
async def test_an_empty_site_a_foreign_one_and_every_role(shop: Database, path: str) -> None:
    with shop.transaction() as connection:
        a_site(connection, key="empty")
    async with desk(shop, now=now) as reader:
        for role in Role:
            reader.log_in(shop, role, frozenset({"demo", "empty"}), name=role.value)
            assert listed(await reader.page(f"/sites/empty/{path}")) == []
            assert listed(await reader.page(f"/sites/demo/{path}"))
            await reader.page(f"/sites/other/{path}", 404)
            await reader.send("/sites/other/calls.views", 404, name="x")
        reader.client.session.cookie_jar.clear()
        await reader.page(f"/sites/demo/{path}", 303)


@pytest.mark.asyncio
async def test_the_log_in_russian(shop: Database) -> None:
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        with shop.transaction() as connection:
            person = people.find_person(connection, NAME)
            assert person
            people.change_person(connection, person.id, language="ru")
        page = await reader.page(f"{LIST}?unsettled=true")
    for text in ("Звонки", "не перезвонили", "2 звонка", "Ещё фильтры"):
        assert text in page


@pytest.mark.asyncio
async def test_a_built_in_channel_is_found_by_the_name_that_is_shown(shop: Database) -> None:
    change(shop, 0, channel="Direct")
    asked = f"{LIST}?channel=Прямые+заходы&channel=Billboard&period=all"
    async with desk(shop, now=now) as reader:
        reader.log_in(shop)
        assert listed(await reader.page(asked)) == [70, 4, 2, 1], "no such name in English"
        await reader.send("/language", language="ru")
        async with reader.client.get(asked) as response:
            assert listed(await response.text()) == [70, 4, 2, 1, 0]
            assert response.url.query.getall("channel") == ["Direct", "Billboard"]
    change(shop, 0, channel="Прямые заходы")
    async with desk(shop, now=lambda: NOW + timedelta(minutes=2)) as reader:
        reader.log_in(shop)
        await reader.send("/language", language="ru")
        assert listed(await reader.page(asked)) == [70, 4, 2, 1, 0], "calls are called so"
