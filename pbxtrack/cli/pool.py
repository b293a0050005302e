"""``pbxtrack pool``: how many numbers a pool needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

import click

from pbxtrack.cli.options import Duration, json_option, print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import count
from pbxtrack.pool import sizing

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
@click.option("--visits-per-hour", "visits", type=float, required=True, help="New visits in an hour, a busy one.")
@click.option("--visit", type=Duration(), required=True, help="How long a visit lasts on average: 3m.")
@click.option("--hold", type=Duration(), required=True, help="For how long numbers are held after it: 30m.")
@click.option(
    "--blocking", type=float, default=0.01, show_default=True, help="The part of visitors who may find no number."
)
@click.option("--price", type=float, help="What a number costs a month.")
@json_option
def size(visits: float, visit: timedelta, hold: timedelta, blocking: float, price: float | None, as_json: bool) -> None:
    """How many numbers a pool needs, for visits that come at random: by Erlang's B formula.

    Who comes while every number is held for somebody else is shown the overflow number, and cannot be told from others
    who are. See `docs/pool-size.md`.
    """
    if not (math.isfinite(visits) and visits > 0):
        raise click.BadParameter("must be a number above 0", param_hint="--visits-per-hour")
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise click.BadParameter("must be a price, 0 or more", param_hint="--price")
    if not 0 < blocking < 1:
        raise click.BadParameter(
            "must be between 0 and 1; write 0.01 for one visitor in a hundred", param_hint="--blocking"
        )
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
