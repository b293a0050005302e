"""The demonstration's data is what the product itself would have written, on both databases."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, inspect, select, update

from pbxtrack.calls.events import CallArrived, LegEnded
from pbxtrack.calls.models import Model
from pbxtrack.calls.ports import Dialled
from pbxtrack.calls.service import record
from pbxtrack.demo.data import fill as filling
from pbxtrack.demo.data.fill import NotOurs, Wanted, fill
from pbxtrack.demo.data.people import HOSTILE_NAMES
from pbxtrack.reports.questions import CAMPAIGNS
from pbxtrack.storage import tables
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.rebuild import Rebuilt, rebuild
from pbxtrack.storage.reports import Period, answers, totals
from pbxtrack.storage.views import call_detail, call_timeline
from tests.contract.site import a_site

UNTIL = datetime(2026, 11, 23, 12, tzinfo=UTC)
OVERFLOWS = ("+74950000000", "+73430000000")


def filled(database: Database, calls: int = 400, **more: Any) -> None:
    done = fill(database, Wanted(calls, 7, UNTIL, **more), lambda what, at, of: None)
    assert done.calls == calls


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All that there is, without the times at which it was written."""
    with database.transaction() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in tables.metadata.sorted_tables
            if table.name != "revisions"
        }


def rebuilt(database: Database) -> Rebuilt:
    *_, done = rebuild(database, None, "RU")
    return done


def test_rebuilding_it_changes_nothing(database: Database) -> None:
    filled(database, 1_200)
    done = rebuilt(database)
    assert done.looked_at == 1_200
    assert (done.changed, done.attributions, done.restored, done.strange) == (set(), 0, 0, 0)


def test_what_is_known_of_many_calls_at_once_is_what_is_known_of_each(database: Database) -> None:
    filled(database)
    calls = tables.calls
    with database.transaction() as connection:
        rows = connection.execute(select(calls).where(calls.c.dialled.is_not(None)).order_by(calls.c.started_at))
        asked = [Dialled(row.dialled, row.started_at, row.caller) for row in rows]
        directory = SqlDirectory(connection)
        assert directory.resolve_all(asked) == [directory.resolve(str(one.number), one.at, one.caller) for one in asked]


def test_there_is_something_of_everything(database: Database) -> None:
    filled(database, 1_200)
    with database.transaction() as connection:
        calls = connection.execute(select(tables.calls).order_by(tables.calls.c.started_at)).all()
        events = set(connection.scalars(select(tables.visit_events.c.kind).distinct()))
        fields = set(connection.scalars(select(tables.audit.c.field).distinct()))
        versions = connection.execute(select(tables.curves.c.site_id, tables.curves.c.calls)).all()
        shown = call_detail(connection, calls[600].id)
        timeline = call_timeline(connection, calls[600].id)
    methods, statuses = Counter(call.method for call in calls), Counter(call.status for call in calls)
    assert {"static", "lease", "caller", "past_lease", "overflow", "none"} <= methods.keys()
    assert set(statuses) == {"answered", "missed", "busy", "abandoned", "failed"}
    assert statuses["answered"] > 600
    assert events == {"view", "tap", "copy", "leave"}
    assert fields == {"note", "tags", "qualified", "attribution"}
    assert [version.calls > 20 for version in versions] == [True, True]
    assert sum(call.outbound is not None for call in calls) > 20
    assert sum(call.settled_by is not None for call in calls) > 50
    assert sum(call.corrected_channel is not None for call in calls) > 0
    assert len({call.answered_by for call in calls}) > 6
    assert sum(call.recording is not None for call in calls) > 100
    assert any(call.caller is None and call.outbound is None for call in calls)
    assert calls[0].started_at < UNTIL - timedelta(days=360)
    assert all(call.ended_at <= UNTIL for call in calls)
    first, last = (sum(call.started_at.month == month for call in calls) for month in (1, 10))
    assert last > first
    assert shown is not None
    assert timeline[0]["kind"] in ("arrived", "called_out")


def test_what_was_spent_and_sold_is_there(database: Database) -> None:
    filled(database, 1_200)
    year = Period(UNTIL - timedelta(days=366), UNTIL)
    with database.transaction() as connection:
        whole = {item["site"]: item for item in totals(connection, year, compare=False)}
        rows = answers(connection, CAMPAIGNS, year, Model.LAST_NON_DIRECT)
        statuses = set(connection.scalars(select(tables.deals.c.status).distinct()))
    assert statuses == {"open", "won", "lost"}
    for site, item in whole.items():
        mine = [row for row in rows if row["site"] == site]
        assert item["cost"] > 0
        assert item["revenue"] > 0
        assert round(sum(row["cost"] for row in mine), 2) == item["cost"]
        assert sum(row["cost"] > 0 and row["calls"] > 0 for row in mine) >= 3, "clicks are their campaigns'"
        assert sum(row["channel"] is not None for row in mine) >= 2, "what is printed has no campaign"


def test_the_same_seed_and_end_give_the_same_rows(database: Database) -> None:
    filled(database)
    before = rows(database)
    filled(database)
    assert rows(database) == before
    fill(database, Wanted(400, 8, UNTIL), lambda what, at, of: None)
    assert rows(database)["calls"] != before["calls"]


def test_copies_are_years_of_their_own(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "LIVED", 200)
    filled(database, 600)
    calls = tables.calls
    with database.transaction() as connection:
        years = connection.execute(select(func.count(), func.count(calls.c.linkedid.distinct()))).one()
        kept = connection.execute(select(calls, tables.contacts.c.caller.label("contact")).outerjoin(tables.contacts))
        of_contacts = [(call.caller, call.contact) for call in kept]
        lost = connection.scalar(
            select(func.count())
            .select_from(calls)
            .outerjoin(tables.visits, tables.visits.c.id == calls.c.visit_id)
            .where(calls.c.visit_id.is_not(None), tables.visits.c.id.is_(None))
        )
        overflow = set(connection.scalars(select(calls.c.id).where(calls.c.dialled.in_(OVERFLOWS))))
        callers = Counter(connection.scalars(select(calls.c.caller).where(calls.c.caller.is_not(None))))
    assert tuple(years) == (600, 600)
    assert all(caller == contact for caller, contact in of_contacts)
    assert lost == 0
    assert len(callers) % 3 == 0
    done = rebuilt(database)
    assert done.looked_at == 600
    assert done.changed <= overflow, "the overflow number alone is one for all copies"


def test_without_facts_only_calls_and_visits_are_there(database: Database) -> None:
    filled(database, facts=False, visits=1.0)
    kept = rows(database)
    assert (kept["call_facts"], kept["visit_events"]) == ([], [])
    assert len(kept["calls"]) == 400
    assert kept["visits"]
    with database.transaction() as connection:
        assert connection.scalar(select(func.max(tables.visits.c.events))) == 0


def test_hostile_texts_come_where_they_are_asked_for(database: Database) -> None:
    filled(database, 1_000, hostile=True)
    with database.transaction() as connection:
        names = set(connection.scalars(select(tables.calls.c.caller_name)))
        campaigns = set(connection.scalars(select(tables.visits.c.campaign)))
    assert names & set(HOSTILE_NAMES)
    assert any(campaign.startswith(("<img", "=HYPERLINK", '">', "\u202e", "-2", "aaa")) for campaign in campaigns)


def test_it_never_mixes_with_other_data(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection)
    before = rows(database)
    with pytest.raises(NotOurs, match="has the site 'demo'"):
        filled(database)
    assert rows(database) == before


def test_calls_that_are_not_the_demonstrations_are_safe(database: Database) -> None:
    a_call(database)
    with pytest.raises(NotOurs, match="has calls or sites"):
        filled(database)


def test_what_comes_later_goes_on_behind_it_and_is_safe(database: Database) -> None:
    filled(database)
    with database.transaction() as connection:
        most = connection.scalar(select(func.max(tables.contacts.c.id))) or 0
    a_call(database)
    with database.transaction() as connection:
        call = connection.execute(select(tables.calls).where(tables.calls.c.node == "pbx1")).one()
    assert (call.first, call.contact_id > most, call.method) == (True, True, "static")
    with pytest.raises(NotOurs, match="has calls or sites"):
        filled(database)


def a_call(database: Database) -> None:
    """A call to a number of the demonstration, from an Asterisk that is not."""
    at = UNTIL + timedelta(minutes=1)
    leg = "1795435260.1"
    facts = [
        CallArrived(node="pbx1", linkedid=leg, leg=leg, at=at, dialled="+74990000002", caller="+79161234567"),
        LegEnded(node="pbx1", linkedid=leg, leg=leg, at=at + timedelta(seconds=1), cause=20),
    ]
    with database.transaction() as connection:
        record(SqlCalls(connection), facts, at, "RU")


def test_indexes_and_references_are_there_again(database: Database) -> None:
    before = schema(database)
    filled(database)
    assert schema(database) == before
    with pytest.raises(RuntimeError):
        fill(database, Wanted(100, 7, UNTIL), fails_when_it_writes)
    assert schema(database) == before


def test_what_changes_afterwards_is_marked(database: Database) -> None:
    filled(database)
    marks = select(func.count()).select_from(tables.rollup_marks)
    with database.transaction() as connection:
        assert connection.scalar(marks) == 0
        connection.execute(update(tables.calls).values(talk_seconds=1_000.0))
        assert connection.scalar(marks)


def fails_when_it_writes(what: str, _done: int, _of: int) -> None:
    if what == "writing":
        raise RuntimeError


def schema(database: Database) -> object:
    """The names of the tables' indexes, and what refers to what."""
    with database.transaction() as connection:
        found = inspect(connection)
        kept = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'"  # SQLAlchemy leaves some out
        if not database.is_sqlite:
            kept = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = current_schema()"
        indexes = connection.exec_driver_sql(kept).all()
        return {
            table: (
                sorted(name for of_table, name in indexes if of_table == table),
                sorted((one["constrained_columns"], one["referred_table"]) for one in found.get_foreign_keys(table)),
            )
            for table in found.get_table_names()
        }
