"""``pbxtrack rebuild``: calls and attributions made of the facts once more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from pbxtrack.cli.common import fold, open_database
from pbxtrack.cli.options import Moment, json_option, print_json
from pbxtrack.config import load
from pbxtrack.storage.database import Database
from pbxtrack.storage.rebuild import Rebuilt, count
from pbxtrack.storage.rebuild import rebuild as rebuild_calls
from pbxtrack.tuning import tune_for_batches


@click.command()
@click.option("--since", type=Moment(), help="Calls from this time on: 2026-11-22, 2w (ago). All unless given.")
@json_option
def rebuild(since: datetime | None, as_json: bool) -> None:
    """Work out calls and attributions anew from what was recorded.

    After a change of the rules, or of `target_talk` and `unique_days` in the site file. Notes, tags and corrections
    stay. The service may run meanwhile; a second time changes nothing.
    """
    settings = load()
    tune_for_batches()
    with open_database(settings) as database:
        done = _run(database, since, settings.numbers.default_region, quiet=as_json)
    if as_json:
        print_json(_counts(done))
        return
    click.echo(
        f"{done.looked_at:,} calls looked at: {len(done.changed):,} changed, {done.attributions:,} attributions changed"
        + (f", {done.restored:,} restored" if done.restored else "")
    )
    if done.strange:
        click.echo(f"{done.strange:,} calls hold facts that this version does not know, and were left as they are")


def _counts(done: Rebuilt) -> dict[str, Any]:
    return {
        "looked_at": done.looked_at,
        "changed": len(done.changed),
        "attributions_changed": done.attributions,
        "restored": done.restored,
        "not_understood": done.strange,
    }


def _run(database: Database, since: datetime | None, region: str, *, quiet: bool) -> Rebuilt:
    console = Console(stderr=True)
    done = Rebuilt()
    with Progress(transient=True, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("calls", total=count(database, since))
        for done in rebuild_calls(database, since, region):
            progress.update(task, completed=done.looked_at)
    fold(database, quiet=quiet)
    return done
