"""What the year's advertising cost, by days and campaigns, and what people bought after they called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from pbxtrack.calls.events import microseconds
from pbxtrack.demo.data.people import WRITERS
from pbxtrack.demo.data.plan import YEAR
from pbxtrack.demo.data.rows import Row
from pbxtrack.demo.data.year import Year
from pbxtrack.ids import id_of
from pbxtrack.money.costs import Cost, checked
from pbxtrack.money.deals import DealStatus, times
from pbxtrack.reports.periods import month_after
from pbxtrack.storage.costs import write_costs

_BUYS = 0.16  # of calls that count as leads
_WON, _LOST = 0.47, 0.38  # of the deals; the rest is open for long
_DECIDES = 6.0  # days, on average
_STAGES = {DealStatus.OPEN: ("Замер", "Счёт", "Думает"), DealStatus.WON: ("Оплачено",), DealStatus.LOST: ("Отказ",)}
_ROUND = 100_00  # prices are whole hundreds


def spend(connection: Connection, year: Year, copies: int, until: datetime, seed: int) -> None:
    """Write what the company's advertising cost: clicks by days, what is printed by months."""
    random = Random(f"{seed} costs {year.site.key}")  # noqa: S311 (no secrets are made of it)
    wanted = [checked(cost) for cost in (*_clicks(year, copies, random), *_printed(year, copies, until))]
    write_costs(connection, year.site.id, wanted, WRITERS[0], until)


def _clicks(year: Year, copies: int, random: Random) -> Iterator[Cost]:
    zone = ZoneInfo(year.company.site.timezone)
    prices = {tuple(source.tags.values()): source.cost for source in year.company.sources if source.cost}
    clicks = Counter(
        (visit.started_at.astimezone(zone).date(), visit.channel, (touch.source, touch.medium, touch.campaign))
        for visit in year.memory.visits.values()
        for touch in (visit.touch,)
    )
    for (day, channel, of), count in clicks.items():
        if price := prices.get(of):
            amount = round(count * copies * price * random.uniform(0.8, 1.25))
            yield Cost(day, day, channel, amount, *of)


def _printed(year: Year, copies: int, until: datetime) -> Iterator[Cost]:
    """By months, of which the first and the last may be parts."""
    zone = ZoneInfo(year.company.site.timezone)
    begin = until - YEAR
    for printed in year.company.printed:
        first, last = ((begin + part * YEAR).astimezone(zone).date() for part in (printed.begins, printed.ends))
        month = first.replace(day=1)
        while month <= last:
            following = month_after(month)
            days = max(first, month), min(last, following - timedelta(days=1))
            share = ((days[1] - days[0]).days + 1) / (following - month).days
            calls = len(year.lived.calls) * copies
            yield Cost(*days, printed.channel, round(printed.cost * calls * share / 100) * 100)
            month = following


def deal_rows(year: Year, contacts: Mapping[str, int], until: datetime, seed: int) -> Iterator[Row]:
    """Of the table ``deals``: what came of calls that count as leads; ``contacts``: the ids by caller."""
    random = Random(f"{seed} deals {year.site.key}")  # noqa: S311
    for one in year.lived.calls:
        record = one.record
        ended_at, talked = record.outcome.ended_at, record.outcome.talk_seconds
        lead = talked >= year.company.site.target_talk.total_seconds()
        if not (record.caller and lead and ended_at and not record.outbound) or random.random() >= _BUYS:
            continue
        opened_at = ended_at + timedelta(minutes=random.uniform(1, 40))
        if opened_at < until:
            values = _deal(year, random, opened_at, until)
            values |= {"site_id": year.site.id, "contact_id": contacts[record.caller]}
            yield microseconds(opened_at), values


def _deal(year: Year, random: Random, opened_at: datetime, until: datetime) -> dict[str, Any]:
    goods, price = random.choice(year.company.goods)
    fate = random.random()
    status = DealStatus.WON if fate < _WON else DealStatus.LOST if fate < _WON + _LOST else DealStatus.OPEN
    decided = opened_at + timedelta(days=random.expovariate(1 / _DECIDES))
    if decided >= until:
        status = DealStatus.OPEN
    found = times(status, opened_at, None, None if status is DealStatus.OPEN else decided, decided)
    return {
        "external_id": id_of(microseconds(opened_at) // 1_000, random.getrandbits(60) << 20),
        "name": goods,
        "stage": random.choice(_STAGES[status]),
        "status": status.value,
        "amount": max(1, round(price * random.lognormvariate(0, 0.35) / _ROUND)) * _ROUND,
        "opened_at": opened_at,
        "won_at": found.won_at,
        "closed_at": found.closed_at,
        "at": found.at,
    }
