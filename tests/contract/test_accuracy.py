"""The report on attribution itself: what was expected, and what became known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select, update

from pbxtrack.pool import service
from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Sign
from pbxtrack.storage import tables
from pbxtrack.storage.accuracy import accuracy
from pbxtrack.storage.annotations import annotate_call
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import due, fold_all
from pbxtrack.storage.leases import SqlLeases
from tests.contract.api_client import CALLER, PAGE, STATIC, T0, TESTS, a_token, assert_problem, put_call, running
from tests.contract.leasing import one
from tests.contract.site import a_site

REPORT = "/api/v1/reports/accuracy"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def site(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], pool=["+74951230100", "+74951230101"])
        a_site(connection, key="other", pool=["+74951230200"])
    return database


def shown(database: Database, minute: float, tap_after: float | None = None) -> LeaseGrant:
    """A visitor is shown a number so many minutes after T0, and taps it some seconds later."""
    at = T0 + minute * MINUTE
    with database.transaction() as connection:
        store = SqlLeases(connection)
        grant = one(store, LeaseRequest("demo", PAGE), at)
        if tap_after is not None:
            tapped = at + timedelta(seconds=tap_after)
            service.renew(store, [Sign(grant.lease.id, EventKind.TAP, at=tapped)], tapped)
    return grant


def report(database: Database, **which: Any) -> dict[tuple[str, str | None], dict[str, Any]]:
    with database.transaction() as connection:
        return {(item["site"], item["month"]): item for item in accuracy(connection, **which)}


def test_a_site_without_calls_has_nothing_to_say(site: Database) -> None:
    found = report(site)
    assert list(found) == [("demo", None), ("other", None)]
    empty = found["demo", None]
    assert (empty["calls"], empty["attributed"], empty["known"]) == (0, 0, {"corrected": 0, "tap": 0, "caller": 0})
    assert {empty[name] for name in ("coverage", "expected_precision", "precision", "brier")} == {None}


def test_what_was_said_is_compared_with_what_became_known(site: Database) -> None:
    looked, tapped = shown(site, -1), shown(site, 59, tap_after=50)
    assert looked.number
    assert tapped.number
    put_call(site, 0, dialled=looked.number)  # said to be the first visitor's, but its caller
    put_call(site, 60, dialled=tapped.number)  # turns out to be the second one
    put_call(site, 61, dialled=STATIC)  # is certain, and not in it
    whole = report(site)["demo", None]
    assert (whole["calls"], whole["attributed"], whole["coverage"]) == (2, 2, 1.0)
    assert whole["known"] == {"corrected": 0, "tap": 1, "caller": 1}
    assert (whole["precision"], whole["accuracy"]) == (0.5, 0.5)
    assert sum(band["calls"] for band in whole["bands"]) == 2
    assert 0.5 < whole["expected_precision"] <= 1
    assert whole["brier"] > 0.2


def test_a_correction_tells(site: Database) -> None:
    looked, other = shown(site, -1), shown(site, -1)
    assert looked.number
    call = put_call(site, 0, dialled=looked.number, caller=None)
    unknown = put_call(site, 1, dialled=looked.number, caller=None)
    with site.transaction() as connection:
        annotate_call(connection, call, {"attribution": {"visit": other.visit.id}}, TESTS, T0, "RU")
        annotate_call(connection, unknown, {"attribution": {"channel": "Radio"}}, TESTS, T0, "RU")  # names no visitor
    whole = report(site)["demo", None]
    assert (whole["known"]["corrected"], whole["accuracy"]) == (1, 0.0)


def test_months_are_the_sites_own(site: Database) -> None:
    """2026-03-31 21:30 in UTC is April in Moscow."""
    number = shown(site, -1).number
    assert number
    put_call(site, 0, dialled=number)
    put_call(site, (30 * 24 + 12) * 60 + 30, dialled=number)
    found = report(site, keys=["demo"])
    assert list(found) == [("demo", None), ("demo", "2026-04"), ("demo", "2026-03")]
    assert [found[key]["calls"] for key in found] == [2, 1, 1]
    assert [*report(site, since=T0 + MINUTE, keys=["demo"])] == [("demo", None), ("demo", "2026-04")]
    assert [*report(site, until=T0 + MINUTE, keys=["demo"])] == [("demo", None), ("demo", "2026-03")]


def test_a_month_is_the_same_asked_for_alone_and_in_the_whole(site: Database) -> None:
    """What tells of a call may have happened in the month after."""
    day = 24 * 60
    looked, tapped, last = shown(site, -1), shown(site, 29 * day, tap_after=50), shown(site, 200 * day, tap_after=50)
    put_call(site, 0, dialled=str(looked.number))
    put_call(site, 29 * day + 1, dialled=str(tapped.number))
    put_call(site, 61 * day, dialled=str(looked.number))
    put_call(site, 200 * day + 1, dialled=str(last.number))
    months = {"2026-03": (None, 30 * day), "2026-05": (35 * day, 70 * day), "2026-09": (190 * day, None)}
    whole = report(site)
    assert [whole["demo", month]["known"]["caller"] for month in months] == [1, 0, 0]
    for month, (since, until) in months.items():
        alone = report(
            site,
            since=None if since is None else T0 + since * MINUTE,
            until=None if until is None else T0 + until * MINUTE,
            keys=["demo"],
        )
        assert list(alone) == [("demo", None), ("demo", month)]
        assert alone["demo", month] == whole["demo", month]


def test_a_number_that_is_moved_changes_nothing_of_the_past(site: Database) -> None:
    number = shown(site, -1).number
    put_call(site, 0, dialled=str(number))
    put_call(site, 1, dialled=STATIC)
    before = report(site)
    assert before["demo", None]["calls"] == 1
    with site.transaction() as connection:
        pool, channel = (connection.scalar(select(table.c.id)) for table in (tables.pools, tables.channels))
        of = update(tables.numbers)
        connection.execute(
            of.where(tables.numbers.c.e164 == number).values(kind="static", pool_id=None, channel_id=channel)
        )
        connection.execute(of.where(tables.numbers.c.e164 == STATIC).values(kind="pool", pool_id=pool, channel_id=None))
    assert report(site) == before


@pytest.mark.asyncio
async def test_the_api_answers_it_to_managers(site: Database) -> None:
    number = shown(site, -1, tap_after=50).number
    assert number
    put_call(site, 0, dialled=number, caller=CALLER)
    manager = a_token(site)
    async with running(site) as client:
        response = await client.get(REPORT, params={"site": "demo"}, headers=manager)
        document = await response.json()
        assert response.status == 200
        assert document["next"] is None
        whole, month = document["items"]
        assert (whole["month"], month["month"]) == (None, "2026-03")
        assert {key: value for key, value in whole.items() if key != "month"} == {
            key: value for key, value in month.items() if key != "month"
        }
        assert (whole["precision"], whole["known"]["tap"]) == (1.0, 1)
        refused = await client.get(REPORT)
        assert_problem(refused, 401, await refused.json())
        wrong = await client.get(REPORT, params={"since": "yesterday"}, headers=manager)
        assert_problem(wrong, 400, await wrong.json())


@pytest.mark.asyncio
async def test_the_api_shows_what_attribution_weighs_by(site: Database) -> None:
    async with running(site) as client:
        response = await client.get("/api/v1/reports/curves", params={"site": "other"}, headers=a_token(site))
        (item,) = (await response.json())["items"]
        assert (item["site"], item["version"], item["steps"][0]["from"], item["steps"][0]["to"]) == ("other", 0, 0, 10)


def folded(database: Database) -> dict[tuple[str, str | None], dict[str, Any]]:
    """The report once all is folded."""
    list(fold_all(database))
    with database.transaction() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.rollup_marks)) == 0
    return report(database)


def test_what_was_folded_is_what_the_rows_say(site: Database) -> None:
    looked, tapped = shown(site, -1), shown(site, 59, tap_after=50)
    put_call(site, 0, dialled=str(looked.number))
    put_call(site, 60, dialled=str(tapped.number))
    call = put_call(site, 40 * 24 * 60, dialled=str(looked.number), caller="+79160000002")
    for minutes in (61, 3 * 24 * 60, 41 * 24 * 60 + 30):
        with time_machine.travel(T0 + minutes * MINUTE, tick=False):
            assert folded(site) == report(site, raw=True)
    with site.transaction() as connection:
        annotate_call(connection, call, {"attribution": {"visit": looked.visit.id}}, TESTS, T0, "RU")
    with time_machine.travel(T0 + 60 * 24 * 60 * MINUTE, tick=False):
        assert report(site) == report(site, raw=True), "what is marked is read from the rows"
        assert folded(site) == report(site, raw=True)
    whole = report(site)["demo", None]
    assert (whole["calls"], whole["known"]) == (3, {"corrected": 1, "tap": 1, "caller": 1})


def test_what_a_call_tells_of_earlier_days_is_told_from_the_next_day_on(site: Database) -> None:
    day = 24 * 60
    looked, tapped = shown(site, -1), shown(site, 30 * day - 1, tap_after=50)
    put_call(site, 0, dialled=str(looked.number))
    with time_machine.travel(T0 + (29 * day) * MINUTE, tick=False):
        assert folded(site)["demo", None]["known"]["caller"] == 0
    put_call(site, 30 * day, dialled=str(tapped.number))
    with time_machine.travel(T0 + (30 * day + 1) * MINUTE, tick=False):
        told = folded(site)["demo", None]["known"]
        assert told == {"corrected": 0, "tap": 1, "caller": told["caller"]}
    with time_machine.travel(T0 + (31 * day) * MINUTE, tick=False):
        with site.reading() as connection:
            assert due(connection, T0 + 31 * day * MINUTE)
        assert folded(site)["demo", None]["known"] == {"corrected": 0, "tap": 1, "caller": 1}
        assert report(site) == report(site, raw=True)


def test_a_late_correction_tells_of_days_long_judged(site: Database) -> None:
    day = 24 * 60
    looked, other = shown(site, -1), shown(site, -1)
    put_call(site, 0, dialled=str(looked.number))
    call = put_call(site, 50 * day, dialled=str(looked.number))
    with time_machine.travel(T0 + 300 * day * MINUTE, tick=False):
        assert folded(site)["demo", None]["known"] == {"corrected": 0, "tap": 0, "caller": 0}
        with site.transaction() as connection:
            annotate_call(connection, call, {"attribution": {"visit": other.visit.id}}, TESTS, T0, "RU")
        assert folded(site)["demo", None]["known"] == {"corrected": 1, "tap": 0, "caller": 1}
        assert report(site) == report(site, raw=True)


def test_so_does_a_correction_of_a_correction_though_its_own_call_is_judged_as_before(site: Database) -> None:
    day = 24 * 60
    looked, other, said = shown(site, -1), shown(site, -1), shown(site, 49 * day)
    put_call(site, 0, dialled=str(looked.number))
    call = put_call(site, 50 * day, dialled=str(said.number))
    with site.transaction() as connection:
        connection.execute(
            update(tables.calls).where(tables.calls.c.id == call).values(visit_id=said.visit.id)
        )  # not the first call's visitor, whatever the caller did before
    with time_machine.travel(T0 + 300 * day * MINUTE, tick=False):
        folded(site)
        for wrong in (other, looked):
            with site.transaction() as connection:
                annotate_call(connection, call, {"attribution": {"visit": wrong.visit.id}}, TESTS, T0, "RU")
            assert folded(site) == report(site, raw=True)
