"""Rebuilding every call from its facts, against reading the facts alone; and how long others wait for a write."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, select, update
from sqlalchemy.engine import make_url

from benchmarks import ledger, programs, running
from benchmarks.report import Line, Result
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import call_facts, calls
from tests import ledger_day

NAME = "rebuild"
_TARGET = 1_000_000 / 120  # facts/s on SQLite: a million in two minutes
_WAIT = 0.3  # s that a writer beside it may have to wait on SQLite
_LOOK = 0.02  # s between writes of the one who waits


async def run(*, quick: bool) -> Result:
    """A call log of a week, rebuilt as it is and with every attribution spoilt, on each database."""
    return await asyncio.to_thread(_run, 4_000 if quick else 125_000, quick=quick)


def _run(count: int, *, quick: bool) -> Result:
    lines: list[Line] = []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="pbxtrack-bench-") as made:
        folder = Path(made)
        file, _ = ledger_day.write(folder, ledger.DAY, count, ledger.NUMBERS)
        for name, databases in (("sqlite", programs.sqlite), ("postgresql", ledger.postgresql)):
            with databases() as url:
                config = ledger.furnish(folder, url)
                running.command(config, "import-cdr", "--json", str(file), limit=1_000)
                facts, bare = _bare(url)
                runs = {"as it is": _rebuild(config, url)}
                _spoil(url)
                runs["all spoilt"] = _rebuild(config, url)
            found[name] = {"facts": facts, "bare_facts_per_second": round(facts / bare), "runs": runs}
            for kind, one in runs.items():
                rate = facts / one["seconds"]
                promised = name == "sqlite" and not quick
                lines.append(
                    Line(
                        f"{kind}, {name}",
                        f"{rate:.0f} facts/s, {bare / one['seconds']:.3f} of reading them",
                        f"≥ {_TARGET:.0f} facts/s" if promised else "",
                        rate >= _TARGET if promised else None,
                    )
                )
                if name == "sqlite":
                    limit = f"≤ {_WAIT} s" if promised else ""
                    waited = one["longest_wait"]
                    met = waited <= _WAIT if promised else None
                    lines.append(Line(f"{kind}, another's write waits at most", f"{waited:.2f} s", limit, met))
    return Result(NAME, lines, {"calls": count, "databases": found})


def _rebuild(config: Path, url: str) -> dict[str, Any]:
    """Run the command; its counts, its seconds, and the longest that a write beside it took."""
    with _writing(url) as waits:
        start = time.perf_counter()
        counts = json.loads(running.command(config, "rebuild", "--json", limit=1_000))
        seconds = time.perf_counter() - start
    return {**counts, "seconds": round(seconds, 2), "longest_wait": round(max(waits, default=0.0), 3)}


@contextmanager
def _writing(url: str) -> Iterator[list[float]]:
    """Write now and then, as the service does: how long each took in seconds. On SQLite only."""
    waits: list[float] = []
    over = threading.Event()

    def write() -> None:
        connection = sqlite3.connect(make_url(url).database or "", isolation_level=None, timeout=30)
        while not over.wait(_LOOK):
            start = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
            waits.append(time.perf_counter() - start)
        connection.close()

    writer = threading.Thread(target=write)
    if url.startswith("sqlite"):
        writer.start()
    try:
        yield waits
    finally:
        over.set()
        if writer.ident is not None:
            writer.join()


def _bare(url: str) -> tuple[int, float]:
    """(how many facts there are, seconds to read them all, as they are, with their JSON)."""
    database = Database(url, statement_timeout=60)
    start = time.perf_counter()
    with database.transaction() as connection:
        rows = connection.execution_options(stream_results=True).exec_driver_sql(
            "SELECT node, linkedid, kind, at, leg, data FROM call_facts"
        )
        facts = sum(1 for row in rows if isinstance(row[5], dict) or orjson.loads(row[5]) is not None)
    seconds = time.perf_counter() - start
    database.close()
    return facts, seconds


def _spoil(url: str) -> None:
    """Leave no attribution as it is."""
    database = Database(url, statement_timeout=600)
    with database.transaction() as connection:
        connection.execute(update(calls).values(why="", confidence=0.5))
        assert connection.scalar(select(func.count()).select_from(call_facts))
    database.close()
