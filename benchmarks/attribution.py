"""How often calls are attributed to who made them, and how true the confidence is, against the last holder.

The last holder is what the plainest tracking says: the visitor who was shown the dialled number most recently.
`python -m benchmarks.attribution --help` for a part of it, and for the traces alone.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from benchmarks import report
from benchmarks.report import Line, Result
from benchmarks.traffic import HOUR, PRESETS, Caller, Habits, Traffic, generate
from pbxtrack.errors import PbxtrackError
from pbxtrack.pool import sizing

NAME = "attribution"
SEED = 1
_HOLD, _GUARANTEED = timedelta(minutes=30), timedelta(minutes=3)
_BLOCKING = 0.01
_WARM_UP = 24.0  # hours whose calls are not scored: late calls of the days before are missing there
_CALLS, _QUICK_CALLS = 2_000, 250  # that are scored, or somewhat more
_SURE = 0.9
_BINS = 10
_LIMIT = 1_800.0  # seconds that one replay may take
_REPLAY = (sys.executable, "-m", "pbxtrack", "replay")


@dataclass(frozen=True, slots=True)
class Case:
    """Traffic, and the part of the numbers by Erlang's B formula that it has."""

    name: str
    habits: Habits
    part: float = 1.0

    @property
    def numbers(self) -> int:
        visit = timedelta(seconds=self.habits.visit_mean)
        load = sizing.offered_load(self.habits.visits_per_hour, visit, _HOLD)
        return round(self.part * sizing.numbers_needed(load, _BLOCKING))

    def traffic(self, seed: int, calls: int) -> Traffic:
        """Enough hours of it for so many calls to be scored."""
        hourly = self.habits.visits_per_hour * self.habits.calls / (1 - self.habits.repeats)
        return generate(self.habits, hours=_WARM_UP + calls / hourly, numbers=pool(self.numbers), seed=seed)


_RATES = {f"ordinary, {rate} visits/h": Habits(visits_per_hour=rate) for rate in (20, 100, 500)}
_SIZES = {"twice the numbers": 2.0, "half the numbers": 0.5}
CASES = {
    case.name: case
    for case in (
        *(Case(name, habits) for name, habits in _RATES.items()),
        *(Case(name, habits) for name, habits in PRESETS.items() if name != "ordinary"),
        *(Case(name, Habits(), part) for name, part in _SIZES.items()),
    )
}


@dataclass(frozen=True, slots=True)
class Score:
    """What became of a trace's calls; shares of 1. Calls to the overflow number are in ``calls`` alone."""

    calls: int
    dynamic: float
    accuracy: float
    last_holder: float
    error_ratio: float
    channel: float
    named: float
    among_candidates: float
    sure: float
    sure_right: float
    calibration_error: float
    brier: float


@dataclass(frozen=True, slots=True)
class _Answer:
    """Of one call: the confidence in the visit that was named, None where none was; whether it was right."""

    confidence: float | None
    right: bool
    channel_right: bool
    among: bool


def pool(numbers: int) -> list[str]:
    """The numbers of a replay's pool."""
    return [f"+7{index:010d}" for index in range(1, numbers + 1)]


def score(traffic: Traffic, out: Sequence[Mapping[str, Any]], numbers: int) -> Score:
    """Compare a replay's answers with the truth. ``numbers``: how many the pool has."""
    scored = {
        line["call"] for line in traffic.lines if line["type"] == "call" and line["t"] >= _WARM_UP * HOUR
    }  # fmt: skip
    answered = {line["call"]: line for line in out}
    if missing := scored - answered.keys():
        raise PbxtrackError(f"the replay said nothing of {len(missing)} calls, such as {min(missing)}")
    answers = [
        _answer(answered[call], traffic.truth[call], traffic.visitors)
        for call in sorted(scored)
        if answered[call]["number"] and answered[call]["method"] != "overflow"
    ]
    held = last_holders(traffic, numbers)
    by_holder = [
        _right(held[call], traffic.truth[call], traffic.visitors) for call in scored if held[call] is not None
    ]  # fmt: skip
    if not answers or not by_holder:
        raise PbxtrackError("the trace has no calls to numbers of the pool")
    accuracy, last_holder = fmean(one.right for one in answers), fmean(by_holder)
    named = [(one.confidence, one.right) for one in answers if one.confidence is not None]
    sure = [right for confidence, right in named if confidence >= _SURE]
    return Score(
        calls=len(scored),
        dynamic=len(answers) / len(scored),
        accuracy=accuracy,
        last_holder=last_holder,
        error_ratio=(1 - accuracy) / max(1 - last_holder, 1e-9),
        channel=fmean(one.channel_right for one in answers),
        named=len(named) / len(answers),
        among_candidates=fmean(one.among for one in answers),
        sure=len(sure) / len(answers),
        sure_right=fmean(sure) if sure else 0.0,
        calibration_error=calibration_error(named),
        brier=fmean((confidence - right) ** 2 for confidence, right in named) if named else 0.0,
    )


def calibration_error(named: Sequence[tuple[float, bool]]) -> float:
    """How far confidence is from what came true, on average over calls, in ten bins of equal width."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in named:
        bins.setdefault(min(int(confidence * _BINS), _BINS - 1), []).append((confidence, right))
    apart = [len(of) * abs(fmean(one for one, _ in of) - fmean(right for _, right in of)) for of in bins.values()]
    return sum(apart) / len(named) if named else 0.0


def last_holders(traffic: Traffic, numbers: int) -> dict[str, str | None]:
    """For each call, the visit that was shown the dialled number most recently; None where that was the overflow.

    A replay does not tell which number each visit was shown. So numbers are handed out here once more, by the rules:
    the visitor's own if nobody had it since, else the one whose holder has been gone for longest, unless that is no
    longer than is guaranteed. A number whose hold has passed has always been left for longer than one whose has not.
    """
    holder: OrderedDict[str, str] = OrderedDict.fromkeys(pool(numbers), "")  # by sign of life, the oldest first
    seen = dict.fromkeys(holder, -_HOLD.total_seconds())
    shown: dict[str, str | None] = {}  # to each visit
    lately: dict[str, str | None] = {}  # to each visitor
    found: dict[str, str | None] = {}

    def sign(number: str, at: float) -> None:
        seen[number] = at
        holder.move_to_end(number)

    for line in traffic.lines:
        at, visit = line["t"], line.get("visit", "")
        if line["type"] == "visit":
            own = lately.get(line["visitor"])
            mine = own is not None and traffic.visitors.get(holder[own]) == line["visitor"]
            number = own if mine else next(iter(holder))
            assert number is not None
            if not mine and at - seen[number] < _GUARANTEED.total_seconds():
                number = None
            else:
                holder[number] = visit
                sign(number, at)
            shown[visit] = lately[line["visitor"]] = number
        elif line["type"] == "renew":
            number = shown[visit]
            if number and holder[number] == visit and at - seen[number] < _HOLD.total_seconds():
                sign(number, at)
        else:
            dialled = line["dials"].get("number") or shown[line["dials"]["visit"]]
            found[line["call"]] = holder[dialled] if dialled else None
            if dialled and at - seen[dialled] < _HOLD.total_seconds():
                sign(dialled, at)  # a call is a sign of life of who holds the number
    return found


def _answer(line: Mapping[str, Any], caller: Caller | None, visitors: Mapping[str, str]) -> _Answer:
    likely = [line["visit"], *(candidate["visit"] for candidate in line["candidates"])]
    return _Answer(
        line["confidence"] if line["visit"] else None,
        _right(line["visit"], caller, visitors),
        line["channel"] == (caller.channel if caller else None),
        any(_right(visit, caller, visitors) for visit in likely),
    )


def _right(visit: str | None, caller: Caller | None, visitors: Mapping[str, str]) -> bool:
    """Whether the visit is the caller's: any of the same visitor. A stranger's is none."""
    return visitors.get(visit or "") == (caller.visitor if caller else None)


async def run(*, quick: bool) -> Result:
    """Every case, one after the other; shortly, the ordinary ones."""
    return await asyncio.to_thread(_run, list(_RATES if quick else CASES), SEED, quick=quick, command=_REPLAY)


def _run(names: Sequence[str], seed: int, *, quick: bool, command: Sequence[str]) -> Result:
    scores: dict[str, Score] = {}
    found: dict[str, Any] = {}
    lines, seconds = 0, 0.0
    for name in names:
        case = CASES[name]
        traffic = case.traffic(seed, _QUICK_CALLS if quick else _CALLS)
        out, took = _replay(command, case, traffic)
        scores[name] = score(traffic, out, case.numbers)
        rounded = {key: round(value, 4) for key, value in asdict(scores[name]).items()}
        rate = round(len(traffic.lines) / took)
        found[name] = {"numbers": case.numbers, "lines": len(traffic.lines), "lines_per_second": rate, **rounded}
        lines, seconds = lines + len(traffic.lines), seconds + took
    table = [*_ordinary(scores, quick=quick), *_others(scores, quick=quick)]
    table.append(Line("replayed, the command's start included", f"{lines / seconds:,.0f} lines/s"))
    return Result(NAME, table, {"seed": seed, "cases": found})


_TARGETS = (
    ("right visitor", "accuracy", ">=", 0.88),
    ("error to the last holder's", "error_ratio", "<=", 0.43),
    ("right channel", "channel", ">=", 0.94),
    ("90 % sure or more", "sure", ">=", 0.80),
    ("of these right", "sure_right", ">=", 0.96),
    ("expected calibration error", "calibration_error", "<=", 0.03),
    ("Brier score", "brier", "<=", 0.07),
)
_OF_SIZES = {"twice the numbers": 0.91, "half the numbers": 0.82}


def _ordinary(scores: Mapping[str, Score], *, quick: bool) -> list[Line]:
    """A line a measure, with the values at each rate; the target is for each of them."""
    some = {name: scores[name] for name in _RATES if name in scores}
    if not some:
        return []
    rates = " / ".join(f"{_RATES[name].visits_per_hour:g}" for name in some)
    held = " / ".join(f"{one.last_holder:.3f}" for one in some.values())
    lines = [Line(f"{rates} visits/h: last holder right", held)]
    for what, measure, relation, limit in _TARGETS:
        values = [getattr(one, measure) for one in some.values()]
        met = all(value >= limit if relation == ">=" else value <= limit for value in values)
        target = "" if quick else f"{'≥' if relation == '>=' else '≤'} {limit:g}"
        lines.append(Line(what, " / ".join(f"{value:.3f}" for value in values), target, None if quick else met))
    return lines


def _others(scores: Mapping[str, Score], *, quick: bool) -> list[Line]:
    lines = []
    for name, one in scores.items():
        if name in _RATES:
            continue
        told = (
            f"{one.accuracy:.3f} (last holder {one.last_holder:.3f}), channel {one.channel:.3f}, "
            f"sure {one.sure:.2f} of which {one.sure_right:.3f}, ECE {one.calibration_error:.3f}, Brier {one.brier:.3f}"
        )
        limit = None if quick else _OF_SIZES.get(name)
        target, met = (f"≥ {limit:g}", one.accuracy >= limit) if limit is not None else ("", None)
        lines.append(Line(f"{name}: right visitor", told, target, met))
    return lines


def _replay(command: Sequence[str], case: Case, traffic: Traffic) -> tuple[list[dict[str, Any]], float]:
    """What a replay says of each call, and the seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="pbxtrack-bench-") as made:
        trace, _ = traffic.write(Path(made), "trace")
        out = Path(made) / "out.jsonl"
        start = time.perf_counter()
        done = subprocess.run(
            [*command, str(trace), *_options(case), "--out", str(out)],
            capture_output=True, text=True, timeout=_LIMIT, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        if done.returncode:
            raise PbxtrackError(f"the replay of {case.name!r} failed: {done.stderr.strip()}")
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()], seconds


def _options(case: Case) -> list[str]:
    minutes = (round(span / timedelta(minutes=1)) for span in (_HOLD, _GUARANTEED))
    hold, guaranteed = (f"{count}m" for count in minutes)
    return ["--numbers", str(case.numbers), "--hold", hold, "--hold-guaranteed", guaranteed]


@click.command()
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), help="Only this one; may be repeated.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="The same seed makes the same traffic.")
@click.option("--quick", is_flag=True, help="Short traces: to see that it works.")
@click.option("--trace-only", type=click.Path(path_type=Path, file_okay=False), help="Write traces and truths there.")
@click.option("--replay", default=shlex.join(_REPLAY), help="Another program that takes what `pbxtrack replay` does.")
def main(names: Sequence[str], seed: int, quick: bool, trace_only: Path | None, replay: str) -> None:
    """Measure a part, print the table and the JSON; keep nothing in results/."""
    names = names or list(CASES)
    if trace_only is None:
        try:
            result = _run(names, seed, quick=quick, command=shlex.split(replay))
        except PbxtrackError as error:
            click.echo(f"{NAME}: {error}", err=True)
            sys.exit(1)
        click.echo(json.dumps(result.data, indent=1))
        report.show([result])
        return
    for name in names:
        traffic = CASES[name].traffic(seed, _QUICK_CALLS if quick else _CALLS)
        trace, truth = traffic.write(trace_only, name.replace(",", "").replace(" ", "-").replace("/", "-"))
        click.echo(f"{trace} {' '.join(_options(CASES[name]))}  # {len(traffic.truth)} calls; truth: {truth.name}")


if __name__ == "__main__":
    main()
