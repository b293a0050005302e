"""Visitors' e-mail addresses: made ones, and those of pools, leased with the numbers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Sign, SiteSettings
from pbxtrack.pool.ports import LeaseStore
from pbxtrack.pool.service import acquire, renew
from pbxtrack.sitefile.model import Channel, Pool, Site
from pbxtrack.storage import sites, tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.testing.memory import MemoryLeases
from tests.contract.site import a_site
from tests.contract.test_leasing import MINUTE, NOW, Stores, ask, beat

MAILBOX = "Sales@shop.example"
NUMBERS = [f"+7495123{index:04}" for index in range(4)]
EMAILS = ["info1@shop.example", "info2@shop.example"]
MADE = re.compile(r"sales\+[0-9a-hjkmnp-tv-z]{10}@shop\.example")


def in_database(database: Database, emails: Sequence[str] = EMAILS, numbers: Sequence[str] = NUMBERS) -> Stores:
    with database.transaction() as connection:
        a_site(connection, pool=numbers, emails=emails, email=MAILBOX)

    @contextmanager
    def opened() -> Iterator[LeaseStore]:
        with database.transaction() as connection:
            yield SqlLeases(connection)

    return opened


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest) -> Stores:
    """Four numbers and two addresses."""
    if request.param != "memory":
        return in_database(request.getfixturevalue(f"{request.param}_database"))
    site = SiteSettings(1, "demo", "Demo shop", "PJSIP/sales", 30 * MINUTE, 3 * MINUTE, email=MAILBOX)
    store = MemoryLeases(site, {"": NUMBERS}, emails={"": EMAILS})
    return lambda: nullcontext(store)


def test_each_visitor_has_an_address_and_a_used_up_pool_is_followed_by_made_ones(shop: Stores) -> None:
    grants = [ask(shop) for _ in range(6)]
    shown = [str(grant.email) for grant in grants]
    assert sorted(shown[:2]) == EMAILS
    assert all(MADE.fullmatch(email) for email in shown[2:])
    assert len(set(shown)) == 6
    assert [grant.lease.overflow for grant in grants] == [False] * 4 + [True] * 2


def test_a_lease_keeps_its_address_and_the_visitor_on_their_next_visit_too(shop: Stores) -> None:
    first = ask(shop)
    assert first.email in EMAILS
    renewed = beat(shop, first, NOW + 10 * MINUTE)
    again = ask(shop, NOW + 20 * MINUTE, first.visit.visitor, "https://shop.example/prices")
    later = ask(shop, NOW + 3 * 60 * MINUTE, first.visit.visitor)
    assert renewed is not None
    assert (renewed.email, again.email, later.email) == (first.email,) * 3
    assert (again.lease.id == first.lease.id, later.lease.id == first.lease.id) == (True, False)


def test_a_made_address_is_the_leases_and_never_made_again(shop: Stores) -> None:
    for _ in EMAILS:
        ask(shop)
    first = ask(shop)
    renewed = beat(shop, first, NOW + MINUTE)
    assert renewed is not None
    assert renewed.email == first.email
    assert MADE.fullmatch(str(first.email))
    with shop() as store:  # another campaign: another visit
        request = LeaseRequest("demo", "https://shop.example/?utm_source=vk", visitor=first.visit.visitor)
        (other,) = acquire(store, [request], NOW + 2 * MINUTE)
    assert isinstance(other, LeaseGrant)
    assert other.number == first.number
    assert MADE.fullmatch(str(other.email))
    assert other.email != first.email


def test_the_address_that_is_free_for_longest_is_next(shop: Stores) -> None:
    first, second = ask(shop), ask(shop)
    beat(shop, first, NOW + 20 * MINUTE)
    later = NOW + 2 * 60 * MINUTE
    assert [ask(shop, later).email for _ in EMAILS] == [second.email, first.email]


def test_a_deserted_address_is_taken_and_its_visitor_has_a_made_one_instead(shop: Stores) -> None:
    gone, here = ask(shop), ask(shop)
    beat(shop, here, NOW + 2 * MINUTE)
    assert MADE.fullmatch(str(ask(shop, NOW + 3 * MINUTE - timedelta(seconds=1)).email))
    assert ask(shop, NOW + 3 * MINUTE).email == gone.email
    back = beat(shop, gone, NOW + 4 * MINUTE)
    assert back is not None
    assert (back.number, back.lease.id) == (gone.number, gone.lease.id)
    assert MADE.fullmatch(str(back.email))
    again = ask(shop, NOW + 4 * MINUTE, gone.visit.visitor, "https://shop.example/")
    assert again.email == back.email


def test_an_address_that_was_copied_rests(shop: Stores) -> None:
    keen, other = ask(shop), ask(shop)
    with shop() as store:
        renew(store, [Sign(keen.lease.id, EventKind.COPY)], NOW)
    assert [ask(shop, NOW + 40 * MINUTE).email for _ in EMAILS] == [other.email, keen.email]


def test_who_comes_back_keeps_the_address_though_others_come_in_the_same_moment(shop: Stores) -> None:
    first, second = ask(shop), ask(shop)
    later = NOW + 2 * 60 * MINUTE
    visitors = [None, None, second.visit.visitor, None, first.visit.visitor]
    with shop() as store:
        asked = [LeaseRequest("demo", "https://shop.example/", visitor=visitor) for visitor in visitors]
        grants = [grant for grant in acquire(store, asked, later) if isinstance(grant, LeaseGrant)]
    assert (grants[2].email, grants[4].email) == (second.email, first.email)
    assert len({grant.email for grant in grants}) == 5


def test_a_visitor_with_a_number_but_no_address_gets_one_that_is_free_again(database: Database) -> None:
    stores = in_database(database)
    grants = [ask(stores) for _ in range(3)]
    back = ask(stores, NOW + 60 * MINUTE, grants[2].visit.visitor)
    assert back.number == grants[2].number
    assert back.email in EMAILS
    with database.transaction() as connection:
        row = connection.execute(select(tables.leases).where(tables.leases.c.id == back.lease.id)).one()
        address = connection.execute(select(tables.addresses).where(tables.addresses.c.id == row.address_id)).one()
    assert (address.address, address.seq, address.free_at) == (back.email, row.address_seq, back.lease.ends_at)


def test_an_address_of_another_regions_pool_is_not_given(database: Database) -> None:
    pool = Pool("spb", (), ("812",), ("spb@shop.example",))
    site = Site("demo", "Demo", "PJSIP/s", email=MAILBOX, pools=(pool,))
    with database.transaction() as connection:
        sites.apply(connection, [site], (), NOW)
        requests = [LeaseRequest("demo", "https://shop.example/", region=region) for region in ("495", "812")]
        grants = acquire(SqlLeases(connection), requests, NOW)
    shown = [str(grant.email) for grant in grants if isinstance(grant, LeaseGrant)]
    assert MADE.fullmatch(shown[0])
    assert shown[1] == "spb@shop.example"


@pytest.mark.parametrize(
    ("email", "shown"), [(None, None), ("s" * 60 + "@shop.example", "s" * 60 + "@shop.example")], ids=["none", "long"]
)
def test_without_a_mailbox_no_address_and_with_a_long_name_the_mailbox(
    database: Database, email: str | None, shown: str | None
) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=NUMBERS, email=email)
        (grant,) = acquire(SqlLeases(connection), [LeaseRequest("demo", "https://shop.example/")], NOW)
        assert isinstance(grant, LeaseGrant)
        assert (grant.email, grant.lease.email) == (shown, None)


def test_visitors_who_come_at_once_never_share_an_address(database: Database) -> None:
    emails = [f"info{index:02}@shop.example" for index in range(20)]
    stores = in_database(database, emails, [f"+7495123{index:04}" for index in range(40)])
    with ThreadPoolExecutor(8) as threads:
        grants = list(threads.map(lambda _: ask(stores), range(60)))
    shown = [str(grant.email) for grant in grants]
    assert len(set(shown)) == 60
    assert sorted(email for email in shown if not MADE.fullmatch(email)) == emails


@pytest.mark.parametrize("sign", ["page view", "heartbeat"])
def test_an_address_whose_visitor_gives_a_sign_of_life_is_not_taken_meanwhile(
    postgresql_database: Database, sign: str
) -> None:
    shop = in_database(postgresql_database, EMAILS[:1])
    grant = ask(shop)
    with shop() as theirs:
        if sign == "page view":
            theirs.visitors([(grant.site.id, grant.visit.visitor)])
        else:
            theirs.leases([grant.lease.id])
        assert MADE.fullmatch(str(ask(shop, NOW + 3 * MINUTE).email))
    assert ask(shop, NOW + 3 * MINUTE).email == grant.email


def test_a_sign_of_life_waits_until_it_is_known_whose_the_address_is(postgresql_database: Database) -> None:
    shop, later = in_database(postgresql_database, EMAILS[:1]), NOW + 3 * MINUTE
    grant = ask(shop)
    with ThreadPoolExecutor() as threads:
        with shop() as another:
            (taken,) = acquire(another, [LeaseRequest("demo", "https://shop.example/")], later)
            assert isinstance(taken, LeaseGrant)
            assert taken.email == grant.email
            back = threads.submit(beat, shop, grant, later)
            time.sleep(0.2)  # so that it is surely under way
        renewed = back.result()
    assert renewed is not None
    assert MADE.fullmatch(str(renewed.email))


@pytest.mark.parametrize("column", ["email", "address"])
def test_the_database_refuses_an_address_that_is_another_leases(database: Database, column: str) -> None:
    stores = in_database(database)
    first, second = ask(stores), ask(stores)
    leases = tables.leases
    with database.transaction() as connection:
        row = connection.execute(select(leases).where(leases.c.id == first.lease.id)).one()
    values = {"email": {"email": row.email}, "address": {"address_id": row.address_id, "address_seq": row.address_seq}}
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(update(leases).where(leases.c.id == second.lease.id).values(values[column]))


SITE = Site(
    "demo",
    "Demo",
    "PJSIP/sales",
    origins=("https://shop.example",),
    email=MAILBOX,
    pools=(Pool("main", ("+74951230100",), emails=tuple(EMAILS)),),
    channels=(Channel("Billboard", emails=("m4@shop.example",)),),
)


def apply(database: Database, wanted: Site, now: datetime = NOW, *, force: bool = False) -> sites.Plan:
    with database.transaction() as connection:
        plan = sites.plan(connection, [wanted], now)
        if force or not plan.held:
            sites.apply(connection, [wanted], plan.held, now)
    return plan


def test_addresses_of_a_pool_are_put_in_force_and_taken_from_nobody_unless_by_force(database: Database) -> None:
    apply(database, SITE)
    with database.transaction() as connection:
        assert sites.read_sites(connection) == [SITE]

        def opened() -> nullcontext[LeaseStore]:
            return nullcontext(SqlLeases(connection))

        grant = ask(opened)
    left = tuple(email for email in EMAILS if email != grant.email)
    moved = (replace(SITE.channels[0], emails=(str(grant.email), "m4@shop.example")),)
    without = replace(SITE, pools=(replace(SITE.pools[0], emails=left),), channels=moved)
    at = NOW + MINUTE
    assert apply(database, without, at).held == [grant.email]
    assert apply(database, without, at, force=True).held == [grant.email]
    with database.transaction() as connection:
        assert sites.read_sites(connection) == [without]
        renewed = beat(lambda: nullcontext(SqlLeases(connection)), grant, at)
    assert renewed is not None, "the number stays the visitor's"
    assert renewed.number == grant.number
    assert MADE.fullmatch(str(renewed.email))


def test_an_address_is_free_to_go_when_its_hold_is_over(database: Database) -> None:
    apply(database, SITE)
    with database.transaction() as connection:
        grant = ask(lambda: nullcontext(SqlLeases(connection)))
    assert apply(database, replace(SITE, pools=()), grant.lease.ends_at).held == []
    apply(database, SITE, grant.lease.ends_at)
    with database.transaction() as connection:
        row = connection.execute(select(tables.addresses).where(tables.addresses.c.address == grant.email)).one()
    assert (row.seq, row.removed_at) == (1, None), "it comes back with its history"
