"""``pbxtrack demo-data``: a believable year of two invented companies, in a database of its own."""

from __future__ import annotations

import time
from datetime import datetime

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from pbxtrack.cli.common import now, open_database
from pbxtrack.cli.options import Moment, json_option, print_json
from pbxtrack.cli.text import count
from pbxtrack.config import load
from pbxtrack.demo.data.fill import Wanted, fill
from pbxtrack.tuning import tune_for_one_run

_PATIENCE = 2.0  # s; what takes longer shows how far it is
_MOST = 50_000_000


@click.command("demo-data")
@click.option("--calls", type=click.IntRange(100, _MOST), default=20_000, show_default=True, help="How many calls.")
@click.option("--visits", type=click.FloatRange(1, 50), help="Visits for each call. [default: 3; 1 with --no-facts]")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another year.")
@click.option("--until", type=Moment(), help="When the year ends: now unless given. With the seed it makes the rows.")
@click.option("--no-facts", is_flag=True, help="Leave out what was heard of calls, and seen in visits: for benchmarks.")
@click.option("--hostile", is_flag=True, help="A few names and campaigns that try to be more than text.")
@json_option
def demo_data(
    calls: int, visits: float | None, seed: int, until: datetime | None, no_facts: bool, hostile: bool, as_json: bool
) -> None:
    """Fill an empty database with a year of calls of two invented companies.

    For trying, for pictures, for benchmarks. The database that the settings name must be empty, or hold nothing but
    such data, which is made anew. The same --calls, --visits, --seed and --until give the same rows.
    """
    settings = load()
    tune_for_one_run()
    wanted = Wanted(calls, seed, until or now(), visits or (1.0 if no_facts else 3.0), not no_facts, hostile)
    with open_database(settings, batches=True, statement_timeout=86_400) as database, _Shown(quiet=as_json) as shown:
        filled = fill(database, wanted, shown)
    if as_json:
        print_json({"calls": filled.calls, "visits": filled.visits, "until": wanted.until})
        return
    click.echo(f"{count(filled.calls, 'call')} and {count(filled.visits, 'visit')} of a year made")


class _Shown:
    """Shows on a terminal how far it is, once it takes long."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(transient=True, console=console, disable=quiet or not console.is_terminal)
        self._begin = time.monotonic()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self._begin < _PATIENCE:
            return
        self._progress.start()
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what)
        self._progress.update(self._tasks[what], completed=done, total=total)
