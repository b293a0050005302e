"""What is learned from is what attribution met: neither the call itself nor what came later changes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from pbxtrack import learner
from pbxtrack.calls.curves import State, place_of
from pbxtrack.calls.learning import MAX_CHANNELS, OTHER_CHANNELS, Silence, visitors_exposure
from pbxtrack.pool.model import EventKind, Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage import curves, tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.leases import SqlLeases
from tests.contract.site import a_site
from tests.contract.test_recording import BILLBOARD, IVAN, MINUTE, NOW, POOL, an_answered_call, arrival, visit, write

HOUR = timedelta(hours=1)


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, pool=[POOL], static=[BILLBOARD])
    return database


def left(shop: Database, lease: str, after: timedelta) -> None:
    with shop.transaction() as connection:
        renew(SqlLeases(connection), [Sign(lease, EventKind.LEAVE)], NOW + after)


def test_a_call_is_weighed_in_learning_as_when_it_came(shop: Database) -> None:
    left(shop, visit(shop).lease.id, MINUTE)
    write(shop, *an_answered_call(POOL, at=NOW + 21 * MINUTE))
    with shop.transaction() as connection:
        learned_from = curves.lessons(connection, 1, NOW + HOUR)
    ((possible,),) = (weighing.possible for weighing in learned_from.weighings)
    assert possible.place == place_of(State.LEFT, 1_200)


def test_a_call_is_no_sign_of_the_page(shop: Database) -> None:
    lease = visit(shop).lease
    left(shop, lease.id, MINUTE)
    write(shop, *an_answered_call(POOL, at=NOW + 21 * MINUTE))
    with shop.transaction() as connection:
        row = connection.execute(select(tables.leases)).one()
        exposure = curves.lessons(connection, 1, NOW + HOUR).exposure.visitors
    assert (row.seen_at, row.left_at, row.called) == (NOW + MINUTE, NOW + MINUTE, True)
    assert row.ends_at > NOW + 50 * MINUTE, "but it holds the number on"
    seconds = sum(sum(by_place) for by_place in exposure.values())
    assert seconds == pytest.approx(21 * 60), "a minute on the page, and twenty until the call"


def test_calls_and_visitors_are_of_the_same_time(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many calls the latest are learned from: visitors' time before them would make callers look rare."""
    for hour in range(20):
        left(shop, visit(shop, NOW + hour * HOUR).lease.id, hour * HOUR + MINUTE)
        write(shop, arrival(POOL, f"+7916000{hour:04}", NOW + hour * HOUR + 5 * MINUTE, f"9.{hour}"))
    monkeypatch.setattr(curves, "MAX_CALLS", 5)
    with shop.transaction() as connection:
        found = curves.lessons(connection, 1, NOW + 20 * HOUR)
    assert len(found.weighings) == 5
    span = (NOW + 20 * HOUR - (NOW + 15 * HOUR + 5 * MINUTE)).total_seconds()
    assert found.exposure.numbers == found.exposure.overflow == span
    seconds = sum(sum(by_place) for by_place in found.exposure.visitors.values())
    assert seconds == pytest.approx(4 * 5 * 60), "of four visitors all; of the fifth the call is where time begins"


def test_learning_keeps_nobody_from_writing(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    visit(shop)
    write(shop, arrival(POOL, at=NOW + MINUTE))
    reckoned = curves.lessons

    def meanwhile(*given: object, **more: object) -> object:
        write(shop, arrival(POOL, "+79160000001", NOW + 2 * MINUTE, "1.2"))
        return reckoned(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(curves, "lessons", meanwhile)
    assert learner.learn_sites(shop, NOW + HOUR, everything=True) == ["demo"]


def test_names_that_visitors_invent_are_not_kept() -> None:
    many = [Silence(f"Paid: {n}", 10.0, 0, State.SEEN, 60.0) for n in range(MAX_CHANNELS + 50)]
    known = [Silence("Yandex Direct", 10.0, 0, State.SEEN, 60.0)] * 5
    channels = {channel for channel, _ in visitors_exposure([*many, *known])}
    assert len(channels) == MAX_CHANNELS + 1
    assert {"Yandex Direct", OTHER_CHANNELS} <= channels


@contextmanager
def another_site(shop: Database, number: str) -> Iterator[int]:
    """The number is another site's from now on."""
    with shop.transaction() as connection:
        site = a_site(connection, key="other")
        pool = connection.scalar(select(tables.pools.c.id).where(tables.pools.c.site_id == site))
        connection.execute(
            update(tables.numbers).where(tables.numbers.c.e164 == number).values(site_id=site, pool_id=pool)
        )
    yield site


def test_a_number_that_moved_brings_no_visits_of_the_site_that_had_it(shop: Database) -> None:
    visit(shop)
    with another_site(shop, POOL) as site:
        found = write(shop, arrival(POOL, at=NOW + MINUTE))
    assert found.site_id == site
    assert found.attribution
    assert found.attribution.visit is None
    with shop.transaction() as connection:
        assert SqlDirectory(connection).resolve(POOL, NOW + MINUTE, IVAN).holders == []


def test_curves_of_a_newer_version_are_read_as_far_as_they_are_known(shop: Database) -> None:
    visit(shop)
    write(shop, arrival(POOL, at=NOW + MINUTE))
    learner.learn_sites(shop, NOW + HOUR, everything=True)
    with shop.transaction() as connection:
        kept = connection.scalar(select(tables.curves.c.curves))
        assert kept
        connection.execute(update(tables.curves).values(curves={**kept, "moon": [1.0]}))
        assert curves.latest(connection, 1)[0].version == 1


def test_who_withholds_is_forgotten_though_it_is_told_late(shop: Database) -> None:
    grant = visit(shop)
    write(shop, arrival(POOL, at=NOW + MINUTE))
    told = write(shop, replace(arrival(POOL, None, NOW + MINUTE), heard="ami", withheld=True))
    assert told.caller is None
    assert told.attribution
    assert told.attribution.visit
    assert told.attribution.visit.id == grant.visit.id
    with shop.transaction() as connection:
        row = connection.execute(select(tables.calls)).one()
        assert (row.caller, row.contact_id, row.first) == (None, None, False)
        assert connection.scalar(select(func.count()).select_from(tables.calls)) == 1


def test_who_comes_back_at_once_has_not_left(shop: Database) -> None:
    """A page that was put away and taken out again: both are told in one breath."""
    lease = visit(shop).lease
    with shop.transaction() as connection:
        signs = [Sign(lease.id, EventKind.LEAVE, at=NOW + MINUTE), Sign(lease.id, at=NOW + MINUTE)]
        renew(SqlLeases(connection), signs, NOW + MINUTE)
        row = connection.execute(select(tables.leases)).one()
    assert (row.seen_at, row.left_at) == (NOW + MINUTE, None)
