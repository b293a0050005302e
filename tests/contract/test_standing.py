"""How a caller's calls stand among each other, whatever the order in which they are heard of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from pbxtrack.calls import service
from pbxtrack.calls.events import Fact
from pbxtrack.calls.reconcile import reconcile
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.rebuild import rebuild
from pbxtrack.storage.tables import calls
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
        reconcile(SqlCalls(connection), late, NOW, "RU", exact=True)
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
