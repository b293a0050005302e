"""Facts and calls, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, Table, Text, bindparam, cast, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack import utc
from pbxtrack.calls.attribution import Attribution, Candidate, Method
from pbxtrack.calls.events import Entry, Fact, entries, restore
from pbxtrack.calls.evidence import CALLER_BINDING, EarlierCall
from pbxtrack.calls.lifecycle import Call, Outcome, Status
from pbxtrack.calls.ports import Caller, CallRecord, Known
from pbxtrack.pool.model import Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.kept import AHEAD, KeptCalls
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.prepared import Among, Prepared, driver_of
from pbxtrack.storage.rows import VISIT_COLUMNS, correction_of, held_of, visit_of
from pbxtrack.storage.standing import follow, lock_callers
from pbxtrack.storage.tables import call_facts, calls, contacts, sites, visits

_TOUCH = ("source", "medium", "campaign", "term", "content")
_STATE: TypeAdapter[Call] = TypeAdapter(Call)
_PEOPLES = {
    "note", "qualified", "corrected_channel", "corrected_visit_id", "corrected_campaign", "corrected_tie",
    "corrected_by", "corrected_at",
}  # fmt: skip
_STANDING = {"is_unique", "settled_by", "settled_at"}  # see pbxtrack.storage.standing
WRITTEN = frozenset({column.name for column in calls.c} - _PEOPLES - _STANDING)
"""The columns that :func:`values_of` fills."""
_UNSEEN = ('"unseen":true', '"unseen": true')  # of a leg in a state; to read the whole of each takes longer
_load = Prepared(
    select(calls, sites.c.target_seconds, *VISIT_COLUMNS)
    .outerjoin_from(calls, sites, sites.c.id == calls.c.site_id)
    .outerjoin(visits, visits.c.id == calls.c.visit_id)
    .where(Among(calls.c.id, "ids")),
    many=True,
)
_known = Prepared(
    select(
        calls.c.id, calls.c.status, calls.c.answered_at, calls.c.ended_at, calls.c.ringing_seconds,
        calls.c.talk_seconds, calls.c.answered_by, calls.c.hung_up_by, calls.c.hangup_cause, calls.c.method,
        or_(*(cast(calls.c.state, Text).contains(mark) for mark in _UNSEEN)).label("unseen"),
    ).where(Among(calls.c.id, "ids")),
    many=True,
)  # fmt: skip
_contacts = Prepared(
    select(contacts.c.id, contacts.c.caller, contacts.c.first_at).where(
        contacts.c.site_id == bindparam("site_id"), Among(contacts.c.caller, "callers")
    ),
    many=True,
)
_came_earlier = Gathered(update(contacts).where(contacts.c.id == bindparam("contact")).values(first_at=bindparam("at")))
_not_first = Gathered(
    update(calls)
    .where(calls.c.site_id == bindparam("site"), calls.c.caller == bindparam("number"), calls.c.first)
    .values(first=bindparam("is"))
)
_after = Prepared(
    select(calls.c.id, calls.c.site_id, calls.c.caller, calls.c.started_at)
    .where(
        Among(calls.c.site_id, "site_ids"),
        Among(calls.c.caller, "callers"),
        calls.c.started_at > bindparam("earliest"),
        calls.c.method.is_not(None),
    )
    .order_by(calls.c.started_at),
    many=True,
)
_open = select(calls.c.state).where(calls.c.node == bindparam("node"), calls.c.ended_at.is_(None))
_facts = (
    select(call_facts)
    .where(call_facts.c.node == bindparam("node"), call_facts.c.linkedid == bindparam("linkedid"))
    .order_by(call_facts.c.at, call_facts.c.id)
)
_LOCK = "SELECT pg_advisory_xact_lock(hashtext(id)) FROM unnest(%(ids)s::text[]) AS id"  # in the order given


class SqlCalls(SqlDirectory):
    """:class:`~pbxtrack.calls.ports.CallStore` on a connection."""

    def __init__(self, connection: Connection, known: KnownSites | None = None, kept: KeptCalls | None = None) -> None:
        """``kept``: what was known of calls before, of who records them in batches."""
        super().__init__(connection, known)
        self._connection = connection
        self._kept = kept if connection.dialect.name == "sqlite" else None

    def calls_to(
        self, numbers: Mapping[str, int], earliest: datetime, latest: datetime
    ) -> Mapping[str, Sequence[EarlierCall]]:
        if self._kept is None:
            return super().calls_to(numbers, earliest, latest)
        self._kept.look(driver_of(self._connection))
        if lacking := self._kept.lacking(numbers, earliest, latest):
            until = latest + AHEAD
            found = self._calls_to([numbers[number] for number in lacking], earliest, until)
            for number in lacking:
                self._kept.keep(number, found.get(number, [])[::-1], earliest, until)
        return {number: self._kept.of(number) for number in numbers}

    def lock(self, call_ids: Collection[str]) -> None:
        if self._connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
            self._connection.exec_driver_sql(_LOCK, {"ids": sorted(call_ids)})

    def append(self, facts: Sequence[Fact], now: datetime) -> None:
        written = zip(facts, entries(facts), strict=True)
        self.enter([(fact.node, fact.linkedid, (entry,)) for fact, entry in written], now)

    def enter(self, calls: Sequence[tuple[str, str, Sequence[Entry]]], now: datetime) -> None:
        (recorded_at,) = utc.texts([now])
        rows = [(node, linkedid, *entry, recorded_at) for node, linkedid, written in calls for entry in written]
        _add_facts(self._connection.dialect.name).run_written(self._connection, rows)

    def load(self, call_ids: Collection[str]) -> Mapping[str, CallRecord]:
        return {row.id: record_of(row) for row in load_rows(self._connection, call_ids)}

    def known(self, call_ids: Collection[str]) -> Mapping[str, Known]:
        return {
            row.id: Known(_outcome(row), bool(row.method), bool(row.unseen))
            for row in _known.all(self._connection, {"ids": call_ids})
        }

    def save(self, records: Sequence[CallRecord]) -> None:
        _save(self._connection.dialect.name).run(self._connection, [values_of(record) for record in records])
        if self._kept is not None:
            self._kept.saved(records)

    def lock_callers(self, changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> None:
        lock_callers(self._connection, changed, before)

    def follow(self, changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> Collection[str]:
        return follow(self._connection, changed, before)

    def contacts(self, callers: Sequence[Caller]) -> list[tuple[int, bool]]:
        earliest: dict[tuple[int, str], int] = {}  # the index of each one's first call
        for index, caller in enumerate(callers):
            key = (caller.site_id, caller.number)
            if key not in earliest or caller.at < callers[earliest[key]].at:
                earliest[key] = index
        known = self._contacts(earliest)
        new = {key: callers[index].at for key, index in earliest.items() if key not in known}
        _add_contacts(self._connection.dialect.name).run(
            self._connection,
            [{"site_id": site_id, "caller": caller, "first_at": at} for (site_id, caller), at in new.items()],
        )
        made = self._contacts(new)
        # Another process may have been quicker to make one, for another call.
        first = {earliest[key] for key, row in made.items() if row.first_at == new[key]}
        known |= made
        # A call that nobody heard at the time, found later in Asterisk's files: it was the first.
        earlier = {key: index for key, index in earliest.items() if callers[index].at < known[key].first_at}
        _came_earlier.run(
            self._connection, [{"contact": known[key].id, "at": callers[index].at} for key, index in earlier.items()]
        )
        _not_first.run(self._connection, [{"site": key[0], "number": key[1], "is": False} for key in earlier])
        first.update(earlier.values())
        return [(known[one.site_id, one.number].id, index in first) for index, one in enumerate(callers)]

    def _contacts(self, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Any]:
        by_site: dict[int, list[str]] = {}
        for site_id, caller in keys:
            by_site.setdefault(site_id, []).append(caller)
        return {
            (site_id, row.caller): row
            for site_id, callers in by_site.items()
            for row in _contacts.all(self._connection, {"site_id": site_id, "callers": callers})
        }

    def after(self, callers: Sequence[Caller]) -> list[str]:
        times: dict[tuple[int, str], list[datetime]] = {}
        for one in callers:
            times.setdefault((one.site_id, one.number), []).append(one.at)
        if not times:
            return []
        wanted = {"site_ids": {site_id for site_id, _ in times}, "callers": {number for _, number in times}}
        rows = _after.all(self._connection, {**wanted, "earliest": min(one.at for one in callers)})
        return [
            row.id
            for row in rows
            if any(at < row.started_at <= at + CALLER_BINDING for at in times.get((row.site_id, row.caller), ()))
        ]

    def prolong(self, signs: Sequence[Sign]) -> None:
        if signs:
            renew(SqlLeases(self._connection), signs, max(sign.at for sign in signs if sign.at))

    def facts(self, node: str, linkedid: str) -> list[Fact]:
        """Every fact of a call, by time."""
        rows = self._connection.execute(_facts, {"node": node, "linkedid": linkedid})
        return [
            restore(row.kind, node=row.node, linkedid=row.linkedid, at=row.at, leg=row.leg, data=row.data)
            for row in rows
        ]

    def open_calls(self, node: str) -> list[Call]:
        """The calls of an Asterisk that are not over, as far as we heard."""
        return [_STATE.validate_python(state) for state in self._connection.scalars(_open, {"node": node})]


# Statements are built once for each dialect: building one costs more than running it.
@cache
def _add_facts(dialect: str) -> Gathered:
    return Gathered(_insert(dialect, call_facts, but={"id"}).on_conflict_do_nothing())


@cache
def _add_contacts(dialect: str) -> Gathered:
    return Gathered(_insert(dialect, contacts, but={"id"}).on_conflict_do_nothing())


@cache
def _save(dialect: str) -> Gathered:
    """The upsert of a whole call; what people said of it stays, and so does how it stands among others.

    Whether it is the first is written with a new call alone: of a known one another transaction may know better.
    """
    statement = _insert(dialect, calls, but=_PEOPLES | _STANDING)
    kept = {"id", "node", "linkedid", "tags", "first", *_PEOPLES, *_STANDING}
    changed = {column.name: statement.excluded[column.name] for column in calls.c if column.name not in kept}
    return Gathered(statement.on_conflict_do_update(index_elements=[calls.c.id], set_=changed))


def _insert(dialect: str, table: Table, *, but: Collection[str]) -> Any:
    """Insert rows with values for every column but these."""
    columns = {column.name: bindparam(column.name, type_=column.type) for column in table.c if column.name not in but}
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table).values(columns).inline()


def load_rows(connection: Connection, call_ids: Collection[str]) -> Sequence[Any]:
    """The rows of those of the calls that exist, for :func:`record_of`."""
    return _load.all(connection, {"ids": call_ids}) if call_ids else []


def values_of(record: CallRecord) -> dict[str, Any]:
    """What is kept of a call, by column."""
    call, result, attribution = record.call, record.outcome, record.attribution
    visit = attribution.visit if attribution else None
    return {
        "id": call.id,
        "node": call.node,
        "linkedid": call.linkedid,
        "site_id": record.site_id,
        "contact_id": record.contact_id,
        "started_at": call.started_at,
        "answered_at": result.answered_at,
        "ended_at": result.ended_at,
        "dialled": record.dialled,
        "caller": record.caller,
        "caller_name": call.caller_name,
        "status": result.status.value,
        "ringing_seconds": result.ringing_seconds,
        "talk_seconds": result.talk_seconds,
        "answered_by": result.answered_by,
        "hung_up_by": result.hung_up_by,
        "hangup_cause": result.hangup_cause,
        "first": record.first,
        "target": record.target,
        "recording": call.recording,
        "fallback": call.fallback,
        "state": call if isinstance(call, Call) else orjson.Fragment(call.state),
        "held": record.held or None,
        "outbound": record.outbound,
        "tags": [],
        "method": attribution.method.value if attribution else None,
        "channel": attribution.channel if attribution else None,
        "lease_id": attribution.lease if attribution else None,
        "why": attribution.why if attribution else None,
        "confidence": attribution.confidence if attribution else 0.0,
        "candidates": attribution.candidates if attribution else (),
        "visit_id": visit.id if visit else None,
        **{name: getattr(visit.touch, name) if visit else None for name in _TOUCH},
    }


def record_of(row: Any) -> CallRecord:
    """The call of one of :func:`load_rows`."""
    attribution = None
    if row.method:
        attribution = Attribution(
            Method(row.method),
            row.why,
            row.channel,
            visit_of(row) if row.v_id else None,
            row.lease_id,
            row.confidence,
            tuple(Candidate(**candidate) for candidate in row.candidates),
        )
    return CallRecord(
        call=_STATE.validate_python(row.state),
        outcome=_outcome(row),
        dialled=row.dialled,
        caller=row.caller,
        site_id=row.site_id,
        contact_id=row.contact_id,
        first=row.first,
        target_talk=timedelta(seconds=row.target_seconds if row.target_seconds is not None else 60),
        attribution=attribution,
        correction=correction_of(row),
        held=held_of(row),
        outbound=row.outbound,
    )


def _outcome(row: Any) -> Outcome:
    return Outcome(
        Status(row.status),
        row.answered_at,
        row.ended_at,
        row.ringing_seconds,
        row.talk_seconds,
        row.answered_by,
        row.hung_up_by,
        row.hangup_cause,
    )
