"""Importing a day of Asterisk's own records, twice, against writing their bare lines into a table."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import programs, running, site
from benchmarks.report import Line, Result
from pbxtrack.pool import service
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests import ledger_day

NAME = "ledger"
DAY = datetime(2026, 11, 20, tzinfo=UTC)
_POOL = "+74951230000..+74951230899"
NUMBERS = [f"+7495123{index:04d}" for index in range(1000)]
_TARGET = 3_000  # calls/s on SQLite
_LINES = 5_000  # of a transaction of the bare writer: those of some 500 calls
_LOST = 0.05  # of the calls at most, of which a CDR lost the number that was dialled


async def run(*, quick: bool) -> Result:
    """Each file twice into each database, each database a new one."""
    return await asyncio.to_thread(_run, 5_000 if quick else 100_000, quick=quick)


def _run(calls: int, *, quick: bool) -> Result:
    lines: list[Line] = []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="pbxtrack-bench-") as made:
        folder = Path(made)
        files = dict(zip(("cel", "cdr"), ledger_day.write(folder, DAY, calls, NUMBERS), strict=True))
        for name, databases in (("sqlite", programs.sqlite), ("postgresql", postgresql)):
            for kind, file in files.items():
                bare = calls / _bare(file, folder / "bare.db")
                with databases() as url:
                    config = furnish(folder, url)
                    passes = [_import(config, file) for _ in range(2)]
                _check(kind, calls, passes)
                found[f"{name} {kind}"] = {"bare_per_second": round(bare), "passes": passes}
                for place, one in zip(("first", "again"), passes, strict=True):
                    rate = one["per_second"]
                    promised = name == "sqlite" and not quick
                    lines.append(
                        Line(
                            f"{kind.upper()} on {name}, {place}",
                            f"{rate:.0f} calls/s, {rate / bare:.2f} of bare lines; CPU {one['cpu_us']:.0f} µs a call",
                            f"≥ {_TARGET} calls/s" if promised else "",
                            rate >= _TARGET if promised else None,
                        )
                    )
    return Result(NAME, lines, {"calls": calls, "imports": found})


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    with programs.postgresql(durable=True) as url:
        yield url


def furnish(folder: Path, url: str) -> Path:
    """The tables, the site, and leases as visitors had them all day; the settings to import with."""
    programs.furnish(url, _POOL, 0)
    database = Database(url)
    for hour in range(7, 21):
        with database.transaction() as connection:
            requests = [LeaseRequest(site.KEY, site.page(index)) for index in range(site.LEASES)]
            service.acquire(SqlLeases(connection), requests, DAY + timedelta(hours=hour))
    database.close()
    config = folder / "pbxtrack.toml"
    config.write_text(f'data_dir = "{folder}"\n[database]\nurl = "{url}"\n[[ami]]\nnode = "pbx1"\nsecret = "x"\n')
    return config


def _import(config: Path, file: Path) -> dict[str, Any]:
    """Run the command; its counts, its rate in calls a second, and the processor time of both its processes."""
    cpu, start = _children(), time.perf_counter()
    (counts,) = json.loads(running.command(config, "import-cdr", "--json", str(file), limit=1_000))
    seconds = time.perf_counter() - start
    calls = counts["added"] + counts["known"]
    return {
        "added": counts["added"],
        "mended": counts["mended"],
        "known": counts["known"],
        "per_second": round(calls / seconds, 1),
        "cpu_us": round((_children() - cpu) / calls * 1e6, 1),
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check(kind: str, calls: int, passes: list[dict[str, Any]]) -> None:
    first, again = passes
    there = calls if kind == "cel" else first["added"]
    assert there >= (1 - _LOST) * calls, first
    assert (first["added"], first["mended"], first["known"]) == (there, 0, 0), first
    assert (again["added"], again["mended"], again["known"]) == (0, 0, there), again


def _bare(file: Path, database: Path) -> float:
    """Seconds to write the file's lines, as they are, into one table of SQLite, as durably."""
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE lines (line TEXT)"):
        connection.execute(statement)
    start = time.perf_counter()
    with file.open(encoding="utf-8") as given:
        while some := list(islice(given, _LINES)):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO lines VALUES (?)", ((line,) for line in some))
            connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return seconds
