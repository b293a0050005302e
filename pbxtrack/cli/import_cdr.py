"""``pbxtrack import-cdr``: calls that were missed, from Asterisk's own files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import Progress

from pbxtrack.calls.reconcile import reconcile
from pbxtrack.cli.common import fold, now, open_database
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.config import load
from pbxtrack.ledger.apart import read_parts
from pbxtrack.ledger.files import Part
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.kept import KeptCalls
from pbxtrack.storage.known import KnownSites
from pbxtrack.tuning import tune_for_batches

_BATCH = 500  # calls of a transaction: others write between


class Zone(click.ParamType[tzinfo]):
    """A time zone by its name; this machine's where none is given."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"there is no time zone {value!r}; write it as Europe/Moscow", param, ctx)


@click.command("import-cdr")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--node", help="Which Asterisk wrote them: its `node` in the settings. The first one unless given.")
@click.option("--time-zone", "zone", type=Zone(), help="Of times without one: Asterisk's. This machine's unless given.")
@json_option
def import_cdr(files: Sequence[Path], node: str | None, zone: tzinfo | None, as_json: bool) -> None:
    """Add calls that were missed, from Asterisk's CEL or CDR FILES; never one twice.

    Each call that went through pbxtrack's dialplan is compared with the call log: one that is missing is added, with
    the attribution that it would have had then; one that was not heard to its end is completed. The files may be packed
    by gzip. CEL files are exact; CDR files know less: see `docs/ledger.md`.
    """
    settings = load()
    nodes = [ami.node for ami in settings.ami]
    if node is not None and node not in nodes:
        known = ", ".join(nodes)
        raise click.BadParameter(f"the settings name no such node; there is {known}", param_hint="--node")
    found: list[dict[str, Any]] = []
    tune_for_batches()
    with open_database(settings, batches=True) as database:
        for path in files:
            parts = read_parts(path, node or nodes[0], zone, now(), _BATCH)
            found.append(_import(database, parts, path, settings.numbers.default_region, quiet=as_json))
        fold(database, quiet=as_json)
    if as_json:
        print_json(found)
        return
    for one in found:
        strange = f"; {one['going_on']} not over by its end" if one["going_on"] else ""
        strange += f"; {one['malformed_lines']} lines were not understood" if one["malformed_lines"] else ""
        click.echo(
            f"{one['file']}: {one['added']} calls added, {one['mended']} completed, {one['known']} known{strange}"
        )


def _import(database: Database, parts: Iterable[Part], path: Path, region: str, *, quiet: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"file": str(path), "kind": "", "added": 0, "mended": 0, "known": 0}
    sites, kept = KnownSites(), KeptCalls()
    look_again = _BATCH  # calls added
    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(path.name, total=None)
        for part in parts:
            with database.transaction() as connection:
                store = SqlCalls(connection.execution_options(pbxtrack_alone=True), sites, kept)
                result = reconcile(store, part.calls, now(), region, exact=part.exact)
            found["kind"] = "cel" if part.exact else "cdr"
            found["added"] += len(result.added)
            found["mended"] += len(result.mended)
            if found["added"] >= look_again:
                database.look_again()
                look_again = 2 * found["added"]
            found["known"] += result.agreed
            found["going_on"], found["malformed_lines"] = part.going_on, part.malformed
            progress.advance(task, len(part.calls))
    return found
