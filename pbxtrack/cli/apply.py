"""``pbxtrack apply``: sites, pools, channels and numbers become what a file says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from pbxtrack.cli.common import now, open_database
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.cli.text import count, visible
from pbxtrack.config import load
from pbxtrack.errors import PbxtrackError
from pbxtrack.sitefile.diff import Change
from pbxtrack.sitefile.model import Site
from pbxtrack.sitefile.parse import parse
from pbxtrack.storage import sites
from pbxtrack.toml_lines import read_bytes

_SHOWN = 5


class Refused(PbxtrackError):
    """Applying the file would take numbers from visitors, or remove everything."""


@click.command()
@click.argument("file", metavar="FILE.toml")
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@click.option("--force", is_flag=True, help="Take numbers away even from visitors who are shown them now.")
@json_option
def apply(file: str, dry_run: bool, force: bool, as_json: bool) -> None:
    """Make sites, pools, channels and numbers be as FILE.toml says; - reads standard input.

    The file is the whole truth: what is not in it is removed. Calls of the past keep what they refer to. Applying the
    same file again changes nothing; where anything is wrong, nothing is applied.
    """
    settings = load()
    wanted = _read(file, settings.numbers.default_region)
    with open_database(settings) as database, database.transaction() as connection:
        sites.lock(connection)
        moment = now()
        plan = sites.plan(connection, wanted, moment)
        refusal = None if force else _refusal(plan, file)
        applied = bool(plan.changes) and not dry_run and not refusal
        if applied:
            sites.apply(connection, wanted, plan.held, moment)
    if as_json:
        print_json({"applied": applied, "changes": [asdict(change) for change in plan.changes], "held": plan.held})
    else:
        _print(plan.changes, dry_run or refusal is not None)
    if refusal:
        raise Refused(refusal)


def _read(file: str, region: str) -> list[Site]:
    if file == "-":
        return parse(sys.stdin.buffer.read(), "standard input", region)
    return parse(read_bytes(Path(file)), file, region)


def _refusal(plan: sites.Plan, file: str) -> str | None:
    if plan.removes_all:
        return f"{file} has no [[site]]: that would remove every site; --force if it is meant"
    if plan.held:
        shown = ", ".join(plan.held[:_SHOWN]) + (", …" if len(plan.held) > _SHOWN else "")
        return (
            f"visitors are shown {_count(plan.held)} that would go or move now: {shown}; "
            "nothing was applied: wait until their hold ends, or use --force"
        )
    return None


def _count(held: Sequence[str]) -> str:
    emails = sum("@" in one for one in held)
    counted = ((len(held) - emails, "number"), (emails, "e-mail address"))
    return " and ".join(count(some, noun) for some, noun in counted if some)


def _print(changes: Sequence[Change], only_planned: bool) -> None:
    with_site = len({change.site for change in changes}) > 1
    for change in changes:
        click.echo(visible(change.render(with_site=with_site)))
    if not changes:
        click.echo("nothing to change")
    elif only_planned:
        click.echo(f"{count(len(changes), 'change')}, not applied")
    else:
        click.echo(f"{count(len(changes), 'change')} applied")
