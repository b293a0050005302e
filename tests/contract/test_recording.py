"""Recording and attribution, on each database: facts in, a call out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pbxtrack.calls import service
from pbxtrack.calls.attribution import Method
from pbxtrack.calls.events import CallArrived, Fact, LegEnded, LineAnswered, LineDialled, LineRang
from pbxtrack.calls.lifecycle import Status
from pbxtrack.calls.ports import CallRecord
from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.leasing import one
from tests.contract.site import a_site

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POOL, BILLBOARD, IVAN = "+74951230100", "+74951230001", "+79161234567"
AD = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=autumn"


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, pool=[POOL], static=[BILLBOARD])
    return database


def arrival(dialled: str, caller: str | None = IVAN, at: datetime = NOW, linkedid: str = "1.1") -> CallArrived:
    return CallArrived(node="pbx1", linkedid=linkedid, at=at, leg=linkedid, dialled=dialled, caller=caller, heard="agi")


def an_answered_call(dialled: str, caller: str = IVAN, at: datetime = NOW, linkedid: str = "1.1") -> list[Fact]:
    def fact(cls: type[Fact], seconds: float, leg: str = "2", **more: Any) -> Fact:
        return cls(node="pbx1", linkedid=linkedid, at=at + timedelta(seconds=seconds), leg=leg, **more)

    return [
        arrival(dialled, caller, at, linkedid),
        fact(LineDialled, 0.1, name="PJSIP/sales-01"),
        fact(LineRang, 0.2, name="PJSIP/sales-01"),
        fact(LineAnswered, 4.2, name="PJSIP/sales-01"),
        fact(LegEnded, 70.2, cause=16),
        fact(LegEnded, 70.3, leg=linkedid, cause=16),
    ]


def write(database: Database, *facts: Fact, region: str = "RU") -> CallRecord:
    with database.transaction() as connection:
        return service.record(SqlCalls(connection), facts, NOW, region)[-1]


def visit(database: Database, now: datetime = NOW, page: str = AD) -> LeaseGrant:
    with database.transaction() as connection:
        return one(SqlLeases(connection), LeaseRequest("demo", page), now)


def test_a_static_number_is_its_channels(shop: Database) -> None:
    record = write(shop, arrival(BILLBOARD))
    assert record.attribution is not None
    assert (record.attribution.method, record.attribution.channel) == (Method.STATIC, "Billboard")
    assert record.attribution.confidence == 1.0


def test_a_leased_number_is_its_visits(shop: Database) -> None:
    grant = visit(shop)
    record = write(shop, arrival(POOL, at=NOW + MINUTE))
    assert record.attribution is not None
    assert record.attribution.method is Method.LEASE
    assert record.attribution.visit == grant.visit
    assert record.attribution.channel == "Paid: yandex"


@pytest.mark.parametrize(
    "dialled", ["+74951230100", "74951230100", "84951230100", "4951230100", "0074951230100", "00 7 495 123-01-00"]
)
def test_a_number_is_the_same_however_the_carrier_writes_it(shop: Database, dialled: str) -> None:
    grant = visit(shop)
    record = write(shop, arrival(dialled, at=NOW + MINUTE))
    assert record.dialled == POOL
    assert record.attribution is not None
    assert record.attribution.visit == grant.visit


def test_the_caller_who_calls_again_belongs_to_their_first_visit(shop: Database) -> None:
    first = visit(shop)
    assert write(shop, arrival(POOL, at=NOW + MINUTE)).first
    month_later = NOW + timedelta(days=30)
    newcomer = visit(shop, month_later, "https://shop.example/?utm_source=vk&utm_medium=cpc")
    assert newcomer.number == POOL
    again = write(shop, arrival(POOL, at=month_later + MINUTE, linkedid="1.2"))
    assert again.attribution is not None
    assert again.attribution.method is Method.CALLER
    assert again.attribution.visit is not None
    assert again.attribution.visit.id == first.visit.id
    assert [candidate.visit for candidate in again.attribution.candidates] == [first.visit.id, newcomer.visit.id]
    assert not again.first
    stranger = write(shop, arrival(POOL, "+79160000000", month_later + MINUTE, linkedid="1.3"))
    assert stranger.attribution is not None
    assert stranger.attribution.visit is not None
    assert stranger.attribution.visit.id == newcomer.visit.id
    withheld = write(shop, arrival(POOL, None, month_later + MINUTE, linkedid="1.4"))
    assert withheld.attribution is not None
    assert withheld.attribution.method is Method.LEASE


def test_the_binding_ends_after_ninety_days(shop: Database) -> None:
    visit(shop)
    write(shop, arrival(POOL, at=NOW + MINUTE))
    again = write(shop, arrival(POOL, at=NOW + timedelta(days=91), linkedid="1.2"))
    assert again.attribution is not None
    assert again.attribution.method is Method.NONE


def test_a_number_that_nobody_holds_is_the_last_holders_less_surely_as_time_goes(shop: Database) -> None:
    grant = visit(shop)
    soon = write(shop, arrival(POOL, at=NOW + 40 * MINUTE))
    late = write(shop, arrival(POOL, "+79160000000", NOW + timedelta(days=2), "1.2"))
    assert soon.attribution is not None
    assert late.attribution is not None
    assert soon.attribution.method is Method.PAST_LEASE
    assert soon.attribution.visit is not None
    assert soon.attribution.visit.id == grant.visit.id
    assert 0.5 < soon.attribution.confidence < 0.9
    assert late.attribution.method is Method.NONE
    assert all(candidate.confidence < 0.1 for candidate in late.attribution.candidates)


def test_a_call_extends_the_lease(shop: Database) -> None:
    grant = visit(shop)
    write(shop, arrival(POOL, at=NOW + 29 * MINUTE))
    with shop.transaction() as connection:
        assert renew(SqlLeases(connection), [Sign(grant.lease.id)], NOW + 50 * MINUTE) != [None]


def test_an_unknown_number_and_the_overflow_number_are_recorded(shop: Database) -> None:
    unknown = write(shop, arrival("+74959999999"))
    assert unknown.attribution is not None
    assert unknown.attribution.method is Method.NONE
    rubbish = write(shop, arrival("s", linkedid="1.2"))
    assert rubbish.dialled == "s"


def test_facts_in_any_order_and_twice_make_the_same_call(shop: Database) -> None:
    visit(shop)
    facts = an_answered_call(POOL, at=NOW + MINUTE)
    expected = write(shop, *facts)
    assert expected.outcome.status is Status.ANSWERED
    assert expected.outcome.ringing_seconds == pytest.approx(4.0)
    assert expected.outcome.talk_seconds == pytest.approx(66.1)
    assert expected.target
    for fact in reversed(an_answered_call(POOL, at=NOW + MINUTE, linkedid="1.2")):
        again = write(shop, fact)
    assert again.outcome == expected.outcome
    with shop.transaction() as connection:
        store = SqlCalls(connection)
        assert service.record(store, facts, NOW, "RU") == [], "nothing is news the second time"
        assert len(store.facts("pbx1", "1.1")) == len(facts)
        assert store.load(["pbx1-1.1"])["pbx1-1.1"] == expected


def test_two_processes_that_hear_the_same_call_lose_nothing(shop: Database) -> None:
    facts = [fact for index in range(30) for fact in an_answered_call(BILLBOARD, linkedid=f"1.{index}")]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda fact: _write_one(shop, fact), facts + facts[::-1]))
    with shop.transaction() as connection:
        records = SqlCalls(connection).load([f"pbx1-1.{index}" for index in range(30)])
    assert {record.outcome.status for record in records.values()} == {Status.ANSWERED}
    assert {round(record.outcome.talk_seconds, 1) for record in records.values()} == {66.1}


def _write_one(database: Database, fact: Fact) -> None:
    with database.transaction() as connection:
        service.record(SqlCalls(connection), [fact], NOW, "RU")
