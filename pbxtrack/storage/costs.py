"""What advertising cost: written in one piece or not at all, so that the same told twice is there once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    String,
    bindparam,
    cast,
    delete,
    extract,
    func,
    select,
    tuple_,
    update,
)

from pbxtrack.access import Access
from pbxtrack.errors import PbxtrackError
from pbxtrack.money.amounts import told
from pbxtrack.money.costs import DETAILS, Cost, checked
from pbxtrack.reports.periods import month_after
from pbxtrack.storage import traits
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.money_audit import Change, Kind, history, note
from pbxtrack.storage.money_rows import lock_site, locked_row
from pbxtrack.storage.pages import InvalidCursor, cursor_of, read_cursor
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.sites import channel_names
from pbxtrack.storage.tables import calls, costs, sites

MAX_PAGE = 1_000

_NAMES = ("first", "last", "channel", *DETAILS)
_WRITTEN = ("site_id", *_NAMES, "amount", "key")
_AT_ONCE = 5_000
_insert = Gathered(costs.insert().values({name: bindparam(name) for name in _WRITTEN}).inline())
_set_amount = Gathered(update(costs).where(costs.c.id == bindparam("row_id")).values(amount=bindparam("to")))
_of_keys = select(costs).where(costs.c.site_id == bindparam("site"), Among(costs.c.key, "keys"))
_forget = delete(costs).where(Among(costs.c.id, "ids"))
_any_cost = Prepared(
    select(costs.c.id).where(costs.c.site_id == bindparam("site"), costs.c.channel == bindparam("channel")).limit(1)
)
_any_call = Prepared(
    select(calls.c.id)
    .where(
        calls.c.outbound.is_(None),
        bindparam("site") == traits.SITE,
        bindparam("channel", type_=String()) == traits.CHANNEL,
    )
    .limit(1)
)
_told = select(costs, sites.c.key.label("site"), sites.c.currency).join_from(costs, sites)


class CostConflict(PbxtrackError):
    """Costs that cannot be so beside those that are there."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Whatever is there of these days, both included, goes; of the ``channel`` alone, where one is given."""

    first: date
    last: date
    channel: str | None = None


@dataclass(slots=True)
class CostPlan:
    """What writing costs changes: ``changed`` have another amount than before, ``gone`` are replaced by none."""

    new: list[Cost] = field(default_factory=list)
    changed: list[tuple[Row[Any], Cost]] = field(default_factory=list)
    gone: list[Row[Any]] = field(default_factory=list)
    same: int = 0

    def counts(self) -> dict[str, int]:
        """How many are added, changed, removed, and stay as they are."""
        changed, removed = len(self.changed), len(self.gone)
        return {"added": len(self.new), "changed": changed, "removed": removed, "unchanged": self.same}


@dataclass(frozen=True, slots=True)
class CostFilter:
    """Which costs: of days from ``since`` on and before ``until``, some of them at least; sites are keys."""

    since: date | None = None
    until: date | None = None
    sites: Sequence[str] = ()
    channels: Sequence[str] = ()


def plan_costs(
    connection: Connection, site_id: int, wanted: Sequence[Cost], replaced: Replaced | None = None
) -> CostPlan:
    """What :func:`write_costs` would change. No two of ``wanted`` are of the same days and dimensions.

    Raises CostConflict where ``replaced`` cuts a cost that is there, or one that is wanted lies outside of it.
    """
    plan = CostPlan()
    gone = _within(connection, site_id, replaced, wanted) if replaced else {}
    by_key = {cost.key: cost for cost in wanted}
    keys = list(by_key)
    for start in range(0, len(keys), _AT_ONCE):
        for row in connection.execute(_of_keys, {"site": site_id, "keys": keys[start : start + _AT_ONCE]}):
            gone.pop(row.id, None)
            cost = by_key.pop(row.key)
            if row.amount == cost.amount:
                plan.same += 1
            else:
                plan.changed.append((row, cost))
    plan.new = list(by_key.values())
    plan.gone = list(gone.values())
    return plan


def write_costs(
    connection: Connection,
    site_id: int,
    wanted: Sequence[Cost],
    who: str,
    now: datetime,
    replaced: Replaced | None = None,
) -> tuple[CostPlan, list[int]]:
    """Write costs of a site: each takes the place of the one of the same days and dimensions. Raises CostConflict.

    What was changed, and the ids of the costs in their order.
    """
    lock_site(connection, site_id)
    plan = plan_costs(connection, site_id, wanted, replaced)
    _insert.run(
        connection,
        [{"site_id": site_id, **_values(cost), "amount": cost.amount, "key": cost.key} for cost in plan.new],
    )
    _set_amount.run(connection, [{"row_id": row.id, "to": cost.amount} for row, cost in plan.changed])
    for start in range(0, len(plan.gone), _AT_ONCE):
        connection.execute(_forget, {"ids": [row.id for row in plan.gone[start : start + _AT_ONCE]]})
    ids = _ids(connection, site_id, wanted)
    changes = [Change(ids[cost.key], None, _document(cost)) for cost in plan.new]
    changes += [
        Change(row.id, {"amount": told(row.amount)}, {"amount": told(cost.amount)}) for row, cost in plan.changed
    ]
    changes += [Change(row.id, _document(_cost(row)), None) for row in plan.gone]
    note(connection, site_id, Kind.COST, who, now, changes)
    return plan, [ids[cost.key] for cost in wanted]


def costs_page(
    connection: Connection, which: CostFilter, cursor: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of costs, those that begin latest first, and the cursor of the next page. Raises InvalidCursor."""
    limit = max(1, min(limit, MAX_PAGE))
    statement = _told.order_by(costs.c.first.desc(), costs.c.id.desc()).limit(limit + 1)
    if which.since is not None:
        statement = statement.where(costs.c.last >= which.since)
    if which.until is not None:
        statement = statement.where(costs.c.first < which.until)
    if which.sites:
        statement = statement.where(sites.c.key.in_(list(which.sites)))
    if which.channels:
        statement = statement.where(costs.c.channel.in_(list(which.channels)))
    if cursor is not None:
        begins, row_id = read_cursor(cursor)
        try:
            statement = statement.where(tuple_(costs.c.first, costs.c.id) < (date.fromisoformat(begins), row_id))
        except ValueError:
            raise InvalidCursor("the cursor is not one of ours; begin again without it") from None
    rows = connection.execute(statement).all()
    following = cursor_of(rows[limit - 1].first.isoformat(), rows[limit - 1].id) if len(rows) > limit else None
    return [_item(row) for row in rows[:limit]], following


def costs_told(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """These costs, in this order; those that are gone are left out."""
    rows = {row.id: row for row in connection.execute(_told.where(Among(costs.c.id, "ids")), {"ids": list(ids)})}
    return [_item(rows[row_id]) for row_id in ids if row_id in rows]


def cost_detail(connection: Connection, cost_id: int, access: Access) -> dict[str, Any] | None:
    """A cost, with what was changed of it; None if there is none that whoever asks may see."""
    found = costs_told(connection, [cost_id])
    if not found or not access.sees(found[0]["site"]):
        return None
    return {**found[0], "history": history(connection, Kind.COST, cost_id)}


def change_cost(
    connection: Connection, cost_id: int, changes: Mapping[str, Any], access: Access, now: datetime
) -> dict[str, Any] | None:
    """Change a cost's fields; the cost as it is then, None if there is none that whoever asks may see.

    Raises CostConflict where there is another of the same days and dimensions; ValueError where there is no such cost.
    """
    row = locked_row(connection, costs, cost_id, access)
    if row is None:
        return None
    before = _cost(row)
    after = checked(replace(before, **changes))
    twin = select(costs.c.id).where(costs.c.site_id == row.site_id, costs.c.key == after.key, costs.c.id != cost_id)
    if (other := connection.scalar(twin)) is not None:
        raise CostConflict(f"the cost {other} is of the same days, channel and campaign")
    if change := Change.between(cost_id, _document(before), _document(after)):
        values = {**_values(after), "amount": after.amount, "key": after.key}
        connection.execute(update(costs).where(costs.c.id == cost_id).values(values))
        note(connection, row.site_id, Kind.COST, access.name, now, [change])
    return cost_detail(connection, cost_id, access)


def remove_cost(connection: Connection, cost_id: int, access: Access, now: datetime) -> bool:
    """Remove a cost; whether there was one that whoever asks may see."""
    row = locked_row(connection, costs, cost_id, access)
    if row is None:
        return False
    connection.execute(_forget, {"ids": [cost_id]})
    note(connection, row.site_id, Kind.COST, access.name, now, [Change(cost_id, _document(_cost(row)), None)])
    return True


def _within(connection: Connection, site_id: int, replaced: Replaced, wanted: Sequence[Cost]) -> dict[int, Row[Any]]:
    """The costs that are there of what is replaced, by id."""
    days = f"{replaced.first} to {replaced.last}"
    for cost in wanted:
        if cost.first < replaced.first or cost.last > replaced.last:
            raise CostConflict(f"a cost of {cost.first} to {cost.last} lies outside of what is replaced, {days}")
        if replaced.channel not in (None, cost.channel):
            raise CostConflict(f"a cost is of {cost.channel}, and what is replaced of {replaced.channel}")
    touched = select(costs).where(
        costs.c.site_id == site_id, costs.c.first <= replaced.last, costs.c.last >= replaced.first
    )
    if replaced.channel is not None:
        touched = touched.where(costs.c.channel == replaced.channel)
    found = {row.id: row for row in connection.execute(touched)}
    for row in found.values():
        if row.first < replaced.first or row.last > replaced.last:
            raise CostConflict(
                f"the cost {row.id}, of {row.first} to {row.last}, lies only in part in what is replaced, {days}"
            )
    return found


def _ids(connection: Connection, site_id: int, wanted: Sequence[Cost]) -> dict[str, int]:
    keys = [cost.key for cost in wanted]
    found: dict[str, int] = {}
    for start in range(0, len(keys), _AT_ONCE):
        rows = connection.execute(_of_keys, {"site": site_id, "keys": keys[start : start + _AT_ONCE]})
        found |= {row.key: row.id for row in rows}
    return found


def _cost(row: Row[Any]) -> Cost:
    return Cost(amount=row.amount, **{name: getattr(row, name) for name in _NAMES})


def _values(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in _NAMES}


def _document(cost: Cost) -> dict[str, Any]:
    """The cost as it stands in answers and in the audit."""
    return {
        "first": cost.first.isoformat(),
        "last": cost.last.isoformat(),
        "channel": cost.channel,
        **{name: getattr(cost, name) or None for name in DETAILS},
        "amount": told(cost.amount),
    }


def _item(row: Row[Any]) -> dict[str, Any]:
    return {"id": row.id, "site": row.site, **_document(_cost(row)), "currency": row.currency}


def costs_by_month(connection: Connection, site_id: int, since: date, until: date) -> list[dict[str, Any]]:
    """What each channel cost in each month, of costs that begin from ``since`` on and before ``until``.

    ``amount`` in hundredths, ``month`` as its first day; the latest come first, then those that cost most. A cost of
    several months stands in the one in which it begins.
    """
    year, month = extract("year", costs.c.first), extract("month", costs.c.first)
    amount = cast(func.sum(costs.c.amount), BigInteger)
    statement = (
        select(year, month, costs.c.channel, func.count(), amount, func.max(costs.c.last))
        .where(costs.c.site_id == site_id, costs.c.first >= since, costs.c.first < until)
        .group_by(year, month, costs.c.channel)
        .order_by(year.desc(), month.desc(), amount.desc(), costs.c.channel)
    )
    return [
        {
            "month": date(int(of_year), int(of_month), 1),
            "channel": channel,
            "costs": count,
            "amount": sum_,
            "last": last,
        }
        for of_year, of_month, channel, count, sum_, last in connection.execute(statement)
    ]


def unheard_of(connection: Connection, site_id: int, names: Iterable[str], most: int) -> list[str]:
    """The first ``most`` of these channels of which a site has no rule, no costs and no calls."""
    own = set(channel_names(connection, site_id))
    found = []
    for name in names:
        asked = {"site": site_id, "channel": name}
        if name in own or any(query.one_or_none(connection, asked) for query in (_any_cost, _any_call)):
            continue
        found.append(name)
        if len(found) == most:
            break
    return found


def remove_month(
    connection: Connection, site_id: int, month: date, channel: str, shown: tuple[int, int], who: str, now: datetime
) -> None:
    """Remove what a channel cost in the month of that first day, as :func:`costs_by_month` has it.

    ``shown``: how many costs that is to be, and their amount in hundredths. Raises CostConflict where it is not.
    """
    lock_site(connection, site_id)
    wanted = select(costs).where(
        costs.c.site_id == site_id,
        costs.c.channel == channel,
        costs.c.first >= month,
        costs.c.first < month_after(month),
    )
    gone = connection.execute(wanted).all()
    if shown != (len(gone), sum(row.amount for row in gone)):
        raise CostConflict(f"the costs of {channel} in {month:%Y-%m} are others than those shown")
    for start in range(0, len(gone), _AT_ONCE):
        connection.execute(_forget, {"ids": [row.id for row in gone[start : start + _AT_ONCE]]})
    note(connection, site_id, Kind.COST, who, now, [Change(row.id, _document(_cost(row)), None) for row in gone])
