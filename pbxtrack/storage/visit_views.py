"""A visit as people see it: where it came from, and what the visitor did, in order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.pool.model import EventKind
from pbxtrack.storage.tables import visit_events, visits
from pbxtrack.storage.times import rfc3339


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
