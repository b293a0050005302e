"""How a call stands among its caller's others, in SQL: the first, unique or not, and missed calls that were settled.

It is worked out anew for the calls that a change can matter to, from their neighbours in time alone, so that neither
the order in which calls are heard of nor a caller who calls all day makes a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, tuple_, union, update

from pbxtrack.calls.lifecycle import LOST
from pbxtrack.calls.ports import CallRecord
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.tables import UtcTime, calls, contacts, sites

_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_call, _other = calls.alias("call"), calls.alias("other")
_same_caller = and_(_other.c.site_id == _call.c.site_id, _other.c.caller == _call.c.caller)
_is_after = tuple_(_other.c.started_at, _other.c.id) > tuple_(_call.c.started_at, _call.c.id)
_is_before = tuple_(_other.c.started_at, _other.c.id) < tuple_(_call.c.started_at, _call.c.id)
_in_order, _latest_first = (_other.c.started_at, _other.c.id), (_other.c.started_at.desc(), _other.c.id.desc())


def _nearest(column: Any, *conditions: Any, order: Any) -> Any:
    """A column of the first call, in this order, that stands so to ``_call``."""
    return select(column).where(*conditions).order_by(*order).limit(1).correlate(_call).scalar_subquery()


_answering = (_same_caller, _is_after, _other.c.answered_at.is_not(None))
_calling_back = (_other.c.outbound == _call.c.caller, _is_after, _other.c.answered_at.is_not(None))
_lost = or_(*(_call.c.status == status.value for status in sorted(LOST)))
_standing = Prepared(
    select(
        _call.c.id,
        _call.c.first,
        _call.c.is_unique,
        _call.c.settled_by,
        _call.c.settled_at,
        _call.c.started_at,
        _call.c.site_id,
        _call.c.caller,
        _call.c.contact_id,
        contacts.c.first_at,
        sites.c.unique_days,
        _nearest(_other.c.started_at, _same_caller, _is_before, order=_latest_first).label("previous_at"),
        *(
            case((_lost, _nearest(column, *how, order=_in_order))).label(f"{name}_{column.name}")
            for name, how in (("came", _answering), ("called", _calling_back))
            for column in (_other.c.id, _other.c.answered_at)
        ),
    )
    .outerjoin_from(_call, sites, sites.c.id == _call.c.site_id)
    .outerjoin(contacts, contacts.c.id == _call.c.contact_id)
    .where(Among(_call.c.id, "ids")),
    many=True,
)
_answered_before = _nearest(
    _other.c.started_at, _same_caller, _is_before, _other.c.answered_at.is_not(None), order=_latest_first
)
_earlier = calls.alias("earlier")
_affected = Prepared(
    union(
        select(_nearest(_other.c.id, _same_caller, _is_after, order=_in_order).label("id"))
        .select_from(_call)
        .where(Among(_call.c.id, "ids")),
        # What was missed since the caller last got through: this call answers it, or did until now.
        select(_earlier.c.id)
        .join_from(
            _call,
            _earlier,
            and_(
                _earlier.c.site_id == _call.c.site_id,
                _earlier.c.caller == _call.c.caller,
                _earlier.c.started_at <= _call.c.started_at,
                _earlier.c.answered_at.is_(None),
            ),
        )
        .where(
            Among(_call.c.id, "ids"),
            _call.c.answered_at.is_not(None),
            _earlier.c.started_at >= func.coalesce(_answered_before, bindparam("ever", type_=UtcTime)),
        ),
        select(_earlier.c.id).where(Among(_earlier.c.settled_by, "ids")),
    ),
    many=True,
)
# What a call to this number settles, or did until now.
_called_back = Prepared(
    select(calls.c.id).where(
        calls.c.site_id.in_(select(sites.c.id)),  # the index of a caller's calls begins with the site
        calls.c.caller == bindparam("number"),
        calls.c.started_at <= bindparam("at", type_=UtcTime),
        calls.c.answered_at.is_(None),
        calls.c.settled_by.is_(None) | (calls.c.settled_at > bindparam("answered_at", type_=UtcTime)),
    )
)
_next_after = Prepared(
    select(calls.c.id)
    .where(
        calls.c.site_id == bindparam("site"),
        calls.c.caller == bindparam("caller"),
        calls.c.started_at >= bindparam("at", type_=UtcTime),
    )
    .order_by(calls.c.started_at, calls.c.id)
    .limit(1)
)
_stand = Gathered(
    update(calls)
    .where(calls.c.id == bindparam("call"))
    .values(
        first=bindparam("is_first"),
        is_unique=bindparam("unique"),
        settled_by=bindparam("by"),
        settled_at=bindparam("at"),
    )
)
_first_call = Gathered(update(contacts).where(contacts.c.id == bindparam("contact")).values(first_at=bindparam("at")))
_LOCK = """
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended('caller ' || number, 0) AS key FROM unnest(%(numbers)s::text[]) AS number
        ORDER BY key
    ) AS keys
"""


class Standing(NamedTuple):
    """How a call stands among its caller's others."""

    first: bool
    unique: bool
    settled_by: str | None
    settled_at: datetime | None


def lock_callers(connection: Connection, changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> None:
    """Two calls of one caller that end at once, in two transactions, would not see each other."""
    if connection.dialect.name != "postgresql":  # SQLite has one writer at a time anyway
        return
    numbers = {number for record in _mattering(changed, before) if (number := record.outbound or record.caller)}
    if numbers:
        connection.exec_driver_sql(_LOCK, {"numbers": sorted(numbers)})


def follow(connection: Connection, changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> set[str]:
    """See :meth:`pbxtrack.calls.ports.CallStore.follow`."""
    mattering = _mattering(changed, before)
    if not mattering:
        return set()
    ids = {record.call.id for record in mattering}
    affected = ids | {row.id for row in _affected.all(connection, {"ids": ids, "ever": _EVER}) if row.id}
    for record in mattering:
        if record.outbound and record.outcome.answered_at:
            call_back = {
                "number": record.outbound,
                "at": record.call.started_at,
                "answered_at": record.outcome.answered_at,
            }
            affected |= {row.id for row in _called_back.all(connection, call_back)}
        was = before.get(record.call.id)
        if was and was.site_id and was.caller and _key(was) != _key(record):
            asked = {"site": was.site_id, "caller": was.caller, "at": was.call.started_at}
            affected |= {row.id for row in _next_after.all(connection, asked)}
    return stand(connection, affected)


def stand(connection: Connection, call_ids: Collection[str]) -> set[str]:
    """Write how these calls stand, where it is written otherwise; those."""
    rows = sorted(_misplaced(connection, call_ids), key=lambda found: str(found[0].id))
    _stand.run(
        connection,
        [
            {
                "call": row.id,
                "is_first": to.first,
                "unique": to.unique,
                "by": to.settled_by,
                "at": to.settled_at,
            }
            for row, to in rows
        ],
    )
    begun = {row.contact_id: row.started_at for row, to in rows if to.first and row.first_at != row.started_at}
    _first_call.run(connection, [{"contact": contact, "at": at} for contact, at in begun.items() if contact])
    return {row.id for row, _ in rows}


def misplaced(connection: Connection, call_ids: Collection[str]) -> set[str]:
    """Those of the calls whose standing is written otherwise than it is."""
    return {row.id for row, _ in _misplaced(connection, call_ids)}


def _misplaced(connection: Connection, call_ids: Collection[str]) -> list[tuple[Any, Standing]]:
    rows = _standing.all(connection, {"ids": call_ids}) if call_ids else []
    return [
        (row, to)
        for row in rows
        if (to := _stands(row)) != Standing(row.first, row.is_unique, row.settled_by, row.settled_at)
        or (to.first and row.first_at != row.started_at)
    ]


def _stands(row: Any) -> Standing:
    known = row.site_id is not None and row.caller is not None
    first = known and row.previous_at is None
    apart = timedelta(days=row.unique_days) if row.unique_days else None
    again = apart is not None and row.previous_at is not None and row.started_at - row.previous_at > apart
    settlers = [(row.came_answered_at, row.came_id), (row.called_answered_at, row.called_id)]
    at, by = min([(at, by) for at, by in settlers if by and known], default=(None, None))
    return Standing(first, known and (first or again), by, at)


def _mattering(changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> list[CallRecord]:
    return [record for record in changed if _place(record) != _place(before.get(record.call.id))]


def _place(record: CallRecord | None) -> object:
    """What of a call matters to others of its caller."""
    return record and (*_key(record), record.outbound, record.outcome.answered_at, record.outcome.status in LOST)


def _key(record: CallRecord) -> tuple[object, ...]:
    return record.site_id, record.caller, record.call.started_at
