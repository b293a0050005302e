"""Whose a dialled number is, in SQL: what every call waits for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import bindparam, func, or_, select

from pbxtrack.calls.attribution import CALLER_BINDING, Method
from pbxtrack.calls.ports import Dialled
from pbxtrack.pool.model import Holder, NumberKind, NumberOwner, Resolution, Visit
from pbxtrack.pool.policy import EARLIER_HOLDERS
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.prepared import Among, AmongPairs, Prepared, Reader
from pbxtrack.storage.rows import LEASE_COLUMNS, SITE_COLUMNS, VISIT_COLUMNS, lease_of, site_of, visit_of
from pbxtrack.storage.tables import UtcTime, calls, channels, leases, numbers, sites, visits

_EVER = datetime(1970, 1, 1, tzinfo=UTC)

Pair = tuple[str | None, str | None]
"""A dialled number and its caller."""
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
_holders = Prepared(
    select(*LEASE_COLUMNS, *VISIT_COLUMNS)
    .join_from(leases, visits, visits.c.id == leases.c.visit_id)
    .join(numbers, numbers.c.id == leases.c.number_id)
    .where(leases.c.number_id == bindparam("number_id"), leases.c.started_at <= bindparam("at"))
    .order_by(leases.c.started_at.desc())
    .limit(EARLIER_HOLDERS)
)
_bound = Prepared(
    select(*VISIT_COLUMNS)
    .join_from(calls, visits, visits.c.id == calls.c.visit_id)
    .where(
        calls.c.dialled == bindparam("number"),
        calls.c.caller == bindparam("caller"),
        calls.c.started_at < bindparam("at"),
        calls.c.started_at >= bindparam("since"),
        or_(*(calls.c.method == method for method in (Method.LEASE, Method.CALLER, Method.PAST_LEASE))),
    )
    .order_by(calls.c.started_at.desc())
    .limit(1)
)
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
            .offset(EARLIER_HOLDERS - 1)
            .scalar_subquery(),
            bindparam("ever", type_=UtcTime),
        ),
    )
    .order_by(leases.c.started_at.desc()),
    many=True,
)
_bound_of_many = Prepared(
    select(calls.c.dialled, calls.c.caller, calls.c.started_at, *VISIT_COLUMNS)
    .join_from(calls, visits, visits.c.id == calls.c.visit_id)
    .where(
        AmongPairs(calls.c.dialled, calls.c.caller, "pairs"),
        calls.c.started_at < bindparam("latest"),
        calls.c.started_at >= bindparam("since"),
        or_(*(calls.c.method == method for method in (Method.LEASE, Method.CALLER, Method.PAST_LEASE))),
    )
    .order_by(calls.c.started_at.desc()),
    many=True,
)
_channel_line = Prepared(
    select(channels.c.line).where(
        channels.c.site_id == bindparam("site_id"),
        channels.c.name == bindparam("name"),
        channels.c.removed_at.is_(None),
    )
)


class SqlDirectory:
    """:class:`~pbxtrack.pool.ports.Directory` on a connection. With ``known``, it reads the same thing only once."""

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
        if owner is None or owner.kind is not NumberKind.POOL:
            return Resolution(number, at, owner)
        return _resolution(at, owner, self._holders(owner.number_id, at), self._bound(number, at, caller))

    def resolve_all(self, asked: Sequence[Dialled]) -> list[Resolution]:
        """What :meth:`resolve` gives for each, by two queries for all of them."""
        owners = [self.owner(one.number) if one.number else None for one in asked]
        pooled = [
            (owner, one) for owner, one in zip(owners, asked, strict=True) if owner and owner.kind is NumberKind.POOL
        ]
        history = self._history({owner.number_id for owner, _ in pooled}, [one.at for _, one in pooled])
        bound = self._bound_callers([one for _, one in pooled])
        found = []
        for owner, one in zip(owners, asked, strict=True):
            if owner is None or owner.kind is not NumberKind.POOL:
                found.append(Resolution(one.number, one.at, owner))
                continue
            holders = [holder for holder in history.get(owner.number_id, ()) if holder.lease.started_at <= one.at]
            since = one.at - CALLER_BINDING
            visits = (visit for at, visit in bound.get((one.number, one.caller), ()) if since <= at < one.at)
            found.append(_resolution(one.at, owner, holders[:EARLIER_HOLDERS], next(visits, None)))
        return found

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
        self._read_owner("")
        self._holders(0, at)
        self._bound("", at, "")
        self._read_channel_line(0, "")

    def _holders(self, number_id: int, at: datetime) -> list[Holder]:
        rows = _holders.all(self._reader, {"number_id": number_id, "at": at})
        return [Holder(lease_of(row), visit_of(row)) for row in rows]

    def _history(self, number_ids: Collection[int], times: Sequence[datetime]) -> dict[int | None, list[Holder]]:
        """Who held each of the numbers from the first of these times to the last, and just before, the latest first."""
        history: dict[int | None, list[Holder]] = {}
        if times:
            asked = {"number_ids": number_ids, "earliest": min(times), "latest": max(times), "ever": _EVER}
            for row in _holders_of_many.all(self._reader, asked):
                history.setdefault(row.number_id, []).append(Holder(lease_of(row), visit_of(row)))
        return history

    def _bound_callers(self, asked: Sequence[Dialled]) -> dict[Pair, list[tuple[datetime, Visit]]]:
        """The calls of each caller to each number that were tied to a visit: when, and to which, the latest first."""
        bound: dict[Pair, list[tuple[datetime, Visit]]] = {}
        if pairs := {(one.number, one.caller) for one in asked if one.caller}:
            times = [one.at for one in asked]
            wanted = {"pairs": pairs, "since": min(times) - CALLER_BINDING, "latest": max(times)}
            for row in _bound_of_many.all(self._reader, wanted):
                bound.setdefault((row.dialled, row.caller), []).append((row.started_at, visit_of(row)))
        return bound

    def _bound(self, number: str, at: datetime, caller: str | None) -> Visit | None:
        if caller is None:
            return None
        since = at - CALLER_BINDING
        row = _bound.one_or_none(self._reader, {"number": number, "caller": caller, "at": at, "since": since})
        return visit_of(row) if row else None


def _resolution(at: datetime, owner: NumberOwner, holders: Sequence[Holder], bound: Visit | None) -> Resolution:
    """Of a pool's number; ``holders`` the latest first."""
    current = holders[0] if holders and holders[0].lease.live(at) else None
    return Resolution(owner.number, at, owner, current, holders[1:] if current else holders, bound)
