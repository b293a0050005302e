"""A visit as people see it: where it came from, and what the visitor did, in order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from pbxtrack.ids import earliest_id
from pbxtrack.pool.model import EventKind
from pbxtrack.storage.tables import leases, numbers, visit_events, visits
from pbxtrack.storage.times import rfc3339

_MOMENT = timedelta(seconds=1)
_LEASE: Sequence[ColumnElement[Any]] = (leases.c.id, leases.c.started_at, numbers.c.e164)


def visit_detail(connection: Connection, visit_id: str) -> dict[str, Any] | None:
    """A visit; None if there is none. ``events`` begin with the view of the page that it landed on."""
    row = connection.execute(select(visits).where(visits.c.id == visit_id)).one_or_none()
    if row is None:
        return None
    after = connection.execute(
        select(visit_events).where(visit_events.c.visit_id == visit_id).order_by(visit_events.c.id)
    )
    return {
        "id": row.id,
        "visitor": row.visitor_id,
        "started_at": rfc3339(row.started_at),
        "seen_at": rfc3339(row.seen_at),
        "region": row.region,
        "referrer": row.referrer or None,
        "click_ids": row.click_ids,
        "client_ids": row.client_ids,
        "events": [
            {"at": rfc3339(row.started_at), "event": EventKind.VIEW.value, "page": row.page},
            *({"at": rfc3339(event.at), "event": event.kind, "page": event.page} for event in after),
        ],
    }


def leases_of(connection: Connection, visit_id: str, until: datetime) -> Sequence[Row[Any]]:
    """The leases of a visit that began before ``until``, with their number as ``e164``, in the order of time.

    Leases are not found by their visit: one that belongs to it was made while the visit lasted, and so was its id.
    """
    visit = connection.execute(select(visits.c.started_at, visits.c.seen_at).where(visits.c.id == visit_id)).one()
    return connection.execute(
        select(*_LEASE)
        .outerjoin(numbers, numbers.c.id == leases.c.number_id)
        .where(
            leases.c.id >= earliest_id(visit.started_at),
            leases.c.id < earliest_id(min(visit.seen_at, until) + _MOMENT),
            leases.c.visit_id == visit_id,
        )
        .order_by(leases.c.id)
    ).all()


def visits_began(connection: Connection, ids: Collection[str]) -> dict[str, datetime]:
    """When these visits began, by their ids; those that are kept no more are left out."""
    if not ids:
        return {}
    found = connection.execute(select(visits.c.id, visits.c.started_at).where(visits.c.id.in_(ids)))
    return {row.id: row.started_at for row in found}
