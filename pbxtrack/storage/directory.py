"""Whose a dialled number is, in SQL: what every call waits for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from pbxtrack.calls.attribution import Candidate, Method, earlier_call
from pbxtrack.calls.curves import PRIOR, Curves
from pbxtrack.calls.evidence import (
    CALLER_BINDING,
    MAX_EARLIER_CALLS,
    MAX_HOLDERS,
    EarlierCall,
    Holder,
    Resolution,
    Tie,
    heard,
    older_leases,
    recent,
)
from pbxtrack.calls.ports import Dialled
from pbxtrack.pool.model import NumberKind, NumberOwner
from pbxtrack.storage.kept import KeptCall
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.prepared import Among, Prepared, Reader
from pbxtrack.storage.rows import (
    LEASE_COLUMNS,
    SITE_COLUMNS,
    VISIT_COLUMNS,
    correction_of,
    curves_of,
    lease_of,
    site_of,
    visit_of,
)
from pbxtrack.storage.tables import UtcTime, calls, channels, curves, leases, numbers, sites, visits

_EVER = datetime(1970, 1, 1, tzinfo=UTC)

OVERFLOW_MEMORY = timedelta(days=1)
"""How long those may have called who were shown the overflow number."""

_owner = Prepared(
    select(
        numbers.c.id,
        numbers.c.kind,
        channels.c.name.label("channel"),
        channels.c.line.label("channel_line"),
        *SITE_COLUMNS,
    )
    .join_from(numbers, sites, sites.c.id == numbers.c.site_id)
    .outerjoin(channels, channels.c.id == numbers.c.channel_id)
    .where(numbers.c.e164 == bindparam("number"), numbers.c.removed_at.is_(None), sites.c.removed_at.is_(None))
)
_shown = select(*LEASE_COLUMNS, *VISIT_COLUMNS).join_from(leases, visits, visits.c.id == leases.c.visit_id)
_holders = Prepared(
    _shown.join(numbers, numbers.c.id == leases.c.number_id)
    .where(leases.c.number_id == bindparam("number_id"), leases.c.started_at <= bindparam("at"))
    .order_by(leases.c.started_at.desc())
    .limit(MAX_HOLDERS),
    many=True,
)
_overflow_holders = Prepared(
    _shown.outerjoin(numbers, numbers.c.id == leases.c.number_id)
    .where(
        leases.c.number_id.is_(None),
        leases.c.site_id == bindparam("site_id"),
        leases.c.started_at <= bindparam("at"),
        leases.c.started_at >= bindparam("since"),
    )
    .order_by(leases.c.started_at.desc())
    .limit(MAX_HOLDERS),
    many=True,
)
_leases = Prepared(
    _shown.outerjoin(numbers, numbers.c.id == leases.c.number_id).where(Among(leases.c.id, "ids")), many=True
)
_EARLIER = (
    calls.c.started_at,
    calls.c.dialled,
    calls.c.caller,
    calls.c.candidates,
    calls.c.corrected_channel,
    calls.c.corrected_tie,
)
_tied = calls.c.method != Method.STATIC.value


def _latest_calls(*which: ColumnElement[bool]) -> Prepared:
    return Prepared(
        select(*_EARLIER)
        .where(*which, calls.c.started_at < bindparam("at"), calls.c.started_at >= bindparam("since"), _tied)
        .order_by(calls.c.started_at.desc())
        .limit(MAX_EARLIER_CALLS),
        many=True,
    )


_calls_to = _latest_calls(calls.c.dialled == bindparam("number"))
_calls_by = _latest_calls(calls.c.site_id == bindparam("site_id"), calls.c.caller == bindparam("caller"))
# The same for many numbers and moments at once: what of their history may matter, to be chosen from.
_one_too_early = leases.alias()
_holders_of_many = Prepared(
    select(*LEASE_COLUMNS, *VISIT_COLUMNS)
    .join_from(numbers, leases, leases.c.number_id == numbers.c.id)
    .join(visits, visits.c.id == leases.c.visit_id)
    .where(
        Among(numbers.c.id, "number_ids"),
        leases.c.started_at <= bindparam("latest"),
        leases.c.started_at
        >= func.coalesce(
            select(_one_too_early.c.started_at)
            .where(_one_too_early.c.number_id == numbers.c.id, _one_too_early.c.started_at <= bindparam("earliest"))
            .order_by(_one_too_early.c.started_at.desc())
            .limit(1)
            .offset(MAX_HOLDERS - 1)
            .scalar_subquery(),
            bindparam("ever", type_=UtcTime),
        ),
    )
    .order_by(leases.c.started_at.desc()),
    many=True,
)
_call_too_early = calls.alias()
_calls_to_many = Prepared(
    select(*_EARLIER, calls.c.id)
    .join_from(numbers, calls, calls.c.dialled == numbers.c.e164)
    .where(
        Among(numbers.c.id, "number_ids"),
        calls.c.started_at < bindparam("latest"),
        calls.c.started_at
        >= func.coalesce(
            select(_call_too_early.c.started_at)
            .where(_call_too_early.c.dialled == numbers.c.e164, _call_too_early.c.started_at < bindparam("earliest"))
            .order_by(_call_too_early.c.started_at.desc())
            .limit(1)
            .offset(MAX_EARLIER_CALLS - 1)
            .scalar_subquery(),
            bindparam("ever", type_=UtcTime),
        ),
        _tied,
    )
    .order_by(calls.c.started_at.desc()),
    many=True,
)
_calls_by_many = Prepared(
    select(*_EARLIER, calls.c.site_id)
    .where(
        Among(calls.c.site_id, "site_ids"),
        Among(calls.c.caller, "callers"),
        calls.c.started_at < bindparam("latest"),
        calls.c.started_at >= bindparam("since"),
        _tied,
    )
    .order_by(calls.c.started_at.desc()),
    many=True,
)
_curves = Prepared(
    select(curves.c.version, curves.c.curves)
    .where(curves.c.site_id == bindparam("site_id"))
    .order_by(curves.c.version.desc())
    .limit(1)
)
_channel_line = Prepared(
    select(channels.c.line).where(
        channels.c.site_id == bindparam("site_id"),
        channels.c.name == bindparam("name"),
        channels.c.removed_at.is_(None),
    )
)


class SqlDirectory:
    """:class:`~pbxtrack.calls.evidence.Directory` on a connection. ``known``: what is read only once."""

    def __init__(self, reader: Reader, known: KnownSites | None = None) -> None:
        self._reader = reader
        self._known = known.read(reader) if known is not None else {}

    def owner(self, number: str) -> NumberOwner | None:
        owner: NumberOwner | None = self._known.get(number)
        if owner is None:
            owner = self._read_owner(number)
            if owner is not None:  # what callers dial beside our numbers would fill the memory
                self._known[number] = owner
        return owner

    def _read_owner(self, number: str) -> NumberOwner | None:
        row = _owner.one_or_none(self._reader, {"number": number})
        if row is None:
            return None
        lines = {row.channel: row.channel_line} if row.channel and row.channel_line else {}
        return NumberOwner(number, row.id, NumberKind(row.kind), site_of(row, channel_lines=lines), row.channel)

    def resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        owner = self.owner(number)
        if owner is None or owner.kind is NumberKind.STATIC:
            return Resolution(number, at, caller, owner)
        times = {"at": at, "since": at - CALLER_BINDING}
        by_caller: list[EarlierCall] = []
        if caller is not None:
            found = _calls_by.all(self._reader, {"site_id": owner.site.id, "caller": caller, **times})
            by_caller = [_earlier_call(row) for row in found]
        to_number = [_earlier_call(row) for row in _calls_to.all(self._reader, {"number": number, **times})]
        holders = self._holders(owner, at)
        older = older_leases(number, by_caller, {holder.lease.id for holder in holders})
        found_older = self.leases(older)
        holders += _begun(found_older, older, at)
        calls_ = heard(caller, by_caller, to_number)
        return Resolution(owner.number, at, caller, owner, holders, calls_, self.curves(owner))

    def resolve_all(self, asked: Sequence[Dialled]) -> list[Resolution]:
        """What :meth:`resolve` gives for each, by a few queries for all of them."""
        owners = [self.owner(one.number) if one.number else None for one in asked]
        pooled = [
            (owner, one) for owner, one in zip(owners, asked, strict=True) if owner and owner.kind is NumberKind.POOL
        ]
        history = _History(self, [(owner.number_id, owner.site.id, one) for owner, one in pooled])
        found = []
        for owner, one in zip(owners, asked, strict=True):
            if owner is None or owner.kind is NumberKind.STATIC:
                found.append(Resolution(one.number, one.at, one.caller, owner))
            elif owner.kind is NumberKind.OVERFLOW:  # seldom called
                found.append(self.resolve(owner.number, one.at, one.caller))
            else:
                found.append(history.of(owner, one))
        return found

    def curves(self, owner: NumberOwner) -> Curves:
        """What the calls of a number's site have taught, as it is kept."""
        key = "curves", owner.site.id
        if key not in self._known:
            row = _curves.one_or_none(self._reader, {"site_id": owner.site.id})
            self._known[key] = curves_of(row) if row else PRIOR
        learned: Curves = self._known[key]
        return learned

    def channel_line(self, site_id: int, channel: str) -> str | None:
        """The own line of a site's advertising channel, if it has one."""
        key = site_id, channel
        if key not in self._known:
            self._known[key] = self._read_channel_line(site_id, channel)
        line: str | None = self._known[key]
        return line

    def _read_channel_line(self, site_id: int, channel: str) -> str | None:
        row = _channel_line.one_or_none(self._reader, {"site_id": site_id, "name": channel})
        line: str | None = row.line if row else None
        return line

    def rehearse(self, at: datetime) -> None:
        """Run every query of a resolve once, for nobody: the first caller then does not wait for their making."""
        nothing = {"number_id": 0, "site_id": 0, "number": "", "caller": "", "ids": [], "at": at, "since": at}
        self._read_owner("")
        for query in (_holders, _calls_to, _calls_by, _leases, _curves):
            query.all(self._reader, nothing)
        self._read_channel_line(0, "")

    def _holders(self, owner: NumberOwner, at: datetime) -> list[Holder]:
        if owner.kind is NumberKind.OVERFLOW:
            since = at - OVERFLOW_MEMORY
            rows = _overflow_holders.all(self._reader, {"site_id": owner.site.id, "at": at, "since": since})
        else:
            rows = _holders.all(self._reader, {"number_id": owner.number_id, "at": at})
        return _of_site(owner, [_holder(row) for row in rows])

    def leases(self, ids: Collection[str]) -> dict[str, Holder]:
        """Leases with their visits, by their ids."""
        if not ids:
            return {}
        return {row.id: _holder(row) for row in _leases.all(self._reader, {"ids": list(ids)})}

    def calls_to(
        self, numbers: Mapping[str, int], earliest: datetime, latest: datetime
    ) -> Mapping[str, Sequence[EarlierCall]]:
        """The calls to each of the numbers, given with their ids, that may matter to calls between these times.

        The latest first.
        """
        found = self._calls_to(numbers.values(), earliest, latest)
        return {number: [kept.call for kept in calls_] for number, calls_ in found.items()}

    def _calls_to(
        self, number_ids: Collection[int], earliest: datetime, latest: datetime
    ) -> Mapping[str, list[KeptCall]]:
        found: defaultdict[str, list[KeptCall]] = defaultdict(list)
        which = {"number_ids": number_ids, "earliest": earliest, "latest": latest, "ever": _EVER}
        for row in self.rows(_calls_to_many, which):
            found[row.dialled].append(KeptCall(row.started_at, row.id, _earlier_call(row)))
        return found

    def rows(self, query: Prepared, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """What a query of many numbers' history gives."""
        return query.all(self._reader, parameters)


class _History:
    """Who was shown numbers, and who called them, at many moments at once."""

    def __init__(self, directory: SqlDirectory, asked: Sequence[tuple[int, int, Dialled]]) -> None:
        """``asked``: the ids of number and site of each."""
        self._directory = directory
        self._holders: defaultdict[int | None, list[Holder]] = defaultdict(list)
        self._to: Mapping[str, Sequence[EarlierCall]] = {}
        self._by: defaultdict[tuple[int, str], list[EarlierCall]] = defaultdict(list)
        if not asked:
            return
        times = [one.at for _, _, one in asked]
        which = {"number_ids": {number_id for number_id, _, _ in asked}, "earliest": min(times), "latest": max(times)}
        for row in directory.rows(_holders_of_many, {**which, "ever": _EVER}):
            self._holders[row.number_id].append(_holder(row))
        numbers = {one.number: number_id for number_id, _, one in asked if one.number}
        self._to = directory.calls_to(numbers, min(times), max(times))
        if callers := {one.caller for _, _, one in asked if one.caller}:
            sites = {site_id for _, site_id, _ in asked}
            since = min(times) - CALLER_BINDING
            wanted = {"site_ids": sites, "callers": callers, "since": since, "latest": max(times)}
            for row in directory.rows(_calls_by_many, wanted):
                self._by[row.site_id, row.caller].append(_earlier_call(row))
        # Those that are read already: what is among an earlier call's latest leases may not be among a later one's.
        self._older = {holder.lease.id: holder for holders in self._holders.values() for holder in holders}
        unseen: set[str] = set()
        for _, site_id, one in asked:
            if one.number and one.caller:
                unseen.update(older_leases(one.number, self._by[site_id, one.caller], self._older))
        self._older |= directory.leases(unseen)

    def of(self, owner: NumberOwner, one: Dialled) -> Resolution:
        """What is known of one of them."""
        shown = (holder for holder in self._holders[owner.number_id] if holder.lease.started_at <= one.at)
        holders = _of_site(owner, islice(shown, MAX_HOLDERS))
        by_caller = recent(self._by[owner.site.id, one.caller], one.at) if one.caller else []
        older = older_leases(owner.number, by_caller, {holder.lease.id for holder in holders})
        holders += _begun(self._older, older, one.at)
        calls_ = heard(one.caller, by_caller, recent(self._to.get(owner.number, ()), one.at))
        return Resolution(owner.number, one.at, one.caller, owner, holders, calls_, self._directory.curves(owner))


def _of_site(owner: NumberOwner, holders: Iterable[Holder]) -> list[Holder]:
    """Not of the site that had the number before."""
    return [holder for holder in holders if holder.lease.site_id == owner.site.id]


def _begun(found: Mapping[str, Holder], leases_: Iterable[str], at: datetime) -> list[Holder]:
    """Those of the leases that had begun: a call that was kept with a wrong time may be tied to a later one."""
    return [found[lease] for lease in leases_ if lease in found and found[lease].lease.started_at <= at]


def _holder(row: Any) -> Holder:
    return Holder(lease_of(row), visit_of(row))


def _earlier_call(row: Any) -> EarlierCall:
    if row.corrected_channel is not None:
        candidates = [Candidate(**one) for one in row.candidates]
        return earlier_call(row.started_at, row.dialled, row.caller, candidates, correction_of(row))
    # Nearly all of them, with a caller waiting: the same, without an object for each candidate.
    ties = [Tie(one["visitor"], one["lease"], one["confidence"]) for one in row.candidates if one.get("visitor")]
    return EarlierCall(row.started_at, row.dialled, row.caller, ties)
