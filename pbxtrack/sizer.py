"""How many numbers a site needs, from its own traffic: replayed in a process of its own, for those who wait for it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.aside import run_aside, serve_aside
from pbxtrack.ids import earliest_id, milliseconds_of
from pbxtrack.pool.needs import MOST_BLOCKED, Needs, NoAnswer, Question, Size
from pbxtrack.storage.database import Database
from pbxtrack.storage.sites import read_sites
from pbxtrack.storage.tables import sites, visits

_MOST_VISITS = 10_000  # that are replayed, the latest: ten sizes of them take half a minute
_LONGEST = 240.0  # s
_PATIENCE = 20.0  # s after which whoever asked, and does not ask again, has gone
_LOOK_EVERY = 1.0  # s
_KEEP = 600.0  # s
_KEPT = 32  # answers


class Sizer:
    """Answers one question at a time; the answer is kept for ten minutes. Nobody waits any more: it gives up."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._kept: dict[Question, tuple[float, Needs | NoAnswer]] = {}
        self._working: asyncio.Task[Needs | NoAnswer] | None = None
        self._question: Question | None = None
        self._waiting = 0
        self._asked_at = 0.0

    async def ask(self, question: Question, seconds: float) -> Needs | NoAnswer:
        """The answer, if it is there in so many seconds; it is worked on as long as somebody asks again."""
        kept = self._kept.get(question)
        if kept and time.monotonic() - kept[0] < _KEEP:
            return kept[1]
        if self._working is None or self._working.done():
            self._question, self._asked_at = question, time.monotonic()
            self._working = asyncio.create_task(self._answer(question))
        elif question != self._question:
            return NoAnswer.BUSY
        working = self._working
        self._waiting += 1
        try:
            await asyncio.wait({working}, timeout=seconds)
        finally:
            self._waiting -= 1
            self._asked_at = time.monotonic()
        return working.result() if working.done() and not working.cancelled() else NoAnswer.NOT_YET

    async def close(self) -> None:
        """Give up what is worked on."""
        if self._working:
            self._working.cancel()
            await asyncio.wait({self._working})

    async def _answer(self, question: Question) -> Needs | NoAnswer:
        working = asyncio.create_task(
            run_aside("pbxtrack.sizer", self._database_url, question.site, str(question.days), str(int(question.holds)))
        )
        begin = time.monotonic()
        try:
            while not working.done():
                await asyncio.wait({working}, timeout=_LOOK_EVERY)
                now = time.monotonic()
                if now - begin > _LONGEST:
                    return self._keep(question, NoAnswer.TOO_LONG)
                if not self._waiting and now - self._asked_at > _PATIENCE:
                    return NoAnswer.NOT_YET
        finally:
            working.cancel()
            await asyncio.wait({working})
        words = working.result()
        return self._keep(question, read(words[0])) if words else NoAnswer.FAILED

    def _keep(self, question: Question, answer: Needs | NoAnswer) -> Needs | NoAnswer:
        self._kept.pop(question, None)
        self._kept[question] = time.monotonic(), answer
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return answer


def reckon(database: Database, question: Question, now: datetime) -> Needs | NoAnswer:
    """Replay a site's traffic at several sizes: seconds of work. Raises StorageUnavailable."""
    from pbxtrack.replay.recorded import read_traffic  # what a service needs not have loaded
    from pbxtrack.replay.sizes import best, plan, replayed

    with database.reading() as connection:
        site = next((site for site in read_sites(connection) if site.key == question.site), None)
        if site is None or not any(pool.numbers for pool in site.pools):
            return NoAnswer.NO_POOL
        since = _since(connection, question, now)
        traffic = read_traffic(connection, question.site, since, now)
    if not traffic.visits:
        return NoAnswer.NO_VISITS
    planned = plan(site, traffic, None if question.holds else site.hold, MOST_BLOCKED)
    outcomes = [replayed(site, traffic, *one) for one in planned.tried]
    good = best(outcomes, MOST_BLOCKED)
    return Needs(
        since=since.timestamp(),
        visits=len(traffic.visits),
        calls=len(traffic.calls) + len(traffic.strangers),
        busiest=traffic.busiest,
        visit=traffic.visit.total_seconds(),
        hold=planned.hold.total_seconds(),
        load=planned.load,
        needed=planned.needed,
        have=planned.have,
        sizes=[
            Size(one.numbers, one.hold.total_seconds(), one.accuracy, one.blocking, one.at_peak) for one in outcomes
        ],
        best=outcomes.index(good) if good else None,
    )


def _since(connection: Connection, question: Question, now: datetime) -> datetime:
    """The first moment that is replayed: so many days ago, or later if there were too many visits since."""
    since = now - timedelta(days=question.days)
    too_many = connection.scalar(
        select(visits.c.id)
        .join_from(visits, sites, sites.c.id == visits.c.site_id)
        .where(visits.c.id >= earliest_id(since), sites.c.key == question.site)
        .order_by(visits.c.id.desc())
        .limit(1)
        .offset(_MOST_VISITS)
    )
    return datetime.fromtimestamp((milliseconds_of(too_many) + 1) / 1000, UTC) if too_many else since


def written(answer: Needs | NoAnswer) -> str:
    """An answer as one word of text."""
    plain: Any = answer.value if isinstance(answer, NoAnswer) else asdict(answer)
    return json.dumps(plain, separators=(",", ":"))


def read(text: str) -> Needs | NoAnswer:
    """What :func:`written` wrote."""
    plain = json.loads(text)
    if isinstance(plain, str):
        return NoAnswer(plain)
    return Needs(**plain | {"sizes": [Size(**one) for one in plain["sizes"]]})


def _work(database: Database) -> Iterable[object]:
    site, days, holds = sys.argv[1:]
    yield written(reckon(database, Question(site, int(days), holds == "1"), datetime.now(UTC)))


if __name__ == "__main__":
    sys.exit(serve_aside(_work))
