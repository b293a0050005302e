"""``pbxtrack replay``: what attribution would have said of recorded or invented traffic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson

from pbxtrack.calls.scores import Scored, Scores, score
from pbxtrack.cli.options import Duration, OutFile, json_option, print_json, writing
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import count
from pbxtrack.errors import PbxtrackError
from pbxtrack.pool.policy import MAX_HOLD, MIN_GUARANTEED, MIN_HOLD
from pbxtrack.replay.engine import Engine, Replayed, accuracy, leased, run
from pbxtrack.replay.site import Stage, bare, of_file
from pbxtrack.replay.trace import MAX_LINE, read
from pbxtrack.sitefile.model import DEFAULT_GUARANTEED, DEFAULT_HOLD
from pbxtrack.sitefile.parse import parse
from pbxtrack.toml_lines import read_bytes
from pbxtrack.tuning import tune_for_one_run

_MAX_NUMBERS = 1_000_000


@click.command()
@click.argument("trace", type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True))
@click.option("--numbers", type=click.IntRange(0, _MAX_NUMBERS), help="Numbers in the pool; all of the site file's.")
@click.option("--hold", type=Duration(), help="For how long a number is held after a sign of life: 30m.")
@click.option("--hold-guaranteed", type=Duration(), help="From when it may be taken if the pool runs short: 3m.")
@click.option(
    "--site",
    "site_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A site file of one site: its channels, pools and static numbers.",
)
@click.option("--out", type=OutFile(), help="Write a line of JSON for each call.")
@json_option
def replay(
    trace: Path,
    numbers: int | None,
    hold: timedelta | None,
    hold_guaranteed: timedelta | None,
    site_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run TRACE through leasing and attribution, on its own clock, and tell what would have been.

    TRACE is a file of JSON lines, `-` for the standard input: visits, their signs of life, and calls, ordered by time.
    See `docs/replay.md`. Whom a call came from decides which number rings; attribution never sees it.
    """
    if numbers is None and site_file is None:
        raise click.UsageError("say how many --numbers the pool has, or name a --site file")
    if hold is not None and not MIN_HOLD <= hold <= MAX_HOLD:
        raise click.BadParameter("must be between 1m and 30d", param_hint="--hold")
    if hold_guaranteed is not None and not MIN_GUARANTEED <= hold_guaranteed <= MAX_HOLD:
        raise click.BadParameter("must be between 1s and 30d", param_hint="--hold-guaranteed")
    if out is not None and any(_same_file(out, source) for source in (trace, site_file) if source is not None):
        raise click.BadParameter("is what is read, and would be emptied", param_hint="--out")
    stage = _stage(site_file, numbers, hold, hold_guaranteed)
    engine = Engine(stage.site, stage.pools, stage.static)
    tune_for_one_run()
    replayed: list[Replayed] = []
    with writing(out), out.open("wb") if out else nullcontext() as written:
        for call in run(engine, read(_lines(trace))):
            replayed.append(call)
            if written:
                written.write(orjson.dumps(_line(call), option=orjson.OPT_APPEND_NEWLINE))
    summary = _summary(engine, replayed)
    if as_json:
        print_json(summary)
    else:
        _print(summary)


def _lines(trace: Path) -> Iterator[bytes]:
    """The file's lines; of one that is too long, pieces that are. Raises PbxtrackError where it cannot be read."""
    try:
        with click.open_file(str(trace), "rb") as file:
            yield from iter(partial(file.readline, MAX_LINE + 1), b"")
    except OSError as error:
        raise PbxtrackError(f"{trace} cannot be read: {error.strerror or error}") from None


def _same_file(out: Path, source: Path) -> bool:
    if not os.path.isfile(out):  # a device, which nothing empties
        return False
    return os.path.samestat(out.stat(), os.fstat(0) if str(source) == "-" else source.stat())


def _stage(path: Path | None, numbers: int | None, hold: timedelta | None, guaranteed: timedelta | None) -> Stage:
    if path is None:
        assert numbers is not None
        return bare(numbers, hold or DEFAULT_HOLD, guaranteed or DEFAULT_GUARANTEED)
    sites = parse(read_bytes(path), str(path), "RU")
    if len(sites) != 1:
        raise PbxtrackError(f"{path} has {count(len(sites), 'site')}; a trace happens to one")
    return of_file(sites[0], numbers, hold, guaranteed)


def _line(call: Replayed) -> dict[str, Any]:
    attribution = call.attribution
    return {
        "call": call.call,
        "number": call.number or None,
        "visit": call.visit,
        "channel": attribution.channel,
        "confidence": attribution.confidence,
        "method": attribution.method.value,
        "candidates": [{"visit": visit, "confidence": confidence} for visit, confidence in call.candidates],
    }


def _scored(calls: list[Replayed]) -> Iterator[Scored]:
    for call in calls:
        yield Scored(
            call.visit is not None,
            call.attribution.confidence,
            call.visitor is not None and call.visitor == call.truth,
        )


def _summary(engine: Engine, replayed: list[Replayed]) -> dict[str, Any]:
    dynamic = list(leased(replayed))
    known: Scores = score(list(_scored(dynamic)))
    return {
        "calls": len(replayed),
        "dynamic_calls": len(dynamic),
        "coverage": known.coverage,
        "precision": known.precision,
        "accuracy": accuracy(dynamic) or 0.0,
        "brier": known.brier,
        "calibration_error": known.calibration_error,
        "visits": engine.visits,
        "blocking": engine.blocking,
        "numbers_at_peak": engine.peak,
        "bands": [band and asdict(band) for band in known.bands],
    }


def _print(summary: dict[str, Any]) -> None:
    rows = [
        ("calls", f"{summary['calls']:,}, of which to leased numbers {summary['dynamic_calls']:,}"),
        ("coverage", f"{summary['coverage']:.1%} were attributed to a visit"),
        ("precision", f"{summary['precision']:.1%} of those to the right visitor"),
        ("accuracy", f"{summary['accuracy']:.1%} of the visitors' calls were attributed to them"),
        ("Brier score", f"{summary['brier']:.4f}"),
        ("expected calibration error", f"{summary['calibration_error']:.4f}"),
        ("blocking", f"{summary['blocking']:.2%} of {summary['visits']:,} visits were shown the overflow number"),
        ("numbers used at the peak", f"{summary['numbers_at_peak']:,}"),
    ]
    print_table([Column(""), Column("")], [list(row) for row in rows])
    bands = [
        [f"{index * 10}-{index * 10 + 10} %", f"{band['calls']:,}", f"{band['confidence']:.1%}", f"{band['right']:.1%}"]
        for index, band in enumerate(summary["bands"])
        if band
    ]
    if bands:
        click.echo()
        columns = [Column("Said to be sure"), *(Column(name, right=True) for name in ("Calls", "Said", "Right"))]
        print_table(columns, bands)
