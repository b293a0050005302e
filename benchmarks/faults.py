"""The delay that a caller feels while something is broken: post-dial, against the plain Dial() of the same seconds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks import running, site
from benchmarks.report import Line, Result
from benchmarks.sip_load import Call, Load
from benchmarks.stats import quantile, quantiles
from pbxtrack.lab.addresses import split
from pbxtrack.lab.lab import Lab
from tests import postgres
from tests.asterisk import faulty_agi

NAME = "faults"
RATE = 10.0  # calls a second, of each kind
REFUSED_LIMIT, HUNG_LIMIT = 5.0, 600.0  # ms

Broken = Callable[[Lab], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _well(up: Lab) -> AsyncIterator[None]:
    async with running.serving(up):
        yield


@asynccontextmanager
async def _gone(up: Lab) -> AsyncIterator[None]:
    yield


def _fails(fault: faulty_agi.Fault) -> Broken:
    @asynccontextmanager
    async def broken(up: Lab) -> AsyncIterator[None]:
        with faulty_agi.service(up.addresses.agi, fault):
            yield

    return broken


@asynccontextmanager
async def _frozen(up: Lab) -> AsyncIterator[None]:
    """The service and its worker, so that the one does not replace the other."""
    async with running.serving(up) as pid:
        processes = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)


@asynccontextmanager
async def _sqlite_locked(up: Lab) -> AsyncIterator[None]:
    async with running.serving(up):
        with contextlib.closing(sqlite3.connect(up.root / "pbxtrack.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


def _postgresql(break_it: Callable[[postgres.Cluster], None], mend: Callable[[postgres.Cluster], None]) -> Broken:
    @asynccontextmanager
    async def broken(up: Lab) -> AsyncIterator[None]:
        cluster = postgres.Cluster()
        try:
            cluster.create()
            cluster.start()
            database = {"PBXTRACK_DATABASE__URL": postgres.create(str(cluster.folder), "faults")}
            running.command(up.config_path, "db", "upgrade", settings=database)
            running.command(up.config_path, "apply", str(site.write(up.root)), settings=database)
            async with running.serving(up, **database):
                break_it(cluster)
                try:
                    yield
                finally:
                    mend(cluster)
            cluster.stop()
        finally:
            cluster.remove()

    return broken


def _signal(number: signal.Signals) -> Callable[[postgres.Cluster], None]:
    def send(cluster: postgres.Cluster) -> None:
        for process in cluster.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    return send


FAULTS: Sequence[tuple[str, float | None, Broken]] = (
    ("nothing", None, _well),
    ("pbxtrack is gone", REFUSED_LIMIT, _gone),
    ("it closes at once", REFUSED_LIMIT, _fails(faulty_agi.closes_at_once)),
    ("it closes before it has heard all", REFUSED_LIMIT, _fails(faulty_agi.closes_mid_header)),
    ("it closes after half a command", REFUSED_LIMIT, _fails(faulty_agi.closes_mid_command)),
    ("it resets the connection", REFUSED_LIMIT, _fails(faulty_agi.resets)),
    ("it answers rubbish", REFUSED_LIMIT, _fails(faulty_agi.answers_rubbish)),
    ("it answers without a line", REFUSED_LIMIT, _fails(faulty_agi.answers_without_a_line)),
    ("it hangs", HUNG_LIMIT, _fails(faulty_agi.hangs)),
    ("it is frozen (SIGSTOP)", HUNG_LIMIT, _frozen),
    ("SQLite is locked by another program", REFUSED_LIMIT, _sqlite_locked),
    ("PostgreSQL is gone", REFUSED_LIMIT, _postgresql(postgres.Cluster.stop, postgres.Cluster.start)),
    ("PostgreSQL is frozen", HUNG_LIMIT, _postgresql(_signal(signal.SIGSTOP), _signal(signal.SIGCONT))),
)


async def run(*, quick: bool) -> Result:
    """Calls by the plain Dial() and through pbxtrack turn about, under each fault."""
    count = 10 if quick else 60
    lines: list[Line] = []
    data: dict[str, Any] = {}
    with running.lab() as lab:
        running.furnish(lab)
        async with running.serving(lab):  # Asterisk's database has the lines, as in any company after the first minute
            pass
        load = Load(split(lab.addresses.sip), split(lab.addresses.lines["sales"]))
        numbers = site.STATIC
        for name, limit, broken in FAULTS:
            orders = [
                order for index in range(count)
                for order in (("plain", running.untracked("plain", index)), ("ours", numbers[index % len(numbers)]))
            ]  # fmt: skip
            async with broken(lab):
                await load.run(orders[:6], 2 * RATE)
                calls = await load.run(orders, 2 * RATE)
                await asyncio.sleep(0.6)
            data[name], line = _found(name, limit, calls)
            lines.append(line)
        load.close()
    return Result(NAME, lines, {"rate": RATE, "calls": count, "faults": data})


def _found(name: str, limit: float | None, calls: Sequence[Call]) -> tuple[Mapping[str, Any], Line]:
    delays = {kind: [call.post_dial_ms for call in calls if call.kind == kind and call.post_dial_ms is not None]
              for kind in ("plain", "ours")}  # fmt: skip
    lost = sum(bool(call.failure) for call in calls)
    added = {part: quantile(delays["ours"], share) - quantile(delays["plain"], share)
             for part, share in (("p50", 0.5), ("p95", 0.95))}  # fmt: skip
    value = f"{added['p50']:+.1f} ms, {added['p95']:+.1f} ms; {lost} calls lost"
    target = "" if limit is None else f"median ≤ {limit:g} ms, 0 lost"
    met = None if limit is None else added["p50"] <= limit and not lost
    found = {"added_ms": added, "lost": lost, **{kind: quantiles(values) for kind, values in delays.items()}}
    return found, Line(f"{name}: median, p95", value, target, met)
