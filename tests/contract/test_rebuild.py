"""Calls made of their facts once more, on each database: what was recorded is what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from pbxtrack.calls import service
from pbxtrack.calls.events import CallArrived, Fact, LegEnded
from pbxtrack.calls.rebuild import gather
from pbxtrack.pool.model import Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage import tables
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.rebuild import Rebuilt, rebuild
from pbxtrack.storage.tables import calls, contacts, leases, numbers
from tests.contract.site import a_site
from tests.contract.test_recording import BILLBOARD, MINUTE, NOW, POOL, an_answered_call, arrival, visit, write

OTHER = "+74951230101"
CALLERS = ["+79160000001", "+79160000002", "8 916 000-00-02", "+79160000003", None]


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, pool=[POOL, OTHER], static=[BILLBOARD], unique_days=2)
    return database


def again(database: Database, since: datetime | None = None) -> Rebuilt:
    return [Rebuilt(), *rebuild(database, since, "RU")][-1]


def kept(database: Database) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        rows = connection.execute(select(calls).order_by(calls.c.id)).mappings()
        return [{**row, "contact_id": None} for row in rows]


def a_busy_week(database: Database, seed: int = 1, count: int = 60) -> None:
    """Visits, signs of life after calls, and calls of few callers: answered, missed, and told in pieces or twice."""
    chance = Random(seed)
    for index in range(count):
        at = NOW + index * timedelta(hours=2) + chance.random() * MINUTE
        if chance.random() < 0.5:
            grant = visit(database, at)
            if chance.random() < 0.5:
                with database.transaction() as connection:
                    renew(SqlLeases(connection), [Sign(grant.lease.id)], at + 5 * MINUTE)
        caller = chance.choice(CALLERS)
        dialled = chance.choice([POOL, POOL, OTHER, BILLBOARD, "+74959999999"])
        at += chance.choice([2, 20, 40]) * MINUTE
        facts = an_answered_call(dialled, caller or "", at, f"{index}.{index}")
        if caller is None:
            facts[0] = arrival(dialled, None, at, f"{index}.{index}")
        if chance.random() < 0.5:
            facts = [fact for fact in facts if fact.kind != "answered"]
        for fact in chance.sample(facts, len(facts)):
            write(database, fact)


def test_what_was_recorded_in_order_is_as_it_was(shop: Database) -> None:
    a_busy_week(shop)
    before = kept(shop)
    done = again(shop)
    assert (done.looked_at, done.changed, done.attributions, done.restored, done.strange) == (60, set(), 0, 0, 0)
    assert kept(shop) == before
    methods = {row["method"] for row in before}
    assert methods >= {"static", "lease", "caller", "none"}, "the week is not varied enough"
    assert {row["is_unique"] for row in before} == {row["settled_by"] is None for row in before} == {True, False}


def test_calls_that_are_spoilt_or_gone_come_back(shop: Database) -> None:
    a_busy_week(shop, seed=2)
    before = kept(shop)
    spoilt: Sequence[dict[str, Any]] = [
        {"visit_id": None, "source": None, "confidence": 0.0, "why": "No."},
        {"status": "ringing", "ended_at": None, "answered_at": None},
        {"first": True, "is_unique": True, "settled_by": None},
        {"started_at": NOW - timedelta(days=1)},
        {"caller": CALLERS[0], "target": True},
    ]
    with shop.transaction() as connection:
        for index, row in enumerate(before):
            values = spoilt[index % len(spoilt)]
            connection.execute(update(calls).where(calls.c.id == row["id"]).values(values))
        connection.execute(delete(calls).where(calls.c.id.in_([row["id"] for row in before[::7]])))
    done = again(shop)
    assert done.restored == len(before[::7])
    assert done.changed
    # Of a call that was gone, how the lease was then is known no more.
    told = [{**row, "held": None, "why": None} for row in kept(shop)]
    assert told == [{**row, "held": None, "why": None} for row in before]
    assert again(shop).changed == set()


def test_all_calls_can_be_made_of_their_facts(shop: Database) -> None:
    a_busy_week(shop, seed=3)
    before = kept(shop)
    with shop.transaction() as connection:
        connection.execute(delete(calls))
        connection.execute(delete(contacts))
    assert again(shop).restored == len(before)
    made = kept(shop)
    assert [row["id"] for row in made] == [row["id"] for row in before]
    for name in ("status", "dialled", "caller", "site_id", "visit_id", "first", "is_unique", "settled_by", "target"):
        assert [row[name] for row in made] == [row[name] for row in before], name
    assert again(shop).changed == set()


def test_a_call_sees_the_lease_as_it_was_then(shop: Database) -> None:
    grant = visit(shop)
    write(shop, arrival(POOL, at=NOW + 2 * MINUTE))
    write(shop, arrival(POOL, "+79160000009", NOW + 40 * MINUTE, "1.2"))  # the first call had prolonged the lease
    with shop.transaction() as connection:
        renew(SqlLeases(connection), [Sign(grant.lease.id)], NOW + 41 * MINUTE)
        connection.execute(update(leases).values(ends_at=NOW + timedelta(days=3)))
    assert again(shop).changed == set()
    first, second = kept(shop)
    assert "2 minutes before the call" in first["why"]
    assert second["method"] == "none"  # the visitor had called already, from another telephone


def test_calls_are_attributed_in_their_order(shop: Database) -> None:
    """Heard in the wrong order, an earlier call did not bring a later one of the same caller to its visit."""
    visit(shop)
    write(shop, arrival(POOL, at=NOW + timedelta(days=2), linkedid="1.2"))
    visit(shop, NOW + timedelta(days=3), "https://shop.example/?utm_source=vk&utm_medium=cpc")
    write(shop, arrival(POOL, at=NOW + timedelta(days=3, minutes=1), linkedid="1.3"))
    write(shop, arrival(POOL, at=NOW + MINUTE))
    done = again(shop)
    assert done.attributions == 2
    early, later, last = kept(shop)
    assert (early["method"], later["method"], last["method"]) == ("lease", "caller", "caller")
    assert early["visit_id"] == later["visit_id"] == last["visit_id"]
    assert again(shop).changed == set()


def test_only_calls_since_then_are_looked_at(shop: Database) -> None:
    a_busy_week(shop)
    with shop.transaction() as connection:
        connection.execute(update(calls).values(why="No."))
    since = NOW + timedelta(days=3)
    done = again(shop, since)
    assert {row["id"] for row in kept(shop) if row["why"] != "No."} == {
        row["id"] for row in kept(shop) if row["started_at"] >= since
    }
    assert done.looked_at == len([row for row in kept(shop) if row["started_at"] >= since])


def test_whose_a_number_was_stays(shop: Database) -> None:
    """The number left the site since, another is another channel's now: calls of then are still those of then."""
    visit(shop)
    write(shop, *an_answered_call(POOL, at=NOW + MINUTE))
    write(shop, *an_answered_call(BILLBOARD, at=NOW + 2 * MINUTE, linkedid="1.2"))
    before = kept(shop)
    with shop.transaction() as connection:
        radio = connection.execute(
            tables.channels.insert().values(site_id=before[0]["site_id"], name="Radio", position=1, match={})
        ).inserted_primary_key
        connection.execute(update(numbers).where(numbers.c.e164 == POOL).values(removed_at=NOW + timedelta(days=1)))
        assert radio is not None
        connection.execute(update(numbers).where(numbers.c.e164 == BILLBOARD).values(channel_id=radio[0]))
    assert again(shop).changed == set()
    assert kept(shop) == before


def test_calls_on_a_number_that_was_nobodys_are_its_owners(shop: Database) -> None:
    new = "+74951239999"
    write(shop, *an_answered_call(new))
    with shop.transaction() as connection:
        a_site(connection, key="late", static=[new])
    assert again(shop).attributions == 1
    assert [(row["channel"], row["first"]) for row in kept(shop)] == [("Billboard", True)]


def test_what_people_wrote_stays_and_settings_are_heeded(shop: Database) -> None:
    write(shop, *an_answered_call(BILLBOARD))
    write(shop, *an_answered_call(BILLBOARD, at=NOW + timedelta(days=1), linkedid="1.2"))
    said = {"note": "Angry", "tags": ["a"], "qualified": False, "corrected_channel": "Radio", "corrected_by": "Ann"}
    with shop.transaction() as connection:
        connection.execute(update(calls).values(said))
        connection.execute(update(tables.sites).values(target_seconds=600, unique_days=None))
        connection.execute(update(calls).values(why="No."))
    assert len(again(shop).changed) == 2
    first, second = kept(shop)
    assert all(first[name] == second[name] == value for name, value in said.items())
    assert (first["target"], first["channel"], first["why"]) == (
        False,
        "Billboard",
        "The number belongs to the channel Billboard.",
    )
    assert (first["is_unique"], second["is_unique"]) == (True, False)


def test_facts_of_a_newer_version_are_left_alone(shop: Database) -> None:
    write(shop, *an_answered_call(BILLBOARD))
    with shop.transaction() as connection:
        connection.execute(
            tables.call_facts.insert().values(
                node="pbx1", linkedid="1.1", kind="sung", at=NOW, leg="", key="sung", data={}, recorded_at=NOW
            )
        )
        connection.execute(update(calls).values(why="No."))
    done = again(shop)
    assert (done.strange, done.changed) == (1, set())
    assert kept(shop)[0]["why"] == "No."


def test_one_caller_all_day(shop: Database) -> None:
    visit(shop)
    for index in range(30):
        write(shop, *an_answered_call(POOL, at=NOW + index * MINUTE + MINUTE, linkedid=f"1.{index}"))
    before = kept(shop)
    with shop.transaction() as connection:
        connection.execute(update(calls).values(method="none", visit_id=None, lease_id=None, confidence=0.1))
    assert again(shop).attributions == 30
    assert kept(shop) == before


def test_calls_recorded_meanwhile_are_not_lost(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call goes on between the look at its facts and the lock on it."""
    facts = an_answered_call(BILLBOARD)
    write(shop, *facts[:3])
    with shop.transaction() as connection:
        connection.execute(update(calls).values(why="No."))

    news = iter((facts[3:4], facts[4:]))  # after the look whether all is right, and after that to put it right

    def slow(*given: Any) -> Any:
        found = gather(*given)
        write(shop, *next(news))
        return found

    monkeypatch.setattr("pbxtrack.storage.rebuild.gather", slow)
    again(shop)
    (row,) = kept(shop)
    assert (row["status"], row["why"]) == ("answered", "The number belongs to the channel Billboard.")


def test_a_caller_who_moved_takes_their_calls_along(shop: Database) -> None:
    """The caller of a call was kept wrongly: who is first is worked out for both callers."""
    ann, bob = "+79160000001", "+79160000002"
    write(shop, *an_answered_call(BILLBOARD, bob))
    write(shop, *an_answered_call(BILLBOARD, ann, NOW + MINUTE, "1.2"))
    write(shop, *an_answered_call(BILLBOARD, bob, NOW + 2 * MINUTE, "1.3"))
    before = kept(shop)
    with shop.transaction() as connection:
        connection.execute(update(calls).where(calls.c.id == "pbx1-1.1").values(caller=ann))
    again(shop)
    assert kept(shop) == before
    assert [row["first"] for row in before] == [True, True, False]


def _ended(linkedid: str, at: datetime) -> list[Fact]:
    return [
        CallArrived(node="pbx1", linkedid=linkedid, at=at, leg=linkedid, dialled=BILLBOARD, caller="+79160000001"),
        LegEnded(node="pbx1", linkedid=linkedid, at=at, leg=linkedid, cause=16),
    ]


def test_calls_of_one_moment_have_an_order(shop: Database) -> None:
    with shop.transaction() as connection:
        service.record(SqlCalls(connection), [*_ended("1.1", NOW), *_ended("1.2", NOW)], NOW, "RU")
    assert sorted(row["first"] for row in kept(shop)) == [False, True]
    again(shop)
    assert again(shop).changed == set()
