"""``pbxtrack report``: reports as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click
from sqlalchemy import Connection

from pbxtrack.calls.models import Model
from pbxtrack.cli.common import no_site, now, open_database
from pbxtrack.cli.figures import print_data, print_figures, share
from pbxtrack.cli.options import Moment, json_option, print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import visible
from pbxtrack.config import load
from pbxtrack.reports.questions import (
    CAMPAIGNS,
    CHANNELS,
    KEYWORDS,
    OPERATORS,
    PAGES,
    REGIONS,
    By,
    Question,
)
from pbxtrack.storage.accuracy import accuracy as accuracy_of
from pbxtrack.storage.curves import shown as curves_shown
from pbxtrack.storage.reports import MAX_ROWS, Period, answers, hours_of_week
from pbxtrack.storage.reports import totals as totals_of
from pbxtrack.storage.reports import trend as trend_of
from pbxtrack.storage.sites import time_zones
from pbxtrack.storage.strangers import pool_numbers

_TOLD = (("corrected", "by a correction"), ("tap", "by a tap"), ("caller", "by a later call of the caller"))
_UNFAIR = "They are no fair sample of all calls: those that a tap tells of are the easiest."
_BAR = 20  # characters for all of a share
_MEASURES = ("site", "month", "calls", "attributed", "coverage", "expected_precision", "known", "precision",
             "accuracy", "brier", "calibration_error")  # fmt: skip
_STATES = ("seen", "left", "keen", "again")
_COUNTED = ("calls", "strangers", "strange_callers", "days")

_Command = TypeVar("_Command", bound=Callable[..., None])


def _of_calls(command: _Command) -> _Command:
    """Which calls a report is of."""
    for option in (
        click.option("--site", "sites", multiple=True, help="Of this site (its key)."),
        click.option("--until", type=Moment(), help="Calls before this time."),
        click.option("--since", type=Moment(), help="From this time on: 2026-11-22, 2026-11-22T15:04Z, 30d (ago)."),
    ):
        command = option(command)
    return command


def _as_data(command: _Command) -> _Command:
    return click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")(json_option(command))


@contextmanager
def _opened(sites: Sequence[str]) -> Iterator[Connection]:
    """The database; PbxtrackError where one of the sites is not in it."""
    with open_database(load()) as database, database.reading() as connection:
        there = time_zones(connection)
        if unknown := next((site for site in sites if site not in there), None):
            raise no_site(unknown, there)
        yield connection


@click.group()
def report() -> None:
    """Reports, as a table, as CSV or as JSON."""


_model = click.option(
    "--model",
    type=click.Choice([model.value for model in Model]),
    default=Model.LAST_NON_DIRECT.value,
    show_default=True,
    help="Which of a person's visits in the 90 days before a call it is credited to.",
)
_limit = click.option(
    "--limit", type=click.IntRange(min=1), default=MAX_ROWS, show_default=True, help="Rows of each site at most."
)
_QUESTIONS = {
    CHANNELS: """What each advertising channel brought.

    A call to a channel's own number is the channel's, whatever the model. What nobody can tell is in a line without a
    channel.
    """,
    CAMPAIGNS: "What each campaign brought.",
    KEYWORDS: "What each keyword brought.",
    PAGES: "What each landing page brought.",
    REGIONS: "From which regions people called: those of the visits that calls are tied to.",
    OPERATORS: "Who answered, how soon, and for how long.",
}


def _answering(question: Question) -> None:
    def show(
        since: datetime | None,
        until: datetime | None,
        sites: tuple[str, ...],
        limit: int,
        as_csv: bool,
        as_json: bool,
        model: str = Model.LAST.value,
    ) -> None:
        with _opened(sites) as connection:
            items = answers(connection, question, Period(since, until, sites), Model(model), limit)
        print_figures(items, question.dimensions, as_csv=as_csv, as_json=as_json)

    command: Callable[..., None] = _of_calls(_limit(_as_data(show)))
    report.command(question.name, help=_QUESTIONS[question])(_model(command) if question.by_model else command)


for _question in _QUESTIONS:
    _answering(_question)


@report.command()
@_of_calls
@_as_data
def hours(since: datetime | None, until: datetime | None, sites: tuple[str, ...], as_csv: bool, as_json: bool) -> None:
    """At which hours of the week people call, by the site's clocks; 1 is Monday."""
    with _opened(sites) as connection:
        items = hours_of_week(connection, Period(since, until, sites))
    print_figures(items, ("weekday", "hour"), as_csv=as_csv, as_json=as_json)


@report.command()
@_of_calls
@click.option(
    "--by", type=click.Choice([by.value for by in By]), default=By.DAY.value, show_default=True, help="The steps."
)
@_as_data
def trend(
    since: datetime | None, until: datetime | None, sites: tuple[str, ...], by: str, as_csv: bool, as_json: bool
) -> None:
    """How calls became more or fewer, by the site's clocks. Steps without calls are left out."""
    with _opened(sites) as connection:
        items = trend_of(connection, Period(since, until, sites), By(by))
    print_figures(items, ("begins",), as_csv=as_csv, as_json=as_json)


@report.command()
@_of_calls
@click.option("--compare", is_flag=True, help="With as long a time before --since, too.")
@_as_data
def totals(
    since: datetime | None, until: datetime | None, sites: tuple[str, ...], compare: bool, as_csv: bool, as_json: bool
) -> None:
    """All calls of a period, and of the period before."""
    if compare and since is None:
        raise click.UsageError("--compare needs --since")
    with _opened(sites) as connection:
        period = Period(since, until or (now() if compare else None), sites)
        items = totals_of(connection, period, compare=compare)
    if not as_json:
        both = (("this", item["site"], item) if name == "this" else (name, item["site"], item["before"])
                for item in items for name in ("this", "before"))  # fmt: skip
        items = [{**figures, "site": site, "period": name} for name, site, figures in both if figures]
    print_figures(items, ("period",) if compare else (), as_csv=as_csv, as_json=as_json)


@report.command()
@_of_calls
@_as_data
def accuracy(
    since: datetime | None, until: datetime | None, sites: tuple[str, ...], as_csv: bool, as_json: bool
) -> None:
    """How good attributions of calls to leased numbers are, by site and month.

    Expected: how sure they are on average. Right: of the calls whose visitor became known otherwise (people corrected
    the call, the number was tapped just before it, or one of these tells of a later call of the caller), how many.
    """
    with _opened(sites) as connection:
        items = accuracy_of(connection, since, until, sites)
    if as_csv:
        items = [{**item, "known": sum(item["known"].values())} for item in items if item["month"] is not None]
    if not print_data(items, _MEASURES, as_csv=as_csv, as_json=as_json):
        _print(items)


@report.command()
@_of_calls
@_as_data
def numbers(
    since: datetime | None, until: datetime | None, sites: tuple[str, ...], as_csv: bool, as_json: bool
) -> None:
    """The pools' numbers and their calls, and which of them leaked.

    A number that many strangers call, steadily and far more often than the others of its pool, is known outside: in a
    listing, or to robots. Take it out of the pool in the site file, and `pbxtrack apply` it.
    """
    with _opened(sites) as connection:
        items = pool_numbers(connection, now(), since, until, sites)
    names = ("site", "pool", "number", "calls", "strangers", "strange_callers", "days", "leaked")
    if not print_data(items, names, as_csv=as_csv, as_json=as_json):
        heads = [Column("Site"), Column("Pool"), Column("Number"), Column("Calls", right=True)]
        heads += [Column(name, right=True) for name in ("Strangers'", "Callers", "Days")]
        rows = [
            [item["site"], item["pool"], item["number"], *(f"{item[name]:,}" for name in _COUNTED),
             "leaked" if item["leaked"] else ""]
            for item in items
        ]  # fmt: skip
        print_table([*heads, Column("")], rows)


@report.command()
@click.option("--site", "sites", multiple=True, help="Of this site (its key).")
@json_option
def curves(sites: tuple[str, ...], as_json: bool) -> None:
    """What attribution weighs by, as the site's own calls taught it: how soon visitors call.

    Of a thousand people, how many call in this time after what they did last, unless something else happens before.
    """
    with _opened(sites) as connection:
        items = curves_shown(connection, sites)
    if as_json:
        print_json(items)
        return
    for index, item in enumerate(items):
        taught = f"version {item['version']}, from {item['calls']:,} calls, learned at {item['learned_at']}"
        click.echo(("\n" if index else "") + f"{item['site']}: {taught if item['version'] else 'what is usual'}\n")
        columns = [Column("Up to"), *(Column(name, right=True) for name in ("Seen", "Left", "Tapped", "Called"))]
        print_table(
            columns,
            [[_span(step["to"]), *(f"{step[name]:,.1f}" for name in _STATES)] for step in item["steps"]],
        )
        strange, overflow = item["strangers_per_number_and_month"], item["strangers_to_overflow_per_day"]
        click.echo(f"\nstrangers: {strange:,.2f} a month to each number, {overflow:,.2f} a day to the overflow number")
        for channel, factor in item["channels"].items():
            click.echo(f"visitors of {visible(channel)} call {factor:.2f} times as often as others")
        for length in item["lengths"]:
            click.echo(
                f"visitors of {_span(length['from'])} or more call {length['factor']:.2f} times as often after it"
            )


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _print(items: Sequence[Mapping[str, Any]]) -> None:
    columns = [Column("Site"), Column("Month"), *(
        Column(name, right=True) for name in ("Calls", "Attributed", "Expected", "Known", "Right", "Calibration error")
    )]  # fmt: skip
    print_table(columns, [_line(item) for item in items])
    for item in items:
        if item["month"] is None and any(item["known"].values()):
            told = [
                f"{item['known'][by]:,} {how}, {share(item['right'][by])} right"
                for by, how in _TOLD
                if item["known"][by]
            ]
            click.echo(f"\n{item['site']}: known are {'; '.join(told)}.\n{_UNFAIR}")
        bands = [band for band in item["bands"] if band["calls"]]
        if item["month"] is None and bands:
            click.echo(f"\n{item['site']}: how sure attributions were, and how often they were right")
            shown = [Column("Sure"), *(Column(name, right=True) for name in ("Calls", "Said", "Right")), Column("")]
            print_table(shown, [_band(band) for band in bands])


def _line(item: Mapping[str, Any]) -> list[str]:
    return [
        item["site"],
        item["month"] or "all",
        f"{item['calls']:,}",
        share(item["coverage"]),
        share(item["expected_precision"]),
        f"{sum(item['known'].values()):,}",
        share(item["precision"]),
        share(item["calibration_error"]),
    ]


def _band(band: Mapping[str, Any]) -> list[str]:
    """``█`` up to what was right, ``│`` where it was said to be."""
    bar = ["█" if at < round(band["right"] * _BAR) else "·" for at in range(_BAR)]
    bar[min(round(band["said"] * _BAR), _BAR - 1)] = "│"
    sure = f"{band['from']:.0%} to {band['to']:.0%}"
    return [sure, f"{band['calls']:,}", share(band["said"]), share(band["right"]), "".join(bar)]
