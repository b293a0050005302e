"""Reports' figures on a terminal, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from pbxtrack.cli.options import print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.reports.figures import FIGURES
from pbxtrack.reports.money import MONEY_FIGURES
from pbxtrack.spreadsheet import csv_line

_MONEY_HEADS = (("Cost", None), ("Per contact", 3), ("Per call", 2), ("Per target", 4), ("Deals", 5), ("Won", None),
                ("Revenue", None), ("Per deal", 0), ("Per won", 1), ("Conversion", 6), ("ROI", None))  # fmt: skip
"""With how soon a column goes where the terminal is too narrow."""


def print_data(items: Sequence[Mapping[str, Any]], names: Sequence[str], *, as_csv: bool, as_json: bool) -> bool:
    """Print the report for programs, if that is wanted; CSV of what has these names."""
    if as_csv and as_json:
        raise click.UsageError("choose one of --csv and --json")
    if as_json:
        print_json(items)
    elif as_csv:
        click.echo("".join(map(csv_line, (names, *([item[name] for name in names] for item in items)))), nl=False)
    return as_csv or as_json


def print_figures(
    items: Sequence[Mapping[str, Any]], dimensions: Sequence[str], *, as_csv: bool, as_json: bool
) -> None:
    """Print a report's rows; columns of money only where there is some."""
    with_money = any(item.get(name) is not None for item in items for name in ("cost", "deals"))
    if with_money and any(item.get("channel") is not None for item in items) and "channel" not in dimensions:
        dimensions = ("channel", *dimensions)
    names = ("site", *dimensions, *FIGURES, *(("currency", *MONEY_FIGURES) if with_money else ()))
    if print_data(items, names, as_csv=as_csv, as_json=as_json):
        return
    heads = [Column("Site"), *(Column(name.capitalize(), least=12) for name in dimensions)]
    heads += [Column(name, right=True) for name in ("Calls", "Answered", "Unique", "Target", "Missed", "Unsettled")]
    heads += [Column(name, right=True) for name in ("Talk", "Answer", "Share")]
    rows = [
        [
            item["site"],
            *("" if item[name] is None else str(item[name]) for name in dimensions),
            *(f"{item[name]:,.10g}" for name in FIGURES[:6]),
            str(timedelta(seconds=round(item["talk_seconds"]))),
            "" if item["answer_seconds"] is None else f"{item['answer_seconds']:.1f} s",
            share(item["share"]),
            *(_money(item) if with_money else ()),
        ]
        for item in items
    ]
    if with_money:
        heads += [Column(name, right=True, drop=rank) for name, rank in _MONEY_HEADS]
    print_table(heads, rows)


def _money(item: Mapping[str, Any]) -> list[str]:
    """The figures of money of a row, in the order of :data:`_MONEY_HEADS`."""

    def amount(name: str) -> str:
        return "" if item[name] is None else f"{item[name]:,.2f}"

    def number(name: str) -> str:
        return "" if item[name] is None else f"{item[name]:,.10g}"

    return [
        "" if item["cost"] is None else f"{amount('cost')} {item['currency']}",
        *map(amount, ("cost_per_contact", "cost_per_call", "cost_per_target")),
        *map(number, ("deals", "won")),
        *map(amount, ("revenue", "cost_per_deal", "cost_per_won")),
        *map(share, (item["conversion"], item["roi"])),
    ]


def share(part: float | None) -> str:
    """A part of all, as people read it."""
    return "" if part is None else f"{part:.1%}"
