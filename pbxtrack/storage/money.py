"""What a report tells of costs and deals. They are few beside calls, so that they are read as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Date, bindparam, case, cast, func, or_, select

from pbxtrack.calls.models import WHOLE, Model, credit
from pbxtrack.money.costs import Cost
from pbxtrack.reports.money import CostOf, Deals, Money, Row, Values, begun, placed, together
from pbxtrack.reports.periods import Span, Zone
from pbxtrack.reports.questions import CAMPAIGNS, CHANNELS, KEYWORDS, Question
from pbxtrack.storage.credit import divided_of, in_order, whole_of
from pbxtrack.storage.deal_views import credited_call
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.tables import UtcTime, calls, channels, contacts, costs, deals

_first, _end = (bindparam(name, type_=Date) for name in ("first", "end"))
_of_site = costs.c.site_id == bindparam("site")
_TOLD = {CHANNELS: 1, CAMPAIGNS: 4, KEYWORDS: 5}  # how many of the fields of CostOf tell a report's rows apart
_matches = select(channels.c.name, channels.c.match).where(
    channels.c.site_id == bindparam("site"), channels.c.removed_at.is_(None)
)
_counted = (
    deals.c.site_id == bindparam("site"),
    deals.c.at >= bindparam("since", type_=UtcTime),
    deals.c.at < bindparam("until", type_=UtcTime),
)
_won = case((deals.c.status == "won", 1), else_=0)
_revenue = case((deals.c.status == "won", deals.c.amount), else_=0)
_deals_of = Prepared(
    select(_won.label("won"), _revenue.label("revenue"), credited_call.label("call_id"))
    .outerjoin_from(deals, contacts, contacts.c.id == deals.c.contact_id)
    .where(*_counted),
    many=True,
)
_credited = Among(calls.c.id, "ids")
_all_deals = select(
    func.count(), func.coalesce(func.sum(_won), 0), cast(func.coalesce(func.sum(_revenue), 0), BigInteger)
).where(*_counted)


def money_of(
    connection: Connection,
    question: Question,
    model: Model,
    site_id: int,
    span: Span,
    zone: Zone,
    rows: Collection[Values],
) -> dict[Row, Money]:
    """The money of each row of a report: of ``rows``, which calls make, and of those that only money does."""
    brought = _deals(connection, question, model, site_id, span)
    spent = _costs(connection, CostOf._fields[: _TOLD[question]], site_id, span, zone)
    matches = {row.name: row.match for row in connection.execute(_matches, {"site": site_id})}
    return together(rows, placed(spent, question, {*rows, *brought}, matches), brought, WHOLE)


def all_money(connection: Connection, site_id: int, span: Span, zone: Zone) -> Money:
    """The money of a site's whole period; deals are not divided."""
    spent = _costs(connection, CostOf._fields[:1], site_id, span, zone)
    count, won, revenue = connection.execute(_all_deals, {"site": site_id, **span._asdict()}).one()
    deals_told = (count, int(won), int(revenue)) if count else (None, None, None)
    return Money(sum(spent.values()) if spent else None, *deals_told)


def _costs(connection: Connection, names: tuple[str, ...], site_id: int, span: Span, zone: Zone) -> dict[CostOf, int]:
    """What the days of a period cost, by these of the things that they are of."""
    first, end = begun(span, zone)
    asked = {"site": site_id, "first": first, "end": end}
    found: defaultdict[CostOf, int] = defaultdict(int)
    for *of, amount in _whole_costs(names).all(connection, asked):
        found[CostOf(*of)] += int(amount)
    for since, until, *of, amount in _cut_costs(names).all(connection, asked):
        found[CostOf(*of)] += Cost(since, until, of[0], amount).part(first, end)
    return found


def _deals(
    connection: Connection, question: Question, model: Model, site_id: int, span: Span
) -> Mapping[Values, Deals]:
    """Deals by the values of a report's dimensions, divided as the calls are that they are credited as."""
    by_call: defaultdict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
    for won, revenue, call_id in _deals_of.all(connection, {"site": site_id, **span._asdict()}):
        sums = by_call[call_id]
        for at, amount in enumerate((1, won, revenue)):
            sums[at] += int(amount)
    found: defaultdict[Values, list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(values: Any, amounts: Any, parts: int) -> None:
        sums = found[tuple(values)]
        for at, amount in enumerate(amounts):
            sums[at] += amount * parts

    asked = {"ids": [call_id for call_id in by_call if call_id is not None]}
    untold = dict(by_call)  # of calls that nobody knows
    for call_id, *values in _whole_deals(question, model).all(connection, asked):
        add(values, untold.pop(call_id), WHOLE)
    if model is not Model.LAST:
        visits_of: defaultdict[str, list[Any]] = defaultdict(list)
        for row in _divided_deals(question, model).all(connection, asked):
            visits_of[row[0]].append(row)
        width = len(question.dimensions)
        for call_id, visited in visits_of.items():
            amounts = untold.pop(call_id)
            ordered, brought = in_order(visited)
            for place, parts in credit(len(ordered), brought, model):
                add(ordered[place][1 : 1 + width], amounts, parts)
    for amounts in untold.values():
        add([None] * len(question.dimensions), amounts, WHOLE)
    return {values: Deals(*sums) for values, sums in found.items()}


@cache
def _whole_costs(names: tuple[str, ...]) -> Prepared:
    """Of costs that lie within the period."""
    of = [costs.c[name] for name in names]
    within = (_of_site, costs.c.first >= _first, costs.c.last < _end)
    added = cast(func.sum(costs.c.amount), BigInteger).label("amount")
    return Prepared(select(*of, added).where(*within).group_by(*of), many=True)


@cache
def _cut_costs(names: tuple[str, ...]) -> Prepared:
    """Costs of which some days are in the period, and some are not."""
    of = [costs.c[name] for name in names]
    touched = (_of_site, costs.c.last >= _first, costs.c.first < _end)
    cut = or_(costs.c.first < _first, costs.c.last >= _end)
    return Prepared(select(costs.c.first, costs.c.last, *of, costs.c.amount).where(*touched, cut), many=True)


@cache
def _whole_deals(question: Question, model: Model) -> Prepared:
    return Prepared(whole_of(question, model, _credited), many=True)


@cache
def _divided_deals(question: Question, but: Model) -> Prepared:
    return Prepared(divided_of(question, but, _credited), many=True)
