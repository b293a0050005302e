"""What people correct tells of the caller's later calls, and is learned from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pbxtrack.calls.attribution import Attribution
from pbxtrack.pool.model import LeaseGrant
from pbxtrack.storage import curves, tables
from pbxtrack.storage.annotations import annotate_call
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.rebuild import rebuild
from tests.contract.api_client import TESTS
from tests.contract.site import a_site
from tests.contract.test_recording import IVAN, MINUTE, NOW, POOL, arrival, visit, write

VK = "https://shop.example/?utm_source=vk&utm_medium=cpc"
OTHER_POOL = "+74951230101"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, pool=[POOL, OTHER_POOL])
    return database


@pytest.fixture
def visits(shop: Database) -> tuple[LeaseGrant, LeaseGrant, LeaseGrant]:
    """Two who were shown the one number, one after the other, and between them one who was shown the other number."""
    first, between, second = visit(shop), visit(shop, NOW + MINUTE, VK), visit(shop, NOW + HOUR, VK)
    assert (first.number, between.number, second.number) == (POOL, OTHER_POOL, POOL)
    return first, between, second


def call(shop: Database, n: int, after: timedelta, dialled: str = POOL, caller: str | None = IVAN) -> str:
    return write(shop, arrival(dialled, caller, NOW + after, f"7.{n}")).call.id


def correct(shop: Database, call_id: str, **to: str) -> None:
    with shop.transaction() as connection:
        assert annotate_call(connection, call_id, {"attribution": to or None}, TESTS, NOW + DAY, "RU")


def tie(shop: Database, call_id: str) -> Attribution:
    with shop.transaction() as connection:
        found = SqlCalls(connection).load([call_id])[call_id].attribution
    assert found is not None
    return found


def brought(shop: Database, call_id: str) -> tuple[Any, ...]:
    found = tie(shop, call_id)
    return found.method.value, found.channel, found.visit and found.visit.id


def test_the_callers_next_call_is_whose_people_said(shop: Database, visits: tuple[LeaseGrant, ...]) -> None:
    first, _, second = visits
    told = call(shop, 1, HOUR + MINUTE)
    assert brought(shop, told) == ("lease", "Paid: vk", second.visit.id)
    correct(shop, told, visit=first.visit.id)
    again = call(shop, 2, DAY)
    assert brought(shop, again) == ("caller", "Paid: yandex", first.visit.id)
    assert tie(shop, again).why == (
        "The same caller called before, and somebody corrected that call: Paid: yandex brought it."
    )
    assert tie(shop, again).confidence > 0.95


def test_calls_that_were_made_meanwhile_follow_and_so_when_it_is_taken_back(
    shop: Database, visits: tuple[LeaseGrant, ...]
) -> None:
    first, _, second = visits
    told, later, last = (call(shop, n, after) for n, after in enumerate((HOUR + MINUTE, 2 * HOUR, DAY)))
    before = [brought(shop, one) for one in (told, later, last)]
    assert {visit_id for _, _, visit_id in before} == {second.visit.id}
    correct(shop, told, visit=first.visit.id)
    assert [brought(shop, one)[2] for one in (later, last)] == [first.visit.id] * 2
    assert brought(shop, told) == before[0], "what was computed stays"
    correct(shop, told)
    assert [brought(shop, one) for one in (told, later, last)] == before


def test_what_people_said_counts_before_a_later_call_that_nobody_corrected(
    shop: Database, visits: tuple[LeaseGrant, ...]
) -> None:
    first, _, _ = visits
    told, later = call(shop, 1, HOUR + MINUTE), call(shop, 2, 2 * HOUR)
    correct(shop, told, visit=first.visit.id)
    correct(shop, later, channel="Radio")
    assert brought(shop, call(shop, 3, DAY)) == ("caller", "Radio", None), "the latest of what people said"


def test_whom_people_named_need_not_have_been_shown_the_number(shop: Database, visits: tuple[LeaseGrant, ...]) -> None:
    _, between, _ = visits
    told = call(shop, 1, HOUR + MINUTE)
    correct(shop, told, visit=between.visit.id)
    assert brought(shop, call(shop, 2, DAY)) == ("caller", "Paid: vk", between.visit.id)


def test_a_channel_tells_which_of_those_who_may_have_called(shop: Database, visits: tuple[LeaseGrant, ...]) -> None:
    first, _, second = visits
    told = call(shop, 1, HOUR + 20 * MINUTE)
    assert {one.channel for one in tie(shop, told).candidates} == {"Paid: vk", "Paid: yandex"}
    assert brought(shop, told)[2] == second.visit.id
    correct(shop, told, channel="Paid: yandex")
    assert brought(shop, call(shop, 2, DAY)) == ("caller", "Paid: yandex", first.visit.id)


def test_a_channel_that_none_of_them_came_by_is_the_callers(shop: Database, visits: tuple[LeaseGrant, ...]) -> None:
    told = call(shop, 1, HOUR + MINUTE)
    correct(shop, told, channel="Radio")
    again = call(shop, 2, DAY)
    assert brought(shop, again) == ("caller", "Radio", None)
    assert tie(shop, again).confidence > 0.95
    stranger = call(shop, 3, DAY, caller="+79160000000")
    assert tie(shop, stranger).channel != "Radio"
    other_number = call(shop, 4, DAY, dialled=OTHER_POOL)
    assert tie(shop, other_number).channel != "Radio", "only of this number it is known that it was passed on"


def test_a_rebuild_finds_the_same(shop: Database, visits: tuple[LeaseGrant, ...]) -> None:
    first, between, _ = visits
    one = call(shop, 1, HOUR + MINUTE)
    another = call(shop, 2, HOUR + 2 * MINUTE, caller="+79162222222")
    a_third = call(shop, 3, HOUR + 3 * MINUTE, caller="+79163333333")
    correct(shop, one, visit=first.visit.id)
    correct(shop, another, visit=between.visit.id)
    correct(shop, a_third, channel="Radio")
    [*_, done] = rebuild(shop, None, "RU")
    assert done.attributions == 2, "who is known to have called is less likely to be another caller, too"
    again = [call(shop, n, DAY, caller=caller) for n, caller in enumerate((IVAN, "+79162222222", "+79163333333"), 4)]
    assert [brought(shop, one)[1:] for one in again] == [
        ("Paid: yandex", first.visit.id),
        ("Paid: vk", between.visit.id),
        ("Radio", None),
    ]
    [*_, done] = rebuild(shop, None, "RU")
    assert (done.looked_at, done.attributions, len(done.changed)) == (6, 0, 0)


def test_nothing_is_tied_that_was_not_shown_a_number_before_the_call(
    shop: Database, visits: tuple[LeaseGrant, ...]
) -> None:
    told = call(shop, 1, 30 * MINUTE)
    with shop.transaction() as connection:
        connection.execute(tables.leases.delete())
    correct(shop, told, visit=visits[0].visit.id)
    with shop.transaction() as connection:
        row = connection.execute(select(tables.calls.c.corrected_visit_id, tables.calls.c.corrected_tie)).one()
    assert row == (visits[0].visit.id, None)


def test_curves_are_learned_from_what_people_said(shop: Database, visits: tuple[LeaseGrant, ...]) -> None:
    first, _, second = visits
    by_visit, by_channel, by_none = (call(shop, n, HOUR + n * MINUTE, caller=f"+7916000000{n}") for n in range(1, 4))
    correct(shop, by_visit, visit=first.visit.id)
    correct(shop, by_channel, channel="Paid: vk")
    correct(shop, by_none, channel="Radio")
    call(shop, 4, HOUR + 4 * MINUTE, caller="+79160000004")
    with shop.transaction() as connection:
        weighings = curves.lessons(connection, 1, NOW + DAY).weighings
    possible = [{one.holder.visit.id for one in weighing.possible} for weighing in weighings]
    both = {first.visit.id, second.visit.id}
    assert possible == [{first.visit.id}, {second.visit.id}, set(), both]
    assert [weighing.somebody for weighing in weighings] == [True, True, False, False]
