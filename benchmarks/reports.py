"""Reports from roll-ups, against reading the rows with a plain GROUP BY; what folding takes, and what marks cost."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from benchmarks import filling, ledger, programs
from benchmarks.report import Line, Result
from pbxtrack.calls.events import CallArrived, Fact, LegEnded, LineAnswered, LineDialled
from pbxtrack.calls.models import Model
from pbxtrack.calls.service import record
from pbxtrack.reports.questions import CAMPAIGNS, CHANNELS, KEYWORDS, OPERATORS, PAGES, REGIONS, By
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import fold_all
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.marks import triggers_of
from pbxtrack.storage.reports import Period, answers, hours_of_week, totals, trend
from pbxtrack.storage.tables import calls

NAME = "reports"
_DAYS = 730
_MOST = 0.2  # s that a report may take
_TIMES = 5  # each report is read
_DIRTY = 10  # days that change before it is read once more
_RECORDED = 20  # batches with marks and as many without, in turn
_BATCH = 50  # calls of a batch

Report = Callable[[Connection, Period], list[dict[str, Any]]]
_REPORTS: dict[str, Report] = {
    **{
        question.name: lambda connection, period, question=question: answers(  # type: ignore[misc]
            connection, question, period, Model.LAST_NON_DIRECT
        )
        for question in (CHANNELS, CAMPAIGNS, KEYWORDS, PAGES, REGIONS, OPERATORS)
    },
    "channels, linear": lambda connection, period: answers(connection, CHANNELS, period, Model.LINEAR),
    "hours": hours_of_week,
    "trend by day": lambda connection, period: trend(connection, period, By.DAY),
    "totals": lambda connection, period: totals(connection, period, compare=False),
}


async def run(*, quick: bool, count: int | None = None) -> Result:
    """The same call log of two years on each database."""
    return await asyncio.to_thread(_run, count or (20_000 if quick else 1_000_000), quick=quick)


def _run(count: int, *, quick: bool) -> Result:
    lines: list[Line] = []
    found: dict[str, Any] = {}
    for name, databases in (("sqlite", programs.sqlite), ("postgresql", ledger.postgresql)):
        with databases() as url:
            programs.furnish(url, "+74951230000..+74951230899", 0)
            database = Database(url, statement_timeout=600)
            until = filling.now()
            found[name] = measured = _measure(database, count, until - timedelta(days=_DAYS), until)
            measured["marks"] = _cost_of_marks(database)
            database.close()
        fold, plain = measured["fold"], measured["plain_group_by"]
        lines.append(
            Line(
                f"{name}: folding all of it", f"{fold:.1f} s, {count / fold:.0f} calls/s, {fold / plain:.1f} GROUP BYs"
            )
        )
        dirty = measured["dirty"]
        lines.append(
            Line(f"{name}: {_DIRTY} changed days", f"report {dirty['report']:.3f} s, fold {dirty['fold']:.2f} s")
        )
        for report, one in measured["reports"].items():
            seconds = one["seconds"]
            lines.append(
                Line(
                    f"{name}: {report}",
                    f"{seconds * 1000:.0f} ms, {seconds / plain:.3f} of a GROUP BY, {one['raw'] / seconds:.0f}× raw",
                    "" if quick else f"≤ {_MOST * 1000:.0f} ms",
                    None if quick else seconds <= _MOST,
                )
            )
        ratio = measured["marks"]["ratio"]
        lines.append(Line(f"{name}: recording with marks", f"{ratio:.3f} of the time without"))
    return Result(NAME, lines, {"calls": count, "days": _DAYS, "databases": found})


def _measure(database: Database, count: int, since: datetime, until: datetime) -> dict[str, Any]:
    filling.fill(database, count, since, until)
    fold = _seconds(lambda: list(fold_all(database)))
    period = Period(since + timedelta(hours=30), until)  # days that are not whole at both ends
    reports = {}
    for name, report in _REPORTS.items():
        with database.reading() as connection:
            times = [_seconds(lambda report=report, connection=connection: report(connection, period))  # type: ignore[misc]
                     for _ in range(_TIMES)]  # fmt: skip
            start = time.perf_counter()
            of_rows = report(connection, replace(period, raw=True))
            raw = time.perf_counter() - start
            assert report(connection, period) == of_rows, f"{name} is not what the rows say"
        reports[name] = {"seconds": round(statistics.median(times), 4), "raw": round(raw, 3)}
    with database.reading() as connection:
        plain = _seconds(lambda: connection.execute(_plain(period)).all())
    with database.transaction() as connection:
        for day in range(_DIRTY):
            at = until - timedelta(days=30 + day)
            near = select(calls.c.id).where(calls.c.started_at >= at).order_by(calls.c.started_at).limit(1)
            connection.execute(update(calls).where(calls.c.id == near.scalar_subquery()).values(qualified=True))
    with database.reading() as connection:
        dirty = _seconds(lambda: _REPORTS["channels"](connection, period))
    again = _seconds(lambda: list(fold_all(database)))
    return {
        "fold": fold,
        "plain_group_by": plain,
        "reports": reports,
        "dirty": {"report": dirty, "fold": again},
    }


def _plain(period: Period) -> Any:
    """What anybody would write who wants each channel's calls."""
    return (
        select(calls.c.channel, func.count(), func.sum(calls.c.talk_seconds))
        .where(calls.c.started_at >= period.span.since, calls.c.started_at < period.span.until)
        .group_by(calls.c.channel)
    )


def _cost_of_marks(database: Database) -> dict[str, Any]:
    """Batches of new calls, recorded with the database's triggers and without them, turn about."""
    times: dict[bool, list[float]] = {True: [], False: []}
    known = KnownSites()
    with database.transaction() as connection:
        triggers = triggers_of(connection, "calls")
    for nth in range(2 * _RECORDED):
        marked = nth % 2 == 0
        facts = _facts(nth)
        with database.transaction() as connection:
            if not marked:
                for trigger in triggers:
                    connection.exec_driver_sql(trigger.off)
        with database.transaction() as connection:
            start = time.perf_counter()
            record(SqlCalls(connection, known), facts, filling.now(), "RU")
            times[marked].append(time.perf_counter() - start)
        with database.transaction() as connection:
            if not marked:
                for trigger in triggers:
                    connection.exec_driver_sql(trigger.on)
    median = {str(marked): statistics.median(of) for marked, of in times.items()}
    return {"seconds_a_batch": median, "ratio": round(median["True"] / median["False"], 3)}


def _facts(batch: int) -> list[Fact]:
    facts: list[Fact] = []
    for index in range(_BATCH):
        at = filling.now() - timedelta(seconds=60 - index)
        name = f"bench.{batch}.{index}"
        common: dict[str, Any] = {"node": "pbx1", "linkedid": name}
        line = "PJSIP/sales-1"
        facts += [
            CallArrived(**common, at=at, leg=name, dialled="+74951230901", caller=f"+7916{batch:04}{index:03}"),
            LineDialled(**common, at=at, leg="b", name=line),
            LineAnswered(**common, at=at + timedelta(seconds=5), leg="b", name=line),
            LegEnded(**common, at=at + timedelta(seconds=50), leg=name, cause=16),
        ]
    return facts


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return round(time.perf_counter() - start, 4)
