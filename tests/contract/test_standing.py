"""How a caller's calls stand among each other, whatever the order in which they are heard of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from pbxtrack.calls import service
from pbxtrack.calls.events import CalledOut, Fact
from pbxtrack.calls.reconcile import reconcile
from pbxtrack.calls.reported import ReportedCall
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.rebuild import rebuild
from pbxtrack.storage.tables import calls
from pbxtrack.storage.views import call_detail, call_timeline, calls_page
from tests.contract.site import a_site
from tests.contract.test_recording import BILLBOARD, IVAN, MINUTE, NOW, an_answered_call, arrival, write

OTHER_SITE = "+74951230002"


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[BILLBOARD], unique_days=1)
        a_site(connection, key="other", static=[OTHER_SITE])
    return database


def a_missed_call(linkedid: str, at: datetime, caller: str | None = IVAN, dialled: str = BILLBOARD) -> list[Fact]:
    facts = an_answered_call(dialled, caller or "", at, linkedid)
    return [arrival(dialled, caller, at, linkedid), *(fact for fact in facts[1:] if fact.kind != "answered")]


def record(database: Database, facts: Sequence[Fact]) -> None:
    with database.transaction() as connection:
        service.record(SqlCalls(connection), facts, NOW, "RU")


def kept(database: Database) -> dict[str, Any]:
    with database.transaction() as connection:
        return {row.linkedid: row for row in connection.execute(select(calls).order_by(calls.c.id))}


def settled(database: Database) -> dict[str, str | None]:
    return {name: row.settled_by for name, row in kept(database).items()}


def test_a_missed_call_is_settled_when_its_caller_gets_through(shop: Database) -> None:
    write(shop, *a_missed_call("1.1", NOW))
    write(shop, *a_missed_call("1.2", NOW + MINUTE, "+79160000001"))
    write(shop, *a_missed_call("1.3", NOW + MINUTE, dialled=OTHER_SITE))
    write(shop, *a_missed_call("1.4", NOW + MINUTE, None))
    write(shop, *an_answered_call(BILLBOARD, at=NOW + 5 * MINUTE, linkedid="1.5"))
    assert settled(shop) == {"1.1": "pbx1-1.5", "1.2": None, "1.3": None, "1.4": None, "1.5": None}
    assert kept(shop)["1.1"].settled_at == NOW + 5 * MINUTE + timedelta(seconds=4.2)
    write(shop, *an_answered_call(BILLBOARD, at=NOW + 9 * MINUTE, linkedid="1.6"))
    assert settled(shop)["1.1"] == "pbx1-1.5", "the first that was answered is what counts"


def test_a_call_found_late_settles_too(shop: Database) -> None:
    """From Asterisk's own records: an answered call between, and a missed one before an answered one."""
    write(shop, *a_missed_call("1.1", NOW))
    write(shop, *an_answered_call(BILLBOARD, at=NOW + 9 * MINUTE, linkedid="1.9"))
    late = [
        an_answered_call(BILLBOARD, at=NOW + 3 * MINUTE, linkedid="1.3"),
        a_missed_call("1.5", NOW + 5 * MINUTE),
        a_missed_call("1.0", NOW - 2 * 24 * 60 * MINUTE),
    ]
    with shop.transaction() as connection:
        reconcile(SqlCalls(connection), [ReportedCall(call) for call in late], NOW, "RU", exact=True)
    assert settled(shop) == {"1.0": "pbx1-1.3", "1.1": "pbx1-1.3", "1.3": None, "1.5": "pbx1-1.9", "1.9": None}
    assert {name: (row.first, row.is_unique) for name, row in kept(shop).items()} == {
        "1.0": (True, True),
        "1.1": (False, True),
        "1.3": (False, False),
        "1.5": (False, False),
        "1.9": (False, False),
    }


def test_unique_is_anew_after_some_days_where_the_site_says_so(shop: Database) -> None:
    day = timedelta(days=1)
    for number, at in enumerate((NOW, NOW + day, NOW + 2 * day + MINUTE)):
        write(shop, *an_answered_call(BILLBOARD, at=at, linkedid=f"1.{number}"))
        write(shop, *an_answered_call(OTHER_SITE, at=at, linkedid=f"2.{number}"))
    write(shop, *a_missed_call("3.1", NOW, None))
    assert [name for name, row in kept(shop).items() if row.is_unique] == ["1.0", "1.2", "2.0"]
    assert [name for name, row in kept(shop).items() if row.first] == ["1.0", "2.0"]


def an_outbound_call(
    linkedid: str, at: datetime, number: str = "8 916 123-45-67", *, answered: bool = True
) -> list[Fact]:
    facts = an_answered_call(BILLBOARD, "", at, linkedid)[1:]
    out = CalledOut(node="pbx1", linkedid=linkedid, at=at, leg=linkedid, number=number)
    return [out, *(fact for fact in facts if answered or fact.kind != "answered")]


def test_who_is_called_back_is_settled_on_every_site(shop: Database) -> None:
    write(shop, *a_missed_call("1.1", NOW))
    write(shop, *a_missed_call("1.2", NOW + MINUTE, dialled=OTHER_SITE))
    write(shop, *a_missed_call("1.3", NOW + MINUTE, "+79160000001"))
    write(shop, *an_outbound_call("2.1", NOW + 2 * MINUTE, answered=False))
    assert set(settled(shop).values()) == {None}
    write(shop, *an_outbound_call("2.2", NOW + 5 * MINUTE))
    write(shop, *a_missed_call("1.4", NOW + 9 * MINUTE))
    assert {name: by for name, by in settled(shop).items() if by} == {"1.1": "pbx1-2.2", "1.2": "pbx1-2.2"}
    write(shop, *an_outbound_call("2.0", NOW + 3 * MINUTE))  # heard of late, as all of a spool is
    assert {name: by for name, by in settled(shop).items() if by} == {"1.1": "pbx1-2.0", "1.2": "pbx1-2.0"}
    before = kept(shop)
    assert [done.changed for done in rebuild(shop, None, "RU")] == [set()]
    with shop.transaction() as connection:
        connection.execute(update(calls).values(settled_by=None, outbound=None))
        connection.execute(delete(calls).where(calls.c.linkedid == "2.0"))
    assert [done.restored for done in rebuild(shop, None, "RU")][-1] == 1
    assert kept(shop) == before


def test_calls_that_the_company_makes_are_not_in_the_log_but_can_be_looked_at(shop: Database) -> None:
    write(shop, *a_missed_call("1.1", NOW))
    write(shop, *an_outbound_call("2.1", NOW + MINUTE))
    with shop.transaction() as connection:
        items, _ = calls_page(connection)
        shown = call_detail(connection, "pbx1-2.1")
        told = call_timeline(connection, "pbx1-2.1")
    assert [call["id"] for call in items] == ["pbx1-1.1"]
    assert shown is not None
    assert (shown["outbound"], shown["status"], shown["site"]) == (IVAN, "answered", None)
    assert shown["attribution"]["why"] == "The company made this call."
    assert told[0]["sentence"] == "The company called 8 916 123-45-67."


def test_a_call_that_came_in_and_is_sent_outside_came_in(shop: Database) -> None:
    write(shop, *a_missed_call("1.1", NOW, "+79160000001"))
    forwarded = an_answered_call(BILLBOARD, at=NOW + MINUTE, linkedid="1.2")
    out = CalledOut(node="pbx1", linkedid="1.2", at=NOW + MINUTE, leg="1.2", number="+79160000001")
    write(shop, out, *forwarded[1:])
    assert settled(shop)["1.1"] == "pbx1-1.2", "nobody said yet that it came in"
    write(shop, forwarded[0])
    assert settled(shop) == {"1.1": None, "1.2": None}


@dataclass(frozen=True)
class Told:
    at: datetime
    caller: str
    site: str
    answered: bool
    facts: Sequence[Fact]


def some_calls(chance: Random) -> dict[str, Told]:
    made = {}
    for number in range(14):
        at = NOW + chance.randrange(5 * 24 * 60) * MINUTE
        caller, site = chance.choice([IVAN, "+79160000001"]), chance.choice([BILLBOARD, BILLBOARD, OTHER_SITE])
        answered = chance.random() < 0.4
        name = f"1.{number:02}"
        facts = an_answered_call(site, caller, at, name) if answered else a_missed_call(name, at, caller, site)
        made[name] = Told(at, caller, site, answered, facts)
    return made


def expected(told: dict[str, Told]) -> dict[str, tuple[bool, bool, str | None]]:
    """By the words alone: one call after another, looking at all of them."""
    stands = {}
    for name, one in told.items():
        same = {key: other for key, other in told.items() if (other.caller, other.site) == (one.caller, one.site)}
        before = [other.at for key, other in same.items() if (other.at, key) < (one.at, name)]
        after = sorted((other.at, key) for key, other in same.items() if (other.at, key) > (one.at, name))
        days = timedelta(days=1) if one.site == BILLBOARD else timedelta.max
        settler = next((key for _, key in after if told[key].answered), None)
        stands[name] = (
            not before,
            not before or one.at - max(before) > days,
            f"pbx1-{settler}" if settler and not one.answered else None,
        )
    return stands


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_facts_and_their_repetition_do_not_matter(shop: Database, seed: int) -> None:
    chance = Random(seed)
    told = some_calls(chance)
    facts = [fact for one in told.values() for fact in one.facts]
    facts = chance.sample(facts, len(facts)) + chance.sample(facts, 20)
    while facts:
        count = chance.randrange(1, 9)
        record(shop, facts[:count])
        del facts[:count]
    stands = {name: (row.first, row.is_unique, row.settled_by) for name, row in kept(shop).items()}
    assert stands == expected(told)
    assert [done.changed for done in rebuild(shop, None, "RU")] == [set()]


def test_calls_of_one_caller_that_are_recorded_at_once_see_each_other(shop: Database) -> None:
    batches = []
    for pair in range(12):
        caller = f"+7916000{pair:04}"
        batches.append(a_missed_call(f"1.{pair}", NOW, caller))
        batches.append(an_answered_call(BILLBOARD, caller, NOW + MINUTE, f"2.{pair}"))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda facts: record(shop, facts), batches))
    assert {name: by for name, by in settled(shop).items() if by} == {f"1.{n}": f"pbx1-2.{n}" for n in range(12)}
