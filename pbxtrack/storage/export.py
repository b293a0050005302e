"""Calls by the thousand, as rows of plain values: what exports are made of.

They are read in portions, each a short read of its own: an export of millions keeps neither a snapshot nor SQLite's
log from being tidied up. A portion begins after the last call of the one before, so that calls which arrive meanwhile
move nothing, and none is told of twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, tuple_

from pbxtrack.storage.call_search import CallFilter, conditions_of
from pbxtrack.storage.tables import calls, sites, visits
from pbxtrack.storage.told import channel_told, is_corrected, is_recorded, is_target
from pbxtrack.storage.views import CORRECTED, calls_with_sites, told

PORTION = 5_000  # calls

_landed = visits.alias("landed")
_visit = case((is_corrected, calls.c.corrected_visit_id), else_=calls.c.visit_id)
_TOUCH = ("source", "medium", "campaign", "term", "content")

COLUMNS = (
    "started_at", "site", "caller", "dialled", "status", "ringing_seconds", "talk_seconds", "answered_by", "first",
    "unique", "target", "settled_at", "channel", *_TOUCH, "page", "confidence", "method", "note", "tags", "recorded",
    "id",
)  # fmt: skip
"""What a row has, in order. Times are aware; ``tags`` is a list; ``settled_at`` is of a missed call only."""

_select = select(
    calls.c.started_at,
    sites.c.key,
    calls.c.caller,
    calls.c.dialled,
    calls.c.status,
    func.round(calls.c.ringing_seconds).label("ringing"),
    func.round(calls.c.talk_seconds).label("talk"),
    calls.c.answered_by,
    calls.c.first,
    calls.c.is_unique,
    is_target,
    calls.c.settled_at,
    channel_told,
    *(case((is_corrected, told.c[name]), else_=calls.c[name]) for name in _TOUCH),
    _landed.c.page,
    case((is_corrected, 1.0), else_=calls.c.confidence),
    case((is_corrected, CORRECTED), else_=calls.c.method),
    calls.c.note,
    calls.c.tags,
    is_recorded,
    calls.c.id,
).select_from(calls_with_sites.outerjoin(_landed, _landed.c.id == _visit))


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of the calls. ``after`` is what the next portion follows on; None: these are the last."""

    rows: Sequence[Sequence[Any]]
    after: tuple[datetime, str] | None


def portion(
    connection: Connection, which: CallFilter, after: tuple[datetime, str] | None = None, limit: int = PORTION
) -> Portion:
    """The next calls that fit, newest first, each a row of :data:`COLUMNS`."""
    statement = _select.where(*conditions_of(connection, which))
    if after is not None:
        statement = statement.where(tuple_(calls.c.started_at, calls.c.id) < tuple_(*after))
    statement = statement.order_by(calls.c.started_at.desc(), calls.c.id.desc()).limit(limit)
    rows = [tuple(row) for row in connection.execute(statement)]
    return Portion(rows, (rows[-1][0], rows[-1][-1]) if len(rows) == limit else None)
