"""Leasing and renewing over HTTP, every lease durable, against a handler that reads JSON and answers JSON."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, text, update

from benchmarks import programs, site
from benchmarks.report import Line, Result, at_least, at_most
from benchmarks.stats import spread
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import numbers, pools, sites

NAME = "leases"
_CONCURRENCY = 64
_FIRST = "+79000000000"  # numbers count up from it


@dataclass(frozen=True, slots=True)
class Case:
    """A database, how many numbers it has, and what is asked of it."""

    name: str
    database: Callable[[], AbstractContextManager[str]]
    numbers: int
    target: float
    kind: str = "leases"
    hold: int = 0  # seconds; none: numbers are free again at once, so that a small pool lasts


async def run(*, quick: bool) -> Result:
    """Rounds in which the bare handler and each case are asked in turn."""
    return await asyncio.to_thread(_run, *((1, 300, 10_000) if quick else (5, 2_000, 1_000_000)))


def _run(rounds: int, count: int, most: int) -> Result:
    durable = functools.partial(programs.postgresql, durable=True)
    cases = [
        Case("SQLite, 10,000 numbers", programs.sqlite, 10_000, 0.6),
        Case(f"SQLite, {most:,} numbers", programs.sqlite, most, 0.5),
        Case("SQLite, 100 numbers", programs.sqlite, 100, 0.0),
        Case("PostgreSQL, 10,000 numbers", durable, 10_000, 0.4),
        Case("SQLite, renewals", programs.sqlite, 10_000, 0.0, "renewals", 3_600),
        Case("PostgreSQL, renewals", durable, 10_000, 0.0, "renewals", 3_600),
    ]
    found: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(programs.server("bare", "json")).port
        ports = {case.name: stack.enter_context(_serving(case)) for case in cases}
        for _ in range(rounds):
            one: dict[str, Any] = {}
            for case in cases:
                # The bare handler before each: what the machine does otherwise changes within a round.
                one[case.name] = {
                    "bare": programs.client(case.kind, bare, count, _CONCURRENCY, []),
                    "ours": programs.client(case.kind, ports[case.name], count, _CONCURRENCY, []),
                }
            found.append(one)
    return _result(cases, found)


def _result(cases: list[Case], found: list[dict[str, Any]]) -> Result:
    lines, data = [], {}
    for case in cases:
        pairs = [one[case.name] for one in found]
        ratio = spread([pair["ours"]["per_second"] / pair["bare"]["per_second"] for pair in pairs])
        p99 = spread([pair["ours"]["ms"]["p99"] / pair["bare"]["ms"]["p99"] for pair in pairs])
        rate = spread([pair["ours"]["per_second"] for pair in pairs])
        shown = f"  [{ratio['min']:.2f}, {ratio['max']:.2f}]  {rate['median']:.0f}/s"
        if case.target:
            lines.append(at_least(f"{case.name}: rate to the bare handler's", ratio["median"], case.target, shown))
            lines.append(at_most(f"{case.name}: p99 to the bare handler's", p99["median"], 2.0, "×"))
        else:
            lines.append(Line(f"{case.name}: rate to the bare handler's", f"{ratio['median']:.2f}{shown}"))
        data[case.name] = {"ratio": ratio, "p99_ratio": p99, "per_second": rate}
    few, many = (data[case.name]["ratio"]["median"] for case in (cases[2], cases[1]))
    lines.append(at_most(f"a lease's cost with {cases[1].numbers:,} numbers to that with 100", few / many, 1.5, "×"))
    return Result(NAME, lines, {"concurrency": _CONCURRENCY, "cases": data, "rounds": found})


@contextlib.contextmanager
def _serving(case: Case) -> Iterator[int]:
    with furnished(case) as url, programs.server("service", url, "api") as server:
        yield server.port


@contextlib.contextmanager
def furnished(case: Case) -> Iterator[str]:
    """A case's database with its site and numbers; its address."""
    with case.database() as url:
        programs.furnish(url, f"{_FIRST}..{_FIRST}", 0)
        _fill(url, case)
        yield url


def _fill(url: str, case: Case) -> None:
    """Give the pool its numbers, and the site its hold. A site file of a million numbers would be read for minutes."""
    database = Database(url)
    with database.transaction() as connection:
        connection.execute(update(sites).values(hold_seconds=case.hold, guaranteed_seconds=case.hold))
        connection.execute(text("DELETE FROM numbers WHERE kind = 'pool'"))
        pool, site_id = connection.execute(select(pools.c.id, pools.c.site_id)).one()
        first = int(_FIRST[1:])
        for begin in range(first, first + case.numbers, 50_000):
            connection.execute(
                insert(numbers),
                [
                    {
                        "e164": f"+{number}",
                        "site_id": site_id,
                        "kind": "pool",
                        "pool_id": pool,
                        "free_at": site.LONG_AGO,
                        "rests_until": site.LONG_AGO,
                        "guaranteed_until": site.LONG_AGO,
                        "seq": 0,
                    }
                    for number in range(begin, min(begin + 50_000, first + case.numbers))
                ],
            )
    database.close()
