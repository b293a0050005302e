"""The page of numbers and pools, and the one of how many are needed, over both databases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import update

from pbxtrack.access import Role
from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Sign
from pbxtrack.pool.needs import Needs, NoAnswer, Question, Size
from pbxtrack.pool.service import renew
from pbxtrack.pool.usage import held_by_steps, slot_of
from pbxtrack.storage import tables, utilisation
from pbxtrack.storage.database import Database
from pbxtrack.storage.held_numbers import NumberFilter, numbers_page, pools_now, shown_overflow
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.utilisation import HOUR, MINUTE, TEN_MINUTES, usage
from tests.contract.api_client import STATIC, T0, put_call
from tests.contract.desk_client import desk
from tests.contract.leasing import one
from tests.contract.site import a_site

A, B, C = "+74951230100", "+74951230101", "+78125550100"
PAGE = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign="
NASTY = "<img src=x onerror=alert(1)>"
NUMBERS, SIZE = "/sites/demo/numbers", "/sites/demo/numbers/size"
MINUTES = timedelta(minutes=1)


def visit(
    database: Database, at: datetime, region: str = "", campaign: str = "spring", *, tapped: bool = False
) -> LeaseGrant:
    with database.transaction() as connection:
        store = SqlLeases(connection)
        grant = one(store, LeaseRequest("demo", PAGE + campaign, region=region), at)
        assert isinstance(grant, LeaseGrant)
        if tapped:
            renew(store, [Sign(grant.lease.id, EventKind.TAP)], at)
        return grant


@pytest.fixture
def shop(database: Database) -> Database:
    """Two numbers for anyone, one of a region, one of a channel's own; thirty minutes of hold, three for certain."""
    with database.transaction() as connection:
        a_site(connection, pool=[A, B], regions={"812": [C]}, static=[STATIC])
        a_site(connection, key="empty", name="Empty")
    return database


def states(database: Database, now: datetime) -> dict[str, str | None]:
    with database.reading() as connection:
        rows, _ = numbers_page(connection, site_id(database), NumberFilter(), now)
    return {row["number"]: row["state"] for row in rows}


def site_id(database: Database, key: str = "demo") -> int:
    with database.reading() as connection:
        return int(connection.execute(tables.sites.select().where(tables.sites.c.key == key)).one().id)


def test_a_number_is_held_for_certain_then_held_then_rests_then_is_free(shop: Database) -> None:
    number = visit(shop, T0, tapped=True).number
    assert number == A
    met = [states(shop, T0 + minutes * MINUTES)[A] for minutes in (1, 5, 31, 13 * 60)]
    assert met == ["guaranteed", "held", "resting", "free"]
    with shop.reading() as connection:
        anyone, region = pools_now(connection, site_id(shop), T0 + 5 * MINUTES)
    assert (anyone["name"], anyone["numbers"], anyone["held"], anyone["free"]) == ("main", 2, 1, 1)
    assert (region["name"], region["numbers"], region["held"], region["free"]) == ("812", 1, 0, 1)


def test_a_number_tells_its_visitor_and_its_calls(shop: Database) -> None:
    grant = visit(shop, T0 - MINUTES, campaign="autumn")
    call = put_call(shop, 0, dialled=A)
    put_call(shop, 5, dialled=STATIC, caller="+79160000001")
    put_call(shop, 6, dialled=STATIC, caller="+79160000002")
    with shop.reading() as connection:
        rows, count = numbers_page(
            connection, site_id(shop), NumberFilter(since=T0 + 6 * MINUTES), T0 + 7 * MINUTES, limit=250
        )
    assert count == 4
    found = {row["number"]: row for row in rows}
    lease = found[A]["lease"]
    assert (lease["visit"], lease["campaign"], lease["call"]) == (grant.visit.id, "autumn", call)
    assert found[A]["last_call"]["id"] == call
    assert (found[A]["calls"], found[STATIC]["calls"]) == (0, 1), "only those of the time asked for"
    assert (found[STATIC]["channel"], found[STATIC]["state"], found[STATIC]["lease"]) == ("Billboard", None, None)
    assert found[B]["lease"] is None


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (NumberFilter(digits="0100"), [A, C]),
        (NumberFilter(named="bill"), [STATIC]),
        (NumberFilter(named="%"), []),
        (NumberFilter(pool="812"), [C]),
        (NumberFilter(state="free"), [B, C]),
    ],
)
def test_numbers_are_found(shop: Database, which: NumberFilter, expected: Sequence[str]) -> None:
    visit(shop, T0)
    with shop.reading() as connection:
        rows, count = numbers_page(connection, site_id(shop), which, T0)
    assert sorted(row["number"] for row in rows) == sorted(expected)
    assert count == len(expected)


@pytest.mark.parametrize("slot", [MINUTE, TEN_MINUTES, HOUR])
def test_what_was_held_is_what_leases_say(shop: Database, slot: timedelta) -> None:
    begin = T0.replace(minute=0, second=0, microsecond=0)
    for minutes in (-20, 3, 4, 5, 5, 6, 200):  # each for thirty minutes, but where another takes the number
        visit(shop, begin + minutes * MINUTES)
    with shop.reading() as connection:
        found = usage(connection, site_id(shop), begin, begin + timedelta(hours=4), slot)
        pools = {pool["id"]: pool["name"] for pool in pools_now(connection, site_id(shop), T0)}
        leased = connection.execute(
            tables.leases.select().with_only_columns(
                tables.numbers.c.pool_id, tables.leases.c.started_at, tables.leases.c.ends_at
            ).join(tables.numbers, tables.numbers.c.id == tables.leases.c.number_id)
        ).all()  # fmt: skip
    first, end = slot_of(begin, slot), slot_of(begin + timedelta(hours=4), slot)
    assert {pools[pool] for pool in found.held} == {"main", "812"}
    for pool in found.held:
        each = held_by_steps(found.held[pool], list(range(first, end)), end)
        for place, held in enumerate(each, first):
            count = sum(
                slot_of(row.started_at, slot) <= place < slot_of(row.ends_at, slot)
                for row in leased
                if row.pool_id == pool
            )
            assert held is not None
            assert held.most == held.mean == count
    assert sum(found.overflow.values()) == 1, "three were given within three minutes"
    with shop.reading() as connection:
        assert shown_overflow(connection, site_id(shop), begin + 10 * MINUTES) == 1
        assert shown_overflow(connection, site_id(shop), begin + 90 * MINUTES) == 0


def test_of_too_many_leases_the_latest_are_added_up(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for minutes in range(0, 300, 60):
        visit(shop, T0 + minutes * MINUTES)
    monkeypatch.setattr(utilisation, "MOST_LEASES", 2)
    with shop.reading() as connection:
        found = usage(connection, site_id(shop), T0, T0 + timedelta(hours=6), MINUTE)
    assert T0 + 120 * MINUTES < found.since <= T0 + 180 * MINUTES
    told = sum(count for changes in found.held.values() for count in changes.values() if count > 0)
    assert told == 2 + 1, "and the one before, which was held still"


@pytest.mark.asyncio
async def test_the_page_shows_who_holds_what_and_escapes_it(shop: Database) -> None:
    now = datetime.now(UTC)
    visit(shop, now - MINUTES, campaign="%3Cimg%20src=x%20onerror=alert(1)%3E")
    for minutes in range(3):
        visit(shop, now - minutes * timedelta(seconds=1), campaign="\u202e" + "x" * 300)
    with shop.transaction() as connection:
        connection.execute(update(tables.pools).where(tables.pools.c.name == "812").values(name=NASTY))
    async with desk(shop) as reader:
        reader.log_in(shop, Role.ENGINEER)
        page = await reader.page(NUMBERS)
        assert NASTY not in page
        assert NASTY in unescape(page)
        assert "8 (495) 123-01-00" in page
        text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
        assert "Held now 3 of 3" in text
        assert "No number now 1" in text
        assert "8 (495) 123-01-01" not in await reader.page(f"{NUMBERS}?q=8+495+123+01-00")
        for odd in (
            "page=0",
            "page=99999999999999",
            "state=x&kind=y&pool=z&of=q&by=w",
            "period=all",
            "q=" + "9" * 900,
        ):
            await reader.page(f"{NUMBERS}?{odd}")
        assert "This site has no numbers." in await reader.page("/sites/empty/numbers")


@pytest.mark.asyncio
async def test_a_number_that_got_around_is_told_with_what_to_do(shop: Database) -> None:
    day = 24 * 60
    with shop.transaction() as connection:
        a_site(connection, key="other", pool=[f"+749512302{index:02}" for index in range(11)])
    for n in range(12):
        put_call(shop, n * day, dialled="+74951230200", caller=f"+7916000{n:04}")
    async with desk(shop, now=lambda: T0 + timedelta(days=20)) as reader:
        reader.log_in(shop)
        page = await reader.page("/sites/other/numbers")
        assert "Numbers that got around" in page
        assert "Take them out of the pool" in page
        assert "Numbers that got around" not in await reader.page(NUMBERS)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [NUMBERS, SIZE])
async def test_another_sites_manager_sees_nothing_of_it(shop: Database, path: str) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, Role.MANAGER, frozenset({"empty"}))
        await reader.page(path, 404)


NEEDS = Needs(
    since=T0.timestamp(), visits=900, calls=40, busiest=30, visit=150.0, hold=1800.0, load=16.0, needed=25, have=24,
    sizes=[Size(24, 1800.0, 0.9, 0.02, 24), Size(36, 1800.0, None, 0.001, 30), Size(24, 900.0, 0.8, 0.0, 20)], best=1,
)  # fmt: skip


@pytest.mark.asyncio
async def test_how_many_are_needed_is_asked_for_and_waited_for(shop: Database) -> None:
    answers: list[Needs | NoAnswer] = [NoAnswer.NOT_YET, NEEDS, replace(NEEDS, best=None)]
    asked: list[tuple[Question, float]] = []

    async def sizes(question: Question, seconds: float) -> Needs | NoAnswer:
        asked.append((question, seconds))
        return answers[len(asked) - 1]

    async with desk(shop, sizes=sizes) as reader:
        reader.log_in(shop, Role.ENGINEER)
        await reader.page(SIZE)
        assert asked == [], "nothing is reckoned before it is asked for"
        assert "data-again" in await reader.page(f"{SIZE}?days=14&holds=1")
        page = await reader.page(f"{SIZE}?days=14&holds=1&price=150,5", headers={"Prefer": "wait=8"})
        assert [question for question, _ in asked] == [Question("demo", 14, holds=True)] * 2
        assert asked[0][1] < asked[1][1]
        assert "data-again" not in page
        assert "5,418" in page, "what 36 numbers cost"
        assert "–" in page, "no call at that size"
        assert "more" in await reader.page(f"{SIZE}?days=7&price=nan&hold=x")


@pytest.mark.asyncio
@pytest.mark.parametrize("no", list(NoAnswer))
async def test_why_there_is_no_answer_is_told(sqlite_database: Database, no: NoAnswer) -> None:
    with sqlite_database.transaction() as connection:
        a_site(connection)

    async def sizes(question: Question, seconds: float) -> Needs | NoAnswer:
        return no

    async with desk(sqlite_database, sizes=sizes) as reader:
        reader.log_in(sqlite_database)
        page = await reader.page(f"{SIZE}?days=7")
        assert re.search(r'role="(status|alert)"|class="note"', page)
        assert ("data-again" in page) == (no in {NoAnswer.NOT_YET, NoAnswer.BUSY})
