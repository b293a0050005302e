"""A day of AMI traffic, played as fast as it is taken to `pbxtrack serve ami`: its rate, its memory, and its log."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks import ami_player, programs
from benchmarks.report import Line, Result, at_most
from benchmarks.running import environment
from benchmarks.stats import cpu_ms
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import calls
from tests import ami_traffic

NAME = "ami_day"
_RATE = 5_000.0  # events/s
_GROWTH = 5.0  # MB
_BARE = 100_000  # events for the bare reader, before and after
_SAMPLE = 0.5  # s
_START_LIMIT = 60.0  # s
_LEFT = 120.0  # s after the last event, for what is still to be recorded
_SETTINGS = """
[database]
url = "{url}"

[[ami]]
node = "pbx1"
host = "127.0.0.1"
port = {port}
username = "pbxtrack"
secret = "secret"
"""


async def run(*, quick: bool) -> Result:
    """The bare reader, pbxtrack, and the bare reader again."""
    return await asyncio.to_thread(_run, 50_000 if quick else ami_player.WHOLE)


def _run(count: int) -> Result:
    begin = float(int(time.time()))
    planned = ami_player.day(count, begin)
    events, ours = sum(call.events for call in planned), sum(call.ours for call in planned)
    with programs.sqlite() as url, _Player() as player:
        programs.furnish(url, "+74951230000..+74951230899")
        bare = [_bare(player, begin, min(_BARE, count))]
        found = _serve(url, player, count, begin, ours)
        bare.append(_bare(player, begin, min(_BARE, count)))
        with contextlib.closing(Database(url)) as database, database.transaction() as connection:
            wrong = ami_traffic.differences(connection, planned)
    rate = events / found["seconds"]
    cpu = found["cpu"] / events * 1e6
    bare_rate = statistics.mean(one["events"] / one["seconds"] for one in bare)
    bare_cpu = statistics.mean(one["cpu"] / one["events"] * 1e6 for one in bare)
    quarters = _quarters([memory for _, memory in found["memory"]])
    lines = [
        Line(f"events/s of {events:,}, until the last is durable", f"{rate:,.0f}", f"≥ {_RATE:,.0f}", rate >= _RATE),
        Line("to a reader that only parses", f"{rate / bare_rate:.2f}  ({bare_rate:.0f}/s)"),
        Line("CPU an event", f"{cpu:.0f} µs  (only parsing: {bare_cpu:.0f} µs)"),
        at_most("memory, the last quarter's median to the first's", quarters[-1] - quarters[0], _GROWTH, "MB"),
        Line("memory by quarters", "  ".join(f"{quarter:.1f}" for quarter in quarters) + " MB"),
        Line("calls of ours, at most at once", f"{ours:,}, {ami_traffic.most_at_once(planned)}"),
        Line("calls lost, twice or wrong; facts missing", str(len(wrong)), "0", not wrong),
    ]
    data = {
        "events": events,
        "calls": {"all": len(planned), "ours": ours},
        "events_per_second": round(rate, 1),
        "cpu_us_per_event": round(cpu, 1),
        "bare": {"events_per_second": round(bare_rate, 1), "cpu_us_per_event": round(bare_cpu, 1)},
        "memory_mb": {"quarters": quarters, "curve": found["memory"]},
        "wrong": wrong[:20],
    }
    return Result(NAME, lines, data)


class _Player:
    """The Asterisk that plays, as a program."""

    def __enter__(self) -> _Player:
        self._process = _program("ami_player")
        self.port = int(self._line())
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._process)

    def begin(self, count: int, begin: float) -> None:
        """Play; returns when it begins."""
        assert self._process.stdin is not None
        print("play", count, begin, file=self._process.stdin, flush=True)
        self._line()

    def finish(self) -> float:
        """Wait for the end; the seconds since the beginning."""
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline().strip():
            return line
        raise PbxtrackError("the Asterisk that plays has ended")


def _bare(player: _Player, begin: float, count: int) -> dict[str, Any]:
    events = sum(call.events for call in ami_player.day(count, begin))
    reader = _program("ami_reader", str(player.port), str(events))
    assert reader.stdout is not None
    try:
        reader.stdout.readline()  # it is logged in
        player.begin(count, begin)
        player.finish()
        return {"events": events, **json.loads(reader.stdout.readline())}
    finally:
        _end(reader)


def _serve(url: str, player: _Player, count: int, begin: float, ours: int) -> dict[str, Any]:
    """Play the day to the service: seconds until its last fact is durable, processor seconds, MB by the second."""
    with _service(url, player.port) as pid, contextlib.closing(Database(url)) as database:
        player.begin(count, begin)
        started, used = time.perf_counter(), cpu_ms(pid)
        with _sampled(pid) as memory:
            played = player.finish()
            while not _recorded(database, ours):
                if time.perf_counter() - started > played + _LEFT:
                    break  # what is missing is counted
                time.sleep(0.02)
            seconds = time.perf_counter() - started
        return {"seconds": seconds, "cpu": (cpu_ms(pid) - used) / 1e3, "memory": memory}


@contextlib.contextmanager
def _service(url: str, port: int) -> Iterator[int]:
    """`pbxtrack serve ami`, as it is shipped, once it has compared Asterisk with its directory; its process id."""
    folder = Path(url.removeprefix("sqlite:///")).parent
    config, log = folder / "pbxtrack.toml", folder / "log"
    config.write_text(_SETTINGS.format(url=url, port=port))
    config.chmod(0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pbxtrack", "serve", "ami"],
            env=environment(config), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _START_LIMIT
        while "lines in Asterisk's database mended" not in log.read_text("utf-8", "replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PbxtrackError(f"pbxtrack did not get ready: {log.read_text()[-500:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()  # it writes down what it heard
        process.wait()


@contextlib.contextmanager
def _sampled(pid: int) -> Iterator[list[tuple[float, float]]]:
    """Seconds, and MB of memory by the kernel's count, for as long as the block lasts."""
    samples: list[tuple[float, float]] = []
    ended, started = threading.Event(), time.perf_counter()

    def sample() -> None:
        while not ended.wait(_SAMPLE):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
            assert found is not None
            samples.append((round(time.perf_counter() - started, 1), int(found[1]) / 1024))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _recorded(database: Database, ours: int) -> bool:
    """Whether every call is in the log, and over."""
    with database.transaction() as connection:
        known, over = connection.execute(select(func.count(), func.count(calls.c.ended_at)).select_from(calls)).one()
    return bool(known == over == ours)


def _quarters(memory: Sequence[float]) -> list[float]:
    """The median of each quarter of the run."""
    places = [round(len(memory) * quarter / 4) for quarter in range(5)]
    return [round(statistics.median(memory[one:other]), 2) for one, other in itertools.pairwise(places)]


def _program(module: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=programs.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _end(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
