"""Leasing, on each database: who is given which number, for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Others, Sign, SiteSettings
from pbxtrack.pool.ports import LeaseStore
from pbxtrack.pool.service import ForeignSite, UnknownSite, acquire, renew
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.testing.memory import MemoryLeases
from tests.contract.leasing import one
from tests.contract.site import a_site

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AD = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=autumn"
POOL = ["+74951230100", "+74951230101", "+74951230102"]
NORTH, SOUTH = [f"+7812123010{index}" for index in range(4)], [f"+7863123010{index}" for index in range(8)]


Stores = Callable[[], AbstractContextManager[LeaseStore]]
"""Opens a store for one transaction."""


def ask(stores: Stores, now: datetime = NOW, visitor: str | None = None, page: str = AD) -> LeaseGrant:
    with stores() as store:
        return one(store, LeaseRequest("demo", page, visitor=visitor), now)


def beat(stores: Stores, grant: LeaseGrant, now: datetime) -> LeaseGrant | None:
    with stores() as store:
        (answer,) = renew(store, [Sign(grant.lease.id)], now)
    assert not isinstance(answer, ForeignSite)
    return answer


def in_database(database: Database, numbers: Sequence[str]) -> Stores:
    with database.transaction() as connection:
        a_site(connection, pool=numbers)

    @contextmanager
    def opened() -> Iterator[LeaseStore]:
        with database.transaction() as connection:
            yield SqlLeases(connection)

    return opened


def in_memory(*pools: Sequence[str]) -> Stores:
    """``pools``: one for anybody; or more, each for the region that is its place."""
    site = SiteSettings(
        id=1,
        key="demo",
        name="Demo shop",
        line="PJSIP/sales",
        hold=30 * MINUTE,
        hold_guaranteed=3 * MINUTE,
        overflow_number="+74950000000",
    )
    regions = map(str, range(len(pools))) if len(pools) > 1 else [""]
    store = MemoryLeases(site, dict(zip(regions, pools, strict=True)))
    return lambda: nullcontext(store)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest) -> Stores:
    """A site with three numbers, in each kind of store."""
    if request.param == "memory":
        return in_memory(POOL)
    return in_database(request.getfixturevalue(f"{request.param}_database"), POOL)


def test_each_visitor_has_a_number_of_their_own(shop: Stores) -> None:
    grants = [ask(shop) for _ in POOL]
    assert sorted(str(grant.number) for grant in grants) == POOL
    assert len({grant.visit.visitor for grant in grants}) == 3
    assert grants[0].lease.ends_at == NOW + 30 * MINUTE
    assert grants[0].lease.guaranteed_until == NOW + 3 * MINUTE


def test_the_same_visitor_on_the_same_visit_keeps_number_and_lease(shop: Stores) -> None:
    first = ask(shop)
    again = ask(shop, NOW + 10 * MINUTE, first.visit.visitor, "https://shop.example/prices")
    assert (again.number, again.lease.id, again.visit.id) == (first.number, first.lease.id, first.visit.id)
    assert again.renewed
    assert again.lease.ends_at == NOW + 40 * MINUTE


def test_another_campaign_begins_another_visit(shop: Stores) -> None:
    first = ask(shop)
    again = ask(shop, NOW + MINUTE, first.visit.visitor, "https://shop.example/?utm_source=vk&utm_medium=cpc")
    assert again.visit.id != first.visit.id
    assert again.visit.visitor == first.visit.visitor


def test_a_used_up_pool_shows_the_overflow_number(shop: Stores) -> None:
    for _ in POOL:
        ask(shop)
    grant = ask(shop)
    assert grant.lease.overflow
    assert grant.number == "+74950000000"


def test_the_number_free_for_longest_is_next(shop: Stores) -> None:
    first, second, third = ask(shop), ask(shop), ask(shop)
    beat(shop, first, NOW + 20 * MINUTE)  # its hold now ends last
    later = NOW + 2 * 60 * MINUTE
    assert [ask(shop, later).number for _ in POOL] == [second.number, third.number, first.number]


def test_a_deserted_lease_is_taken_when_the_pool_runs_short(shop: Stores) -> None:
    gone, here, also_here = ask(shop), ask(shop), ask(shop)
    for grant in (here, also_here):
        assert beat(shop, grant, NOW + 2 * MINUTE)
    taken = ask(shop, NOW + 3 * MINUTE)
    assert taken.number == gone.number
    assert beat(shop, gone, NOW + 3 * MINUTE) is None, "its visitor is told to ask again"
    assert ask(shop, NOW + 3 * MINUTE).lease.overflow, "the others are still there"


@pytest.mark.parametrize("later", [3 * MINUTE, 60 * MINUTE], ids=["deserted", "free"])
def test_who_comes_back_keeps_the_number_though_others_come_in_the_same_moment(shop: Stores, later: timedelta) -> None:
    first, *_ = [ask(shop) for _ in POOL]
    with shop() as store:
        wanted = [LeaseRequest("demo", AD), LeaseRequest("demo", AD, visitor=first.visit.visitor)]
        new, back = acquire(store, wanted, NOW + later)
    assert isinstance(new, LeaseGrant)
    assert isinstance(back, LeaseGrant)
    assert back.number == first.number != new.number


def test_of_two_pages_opened_at_once_the_later_may_be_done_first(shop: Stores) -> None:
    """Each transaction reads the clock when it begins, and one may then wait for the other."""
    first = ask(shop)
    later = NOW + 60 * MINUTE
    here = ask(shop, later, first.visit.visitor)
    also_here = ask(shop, later - timedelta(milliseconds=1), first.visit.visitor)
    assert (also_here.lease.id, also_here.visit.id) == (here.lease.id, here.visit.id)
    assert also_here.renewed


def test_a_lease_ends_with_its_hold(shop: Stores) -> None:
    grant = ask(shop)
    assert beat(shop, grant, NOW + 30 * MINUTE) is None
    with shop() as store:
        assert renew(store, [Sign("nothing")], NOW) == [None]


def test_a_sign_of_life_from_another_sites_page_changes_nothing(shop: Stores) -> None:
    grant, later = ask(shop), NOW + 20 * MINUTE
    sign = Sign(grant.lease.id, EventKind.TAP, "/order", sites={"other"})
    with shop() as store:
        foreign, own = renew(store, [sign, sign._replace(sites={"demo", "other"})], NOW + MINUTE)
    assert isinstance(foreign, ForeignSite)
    assert isinstance(own, LeaseGrant)
    with shop() as store:
        assert isinstance(renew(store, [sign], later)[0], ForeignSite)
    with shop() as store:
        known = store.leases([grant.lease.id])[grant.lease.id]
        assert (known.lease, known.visit.seen_at) == (own.lease, NOW + MINUTE)
        assert renew(store, [sign], own.lease.ends_at) == [None], "a lease that is over is no site's"


def test_an_unknown_site_is_said(shop: Stores) -> None:
    with shop() as store:
        missing, there = acquire(store, [LeaseRequest("shop", AD), LeaseRequest("demo", AD)], NOW)
    assert isinstance(missing, UnknownSite)
    assert str(missing) == "there is no site 'shop'"
    assert isinstance(there, LeaseGrant)


def test_visitors_who_come_at_once_never_share_a_number(database: Database) -> None:
    numbers = [f"+7495123{index:04}" for index in range(40)]
    stores = in_database(database, numbers)
    with ThreadPoolExecutor(8) as threads:
        grants = list(threads.map(lambda _: ask(stores), range(60)))
    given = [grant.number for grant in grants if not grant.lease.overflow]
    assert sorted(map(str, given)) == numbers


@pytest.mark.parametrize("sign", ["page view", "heartbeat"])
def test_a_number_whose_visitor_gives_a_sign_of_life_is_not_taken_meanwhile(
    postgresql_database: Database, sign: str
) -> None:
    shop = in_database(postgresql_database, POOL[:1])
    grant = ask(shop)
    with shop() as theirs:
        if sign == "page view":
            theirs.visitors([(grant.site.id, grant.visit.visitor)])
        else:
            theirs.leases([grant.lease.id])
        assert ask(shop, NOW + 3 * MINUTE).lease.overflow
    assert ask(shop, NOW + 3 * MINUTE).number == grant.number


def page_view(stores: Stores, grant: LeaseGrant, now: datetime) -> str | None:
    return ask(stores, now, grant.visit.visitor).lease.number


def heartbeat(stores: Stores, grant: LeaseGrant, now: datetime) -> str | None:
    renewed = beat(stores, grant, now)
    return renewed.lease.number if renewed else None


@pytest.mark.parametrize("sign", [page_view, heartbeat])
def test_a_sign_of_life_waits_until_it_is_known_whose_the_number_is(
    postgresql_database: Database, sign: Callable[[Stores, LeaseGrant, datetime], str | None]
) -> None:
    shop, later = in_database(postgresql_database, POOL[:1]), NOW + 3 * MINUTE
    grant = ask(shop)
    with ThreadPoolExecutor() as threads:
        with shop() as another:
            assert one(another, LeaseRequest("demo", AD), later).number == grant.number
            back = threads.submit(sign, shop, grant, later)
            time.sleep(0.2)  # so that it is surely under way
        assert back.result() is None


def test_a_new_visitor_with_an_id_of_the_websites_own_who_comes_at_once_has_one_number(database: Database) -> None:
    numbers = [f"+7495123{index:04}" for index in range(40)]
    stores = in_database(database, numbers)
    with ThreadPoolExecutor(6) as threads:
        for visit in range(8):
            grants = list(threads.map(lambda _, name=f"session-{visit}": ask(stores, visitor=name), range(6)))
            assert len({grant.number for grant in grants}) == 1


def test_an_address_that_holds_its_share_gets_no_number_back_either(shop: Stores) -> None:
    first, second = ask(shop), ask(shop)
    later = NOW + 40 * MINUTE
    with shop() as store:
        greedy = LeaseRequest("demo", AD, visitor=first.visit.visitor, others=Others(1))
        assert one(store, greedy, later).lease.overflow
        modest = greedy._replace(visitor=second.visit.visitor, others=Others())
        assert one(store, modest, later).number == second.number


@pytest.mark.parametrize(
    ("others", "pool"),
    [
        (Others(), NORTH),
        (Others(1), NORTH),
        (Others(2), SOUTH),  # which may be two of the four of the north
        (Others(2, {0: 2}), SOUTH),
        (Others(2, {0: 1, 1: 1}), NORTH),
        (Others(2, {1: 2}), NORTH),
        (Others(3), []),  # of twelve in all
    ],
)
def test_an_address_has_at_most_half_of_a_pool(others: Others, pool: Sequence[str]) -> None:
    with in_memory(POOL)() as store:
        assert one(store, LeaseRequest("demo", AD, others=Others(1)), NOW).lease.overflow, "one of three"
    with in_memory(NORTH, SOUTH)() as store:
        grant = one(store, LeaseRequest("demo", AD, region="0", others=others), NOW)
    assert (grant.lease.number in pool) if pool else grant.lease.overflow
    assert grant.pool == {NORTH[0]: 0, SOUTH[0]: 1, "": None}[pool[0] if pool else ""]
