"""What people write on calls: notes, tags, whether it was a lead, and whose it was in their opinion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from pbxtrack.access import Access
from pbxtrack.calls.evidence import Tie
from pbxtrack.calls.service import attribute_one_by_one, later
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.sites import site_key
from pbxtrack.storage.tables import audit, calls, visits
from pbxtrack.storage.views import MAX_CALL_ID, call_detail, storable
from pbxtrack.storage.visit_views import leases_of

MAX_NOTE = 10_000  # characters
MAX_TAGS, MAX_TAG = 50, 64
"""Tags of a call, and the characters of each."""
MAX_CHANNEL = 300  # characters

_MOST_LATER = 200  # calls that a correction is carried on to at once: somebody waits; a rebuild finds the others


class InvalidCorrection(PbxtrackError):
    """A correction that names a visit which cannot have brought the call."""


def annotate_call(
    connection: Connection, call_id: str, changes: dict[str, Any], access: Access, now: datetime, region: str
) -> dict[str, Any] | None:
    """Change what people say of a call; the call as it is then, None if there is none that whoever asks may see.

    ``note`` and ``tags``; ``qualified``: whether it was a lead, None where nobody said; ``attribution``: a ``channel``,
    or a ``visit`` of the call's site by its id, None to take a correction back. What is changed indeed is noted for
    good as done by them. A correction tells of the caller's later calls, too: those are attributed once more;
    ``region`` says how numbers without a country are read. Raises InvalidCorrection.
    """
    assert changes.keys() <= {"note", "tags", "qualified", "attribution"}
    if not storable(call_id) or len(call_id) > MAX_CALL_ID:
        return None
    store = SqlCalls(connection)
    told_of = later(store, list(store.load([call_id]).values()))[:_MOST_LATER] if "attribution" in changes else []
    store.lock([call_id, *told_of])
    row = connection.execute(select(calls).where(calls.c.id == call_id).with_for_update()).one_or_none()
    if row is None or not access.sees(site_key(connection, row.site_id)):
        return None
    before = {"note": row.note, "tags": row.tags, "qualified": row.qualified, "attribution": _correction(row)}
    after = dict(changes)
    if after.get("attribution") is not None:
        after["attribution"] = _corrected(connection, row, after["attribution"])
    after = {field: value for field, value in after.items() if value != before[field]}
    values = {field: value for field, value in after.items() if field != "attribution"}
    if "attribution" in after:
        to = after["attribution"] or {}
        values |= {
            "corrected_channel": to.get("channel"),
            "corrected_visit_id": to.get("visit"),
            "corrected_tie": _tie(connection, to["visit"], row) if to.get("visit") else None,
            "corrected_by": access.name if to else None,
            "corrected_at": now if to else None,
        }
    if values:
        connection.execute(update(calls).where(calls.c.id == call_id).values(values))
        connection.execute(
            audit.insert(),
            [
                {
                    "call_id": call_id,
                    "at": now,
                    "who": access.name,
                    "field": field,
                    "before": before[field],
                    "after": value,
                }
                for field, value in after.items()
            ],
        )
    if "attribution" in after:
        attribute_one_by_one(store, told_of, region)
    return call_detail(connection, call_id)


def _correction(row: Row[Any]) -> dict[str, str | None] | None:
    if row.corrected_channel is None:
        return None
    return {"channel": row.corrected_channel, "visit": row.corrected_visit_id}


def _corrected(connection: Connection, row: Row[Any], to: dict[str, str]) -> dict[str, str | None]:
    if "channel" in to:
        return {"channel": to["channel"], "visit": None}
    visit = connection.execute(
        select(visits.c.id, visits.c.channel).where(
            visits.c.id == to["visit"], visits.c.site_id == row.site_id, visits.c.started_at <= row.started_at
        )
    ).one_or_none()
    if visit is None:
        raise InvalidCorrection("the call's site had no such visit before the call")
    return {"channel": visit.channel, "visit": visit.id}


def _tie(connection: Connection, visit_id: str, call: Row[Any]) -> dict[str, Any] | None:
    """Whom a visit ties a call's caller to, as JSON; None where the visit was shown no number before the call."""
    shown = leases_of(connection, visit_id, call.started_at)
    visitor = connection.scalar(select(visits.c.visitor_id).where(visits.c.id == visit_id))
    return Tie(str(visitor), shown[-1].id, 1.0)._asdict() if shown else None
