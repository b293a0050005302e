"""Leasing over HTTP, every lease durable, against a handler that reads JSON and answers JSON."""

from __future__ import annotations

import asyncio

from benchmarks import programs
from benchmarks.report import Line, Result
from benchmarks.stats import spread

NAME = "leases"
_POOL = "+74951000000..+74951059999"  # more numbers than will be asked for
_CONCURRENCY = 64


async def run(*, quick: bool) -> Result:
    """Rounds of: the bare handler, then pbxtrack on SQLite (WAL, synchronous=FULL)."""
    return await asyncio.to_thread(_run, *((2, 500) if quick else (5, 2_000)))


def _run(rounds: int, count: int) -> Result:
    with (
        programs.sqlite(_POOL) as (url, _),
        programs.server("bare", "json") as bare,
        programs.server("service", url, "api") as ours,
    ):
        found = [
            {
                "bare": programs.client("leases", bare, count, _CONCURRENCY, []),
                "ours": programs.client("leases", ours, count, _CONCURRENCY, []),
            }
            for _ in range(rounds)
        ]
    ratio = spread([one["ours"]["per_second"] / one["bare"]["per_second"] for one in found])
    p99 = spread([one["ours"]["ms"]["p99"] / one["bare"]["ms"]["p99"] for one in found])
    rate = spread([one["ours"]["per_second"] for one in found])["median"]
    lines = [
        Line(
            "leases/s to the bare handler",
            f"{ratio['median']:.2f}  [{ratio['min']:.2f}, {ratio['max']:.2f}]  {rate:.0f}/s",
        ),
        Line("p99 to the bare handler's", f"{p99['median']:.1f}×  [{p99['min']:.1f}, {p99['max']:.1f}]"),
    ]
    return Result(NAME, lines, {"concurrency": _CONCURRENCY, "ratio": ratio, "p99_ratio": p99, "rounds": found})
