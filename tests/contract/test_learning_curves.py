"""What is learned from a site's calls is kept, and weighed by from then on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from pbxtrack.calls.curves import PRIOR
from pbxtrack.learner import Learner, learn_sites
from pbxtrack.pool.model import EventKind, NumberKind, Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage import curves
from pbxtrack.storage.database import Database
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.tables import curves as kept
from pbxtrack.storage.tables import leases
from tests.contract.test_recording import MINUTE, NOW, POOL, arrival, shop, visit, write

__all__ = ["shop"]

HOUR = timedelta(hours=1)


def busy(shop: Database, calls: int) -> None:
    """So many visitors, one an hour, each of whom calls a minute after they came."""
    for index in range(calls):
        at = NOW + index * HOUR
        visit(shop, at)
        write(shop, arrival(POOL, f"+7916{index:07}", at + MINUTE, linkedid=f"9.{index}"))


def test_curves_are_learned_once_there_are_calls_and_weighed_by(shop: Database) -> None:
    busy(shop, 60)
    now = NOW + 61 * HOUR
    assert learn_sites(shop, now) == ["demo"]
    with shop.transaction() as connection:
        learned, at = curves.latest(connection, 1)
        assert (learned.version, learned.calls, at) == (1, 60, now)
        assert sum(learned.rates[:8]) > sum(PRIOR.rates[:8])  # everybody called
        known = SqlDirectory(connection).resolve(POOL, now, "+79169999999")
        assert known.curves == learned


def test_nothing_is_learned_of_few_calls_or_again_of_the_same(shop: Database) -> None:
    busy(shop, 10)
    assert learn_sites(shop, NOW + 11 * HOUR) == []
    assert learn_sites(shop, NOW + 11 * HOUR, everything=True) == ["demo"]
    with shop.transaction() as connection:
        assert connection.scalars(select(kept.c.version)).all() == [1]


@pytest.mark.asyncio
async def test_learning_apart_uses_the_same_database(shop: Database) -> None:
    busy(shop, 10)
    url = shop.url.render_as_string(hide_password=False)
    assert await Learner(url).once() == []  # too few calls
    assert await Learner("sqlite:////nowhere/at-all.sqlite").once() == []  # said in the log, not raised


def test_curves_of_other_steps_are_not_believed(shop: Database) -> None:
    busy(shop, 2)
    learn_sites(shop, NOW + 3 * HOUR, everything=True)
    with shop.transaction() as connection:
        document = connection.scalar(select(kept.c.curves))
        assert document is not None
        connection.execute(update(kept).values(curves={**document, "edges": [0, 1]}))
        learned, _ = curves.latest(connection, 1)
        assert learned.rates == PRIOR.rates
        assert learned.version == 1


def test_a_tap_a_leaving_and_a_call_are_told_of_the_lease(shop: Database) -> None:
    lease = visit(shop).lease

    def sign(event: EventKind | None, minutes: int) -> None:
        with shop.transaction() as connection:
            assert renew(SqlLeases(connection), [Sign(lease.id, event)], NOW + minutes * MINUTE) != [None]

    sign(EventKind.TAP, 1)
    sign(EventKind.COPY, 2)
    sign(EventKind.LEAVE, 3)
    with shop.transaction() as connection:
        (holder,) = SqlDirectory(connection).resolve(POOL, NOW + HOUR, None).holders
    assert holder.lease.taps == (NOW + MINUTE, NOW + 2 * MINUTE)
    assert holder.lease.left_at == NOW + 3 * MINUTE
    sign(None, 4)
    write(shop, arrival(POOL, at=NOW + 5 * MINUTE))
    with shop.transaction() as connection:
        (holder,) = SqlDirectory(connection).resolve(POOL, NOW + HOUR, None).holders
        assert holder.lease.left_at is None
        assert connection.scalar(select(leases.c.called)) is True
        owner = SqlDirectory(connection).owner(POOL)
    assert owner is not None
    assert owner.kind is NumberKind.POOL
