"""A site file, applied to a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pbxtrack.pool.model import Lease, LeaseRequest, Sign
from pbxtrack.pool.service import renew
from pbxtrack.sitefile.model import Channel, Pool, Site
from pbxtrack.storage import sites, tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.leasing import one

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NUMBERS = tuple(f"+749512301{last:02}" for last in range(5))
POOL = Pool("moscow", NUMBERS, ("495",))
BOARD = Channel("Billboard", {}, ("+74951230001",), ("m4@shop.example",), "PJSIP/support")
ADS = Channel("Ads", {"source": "yandex"})
SITE = Site(
    "demo",
    "Demo",
    "PJSIP/sales",
    origins=("https://shop.example",),
    replace=("+74951234567",),
    timezone="Europe/Moscow",
    hold=timedelta(minutes=10),
    overflow_number="+74950000000",
    email="sales@shop.example",
    pools=(POOL,),
    channels=(ADS, BOARD),
)
OTHER = Site("other", "Other", "PJSIP/other")


def apply(database: Database, wanted: Sequence[Site], at: datetime = NOW, force: bool = False) -> sites.Plan:
    with database.transaction() as connection:
        sites.lock(connection)
        plan = sites.plan(connection, wanted, at)
        if plan.changes and (force or not plan.held):
            sites.apply(connection, wanted, plan.held, at)
    return plan


def read(database: Database) -> list[Site]:
    with database.transaction() as connection:
        return sites.read_sites(connection)


def rows(database: Database, table: Any) -> dict[str, Any]:
    name = {"numbers": "e164", "sites": "key", "addresses": "address"}.get(table.name, "name")
    with database.transaction() as connection:
        return {row._mapping[name]: row for row in connection.execute(select(table))}


def visit(database: Database, at: datetime = NOW) -> Lease:
    with database.transaction() as connection:
        grant = one(SqlLeases(connection), LeaseRequest("demo", "https://shop.example/", region="495"), at)
    assert not grant.lease.overflow
    return grant.lease


def test_what_is_applied_is_what_is_read(database: Database) -> None:
    assert len(apply(database, [SITE, OTHER]).changes) == 5
    assert read(database) == [SITE, OTHER]
    assert apply(database, [SITE, OTHER]).changes == []


@pytest.mark.parametrize(
    "changed",
    [
        [replace(SITE, line="PJSIP/x", record=True, whisper=True, hold=timedelta(days=1), email=None), OTHER],
        [OTHER, SITE],
        [OTHER],
        [],
        [replace(SITE, channels=(BOARD, ADS)), OTHER],
        [replace(SITE, pools=(Pool("first"), POOL)), OTHER],
        [replace(SITE, pools=(Pool("new", NUMBERS),)), OTHER],
        [replace(SITE, pools=(), channels=()), replace(OTHER, pools=(POOL,), channels=(BOARD,))],
        [replace(SITE, pools=(), channels=(replace(BOARD, numbers=NUMBERS, emails=()),), overflow_number=None), OTHER],
        [replace(SITE, channels=(replace(ADS, emails=BOARD.emails), replace(BOARD, emails=())))],
        [replace(SITE, overflow_number=NUMBERS[0], pools=(Pool("moscow", ("+74950000000", *NUMBERS[1:]), ("499",)),))],
    ],
)
def test_any_state_follows_any_other_and_back(database: Database, changed: list[Site]) -> None:
    first = [replace(SITE, channels=(ADS, BOARD)), OTHER]
    apply(database, first)
    for wanted in (changed, first, changed):
        assert apply(database, wanted).changes
        assert read(database) == wanted
        assert not apply(database, wanted).changes


def test_what_goes_stays_in_the_database_and_is_revived(database: Database) -> None:
    apply(database, [SITE])
    before = {
        table.name: rows(database, table) for table in (tables.sites, tables.pools, tables.channels, tables.numbers)
    }
    apply(database, [], NOW + timedelta(hours=1))
    for table in (tables.sites, tables.numbers):
        assert {row.removed_at for row in rows(database, table).values()} == {NOW + timedelta(hours=1)}
    apply(database, [SITE])
    for table in (tables.sites, tables.pools, tables.channels, tables.numbers):
        assert rows(database, table) == before[table.name]


def test_a_number_comes_back_with_its_history(database: Database) -> None:
    apply(database, [SITE])
    lease = visit(database)
    assert lease.number is not None
    later = NOW + timedelta(hours=1)
    without = replace(SITE, pools=(Pool("moscow", tuple(number for number in NUMBERS if number != lease.number)),))
    assert apply(database, [without], later).held == []
    apply(database, [SITE], later)
    row = rows(database, tables.numbers)[lease.number]
    assert (row.id, row.seq, row.free_at, row.removed_at) == (lease.number_id, 1, lease.ends_at, None)


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        [replace(SITE, pools=())],
        [replace(SITE, pools=(Pool("other", NUMBERS),))],
        [replace(SITE, pools=(), channels=(replace(BOARD, numbers=NUMBERS),))],
        [replace(SITE, key="demo2")],
    ],
)
def test_a_number_that_a_visitor_is_shown_stays_where_it_is(database: Database, wanted: list[Site]) -> None:
    apply(database, [SITE])
    lease = visit(database)
    assert apply(database, wanted).held == [lease.number]
    assert read(database) == [SITE]
    assert apply(database, wanted, lease.ends_at).held == []
    assert read(database) == wanted


def test_numbers_may_come_to_a_pool_while_its_others_are_held(database: Database) -> None:
    apply(database, [SITE])
    lease = visit(database)
    more = replace(SITE, line="PJSIP/x", pools=(replace(POOL, numbers=(*NUMBERS, "+74951230150")),))
    assert apply(database, [more]).held == []
    assert rows(database, tables.numbers)[str(lease.number)].free_at == lease.ends_at


def test_force_ends_the_lease_and_its_visitor_cannot_renew_it(database: Database) -> None:
    apply(database, [SITE])
    lease = visit(database)
    at = NOW + timedelta(minutes=1)
    elsewhere = [replace(SITE, pools=(Pool("new", NUMBERS),))]
    assert apply(database, elsewhere, at, force=True).held == [lease.number]
    assert read(database) == elsewhere
    with database.transaction() as connection:
        store = SqlLeases(connection)
        found = store.leases([lease.id])[lease.id]
        assert found.lease is not None
        assert found.lease.ends_at == at
        assert found.pool is None
        assert renew(store, [Sign(lease.id)], at) == [None]
    given = {visit(database, at).number for _ in NUMBERS}
    assert given == set(NUMBERS)


def test_a_visitor_does_not_come_back_to_a_number_that_is_another_sites_now(database: Database) -> None:
    apply(database, [SITE, OTHER])
    lease = visit(database)
    at = NOW + timedelta(hours=1)
    left = replace(POOL, numbers=tuple(number for number in NUMBERS if number != lease.number))
    moved = replace(OTHER, pools=(Pool("all", (str(lease.number),)),))
    assert apply(database, [replace(SITE, pools=(left,)), moved], at).held == []
    again = LeaseRequest("demo", "https://shop.example/", visitor=lease.visitor, region="495")
    with database.transaction() as connection:
        assert one(SqlLeases(connection), again, at).number in left.numbers


def test_a_new_number_is_leased_before_one_that_was(database: Database) -> None:
    apply(database, [replace(SITE, pools=(replace(POOL, numbers=NUMBERS[:1]),))])
    visit(database)
    apply(database, [SITE])
    assert visit(database, NOW + timedelta(hours=1)).number != NUMBERS[0]


def test_the_line_of_each_number(database: Database) -> None:
    apply(database, [replace(SITE, channels=(replace(ADS, numbers=("+74951230002",)), BOARD)), OTHER])
    with database.transaction() as connection:
        found = sites.line_directory(connection)
    assert found == {
        **{number[1:]: "PJSIP/sales" for number in (*NUMBERS, "+74950000000", "+74951230002")},
        "74951230001": "PJSIP/support",
    }
    apply(database, [OTHER])
    with database.transaction() as connection:
        assert sites.line_directory(connection) == {}
        assert sites.time_zones(connection) == {"demo": "Europe/Moscow", "other": "UTC"}


def test_many_numbers_take_a_few_seconds(database: Database) -> None:
    many = tuple(f"+7495{number:07}" for number in range(20_000))
    apply(database, [replace(SITE, pools=(Pool("all", many),), channels=(), overflow_number=None)])
    with database.transaction() as connection:
        assert len(sites.line_directory(connection)) == 20_000
    apply(database, [replace(SITE, pools=(Pool("half", many[::2]),), channels=(), overflow_number=None)])
    with database.transaction() as connection:
        assert len(sites.line_directory(connection)) == 10_000
