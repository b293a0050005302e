"""Whose a dialled number is, in SQL: what every call waits for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, or_, select

from pbxtrack.calls.attribution import CALLER_BINDING, Method
from pbxtrack.pool.model import Holder, NumberKind, NumberOwner, Resolution, Visit
from pbxtrack.pool.policy import EARLIER_HOLDERS
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.prepared import Prepared, Reader
from pbxtrack.storage.rows import LEASE_COLUMNS, SITE_COLUMNS, VISIT_COLUMNS, lease_of, site_of, visit_of
from pbxtrack.storage.tables import calls, channels, leases, numbers, sites, visits

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
        holders = self._holders(owner.number_id, at)
        current = holders[0] if holders and holders[0].lease.live(at) else None
        earlier = holders[1:] if current else holders
        return Resolution(number, at, owner, current, earlier, self._bound(number, at, caller))

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

    def _bound(self, number: str, at: datetime, caller: str | None) -> Visit | None:
        if caller is None:
            return None
        since = at - CALLER_BINDING
        row = _bound.one_or_none(self._reader, {"number": number, "caller": caller, "at": at, "since": since})
        return visit_of(row) if row else None
