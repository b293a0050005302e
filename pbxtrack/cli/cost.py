"""``pbxtrack cost``: what advertising cost, imported and listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from pbxtrack.cli.common import no_site, now, open_database
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import count, visible
from pbxtrack.errors import PbxtrackError
from pbxtrack.money.amounts import shown, told
from pbxtrack.money.cost_file import MAX_BYTES, CostFile, read_costs, read_day
from pbxtrack.money.costs import DETAILS, Cost
from pbxtrack.spreadsheet import csv_line
from pbxtrack.storage.costs import MAX_PAGE, CostFilter, Replaced, costs_page, plan_costs, write_costs
from pbxtrack.storage.sites import live_sites

_WHO = "command line"
_WRONG_SHOWN = 20
_LISTED = ("id", "site", "first", "last", "channel", *DETAILS, "amount", "currency")


class Day(click.ParamType[date]):
    """A day, as a file of costs has it."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return read_day(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def cost() -> None:
    """What advertising cost, by days and channels."""


@cost.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE.csv")
@click.option("--site", required=True, metavar="KEY", help="The site whose advertising it is.")
@click.option("--channel", help="The channel of lines that name none.")
@click.option("--replace", type=(Day(), Day()), metavar="FIRST LAST", help="Remove what else is there of these days.")
@click.option("--dry-run", is_flag=True, help="Tell what the file says and what would change, and change nothing.")
@json_option
def import_(
    file: Path, site: str, channel: str | None, replace: tuple[date, date] | None, dry_run: bool, as_json: bool
) -> None:
    """Import costs from a CSV file, all of it or, where a line is wrong, nothing.

    Its columns are found by their headings, in English or Russian: the date (or first and last day), channel, source,
    medium, campaign, term, cost. A line of the same days, channel and the rest as a cost that is there replaces it: the
    same file may be imported again. With --replace and --channel, only that channel's costs are removed.
    """
    with file.open("rb") as opened:
        found = read_costs(opened.read(MAX_BYTES + 1), channel)
    if found.wrong:
        if as_json:
            print_json({"wrong": [{"line": one.line, "what": one.what} for one in found.wrong]})
        for one in found.wrong[:_WRONG_SHOWN] if not as_json else ():
            click.echo(f"line {one.line}: {visible(one.what)}")
        raise PbxtrackError(f"{file.name}: {count(len(found.wrong), 'line')} cannot be read; nothing was imported")
    wanted = [cost for _, cost in found.costs]
    replaced = Replaced(*replace, channel) if replace else None
    with open_database(statement_timeout=120) as database, database.transaction() as connection:
        there = {row.key: row for row in live_sites(connection)}
        if site not in there:
            raise no_site(site, there)
        site_id, currency = there[site].id, there[site].currency
        if dry_run:
            plan = plan_costs(connection, site_id, wanted, replaced)
        else:
            plan, _ = write_costs(connection, site_id, wanted, _WHO, now(), replaced)
    if as_json:
        print_json({**plan.counts(), "amount": told(sum(one.amount for one in wanted)), "currency": currency})
        return
    _print_preview(found, wanted, currency)
    counts = ", ".join(f"{number:,} {name}" for name, number in plan.counts().items())
    click.echo(f"\n{count(len(wanted), 'cost')}: {counts}" + (" (nothing was written)" if dry_run else ""))


def _print_preview(found: CostFile, wanted: Sequence[Cost], currency: str) -> None:
    """What the file says, by channels."""
    by_channel: defaultdict[str, list[Cost]] = defaultdict(list)
    for one in wanted:
        by_channel[one.channel].append(one)
    columns = [Column("Channel", least=12), Column("Costs", right=True), Column("From"), Column("To")]
    rows = [
        [
            channel,
            f"{len(costs):,}",
            min(one.first for one in costs).isoformat(),
            max(one.last for one in costs).isoformat(),
            shown(sum(one.amount for one in costs)),
        ]
        for channel, costs in sorted(by_channel.items())
    ]
    print_table([*columns, Column(f"Amount, {currency}", right=True)], rows)
    if found.totals:
        click.echo(f"{count(found.totals, 'line')} of sums left out")
    if found.passed_over:
        click.echo(f"columns left out: {visible(', '.join(found.passed_over))}")


@cost.command(name="list")
@click.option("--since", type=Day(), help="Of days from this one on.")
@click.option("--until", type=Day(), help="Of days before this one.")
@click.option("--site", "sites", multiple=True, help="Of this site (its key).")
@click.option("--channel", "channels", multiple=True, help="Of this channel.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, which `pbxtrack cost import` takes.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="So many.")
@json_option
def list_(
    since: date | None,
    until: date | None,
    sites: tuple[str, ...],
    channels: tuple[str, ...],
    as_csv: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Costs, those that begin latest first."""
    if as_csv and as_json:
        raise click.UsageError("choose one of --csv and --json")
    which = CostFilter(since, until, sites, channels)
    items: list[dict[str, Any]] = []
    with open_database() as database, database.reading() as connection:
        there = [row.key for row in live_sites(connection)]
        if unknown := next((site for site in sites if site not in there), None):
            raise no_site(unknown, there)
        following = None
        while len(items) < limit:
            more, following = costs_page(connection, which, following, min(limit - len(items), MAX_PAGE))
            items += more
            if following is None:
                break
    if as_json:
        print_json(items)
    elif as_csv:
        lines = [_LISTED, *([item[name] for name in _LISTED] for item in items)]
        click.echo("".join(map(csv_line, lines)), nl=False)
    elif not items:
        click.echo("there are no costs; import some with `pbxtrack cost import`")
    else:
        _print_costs(items)


def _print_costs(items: Sequence[Mapping[str, Any]]) -> None:
    columns = [Column("Id", right=True, drop=5), Column("Site", drop=4), Column("First"), Column("Last")]
    columns += [Column("Channel", least=12)]
    columns += [Column(name.capitalize(), least=8, drop=at) for at, name in zip((1, 0, 3, 2), DETAILS, strict=True)]
    rows = [
        [
            *(str(item[name]) for name in ("id", "site", "first", "last", "channel")),
            *(item[name] or "" for name in DETAILS),
            f"{item['amount']:,.2f} {item['currency']}",
        ]
        for item in items
    ]
    print_table([*columns, Column("Amount", right=True)], rows)
