"""Calls as people and programs see them: the call log, one call, and what happened in it.

Reads go around the domain, straight from the rows to the shape that the API, the dashboard and the command line show.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select
from sqlalchemy.sql import ColumnElement

from pbxtrack.calls import reasons
from pbxtrack.calls.attribution import Method
from pbxtrack.calls.events import microseconds
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.call_search import CallFilter, came_in, search
from pbxtrack.storage.tables import audit, call_facts, calls, sites, visits
from pbxtrack.storage.times import rfc3339
from pbxtrack.storage.visit_views import visit_detail

MAX_PAGE = 250
MAX_CALL_ID = 200  # characters
MAX_HISTORY = 100
"""Changes of a call that are shown, the newest."""
CORRECTED = "corrected"
"""The method of an attribution that people corrected."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOUCH = ("source", "medium", "campaign", "term", "content")
told = visits.alias("told")  # the visit that people say it was
_COLUMNS: Sequence[ColumnElement[Any]] = (
    calls.c.id, calls.c.contact_id, calls.c.node, calls.c.linkedid, calls.c.started_at, calls.c.answered_at,
    calls.c.ended_at, calls.c.dialled, calls.c.caller, calls.c.status, calls.c.ringing_seconds, calls.c.talk_seconds,
    calls.c.answered_by, calls.c.hung_up_by, calls.c.hangup_cause, calls.c.first, calls.c.target, calls.c.recording,
    calls.c.fallback, calls.c.note, calls.c.tags, calls.c.method, calls.c.channel, calls.c.source, calls.c.medium,
    calls.c.campaign, calls.c.term, calls.c.content, calls.c.visit_id, calls.c.confidence, calls.c.why,
    calls.c.candidates, calls.c.state, calls.c.is_unique, calls.c.settled_by, calls.c.settled_at, calls.c.qualified,
    calls.c.corrected_channel, calls.c.corrected_visit_id, calls.c.corrected_by, calls.c.outbound,
    sites.c.key.label("site"), *(told.c[name].label(f"told_{name}") for name in _TOUCH),
)  # fmt: skip
calls_with_sites = calls.outerjoin(sites, sites.c.id == calls.c.site_id).outerjoin(
    told, told.c.id == calls.c.corrected_visit_id
)
_select_calls = select(*_COLUMNS).select_from(calls_with_sites)
_FACT: Sequence[ColumnElement[Any]] = (call_facts.c.kind, call_facts.c.at, call_facts.c.leg, call_facts.c.data)
_facts = (
    select(*_FACT)
    .join_from(calls, call_facts, and_(call_facts.c.node == calls.c.node, call_facts.c.linkedid == calls.c.linkedid))
    .where(calls.c.id == bindparam("id"))
    .order_by(call_facts.c.at, call_facts.c.id)
)


class InvalidCursor(PbxtrackError):
    """A cursor that no page of ours ended with."""


def calls_page(
    connection: Connection, which: CallFilter | None = None, cursor: str | None = None, limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the call log, newest first, and the cursor of the next page (None at the end).

    The cursor names the last call of the page by its time and id, so that calls which arrive meanwhile move nothing.
    Raises InvalidCursor.
    """
    limit = max(1, min(limit, MAX_PAGE))
    after = _read_cursor(cursor) if cursor is not None else None
    found = search(connection, which or CallFilter(), limit + 1, after)
    rows = connection.execute(_select_calls.where(calls.c.id.in_(found[:limit])))
    newest_first = sorted(rows, key=lambda row: (row.started_at, row.id), reverse=True)
    following = _cursor(newest_first[-1]) if len(found) > limit and newest_first else None
    return [_call(row) for row in newest_first], following


def call_detail(connection: Connection, call_id: str) -> dict[str, Any] | None:
    """One call, with the visit that it is attributed to; None if there is none."""
    if not storable(call_id) or len(call_id) > MAX_CALL_ID:
        return None
    row = connection.execute(_select_calls.where(calls.c.id == call_id)).one_or_none()
    if row is None:
        return None
    visit_id = row.corrected_visit_id if row.corrected_channel is not None else row.visit_id
    visit = visit_detail(connection, visit_id) if visit_id else None
    return {**_call(row), "visit": visit, "history": _history(connection, call_id)}


def newest_calls(connection: Connection, *conditions: ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
    """The newest calls that meet all of the conditions, as the call log lists them."""
    newest_first = calls.c.started_at.desc(), calls.c.id.desc()
    rows = connection.execute(_select_calls.where(*conditions).order_by(*newest_first).limit(limit))
    return [_call(row) for row in rows]


def calls_of(connection: Connection, call_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Of these calls those of the call log, as it lists them, and the missed calls that they settled."""
    these = or_(calls.c.id.in_(call_ids), calls.c.settled_by.in_(call_ids))
    rows = connection.execute(_select_calls.where(*came_in(None, None), these).order_by(calls.c.started_at, calls.c.id))
    return [_call(row) for row in rows]


def made_by_company(connection: Connection, call_ids: Iterable[str]) -> frozenset[str]:
    """Of these calls those that the company made."""
    ids = sorted(set(call_ids))
    of_company = select(calls.c.id).where(calls.c.id.in_(ids), calls.c.outbound.is_not(None))
    return frozenset(connection.scalars(of_company)) if ids else frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a call's recording is to be: ``file`` as its node's Asterisk named it, None if there was to be none."""

    site: str | None
    node: str
    file: str | None
    answered: bool


def recorded_call(connection: Connection, call_id: str) -> Recorded | None:
    """What is known of a call's recording; None if there is no such call."""
    if not storable(call_id) or len(call_id) > MAX_CALL_ID:
        return None
    row = connection.execute(
        select(sites.c.key, calls.c.node, calls.c.recording, calls.c.answered_at)
        .outerjoin_from(calls, sites, sites.c.id == calls.c.site_id)
        .where(calls.c.id == call_id)
    ).one_or_none()
    return Recorded(row.key, row.node, row.recording, row.answered_at is not None) if row else None


def _history(connection: Connection, call_id: str) -> list[dict[str, Any]]:
    newest = audit.c.id.desc()
    rows = connection.execute(select(audit).where(audit.c.call_id == call_id).order_by(newest).limit(MAX_HISTORY))
    return [
        {"at": rfc3339(row.at), "who": row.who, "field": row.field, "before": row.before, "after": row.after}
        for row in rows
    ]


def storable(text: str) -> bool:
    """Whether a database can hold the text: PostgreSQL refuses NUL, and half a surrogate pair is no Unicode."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _call(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "started_at": rfc3339(row.started_at),
        "answered_at": rfc3339(row.answered_at),
        "ended_at": rfc3339(row.ended_at),
        "site": row.site,
        "dialled": row.dialled,
        "caller": row.caller,
        "contact": None if row.contact_id is None else str(row.contact_id),
        "status": row.status,
        "ringing_seconds": round(row.ringing_seconds, 3),
        "talk_seconds": round(row.talk_seconds, 3),
        "answered_by": row.answered_by,
        "hung_up_by": row.hung_up_by,
        "hangup_cause": row.hangup_cause,
        "first": row.first,
        # A contact is kept for every caller who is known at a site: without one there is nobody to come again.
        "repeat": row.contact_id is not None and not row.first,
        "unique": row.is_unique,
        "target": row.target if row.qualified is None else row.qualified,
        "qualified": row.qualified,
        "settled_by": row.settled_by,
        "settled_at": rfc3339(row.settled_at),
        "outbound": row.outbound,
        "recording": row.recording if row.answered_at is not None else None,
        "note": row.note,
        "tags": row.tags,
        "attribution": _attribution(row),
        "pbx": {"node": row.node, "linkedid": row.linkedid, "end_seen": _end_seen(row), "fallback": row.fallback},
    }


def _attribution(row: Row[Any]) -> dict[str, Any]:
    computed = {
        "method": row.method or Method.NONE.value,
        "channel": row.channel or None,
        **{name: getattr(row, name) or None for name in _TOUCH},
        "visit": row.visit_id,
        "confidence": row.confidence,
        "why": row.why if row.method else reasons.OUTBOUND if row.outbound else reasons.NOT_YET,
        # No more of them: a lease's id lets whoever knows it renew the lease.
        "candidates": [{name: one[name] for name in ("visit", "channel", "confidence")} for one in row.candidates],
    }
    if row.corrected_channel is None:
        return {**computed, "corrected": False, "computed": None}
    channel, visit = row.corrected_channel, row.corrected_visit_id
    return {
        "method": CORRECTED,
        "channel": channel,
        **{name: getattr(row, f"told_{name}") or None for name in _TOUCH},
        "visit": visit,
        "confidence": 1.0,
        "why": _why_corrected(row),
        "candidates": [{"visit": visit, "channel": channel, "confidence": 1.0}] if visit else [],
        "corrected": True,
        "computed": computed,
    }


def _why_corrected(row: Row[Any]) -> str:
    said = {"by": row.corrected_by, "channel": row.corrected_channel, "instead": row.channel}
    if row.corrected_channel == row.channel:
        return reasons.CORRECTED % said
    return (reasons.CORRECTED_FROM if row.channel else reasons.CORRECTED_UNKNOWN) % said


def _end_seen(row: Row[Any]) -> bool | None:
    """Whether the end was heard from Asterisk; False when it was only inferred after a break, None before it."""
    if row.ended_at is None:
        return None
    caller = row.state["caller_leg"] or row.linkedid
    return not any(leg["unseen"] for name, leg in row.state["legs"].items() if name == caller)


def _cursor(row: Row[Any]) -> str:
    text = f"{microseconds(row.started_at)} {row.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        since_1970, _, call_id = text.partition(" ")
        if not storable(call_id) or not call_id or len(call_id) > MAX_CALL_ID:
            raise ValueError
        return _EPOCH + timedelta(microseconds=int(since_1970)), call_id
    except (binascii.Error, ValueError, OverflowError):
        raise InvalidCursor("the cursor is not one of ours; begin again without it") from None


def call_timeline(connection: Connection, call_id: str) -> list[dict[str, Any]]:
    """What was heard of a call, by time: ``at``, ``kind``, ``leg``, ``data`` and a ``sentence`` for people.

    Empty for a call that does not exist.
    """
    if not storable(call_id) or len(call_id) > MAX_CALL_ID:
        return []
    rows = connection.execute(_facts, {"id": call_id}).all()
    names = {row.leg: row.data["name"] for row in rows if row.data.get("name")}
    names |= {row.leg: "The caller" for row in rows if row.kind == "arrived"}
    return [
        {
            "at": rfc3339(row.at),
            "kind": row.kind,
            "leg": row.leg,
            "data": row.data,
            "sentence": _sentence(row.kind, row.data, names.get(row.leg) or row.leg or "Somebody"),
        }
        for row in rows
    ]


_FAILURES = {
    "BUSY": "was busy",
    "NOANSWER": "was not answered in time",
    "CANCEL": "stopped ringing: the call was called off",
    "CHANUNAVAIL": "could not be reached",
    "CONGESTION": "could not be reached",
}
_FALLBACKS = {
    "unanswered": "pbxtrack did not answer",
    "timeout": "pbxtrack did not answer in time",
    "not-a-number": "the dialled number is none",
}


def _sentence(kind: str, data: dict[str, Any], name: str) -> str:
    match kind:
        case "arrived":
            caller = "A caller who withheld their number" if data.get("withheld") else data.get("caller")
            return f"{caller or 'An unknown caller'} dialled {data.get('dialled')} (heard by {data.get('heard')})."
        case "queued":
            return f"{name} waits in a queue."
        case "dialled":
            return f"Asterisk began to call {name}."
        case "rang":
            return f"{name} rang."
        case "answered":
            return f"{name} answered."
        case "failed":
            return f"{name} {_FAILURES.get(data.get('status', ''), 'did not answer')} ({data.get('status')})."
        case "joined":
            return f"{name} joined the conversation."
        case "left":
            return f"{name} left the conversation."
        case "hangup":
            return f"{name} hung up{_cause(data)}."
        case "ended" if data.get("unseen"):
            return f"{name} was found gone after a break in listening{_cause(data)}."
        case "ended":
            return f"{name} is gone{_cause(data)}."
        case "transferred":
            return f"The call was transferred to {data.get('target')} ({data.get('how')})."
        case "recording":
            return f"Recording began: {data.get('file')}."
        case "called_out":
            return f"The company called {data.get('number')}."
        case "fallback":
            return f"Asterisk used the last known line: {_FALLBACKS.get(data.get('reason', ''), data.get('reason'))}."
        case _:
            return f"Something that this version does not know: {kind}."


def _cause(data: dict[str, Any]) -> str:
    return f" (cause {data['cause']})" if data.get("cause") is not None else ""
