"""How many numbers a site needs is reckoned in a process of its own, for one question at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack import sizer
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.pool.needs import Needs, NoAnswer, Question
from pbxtrack.sizer import Sizer
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.leasing import one
from tests.contract.site import a_site

WEEK = Question("demo", 7)


def url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def busy(database: Database) -> Database:
    """Forty visits of the last hours, and a site without any, and one without a pool."""
    begin = datetime.now(UTC) - timedelta(hours=3)
    with database.transaction() as connection:
        a_site(connection, pool=[f"+749512301{index:02}" for index in range(10)])
        a_site(connection, key="quiet", pool=["+74951230200"])
        a_site(connection, key="bare")
        store = SqlLeases(connection)
        for n in range(40):
            one(store, LeaseRequest("demo", "https://shop.example/"), begin + n * timedelta(minutes=2))
    return database


@pytest.mark.asyncio
async def test_a_site_is_reckoned_in_a_process_of_its_own(busy: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Sizer(url(busy))
    answer = await found.ask(WEEK, 60)
    assert isinstance(answer, Needs)
    assert (answer.visits, answer.have) == (40, 10)
    assert {5, 10, 20} <= {size.numbers for size in answer.sizes}
    assert answer.best is not None
    assert answer.sizes[answer.best].blocking <= 0.01
    monkeypatch.setattr(sizer, "run_aside", None)  # the answer is kept
    assert await found.ask(WEEK, 0) == answer


@pytest.mark.parametrize(("key", "no"), [("quiet", NoAnswer.NO_VISITS), ("bare", NoAnswer.NO_POOL)])
def test_where_nothing_can_be_reckoned_it_says_why(busy: Database, key: str, no: NoAnswer) -> None:
    answer = sizer.reckon(busy, Question(key, 7), datetime.now(UTC))
    assert sizer.read(sizer.written(answer)) == answer == no


def test_of_too_many_visits_the_latest_are_replayed(busy: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizer, "_MOST_VISITS", 15)
    answer = sizer.reckon(busy, WEEK, datetime.now(UTC))
    assert isinstance(answer, Needs)
    assert answer.visits == 15
    assert sizer.read(sizer.written(answer)) == answer


class Slow:
    """Replaying that never ends."""

    def __init__(self) -> None:
        self.running = 0

    async def __call__(self, module: str, *arguments: str) -> list[str] | None:
        self.running += 1
        try:
            await asyncio.sleep(60)
        finally:
            self.running -= 1
        return None


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    found = Slow()
    monkeypatch.setattr(sizer, "run_aside", found)
    monkeypatch.setattr(sizer, "_LOOK_EVERY", 0.01)
    return found


@pytest.mark.asyncio
async def test_one_question_is_worked_on_at_a_time(slow: Slow) -> None:
    found = Sizer("sqlite://")
    assert await found.ask(WEEK, 0.01) is NoAnswer.NOT_YET
    assert await found.ask(WEEK, 0.01) is NoAnswer.NOT_YET
    assert await found.ask(Question("other", 7), 5) is NoAnswer.BUSY
    assert slow.running == 1
    await found.close()
    assert slow.running == 0


@pytest.mark.asyncio
async def test_it_ends_when_nobody_waits_any_more(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizer, "_PATIENCE", 0.1)
    found = Sizer("sqlite://")
    assert await found.ask(WEEK, 0.3) is NoAnswer.NOT_YET
    assert slow.running == 1, "somebody waited all the time"
    async with asyncio.timeout(5):
        while slow.running:
            await asyncio.sleep(0.01)
    assert await found.ask(Question("other", 7), 0.01) is NoAnswer.NOT_YET, "the next one's turn"
    await found.close()


@pytest.mark.asyncio
async def test_what_takes_too_long_is_given_up(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizer, "_LONGEST", 0.05)
    found = Sizer("sqlite://")
    assert await found.ask(WEEK, 5) is NoAnswer.TOO_LONG
    assert slow.running == 0
    assert await found.ask(WEEK, 0) is NoAnswer.TOO_LONG
