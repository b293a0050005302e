"""Asterisk's own records against the call log, on each database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from pbxtrack.calls.events import CallArrived, Fact, LegEnded, LineAnswered
from pbxtrack.calls.reconcile import Reconciled, reconcile
from pbxtrack.calls.reported import ReportedCall
from pbxtrack.calls.service import record
from pbxtrack.ledger.cel import facts_of, read_row
from pbxtrack.ledger.files import LedgerFile, lines, opened
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.ledger import keep_position, position
from pbxtrack.storage.tables import call_facts, calls, contacts
from tests.contract.leasing import one
from tests.contract.site import a_site

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"
HEARD: dict[str, dict[str, Any]] = json.loads((FIXTURES / "heard.json").read_text("utf-8"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POOL, BILLBOARD = "+74951230100", "+74951230001"


def told(name: str = "cel.csv") -> list[Sequence[Fact]]:
    with opened(FIXTURES / name) as file:
        return list(LedgerFile(lines(file), name, "pbx1", UTC, NOW).calls())


def shape(name: str) -> Sequence[Fact]:
    return next(facts for facts in told() if facts[0].linkedid == HEARD[name]["linkedid"])


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, pool=[POOL], static=[BILLBOARD])
    return database


def compare(database: Database, facts: Sequence[Sequence[Fact]], *, exact: bool = True) -> Reconciled:
    with database.transaction() as connection:
        return reconcile(SqlCalls(connection), [ReportedCall(call) for call in facts], NOW, "RU", exact=exact)


def hear(database: Database, facts: Sequence[Fact]) -> None:
    with database.transaction() as connection:
        record(SqlCalls(connection), facts, NOW, "RU")


def count(database: Database, table: Any) -> int:
    with database.transaction() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def log(database: Database) -> dict[str, Any]:
    with database.transaction() as connection:
        return {row.linkedid: row for row in connection.execute(select(calls))}


def test_calls_that_nobody_heard_are_added_once(shop: Database) -> None:
    first = compare(shop, told())
    assert (len(first.added), len(first.mended), first.agreed) == (18, 0, 0)
    facts = count(shop, call_facts)
    for file, exact in (("cel.csv", True), ("cdr.csv", False)):
        again = compare(shop, told(file), exact=exact)
        assert (again.added, again.mended) == ([], [])
    assert count(shop, call_facts) == facts
    rows = log(shop)
    for heard in HEARD.values():
        assert rows[heard["linkedid"]].status == heard["status"]


def test_from_cdr_first_and_cel_later_each_call_is_there_once(shop: Database) -> None:
    compare(shop, told("cdr.csv"), exact=False)
    compare(shop, told())
    assert count(shop, calls) == 18
    assert log(shop)[HEARD["answered_line"]["linkedid"]].hung_up_by == "line"


def test_what_was_heard_whole_is_left_alone(shop: Database) -> None:
    facts = [replace(fact, at=fact.at + timedelta(milliseconds=3)) for fact in shape("answered_caller")]
    hear(shop, facts)  # AMI's times are some milliseconds off CEL's
    before = count(shop, call_facts)
    assert compare(shop, [shape("answered_caller")]).agreed == 1
    assert count(shop, call_facts) == before


@pytest.mark.parametrize("heard_of", range(1, 9))
def test_a_call_heard_in_part_becomes_whole(shop: Database, heard_of: int) -> None:
    whole = shape("blind")
    hear(shop, whole[:heard_of])
    result = compare(shop, [whole])
    assert (len(result.added), len(result.mended)) == (0, 1)
    row = log(shop)[HEARD["blind"]["linkedid"]]
    assert (row.status, row.hung_up_by) == ("answered", HEARD["blind"]["hung_up_by"])
    assert row.talk_seconds == pytest.approx(HEARD["blind"]["talk_seconds"], abs=0.02)
    assert count(shop, call_facts) == len(whole)


def test_a_file_that_has_only_a_calls_end_tells_nothing_new(shop: Database) -> None:
    """The file was rotated while the call was up."""
    compare(shop, told())
    facts = count(shop, call_facts)
    text = (FIXTURES / "cel.csv").read_text("utf-8").splitlines()
    linkedid = HEARD["answered_line"]["linkedid"]
    rows = [row for line in text if (row := read_row(line)) and row.linkedid == linkedid]
    answered = max(index for index, row in enumerate(rows) if row.event == "ANSWER")
    result = compare(shop, [facts_of("pbx1", linkedid, rows[answered + 1 :])])
    assert (result.added, result.mended, result.agreed) == ([], [], 1)
    assert count(shop, call_facts) == facts


def test_what_was_inferred_after_a_break_gives_way_to_what_was(shop: Database) -> None:
    whole = shape("answered_line")
    noticed = whole[0].at + timedelta(minutes=5)
    late = next(fact for fact in whole if isinstance(fact, LineAnswered))
    ends = [fact for fact in whole if isinstance(fact, LegEnded)]
    hear(shop, [whole[0], replace(late, at=late.at + timedelta(seconds=0.4))])
    hear(shop, [LegEnded(node="pbx1", linkedid=e.linkedid, at=noticed, leg=e.leg, unseen=True) for e in ends])
    assert len(compare(shop, [whole]).mended) == 1
    row = log(shop)[HEARD["answered_line"]["linkedid"]]
    assert (row.ended_at, row.hung_up_by) == (max(end.at for end in ends), "line")
    assert row.talk_seconds == pytest.approx(HEARD["answered_line"]["talk_seconds"], abs=0.02)
    assert compare(shop, [whole]).agreed == 1


def test_a_call_is_attributed_by_the_leases_of_its_time(shop: Database) -> None:
    moved = [
        replace(fact, dialled=POOL) if isinstance(fact, CallArrived) else fact for fact in shape("answered_caller")
    ]
    at = moved[0].at

    def lease(when: datetime, campaign: str) -> LeaseGrant:
        page = f"https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign={campaign}"
        with shop.transaction() as connection:
            return one(SqlLeases(connection), LeaseRequest("demo", page), when)

    then = lease(at - timedelta(minutes=2), "then")
    lease(at + timedelta(hours=3), "now")
    (added,) = compare(shop, [moved]).added
    assert added.attribution is not None
    assert added.attribution.visit is not None
    assert (added.attribution.method, added.attribution.visit.id) == ("lease", then.visit.id)
    assert added.attribution.lease == then.lease.id


def test_who_called_again_belongs_to_the_visit_of_a_call_that_is_found_late(shop: Database) -> None:
    """The first call was in a visitor's visit. By the second and third the number was somebody else's."""
    template = [
        replace(fact, dialled=POOL) if isinstance(fact, CallArrived) else fact for fact in shape("answered_caller")
    ]
    at = template[0].at

    def a_call(linkedid: str, later: timedelta) -> list[Fact]:
        return [
            replace(fact, linkedid=linkedid, at=fact.at + later,
                    leg=linkedid if fact.leg == fact.linkedid else fact.leg)
            for fact in template
        ]  # fmt: skip

    def lease(when: datetime, campaign: str) -> LeaseGrant:
        page = f"https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign={campaign}"
        with shop.transaction() as connection:
            return one(SqlLeases(connection), LeaseRequest("demo", page), when)

    theirs = lease(at - timedelta(minutes=2), "theirs")
    somebody = lease(at + timedelta(hours=3), "somebody")
    hear(shop, a_call("1.2", timedelta(hours=3, minutes=5)))
    hear(shop, a_call("1.3", timedelta(hours=3, minutes=10)))
    assert {row.visit_id for row in log(shop).values()} == {somebody.visit.id}
    compare(shop, [a_call("1.1", timedelta())])
    rows = log(shop)
    assert {linkedid: (row.visit_id, row.method) for linkedid, row in rows.items()} == {
        "1.1": (theirs.visit.id, "lease"), "1.2": (theirs.visit.id, "caller"), "1.3": (theirs.visit.id, "caller"),
    }  # fmt: skip
    assert [linkedid for linkedid, row in rows.items() if row.first] == ["1.1"]


def test_a_call_found_later_may_be_its_callers_first(shop: Database) -> None:
    later = shape("answered_line")
    earlier = [
        replace(
            fact, linkedid="1.1", leg="1.1" if fact.leg == fact.linkedid else fact.leg, at=fact.at - timedelta(days=1)
        )
        for fact in later
    ]
    hear(shop, later)
    compare(shop, [earlier])
    rows = log(shop)
    assert {linkedid: bool(row.first) for linkedid, row in rows.items()} == {"1.1": True, later[0].linkedid: False}
    assert count(shop, contacts) == 1


def test_how_far_a_file_was_read_is_kept(database: Database) -> None:
    with database.transaction() as connection:
        assert position(connection, "pbx1") is None
        keep_position(connection, "pbx1", "1:2", 3)
        keep_position(connection, "pbx1", "1:4", 2**40)
        keep_position(connection, "pbx2", "9:9", 1)
        assert position(connection, "pbx1") == ("1:4", 2**40)
