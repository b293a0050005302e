"""Whatever happens to calls and visits, a report from roll-ups says what the rows themselves say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, select, update

from pbxtrack.calls.models import Model
from pbxtrack.calls.service import record
from pbxtrack.folder import Folder
from pbxtrack.reports.periods import NEVER, Span, Zone
from pbxtrack.reports.questions import QUESTIONS, By, Question
from pbxtrack.storage import fold as folding
from pbxtrack.storage import folded, rollups, tables
from pbxtrack.storage.annotations import InvalidCorrection, annotate_call
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import due, fold, fold_all
from pbxtrack.storage.rebuild import rebuild
from pbxtrack.storage.reports import Period, answers, hours_of_week, totals, trend
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.strangers import pool_numbers
from pbxtrack.storage.tally import by_hour
from tests.contract.api_client import TESTS
from tests.contract.site import a_site
from tests.contract.test_recording import an_answered_call

NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(days=75)  # two months and more, of which one is whole
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ZONES = ["Europe/Moscow", "Asia/Kolkata", "America/New_York", "Pacific/Apia"]
LATEST = 76 * 24 * 60  # minutes after START: calls may be of tomorrow, since clocks differ

YESTERDAY = 74 * 24 * 60  # minutes after START, on the day that is folded first

_keys, _numbers = (f"site{number}" for number in count()), count()


class World:
    """A site of its own in the database."""

    def __init__(self, database: Database, timezone: str = "Europe/Moscow") -> None:
        self.database, self.key = database, next(_keys)
        with database.transaction() as connection:
            self.numbers = [f"+7499{next(_numbers):07}" for _ in range(2)]
            self.site_id = a_site(connection, key=self.key, timezone=timezone, pool=self.numbers)
        self.calls: list[str] = []
        self.visits: list[str] = []
        self._calls, self._visits = count(), count()

    def visit(self, minute: float, **values: Any) -> str:
        name = f"{self.key}-{next(self._visits):04}"
        at = START + minute * MINUTE
        row = {
            "id": name, "site_id": self.site_id, "visitor_id": f"{self.key}-v", "started_at": at, "seen_at": at,
            "region": "495", "page": "https://shop.example/a?b#c", "referrer": "", "source": "yandex", "medium": "cpc",
            "campaign": "spring", "term": "", "content": "", "click_ids": {}, "client_ids": {}, "channel": "Ads",
        }  # fmt: skip
        with self.database.transaction() as connection:
            connection.execute(tables.visits.insert().values(row | values))
        self.visits.append(name)
        return name

    def call(self, minute: float, **values: Any) -> str:
        linkedid = f"{self.key}-{next(self._calls)}"
        name = f"pbx1-{linkedid}"
        row = {
            "id": name, "node": "pbx1", "linkedid": linkedid, "site_id": self.site_id,
            "started_at": START + minute * MINUTE, "caller": "+79161234567", "status": "missed",
            "dialled": self.numbers[0], "method": "none",
            "ringing_seconds": 4.25, "talk_seconds": 0.0, "first": False, "target": False, "confidence": 0.0,
            "candidates": [], "tags": [],
            "state": {
                "node": "pbx1", "linkedid": linkedid, "started_at": (START + minute * MINUTE).isoformat(),
                "legs": {}, "caller_leg": None,
            },
        }  # fmt: skip
        with self.database.transaction() as connection:
            connection.execute(tables.calls.insert().values(row | values))
        self.calls.append(name)
        return name

    def change(self, call: str, **values: Any) -> None:
        with self.database.transaction() as connection:
            connection.execute(update(tables.calls).where(tables.calls.c.id == call).values(**values))

    def fold(self, steps: int = 1_000) -> None:
        list(islice(fold(self.database, self.site_id), steps))

    def marks(self) -> int:
        with self.database.reading() as connection:
            marks = tables.rollup_marks
            statement = select(func.count()).select_from(marks).where(marks.c.site_id == self.site_id)
            return connection.scalar(statement) or 0

    def agree(self, since: datetime | None = None, until: datetime | None = None) -> None:
        """Every report, by every model, is as the rows say."""
        period = Period(since, until, (self.key,))
        with self.database.reading() as connection:
            for name, report in every_report().items():
                assert report(connection, period) == report(connection, replace(period, raw=True)), name
            asked = NOW, since or START - 2 * DAY, until, [self.key]
            assert pool_numbers(connection, *asked) == pool_numbers(connection, *asked, raw=True)

    def reads_rows(self, since: datetime | None = None, until: datetime | None = None) -> list[tuple[Any, ...]]:
        """The times that a report reads the rows themselves of."""
        period = Period(since, until, (self.key,)).span
        with self.database.reading() as connection:
            (site,) = (site for site in live_sites(connection, [self.key]))
            known = rollups.known(connection, site.id, site.timezone)
            return (
                [tuple(span) for span in sorted(known.parts(period, Zone(site.timezone)).unknown)]
                if known
                else [period]
            )


Report = Callable[[Connection, Period], list[dict[str, Any]]]


def every_report() -> dict[str, Report]:
    def answering(question: Question, model: Model) -> Report:
        return lambda connection, period: answers(connection, question, period, model)

    def trend_by(by: By) -> Report:
        return lambda connection, period: trend(connection, period, by)

    def compared(connection: Connection, period: Period) -> list[dict[str, Any]]:
        return totals(connection, period, compare=period.since is not None and period.until is not None)

    return {
        **{
            f"{question.name} {model}": answering(question, model)
            for question in QUESTIONS
            for model in (Model if question.by_model else [Model.LAST])
        },
        **{f"trend {by}": trend_by(by) for by in By},
        "hours": hours_of_week,
        "totals": compared,
    }


minutes = (
    st.integers(0, LATEST).map(float)
    | st.integers(0, LATEST * 60).map(lambda second: second / 60)
    | st.integers(YESTERDAY, LATEST).map(float)  # of those days the hours are known
)
places = st.integers(0, 30)
visits = st.fixed_dictionaries(
    {
        "minute": minutes.map(lambda minute: minute - 100),
        "visitor_id": st.sampled_from(["one", "two", "three"]),
        "medium": st.sampled_from(["cpc", "(none)", "email"]),
        "source": st.sampled_from(["yandex", "vk", ""]),
        "campaign": st.sampled_from(["spring", ""]),
        "term": st.sampled_from(["sofa", "a chair", ""]),
        "channel": st.sampled_from(["Ads", "Direct", "Social"]),
        "region": st.sampled_from(["495", "812", ""]),
        "page": st.sampled_from(["https://shop.example/?x=1", "https://shop.example/#y", "https://shop.example/b"]),
    }
)
outcomes = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["ringing", "missed", "busy", "abandoned"]),
        "answered_at": st.none(),
        "settled_by": st.sampled_from([None, "another"]),
        "caller": st.sampled_from([None, "+79161234567", "+79161234568"]),
        "method": st.sampled_from(["none", "lease"]),
    }
) | st.fixed_dictionaries(
    {
        "status": st.sampled_from(["talking", "answered"]),
        "answered_at": st.just(NOW),
        "answered_by": st.sampled_from(["PJSIP/1", "PJSIP/2"]),
        "talk_seconds": st.floats(0, 500),
        "target": st.booleans(),
        "qualified": st.sampled_from([None, True, False]),
        "is_unique": st.booleans(),
    }
)
operations = st.one_of(
    st.tuples(st.just("visit"), visits),
    st.tuples(st.just("call"), minutes, outcomes, st.none() | places),
    st.tuples(st.just("call"), minutes, outcomes, places),
    st.tuples(st.just("change"), places, outcomes),
    st.tuples(st.just("move"), places, minutes),
    st.tuples(st.just("attribute"), places, st.none() | places),
    st.tuples(st.just("correct"), places, st.sampled_from([None, "Radio"]) | places),
    st.tuples(st.just("dial"), places, st.integers(0, 1)),
    st.tuples(st.just("delete"), places),
    st.tuples(st.just("visit goes"), places),
    st.tuples(st.just("zone"), st.sampled_from(ZONES)),
    st.tuples(st.just("fold"), st.integers(1, 3)),
    st.tuples(st.just("fold"), st.just(1_000)),
)


def perform(world: World, what: str, *how: Any) -> None:
    def one(of: Sequence[str], place: int | None) -> str | None:
        return of[place % len(of)] if of and place is not None else None

    def correct(call: str | None, to: Any) -> None:
        visit = one(world.visits, to) if isinstance(to, int) else None
        attribution = {"visit": visit} if visit else {"channel": to} if isinstance(to, str) else None
        if call is not None:
            # A visit that began after the call cannot have brought it.
            with suppress(InvalidCorrection), world.database.transaction() as connection:
                annotate_call(connection, call, {"attribution": attribution}, TESTS, NOW, "RU")

    match what, *how:
        case "visit", values:
            world.visit(**{**values, "visitor_id": f"{world.key}-{values['visitor_id']}"})
        case "call", minute, values, visit:
            world.call(minute, **values, visit_id=one(world.visits, visit), channel=None if visit else "Billboard")
        case "fold", steps:
            world.fold(steps)
        case "zone", name:
            with world.database.transaction() as connection:
                sites = tables.sites
                connection.execute(update(sites).where(sites.c.id == world.site_id).values(timezone=name))
        case "visit goes", place:
            if visit := one(world.visits, place):
                world.visits.remove(visit)
                with world.database.transaction() as connection:
                    connection.execute(delete(tables.visits).where(tables.visits.c.id == visit))
        case _, place, *rest:
            if (call := one(world.calls, place)) is None:
                return
            match what, *rest:
                case "change", values:
                    world.change(call, **values)
                case "move", minute:
                    world.change(call, started_at=START + minute * MINUTE)
                case "dial", number:
                    world.change(call, dialled=world.numbers[number])
                case "attribute", visit:
                    world.change(call, visit_id=one(world.visits, visit))
                case "correct", to:
                    correct(call, to)
                case "delete", *_:
                    world.calls.remove(call)
                    with world.database.transaction() as connection:
                        connection.execute(delete(tables.calls).where(tables.calls.c.id == call))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(
    zone=st.sampled_from(ZONES),
    steps=st.lists(operations, min_size=5, max_size=40),
    first=minutes,
    second=minutes,
)
def test_reports_say_what_the_rows_say(
    database: Database, zone: str, steps: list[tuple[Any, ...]], first: float, second: float
) -> None:
    world = World(database, zone)
    since, until = (START + minute * MINUTE for minute in sorted((first, second)))
    for step in steps:
        perform(world, *step)
    world.agree(since, until)
    world.fold()
    world.agree()
    for step in steps[: len(steps) // 2]:
        if step[0] != "zone":
            perform(world, *step)
    world.agree(since, until)
    world.agree()


def test_whole_days_are_read_from_roll_ups(database: Database) -> None:
    world = World(database)
    for day in range(9):
        world.call(day * 24 * 60 + 0.5)
    with database.reading() as connection:
        assert due(connection, NOW)
    world.fold()
    zone = Zone("Europe/Moscow")
    today = zone.midnight(zone.day(NOW))
    first = zone.midnight(zone.day(START))
    assert world.reads_rows(first, today) == []
    assert world.reads_rows(first + MINUTE, today + MINUTE) == [
        (first + MINUTE, zone.midnight(zone.day(START) + DAY)),
        (today, today + MINUTE),
    ]
    with database.reading() as connection:
        assert not due(connection, NOW)
    third = zone.day(START + 3 * DAY)
    world.change(world.calls[3], status="busy")
    assert world.reads_rows(first, today) == [(zone.midnight(third), zone.midnight(third + DAY))]
    with database.reading() as connection:
        assert due(connection, NOW)
    world.fold()
    assert world.reads_rows(first, today) == []
    assert world.marks() == 0
    world.agree()


@pytest.fixture
def afternoon() -> Iterator[datetime]:
    """Half past three in Moscow, while a test lasts."""
    zone = Zone("Europe/Moscow")
    at = zone.midnight(zone.day(NOW)) + timedelta(hours=15, minutes=30)
    with time_machine.travel(at, tick=False):
        yield at


def test_hours_of_today_that_are_over_are_read_from_roll_ups(database: Database, afternoon: datetime) -> None:
    world = World(database)
    today, hour = afternoon - timedelta(hours=15, minutes=30), timedelta(hours=1)
    begin = (today - START) / MINUTE
    for nth in range(-1, 16):
        world.call(begin + nth * 60 + 1, status="busy" if nth % 2 else "missed", method="lease" if nth % 3 else "none")
    world.fold()
    assert world.reads_rows(today) == [(today + 15 * hour, NEVER)]
    assert world.reads_rows(today - DAY, today + 7.5 * hour) == [(today + 7 * hour, today + 7.5 * hour)]
    world.change(world.calls[3], status="abandoned")
    assert world.reads_rows(today, afternoon) == [(today + 2 * hour, today + 3 * hour), (today + 15 * hour, afternoon)]
    for since, until in ((None, None), (today, None), (today + 2.5 * hour, today + 5.25 * hour)):
        world.agree(since, until)
    with database.reading() as connection:
        assert due(connection, afternoon)
    world.fold()
    with database.reading() as connection:
        assert not due(connection, afternoon)
        assert due(connection, afternoon + hour)
    assert world.reads_rows(today, today + 15 * hour) == []
    world.agree()


def test_hours_that_changed_yesterday_leave_the_others_known(database: Database, afternoon: datetime) -> None:
    world = World(database)
    yesterday, hour = afternoon - timedelta(hours=15, minutes=30) - DAY, timedelta(hours=1)
    begin = (yesterday - START) / MINUTE
    for nth in range(24):
        world.call(begin + nth * 60 + 1)
    world.fold()
    world.change(world.calls[5], status="busy")
    assert world.reads_rows(yesterday, yesterday + DAY) == [(yesterday + 5 * hour, yesterday + 6 * hour)]
    world.agree()
    world.fold()
    assert world.reads_rows(yesterday, yesterday + DAY) == []
    world.agree()


def test_when_today_is_over_it_is_a_day_like_others(database: Database, afternoon: datetime) -> None:
    world = World(database)
    midnight = afternoon - timedelta(hours=15, minutes=30)
    world.call((midnight - START) / MINUTE + 1)
    world.fold()
    world.change(world.calls[0], status="busy")
    for later in (1, 2, 3):
        with time_machine.travel(afternoon + later * DAY, tick=False):
            world.agree()
            world.fold()
            world.agree()
            assert world.reads_rows(midnight, midnight + DAY) == []
            assert world.marks() == 0
    with database.reading() as connection:
        (kept,) = connection.execute(select(func.min(tables.rollup_steps.c.since))).one()
        assert kept == midnight + 2 * DAY, "of yesterday and today only"


def test_part_of_a_past_day_is_read_by_its_hours(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What depends on the time alone: as long a time before today as today lasts yet ends at midnight."""
    world = World(database)
    midnight, hour = Zone("Europe/Moscow").midnight((START + 20 * DAY).date()), timedelta(hours=1)
    begin = (midnight - START) / MINUTE
    for nth in range(48):
        world.call(begin + nth * 30 + 1)
    world.fold()
    read: list[Span] = []

    def reading(connection: Connection, site_id: int, span: Span, zone: Zone) -> Any:
        read.append(span)
        return by_hour(connection, site_id, span, zone)

    monkeypatch.setattr("pbxtrack.storage.reports.by_hour", reading)
    period = Period(midnight + 1.5 * hour, midnight + 5.75 * hour, [world.key])
    with database.reading() as connection:
        (item,) = totals(connection, period, compare=False)
        assert item["calls"] == 9
        assert sorted(read) == [
            (midnight + 1.5 * hour, midnight + 2 * hour),
            (midnight + 5 * hour, midnight + 5.75 * hour),
        ]
    world.agree(period.since, period.until)


def test_what_no_report_tells_marks_nothing(database: Database) -> None:
    world = World(database)
    call = world.call(0)
    world.fold()
    world.change(call, note="call back", why="because", recording="a.wav", status="missed")
    assert world.marks() == 0
    world.change(call, status="busy")
    assert world.marks() == 1


def test_calls_of_before_the_first_are_rolled_up_too(database: Database) -> None:
    world = World(database)
    world.call(5 * 24 * 60)
    world.fold()
    world.call(0)
    world.agree()
    world.fold()
    world.agree()
    zone = Zone("Europe/Moscow")
    first = zone.midnight(zone.day(START))
    assert world.reads_rows(first - DAY, first + DAY) == [(first - DAY, first)], "where there are no calls"


def test_a_visit_added_late_changes_what_calls_are_credited_to(database: Database) -> None:
    world = World(database)
    world.call(100, visit_id=world.visit(60, channel="Direct", medium="(none)"))
    world.fold()
    assert channel(world) == "Direct"
    world.visit(30, channel="Ads")
    assert channel(world) == "Ads"
    world.fold()
    assert channel(world) == "Ads"


def channel(world: World) -> Any:
    with world.database.reading() as connection:
        (item,) = answers(connection, QUESTIONS[0], Period(keys=[world.key]), Model.LAST_NON_DIRECT)
        return item["channel"]


def test_another_time_zone_has_other_days(database: Database) -> None:
    world = World(database)
    world.call(0)
    world.fold()
    perform(world, "zone", "Pacific/Apia")
    assert len(world.reads_rows()) == 1, "the roll-ups are of other days"
    world.agree()
    world.fold()
    assert len(world.reads_rows()) == 2, "before the first call, and today"
    world.agree()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Do something once, when the next fold has read what it reads and has written nothing."""

    def arrange(work: Callable[[], None]) -> None:
        read = folded.read

        def reading(*asked: Any) -> Any:
            monkeypatch.setattr(folded, "read", read)
            found = read(*asked)
            work()
            return found

        monkeypatch.setattr(folded, "read", reading)

    return arrange


Meanwhile = Callable[[Callable[[], None]], None]


def test_what_changes_while_its_day_is_folded_is_not_lost(database: Database, meanwhile: Meanwhile) -> None:
    world = World(database)
    call = world.call(YESTERDAY)
    meanwhile(lambda: world.change(call, status="busy", answered_at=NOW))
    world.fold(1)
    world.agree()
    meanwhile(lambda: world.change(call, status="missed", answered_at=None))
    world.fold()
    world.agree()
    world.fold()
    world.agree()
    assert world.marks() == 0


def test_a_second_change_of_an_hour_is_not_lost(database: Database, meanwhile: Meanwhile) -> None:
    """Also where the mark of the first one, which came after the fold began, would serve for both."""
    world = World(database)
    call = world.call(0)
    world.fold()
    world.change(call, status="busy")
    fold = folding._Fold(database, world.site_id)
    fold._begin()
    world.change(call, talk_seconds=5.0)
    meanwhile(lambda: world.change(call, talk_seconds=7.0))
    while fold._step() is not None:
        pass
    world.agree()
    world.fold()
    world.agree()
    assert world.marks() == 0


def test_of_two_folds_at_once_one_is_late(database: Database, meanwhile: Meanwhile) -> None:
    world = World(database)
    call = world.call(YESTERDAY)

    def change_and_fold() -> None:
        world.change(call, status="busy", answered_at=NOW)
        world.fold()

    meanwhile(change_and_fold)
    world.fold()
    world.agree()
    assert world.marks() == 0


def test_a_change_that_is_committed_after_the_fold_is_not_lost(postgresql_database: Database) -> None:
    """Its transaction began before the fold, and ends after it."""
    world = World(postgresql_database)
    call = world.call(0)
    world.fold()
    with postgresql_database.transaction() as connection:
        connection.execute(update(tables.calls).where(tables.calls.c.id == call).values(status="busy"))
        world.fold()
        world.change(world.call(1), status="busy")
        world.fold()
    world.agree()
    world.fold()
    assert world.marks() == 0
    world.agree()


def test_recorders_do_not_wait_for_each_other(postgresql_database: Database) -> None:
    """Nor for a fold: each transaction's marks are its own."""
    world = World(postgresql_database)
    one, other = world.call(0), world.call(0)
    done = threading.Event()

    def change_other() -> None:
        world.change(other, status="busy")
        done.set()

    with postgresql_database.transaction() as connection:
        connection.execute(update(tables.calls).where(tables.calls.c.id == one).values(status="busy"))
        thread = threading.Thread(target=change_other)
        thread.start()
        assert done.wait(3)
    thread.join()
    world.agree()


def test_real_calls_and_their_rebuilding(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, key="real", static=["+74951230001"])
        record(SqlCalls(connection), an_answered_call("+74951230001"), NOW, "RU")
    list(fold_all(database))
    with database.transaction() as connection:
        connection.execute(update(tables.calls).values(talk_seconds=1))
    list(fold_all(database))
    list(rebuild(database, None, "RU"))
    with database.reading() as connection:
        for name, report in every_report().items():
            of_rows = report(connection, Period(keys=["real"], raw=True))
            assert report(connection, Period(keys=["real"])) == of_rows, name
        (item,) = answers(connection, QUESTIONS[0], Period(keys=["real"]), Model.FIRST)
        assert (item["channel"], item["talk_seconds"]) == ("Billboard", 66.1)


def test_whole_months_are_kept_until_a_day_of_theirs_changes(database: Database) -> None:
    world = World(database)
    for day in range(75):
        world.call(day * 24 * 60, channel=f"Billboard {day % 3}")
    world.fold()
    kept = select(func.count()).select_from(tables.rollup_months).where(tables.rollup_months.c.site_id == world.site_id)

    def months() -> int:
        with database.reading() as connection:
            return connection.scalar(kept) or 0

    everything = months()
    assert everything > 0
    world.agree()
    whole = (START + 33 * DAY).replace(day=1) + 3 * DAY
    world.change(world.calls[(whole - START).days], channel="Radio")
    world.agree()
    fold_some_days = fold(database, world.site_id)
    next(fold_some_days)
    assert months() < everything
    world.agree()
    world.fold()
    assert months() == everything
    world.agree()


@pytest.mark.asyncio
async def test_the_worker_folds(database: Database) -> None:
    world = World(database)
    world.call(0)
    folder = Folder(database, database.url.render_as_string(hide_password=False))
    assert await folder.once() > 0
    assert await folder.once() == 0
    world.agree()
