"""Memory of the service and room in the database: for each number of a pool, and for each lease."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks import leases, programs
from benchmarks.report import Line, Result
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database

NAME = "memory"
_FEW = 100
_CONCURRENCY = 64
_WARM_UP = 500  # requests after which everything is there that is made once


async def run(*, quick: bool) -> Result:
    """A service with few numbers and one with many, each asked for very many leases."""
    return await asyncio.to_thread(_run, *((20_000, 1_000) if quick else (1_000_000, 10_000)))


def _run(many: int, count: int) -> Result:
    few, lots = (_measure(numbers, count) for numbers in (_FEW, many))
    lines = [
        Line("memory of the service, before", f"{few['before'] / 1e6:.0f} MB"),
        Line(f"memory a lease, over {few['leases']:,}", f"{(few['after'] - few['before']) / few['leases']:.0f} bytes"),
        Line(f"memory a number, over {many:,}", f"{(lots['after'] - few['after']) / many:.1f} bytes"),
        Line("database a lease, with its visit", f"{few['grown'] / few['leases']:.0f} bytes"),
        Line("database a number", f"{(lots['empty'] - few['empty']) / (many - _FEW):.0f} bytes"),
    ]
    return Result(NAME, lines, {"few": few, "many": lots})


def _measure(numbers: int, count: int) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(leases.furnished(leases.Case(str(numbers), programs.sqlite, numbers, 0.0)))
        empty = _size(url)
        server = stack.enter_context(programs.server("service", url, "api"))
        programs.client("leases", server.port, _WARM_UP, _CONCURRENCY, [])
        before, begun, there = _private(server.pid), _size(url), _leases(url)
        programs.client("leases", server.port, count, _CONCURRENCY, [])
        return {
            "leases": _leases(url) - there,
            "before": before,
            "after": _private(server.pid),
            "empty": empty,
            "grown": _size(url) - begun,
        }


def _private(pid: int) -> int:
    """Bytes of memory that are the process's own."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE)) * 1024


def _size(url: str) -> int:
    """Bytes of the database's pages."""
    database = Database(url)
    with database.transaction() as connection:
        pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
    database.close()
    return int(pages or 0) * int(size or 0)


def _leases(url: str) -> int:
    database = Database(url)
    with database.transaction() as connection:
        count = connection.scalar(select(func.count()).select_from(tables.leases)) or 0
    database.close()
    return count
