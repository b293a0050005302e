"""What a report's rows cost and brought in money: costs find their rows, deals are parts of what they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from pbxtrack.money.amounts import rounded, told
from pbxtrack.money.costs import DETAILS, completed
from pbxtrack.reports.figures import Sums, parts_told
from pbxtrack.reports.periods import Span, Zone
from pbxtrack.reports.questions import CHANNELS, Question

_DAY = timedelta(days=1)

Values = tuple[str | None, ...]


class Row(NamedTuple):
    """A row by the values of its dimensions. ``channel``: of one that holds only costs which tell no more."""

    values: Values
    channel: str | None = None

    @property
    def order(self) -> list[str]:
        """What rows are sorted by."""
        return [value or "" for value in (*self.values, self.channel)]


class CostOf(NamedTuple):
    """What a cost is of; empty where nobody said."""

    channel: str
    source: str = ""
    medium: str = ""
    campaign: str = ""
    term: str = ""


class Deals(NamedTuple):
    """Deals, how many of them were won, and hundredths of the currency that those brought; in parts, as calls are."""

    deals: int = 0
    won: int = 0
    revenue: int = 0


@dataclass(frozen=True, slots=True)
class Money:
    """What a row cost, and the deals that it brought; None: the site has no costs, or no deals, in the period.

    Nobody can tell the deals of a row that holds only costs: what those brought stands in other rows of its channel.
    ``cost`` and ``revenue`` in hundredths of the currency, ``deals`` and ``won`` in parts.
    """

    cost: int | None = None
    deals: int | None = None
    won: int | None = None
    revenue: int | None = None


def begun(span: Span, zone: Zone) -> tuple[date, date]:
    """The days that begin in a time: from the one on, and before the other. What a day cost is of its beginning.

    So what is cut anywhere costs together as much as the whole.
    """
    first, end = (day if zone.midnight(day) >= at else day + _DAY for at in span for day in (zone.day(at),))
    return first, end


def placed(
    costs: Mapping[CostOf, int],
    question: Question,
    rows: Collection[Values],
    matches: Mapping[str, Mapping[str, str]],
) -> dict[Row, int]:
    """Each cost in one row of the report; ``rows``: those that calls or deals make; ``matches``: of channels by name.

    A cost that does not tell the last of the dimensions, or fits several rows, stands in a row with its channel.
    """
    found: defaultdict[Row, int] = defaultdict(int)
    last = question.dimensions[-1]
    alike: defaultdict[str | None, list[Values]] = defaultdict(list)
    for values in rows:
        alike[values[-1]].append(values)
    for of, amount in costs.items():
        if question is CHANNELS:
            row = Row((of.channel,))
        else:
            details = completed({name: getattr(of, name) for name in DETAILS}, matches.get(of.channel, {}))
            told_values = tuple(details[name] or None for name in question.dimensions)
            fitting = [told_values] if all(told_values) else []
            if details[last] and not fitting:
                fitting = [values for values in alike[details[last]] if _fits(told_values, values)]
            row = Row(fitting[0]) if len(fitting) == 1 else Row(told_values, of.channel)
        found[row] += amount
    return found


def _fits(said: Values, values: Values) -> bool:
    return all(one is None or one == other for one, other in zip(said, values, strict=True))


def together(
    rows: Collection[Values], costs: Mapping[Row, int], deals: Mapping[Values, Deals], whole: int
) -> dict[Row, Money]:
    """The money of these rows, and of those that only costs or deals make; ``whole``: the parts of a deal.

    Revenue is rounded so that it adds up. Where there are costs at all, a row without any cost nothing; and so with
    deals.
    """
    revenue = rounded(
        {values: deals[values].revenue for values in sorted(deals, key=lambda one: Row(one).order)}, whole
    )

    def of(row: Row) -> Money:
        cost = costs.get(row, 0) if costs else None
        if not deals or row.channel is not None:
            return Money(cost)
        brought = deals.get(row.values, Deals())
        return Money(cost, brought.deals, brought.won, revenue.get(row.values, 0))

    return {row: of(row) for row in dict.fromkeys([*map(Row, rows), *map(Row, deals), *costs])}


MONEY_FIGURES = ("cost", "cost_per_contact", "cost_per_call", "cost_per_target", "deals", "won", "revenue",
                 "cost_per_deal", "cost_per_won", "conversion", "roi")  # fmt: skip
"""The names of :func:`money_figures`, in order."""


def money_figures(sums: Sums, whole: int, money: Money) -> dict[str, Any]:
    """The figures of money as they are told, None where they cannot be; ``whole``: the parts of a call, and of a deal.

    Costs for each are None where nothing was spent or nobody was there to spend it on. ``conversion``: deals won for
    each contact; ``roi``: what was earned for each unit of currency that was spent, beyond itself.
    """
    cost, deals, won = money.cost, money.deals, money.won

    def each(of: int | None) -> float | None:
        return round(cost / 100 / (of / whole), 2) if cost and of else None

    return {
        "cost": told(cost),
        "cost_per_contact": each(sums.unique),
        "cost_per_call": each(sums.calls),
        "cost_per_target": each(sums.target),
        "deals": None if deals is None else parts_told(deals, whole),
        "won": None if won is None else parts_told(won, whole),
        "revenue": told(money.revenue),
        "cost_per_deal": each(deals),
        "cost_per_won": each(won),
        "conversion": round(won / sums.unique, 4) if won is not None and sums.unique else None,
        "roi": round((money.revenue - cost) / cost, 4) if cost and money.revenue is not None else None,
    }
