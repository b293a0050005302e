"""``pbxtrack pool``: how many numbers a pool needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from pbxtrack.cli.options import Duration, OutFile, json_option, print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import count
from pbxtrack.pool import sizing
from pbxtrack.pool.policy import MAX_HOLD, MIN_HOLD

_MAX_PRICE = 1e12  # of a number, in any currency
_AROUND = 20  # sizes in the table differ by one number in so many of the answer


@dataclass(frozen=True, slots=True)
class Size:
    """A size of a pool: the part of visitors who would find no number; what the numbers cost a month."""

    numbers: int
    blocking: float
    cost: float | None


@click.group()
def pool() -> None:
    """How many numbers a pool needs."""


@pool.command()
@click.option("--site", help="Reckon from this site's own traffic (its key): replay it at other sizes and holds.")
@click.option("--days", type=click.IntRange(1, 90), help="Of the last so many days; 7 unless given.  [--site]")
@click.option("--svg", type=OutFile(), help="Draw the curve into a file.  [--site]")
@click.option("--visits-per-hour", "visits", type=float, help="New visits in an hour, a busy one.")
@click.option("--visit", type=Duration(), help="How long a visit lasts on average: 3m.")
@click.option("--hold", type=Duration(), help="For how long numbers are held after it: 30m.")
@click.option(
    "--blocking", type=float, default=0.01, show_default=True, help="The part of visitors who may find no number."
)
@click.option("--price", type=float, help="What a number costs a month.")
@json_option
def size(
    site: str | None,
    days: int | None,
    svg: Path | None,
    visits: float | None,
    visit: timedelta | None,
    hold: timedelta | None,
    blocking: float,
    price: float | None,
    as_json: bool,
) -> None:
    """How many numbers a pool needs, for visits that come at random: by Erlang's B formula.

    Who comes while every number is held for somebody else is shown the overflow number, and cannot be told from others
    who are. With --site, the site's own visits and calls are replayed besides. See `docs/pool-size.md`.
    """
    if price is not None and not 0 <= price <= _MAX_PRICE:
        raise click.BadParameter(f"must be a price, 0 or more, {_MAX_PRICE:,.0f} at most", param_hint="--price")
    if not 0 < blocking < 1:
        raise click.BadParameter(
            "must be between 0 and 1; write 0.01 for one visitor in a hundred", param_hint="--blocking"
        )
    if site is not None:
        if visits is not None or visit is not None:
            raise click.UsageError("with --site, --visits-per-hour and --visit are counted; leave them out")
        if hold is not None and not MIN_HOLD <= hold <= MAX_HOLD:
            raise click.BadParameter("must be between 1m and 30d", param_hint="--hold")
        sizes_of_site(site, timedelta(days=days or 7), hold, blocking, price, svg, as_json=as_json)
        return
    if days is not None or svg is not None:
        raise click.UsageError("--days and --svg are for --site")
    if visits is None or visit is None or hold is None:
        raise click.UsageError("say --visits-per-hour, --visit and --hold; or --site for a site's own traffic")
    if not (math.isfinite(visits) and visits > 0):
        raise click.BadParameter("must be a number above 0", param_hint="--visits-per-hour")
    try:
        load = sizing.offered_load(visits, visit, hold)
        needed = sizing.numbers_needed(load, blocking)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    sizes = [
        Size(numbers, sizing.blocking(numbers, load), None if price is None else round(numbers * price, 2))
        for numbers in _around(needed)
    ]
    if as_json:
        (answer,) = (one for one in sizes if one.numbers == needed)
        asked = {"visits_per_hour": visits, "visit_seconds": _seconds(visit), "hold_seconds": _seconds(hold)}
        print_json(
            {**asked, "most_blocked": blocking, "load": load, **asdict(answer), "sizes": list(map(asdict, sizes))}
        )
        return
    monthly = "" if price is None else f", {needed * price:,.2f} a month"
    click.echo(f"{count(needed, 'number')}{monthly}: at most {100 * blocking:g} % of visitors find none free")
    click.echo(f"offered load: {load:,.2f} erlangs, which is how many would be held at once on average\n")
    show(sizes, needed)


def sizes_of_site(*arguments: Any, **options: Any) -> None:
    """Reckon from a site's own traffic: what that needs is not loaded for the formula alone."""
    from pbxtrack.cli import pool_of_site

    pool_of_site.show(*arguments, **options)


def show(sizes: Sequence[Size], needed: int) -> None:
    """Print the table of sizes, whatever they were reckoned from; the answer is marked."""
    columns = [Column("", right=True), Column("Numbers", right=True), Column("Find none free", right=True)]
    rows = [["→" if one.numbers == needed else "", f"{one.numbers:,}", _percent(one.blocking)] for one in sizes]
    if sizes[0].cost is not None:
        columns.append(Column("A month", right=True))
        rows = [[*row, f"{one.cost:,.2f}"] for row, one in zip(rows, sizes, strict=True)]
    print_table(columns, rows)


def _around(needed: int) -> list[int]:
    step = max(1, round(needed / _AROUND))
    return [numbers for numbers in range(needed - 2 * step, needed + 2 * step + 1, step) if numbers > 0]


def _percent(part: float) -> str:
    """Two digits that count: 1.6 %, 0.089 %; what is next to nothing is not told apart."""
    percent = 100 * part
    if percent < 0.001:
        return "< 0.001 %"
    return f"{percent:.{max(0, 1 - math.floor(math.log10(percent)))}f} %"


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())
