"""What one call's page shows beside what the API tells of it: who else may have called, the legs, the caller's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from pbxtrack.pool.model import EventKind
from pbxtrack.storage.tables import calls, visit_events, visits
from pbxtrack.storage.times import rfc3339
from pbxtrack.storage.visit_views import leases_of

_TOUCH = ("source", "medium", "campaign", "term", "content", "referrer", "page")
_CALL: Sequence[ColumnElement[Any]] = (
    calls.c.caller_name, calls.c.candidates, calls.c.started_at, calls.c.state,
    calls.c.visit_id, calls.c.corrected_visit_id, calls.c.corrected_channel, calls.c.linkedid,
)  # fmt: skip
_KEEN = (EventKind.TAP.value, EventKind.COPY.value)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One call from within. Times as the API writes them.

    ``candidates``: those who may have
    called as the attribution weighed them, each with its visit; ``leases``: of the visit that it is attributed to, up
    to the call, with the ``number`` that was shown (None: the overflow number). ``legs``: Asterisk's channels.
    """

    caller_name: str | None
    candidates: Sequence[Mapping[str, Any]]
    leases: Sequence[Mapping[str, Any]]
    legs: Sequence[Mapping[str, Any]]


def call_sheet(connection: Connection, call_id: str) -> Sheet:
    """The sheet of a call that there is."""
    call = connection.execute(select(*_CALL).where(calls.c.id == call_id)).one()
    visit_id = call.corrected_visit_id if call.corrected_channel is not None else call.visit_id
    return Sheet(
        caller_name=call.caller_name,
        candidates=_candidates(connection, call),
        leases=[
            {"at": rfc3339(lease.started_at), "number": lease.e164}
            for lease in (leases_of(connection, visit_id, call.started_at) if visit_id else ())
        ],
        legs=_legs(call.state, call.linkedid),
    )


def _candidates(connection: Connection, call: Row[Any]) -> list[dict[str, Any]]:
    ids = [one["visit"] for one in call.candidates]
    if not ids:
        return []
    found = {row.id: row for row in connection.execute(select(visits).where(visits.c.id.in_(ids)))}
    events = connection.execute(
        select(visit_events.c.visit_id, visit_events.c.kind, func.count().label("count"), func.max(visit_events.c.at))
        .where(visit_events.c.visit_id.in_(ids), visit_events.c.at <= call.started_at)
        .group_by(visit_events.c.visit_id, visit_events.c.kind)
    ).all()
    made = []
    for one in call.candidates:
        shown: dict[str, Any] = {name: one[name] for name in ("visit", "channel", "confidence")}
        if (visit := found.get(one["visit"])) is not None:
            did = {kind: (count, at) for visit_id, kind, count, at in events if visit_id == visit.id}
            shown |= {
                "started_at": rfc3339(visit.started_at),
                **{name: getattr(visit, name) or None for name in _TOUCH},
                "pages": 1 + (did[EventKind.VIEW.value][0] if EventKind.VIEW.value in did else 0),
                "last": _last(visit, did, call.started_at),
            }
        made.append(shown)
    return made


def _last(visit: Row[Any], did: Mapping[str, tuple[int, datetime]], at: datetime) -> dict[str, Any]:
    """What a visitor did last before the call: ``kind`` and ``seconds`` before it; a tap or copy tells most."""
    keen = {kind: did[kind] for kind in _KEEN if kind in did}
    when, kind = max([(last, kind) for kind, (_, last) in (keen or did).items()], default=(visit.started_at, "view"))
    if kind == EventKind.VIEW.value and visit.seen_at <= at:  # the page said since that it was there
        when, kind = max(when, visit.seen_at), "seen"
    return {"kind": kind, "seconds": max((at - when).total_seconds(), 0.0)}


def _legs(state: Mapping[str, Any], linkedid: str) -> list[dict[str, Any]]:
    caller = state.get("caller_leg") or linkedid
    shown = ("name", "dialled_at", "rang_at", "answered_at", "failed_at", "failure", "ended_at", "cause", "unseen")
    legs = [
        {"leg": leg, "caller": leg == caller, **{name: parts.get(name) for name in shown}}
        for leg, parts in state.get("legs", {}).items()
    ]
    return sorted(legs, key=lambda one: (not one["caller"], one["dialled_at"] or "", one["leg"]))
