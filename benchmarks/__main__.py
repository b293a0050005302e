"""`python -m benchmarks`: run them, keep what they found in results/, print the table."""

from __future__ import annotations

import os
import sys

import click
import uvloop

from benchmarks import (
    ami_day,
    attribution,
    call_rate,
    desk,
    faults,
    leases,
    ledger,
    memory,
    post_dial,
    rebuild,
    report,
    reports,
    resolve,
    snippet,
)
from pbxtrack.errors import PbxtrackError

BENCHMARKS = {
    module.NAME: module
    for module in (
        post_dial,
        call_rate,
        faults,
        resolve,
        leases,
        ledger,
        rebuild,
        reports,
        desk,
        memory,
        ami_day,
        snippet,
        attribution,
    )
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--quick", is_flag=True, help="Short runs: to see that they work, not to quote.")
@click.option(
    "--calls", "count", type=click.IntRange(min=1_000), help="How many calls `reports` and `desk` are measured with."
)
def main(names: tuple[str, ...], quick: bool, count: int | None) -> None:
    """Run the benchmarks named, or all of them."""
    results = []
    for name in names or BENCHMARKS:
        click.echo(f"{name}…", err=True)
        load = os.getloadavg()[0]
        try:
            more = {"count": count} if count and name in (reports.NAME, desk.NAME) else {}
            result = uvloop.run(BENCHMARKS[name].run(quick=quick, **more))
        except PbxtrackError as error:
            click.echo(f"{name}: {error}", err=True)
            sys.exit(1)
        report.write(result, quick=quick, load_before=load)
        results.append(result)
    report.show(results)


main()
