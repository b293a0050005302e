"""Calls by the thousand, as rows of plain values: what exports are made of.

They are read in portions, each a short read of its own: an export of millions keeps neither a snapshot nor SQLite's
log from being tidied up. A portion begins behind the last call of the one before, so that calls which arrive meanwhile
move nothing, and none is told of twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, String, case, cast, func, select

from pbxtrack.storage.call_search import After, CallFilter, began, behind, came_in, conditions_of
from pbxtrack.storage.tables import calls, sites, visits
from pbxtrack.storage.told import channel_told, is_corrected, is_recorded, is_target
from pbxtrack.storage.views import CORRECTED, calls_with_sites, told
from pbxtrack.utc import moved

PORTION = 5_000  # calls
_FIRST_WINDOW = timedelta(days=1)
_SHORT, _LONG = 0.25, 1.0  # s that a portion may take, before the next is of more time; or of less
_MOMENT = timedelta(microseconds=1)

_landed = visits.alias("landed")
_visit = case((is_corrected, calls.c.corrected_visit_id), else_=calls.c.visit_id)
_TOUCH = ("source", "medium", "campaign", "term", "content")

COLUMNS = (
    "started_at", "site", "caller", "dialled", "status", "ringing_seconds", "talk_seconds", "answered_by", "first",
    "unique", "target", "settled_at", "channel", *_TOUCH, "page", "confidence", "method", "note", "tags", "recorded",
    "id",
)  # fmt: skip
"""What a row has, in order. Times are aware; ``tags`` are JSON, a list; ``settled_at`` is of a missed call only."""

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
    cast(calls.c.tags, String),  # most calls have none: few lists are to be read
    is_recorded,
    calls.c.id,
).select_from(calls_with_sites.outerjoin(_landed, _landed.c.id == _visit))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a portion begins: behind this call, by its time and id. Of so much time before, calls are looked at."""

    after: After
    window: timedelta = _FIRST_WINDOW


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of the calls. ``following`` is where the next portion begins; None: there are no more."""

    rows: Sequence[Sequence[Any]]
    following: Place | None


def portion(connection: Connection, which: CallFilter, place: Place | None = None, limit: int = PORTION) -> Portion:
    """The next calls that fit, newest first, each a row of :data:`COLUMNS`; none where few fit, though more follow.

    However few fit, a portion is soon read: of no more time than could be looked through in a moment.
    """
    started = calls.c.started_at
    came = came_in(which.since, which.until)
    if place is None:
        newest = began(connection, came, last=True)
        if newest is None:
            return Portion([], None)
        place = Place((newest + _MOMENT, ""))
    at = place.after[0]
    oldest = began(connection, [*came, started <= at])
    if oldest is None:
        return Portion([], None)
    begins = moved(at, -place.window)
    begun = time.monotonic()
    rows = connection.execute(
        _select.where(*conditions_of(connection, which), started >= begins, *behind(place.after))
        .order_by(started.desc(), calls.c.id.desc())
        .limit(limit)
    ).all()
    took = time.monotonic() - begun
    if len(rows) == limit:
        return Portion(rows, Place((rows[-1][0], rows[-1][-1]), place.window))
    if begins <= oldest:
        return Portion(rows, None)
    window = place.window * 2 if took < _SHORT else place.window / 2 if took > _LONG else place.window
    return Portion(rows, Place((begins, ""), window))
