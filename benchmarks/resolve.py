"""Resolving and recording a call, FastAGI without Asterisk, against a server that does the exchange and no more."""

from __future__ import annotations

import asyncio
import contextlib

from benchmarks import programs, site
from benchmarks.report import Line, Result
from benchmarks.stats import spread

NAME = "resolve"
_POOL = "+74951230000..+74951230899"
_CONCURRENCY = 8


async def run(*, quick: bool) -> Result:
    """Rounds of: the bare server, SQLite, PostgreSQL; each with 8 calls at once, and one at a time."""
    return await asyncio.to_thread(_run, *((2, 200) if quick else (5, 800)))


def _run(rounds: int, count: int) -> Result:
    with contextlib.ExitStack() as stack:
        servers: dict[str, tuple[int, list[str]]] = {
            "bare": (stack.enter_context(programs.server("bare", "agi")).port, [*site.STATIC])
        }
        for name, database in (("sqlite", programs.sqlite()), ("postgresql", programs.postgresql(durable=False))):
            url = stack.enter_context(database)
            leased = programs.furnish(url, _POOL)
            port = stack.enter_context(programs.server("service", url, "agi")).port
            servers[name] = port, site.dialled(leased, 2 * len(leased))
        found = [
            {
                name: {
                    "many": programs.client("agi", port, count, _CONCURRENCY, numbers),
                    "one": programs.client("agi", port, count // 4, 1, numbers),
                }
                for name, (port, numbers) in servers.items()
            }
            for _ in range(rounds)
        ]
    lines, ratios = [], {}
    for name in ("sqlite", "postgresql"):
        throughput = spread([one[name]["many"]["per_second"] / one["bare"]["many"]["per_second"] for one in found])
        added = spread([one[name]["one"]["ms"]["p50"] - one["bare"]["one"]["ms"]["p50"] for one in found])
        rate = spread([one[name]["many"]["per_second"] for one in found])["median"]
        ratios[name] = {"throughput": throughput, "added_ms_p50": added}
        lines.append(
            Line(
                f"calls/s on {name}, to the bare server",
                f"{throughput['median']:.2f}  [{throughput['min']:.2f}, {throughput['max']:.2f}]  {rate:.0f}/s",
            )
        )
        lines.append(
            Line(
                f"added on {name} at the median, one at a time",
                f"{added['median']:+.2f} ms  [{added['min']:+.2f}, {added['max']:+.2f}]",
            )
        )
    return Result(NAME, lines, {"concurrency": _CONCURRENCY, "ratios": ratios, "rounds": found})
