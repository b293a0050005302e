"""Deals as people and programs see them, each with the call that it is credited as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from pbxtrack.access import Access
from pbxtrack.calls.events import from_microseconds, microseconds
from pbxtrack.money.amounts import told
from pbxtrack.storage.money_audit import Kind, history
from pbxtrack.storage.pages import InvalidCursor, cursor_of, read_cursor
from pbxtrack.storage.prepared import Among
from pbxtrack.storage.tables import calls, contacts, deals, sites
from pbxtrack.storage.times import rfc3339
from pbxtrack.storage.told import channel_told

MAX_PAGE = 250
TEXTS = ("external_id", "name", "stage")
TIMES = ("opened_at", "won_at", "closed_at")


@dataclass(frozen=True, slots=True)
class DealFilter:
    """Which deals: counted from ``since`` on and before ``until``; sites are keys, channels those credited last."""

    since: datetime | None = None
    until: datetime | None = None
    sites: Sequence[str] = ()
    channels: Sequence[str] = ()
    statuses: Sequence[str] = ()


def _of_caller() -> Any:
    return (
        select(calls.c.id)
        .where(
            calls.c.site_id == deals.c.site_id,
            calls.c.caller == contacts.c.caller,
            calls.c.outbound.is_(None),
        )
        .correlate(deals, contacts)
        .limit(1)
    )


credited_call = func.coalesce(
    _of_caller().where(calls.c.started_at <= deals.c.at).order_by(calls.c.started_at.desc()).scalar_subquery(),
    _of_caller().order_by(calls.c.started_at).scalar_subquery(),
    deals.c.call_id,
)
"""The call that a deal is credited as: the contact's latest before it; else their first, since clocks differ."""

_told = (
    select(
        deals,
        sites.c.key.label("site"),
        sites.c.currency,
        contacts.c.caller,
        calls.c.id.label("credited"),
        channel_told.label("channel"),
    )
    .join_from(deals, sites)
    .outerjoin(contacts, contacts.c.id == deals.c.contact_id)
    .outerjoin(calls, calls.c.id == credited_call)
)


def deals_page(
    connection: Connection, which: DealFilter, cursor: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of deals, those counted latest first, and the cursor of the next page. Raises InvalidCursor."""
    limit = max(1, min(limit, MAX_PAGE))
    statement = _told.order_by(deals.c.at.desc(), deals.c.id.desc()).limit(limit + 1)
    if which.since is not None:
        statement = statement.where(deals.c.at >= which.since)
    if which.until is not None:
        statement = statement.where(deals.c.at < which.until)
    for column, values in (
        (sites.c.key, which.sites), (channel_told, which.channels), (deals.c.status, which.statuses),
    ):  # fmt: skip
        if values:
            statement = statement.where(column.in_(list(values)))
    if cursor is not None:
        place, row_id = read_cursor(cursor)
        try:
            at = from_microseconds(int(place))
        except (ValueError, OverflowError):
            raise InvalidCursor("the cursor is not one of ours; begin again without it") from None
        statement = statement.where(tuple_(deals.c.at, deals.c.id) < (at, row_id))
    rows = connection.execute(statement).all()
    following = cursor_of(str(microseconds(rows[limit - 1].at)), rows[limit - 1].id) if len(rows) > limit else None
    return [_item(row) for row in rows[:limit]], following


def deals_told(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """These deals, in this order; those that are gone are left out."""
    rows = {row.id: row for row in connection.execute(_told.where(Among(deals.c.id, "ids")), {"ids": list(ids)})}
    return [_item(rows[row_id]) for row_id in ids if row_id in rows]


def deal_detail(connection: Connection, deal_id: int, access: Access) -> dict[str, Any] | None:
    """A deal, with what was changed of it; None if there is none that whoever asks may see."""
    found = deals_told(connection, [deal_id])
    if not found or not access.sees(found[0]["site"]):
        return None
    return {**found[0], "history": history(connection, Kind.DEAL, deal_id)}


def document(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The deal as it stands in the audit."""
    return {
        **{name: values[name] for name in TEXTS},
        "contact": values["contact_id"],
        "call": values["call_id"],
        "status": values["status"],
        "amount": told(values["amount"]),
        **{name: rfc3339(values[name]) for name in TIMES},
    }


def _item(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "site": row.site,
        **document(row._mapping),
        "call": row.credited,
        "caller": row.caller,
        "channel": row.channel,
        "currency": row.currency,
        "at": rfc3339(row.at),
    }
