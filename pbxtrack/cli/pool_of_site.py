"""``pbxtrack pool size --site``: what a site's own traffic says of the size of its pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from pbxtrack.cli.common import no_site, now, open_database
from pbxtrack.cli.options import print_json, writing
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import count
from pbxtrack.config import load
from pbxtrack.errors import PbxtrackError
from pbxtrack.replay.picture import picture
from pbxtrack.replay.recorded import Traffic, read_traffic
from pbxtrack.replay.sizes import Outcome, Plan, best, plan, replayed
from pbxtrack.sitefile.model import Site
from pbxtrack.storage.sites import read_sites
from pbxtrack.tuning import tune_for_batches


def show(
    key: str,
    days: timedelta,
    hold: timedelta | None,
    blocking: float,
    price: float | None,
    svg: Path | None,
    *,
    as_json: bool,
) -> None:
    """Replay the latest traffic at several sizes and holds (one, if given), and print what came of it."""
    site, traffic = _read(key, days)
    try:
        planned = plan(site, traffic, hold, blocking)
    except ValueError as error:
        raise PbxtrackError(str(error)) from None
    tune_for_batches()
    quiet = as_json or not Console(stderr=True).is_terminal
    shown = track(planned.tried, "replaying", console=Console(stderr=True), transient=True, disable=quiet)
    outcomes = [replayed(site, traffic, *one) for one in shown]
    if svg:
        with writing(svg):
            svg.write_text(picture(outcomes, site.name), encoding="utf-8")
    if as_json:
        print_json(
            {
                "site": key,
                "days": days.days,
                "visits": len(traffic.visits),
                "calls": len(traffic.calls) + len(traffic.strangers),
                "visits_per_hour": traffic.busiest,
                "visit_seconds": round(traffic.visit.total_seconds()),
                "hold_seconds": round(planned.hold.total_seconds()),
                "numbers_now": planned.have,
                "most_blocked": blocking,
                "load": planned.load,
                "numbers": planned.needed,
                "sizes": [
                    {**_plain(one), "hold_seconds": one.hold.total_seconds(), "cost": _cost(one, price)}
                    for one in outcomes
                ],
            }
        )
        return
    _print(site, traffic, planned, outcomes, blocking, price)


def _read(key: str, days: timedelta) -> tuple[Site, Traffic]:
    until = now()
    with open_database(load()) as database, database.reading() as connection:
        sites = {site.key: site for site in read_sites(connection)}
        if key not in sites:
            raise no_site(key, sites)
        traffic = read_traffic(connection, key, until - days, until)
    if not any(pool.numbers for pool in sites[key].pools):
        raise PbxtrackError(f"the site {key!r} has no pool")
    if not traffic.visits:
        raise PbxtrackError(f"nobody visited the site {key!r} in the last {count(days.days, 'day')}")
    return sites[key], traffic


def _print(
    site: Site,
    traffic: Traffic,
    planned: Plan,
    outcomes: Sequence[Outcome],
    blocking: float,
    price: float | None,
) -> None:
    minutes = round(traffic.visit.total_seconds() / 60, 1)
    click.echo(
        f"{site.name}: {count(len(traffic.visits), 'visit')}, in the busiest hour {traffic.busiest:,}, "
        f"of {minutes:g} minutes on average; {count(len(traffic.calls) + len(traffic.strangers), 'call')}"
    )
    click.echo(
        f"by Erlang's formula {count(planned.needed, 'number')} for that hour, at a hold of {_minutes(planned.hold)}; "
        f"it has {planned.have:,}"
    )
    good = best(outcomes, blocking)
    if good is not None:
        click.echo(f"as good as any tried: {count(good.numbers, 'number')} at a hold of {_minutes(good.hold)}")
    click.echo()
    columns = [Column(""), *(Column(name, right=True) for name in ("Hold", "Numbers", "Right", "Find none", "At peak"))]
    if price is not None:
        columns.append(Column("A month", right=True))
    print_table(
        columns,
        [
            [
                "→" if one is good else "",
                _minutes(one.hold),
                f"{one.numbers:,}",
                "" if one.accuracy is None else f"{one.accuracy:.1%}",
                f"{one.blocking:.2%}",
                f"{one.at_peak:,}",
                *([] if price is None else [f"{_cost(one, price):,.2f}"]),
            ]
            for one in outcomes
        ],
    )
    click.echo("\nRight: of visitors' calls. Who made them is drawn by lot, each as probably as attribution said.")


def _plain(one: Outcome) -> dict[str, float | None]:
    return {name: value for name, value in asdict(one).items() if name != "hold"}


def _cost(one: Outcome, price: float | None) -> float | None:
    return None if price is None else round(one.numbers * price, 2)


def _minutes(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes:g} min"
