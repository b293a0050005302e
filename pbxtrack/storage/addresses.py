"""Whose e-mail addresses are, in SQL: what the recipients of a message are looked up by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, bindparam, func, select

from pbxtrack.calls.evidence import MAX_HOLDERS, Holder
from pbxtrack.emails import whose
from pbxtrack.emails.address import folded, mailboxes_of
from pbxtrack.emails.model import Resolved
from pbxtrack.pool.model import SiteSettings
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.rows import LEASE_COLUMNS, SITE_COLUMNS, VISIT_COLUMNS, lease_of, site_of, visit_of
from pbxtrack.storage.tables import addresses, channels, leases, numbers, sites, visits

_has_mailbox = sites.c.removed_at.is_(None), sites.c.email.is_not(None)
_listed = Prepared(
    select(addresses.c.id, addresses.c.address, channels.c.name.label("channel"), *SITE_COLUMNS)
    .join_from(addresses, sites, sites.c.id == addresses.c.site_id)
    .outerjoin(channels, channels.c.id == addresses.c.channel_id)
    .where(Among(addresses.c.address, "addresses"), addresses.c.removed_at.is_(None), *_has_mailbox),
    many=True,
)
_made = Prepared(
    select(leases.c.id, leases.c.email, leases.c.seen_at, *VISIT_COLUMNS, *SITE_COLUMNS)
    .join_from(leases, sites, sites.c.id == leases.c.site_id)
    .join(visits, visits.c.id == leases.c.visit_id)
    .where(Among(leases.c.email, "addresses"), leases.c.email.is_not(None), *_has_mailbox),
    many=True,
)
_mailboxes = Prepared(
    select(*SITE_COLUMNS)
    .where(Among(func.lower(sites.c.email, type_=String), "addresses"), *_has_mailbox)
    .order_by(sites.c.position, sites.c.id),
    many=True,
)
_holders = Prepared(
    select(*LEASE_COLUMNS, *VISIT_COLUMNS)
    .join_from(leases, visits, visits.c.id == leases.c.visit_id)
    .outerjoin(numbers, numbers.c.id == leases.c.number_id)
    .where(
        leases.c.address_id == bindparam("address"),
        leases.c.site_id == bindparam("site"),  # not of the one that had the address before
        leases.c.started_at <= bindparam("at"),
    )
    .order_by(leases.c.address_seq.desc())
    .limit(MAX_HOLDERS),
    many=True,
)


def resolve_recipients(connection: Connection, addresses: Sequence[str], at: datetime) -> dict[str, Resolved]:
    """Whose these addresses were at that time, by the addresses as they are given; those that are none of ours are not.

    They are compared without case and quotes, and a domain in Unicode is the same as in ASCII; so the addresses of what
    is answered are. Of two sites with one mailbox, it is the first's.
    """
    asked = {address: one for address in addresses if (one := folded(address))}
    ours = _Ours(connection, sorted(set(asked.values())), at)
    resolved = {address: ours.resolve(address) for address in set(asked.values())}
    return {address: found for address, one in asked.items() if (found := resolved[one])}


class _Ours:
    """What the database has of some folded addresses."""

    def __init__(self, connection: Connection, asked: Sequence[str], at: datetime) -> None:
        self._connection, self._at = connection, at
        self._listed = {row.address: row for row in _listed.all(connection, {"addresses": asked})}
        self._made = {row.email: row for row in _made.all(connection, {"addresses": asked})}
        names = {*asked, *(mailbox for address in asked for mailbox, _ in mailboxes_of(address))}
        self._mailboxes: dict[str, list[SiteSettings]] = {}
        for row in _mailboxes.all(connection, {"addresses": sorted(names)}):
            self._mailboxes.setdefault(row.s_email.lower(), []).append(site_of(row))

    def resolve(self, address: str) -> Resolved | None:
        if row := self._listed.get(address):
            if row.channel is not None:
                return whose.of_channel(address, site_of(row), row.channel)
            return whose.of_pool(address, site_of(row), self._holders(row), self._at)
        if row := self._made.get(address):
            return whose.of_lease(address, site_of(row), row.id, visit_of(row), row.seen_at, self._at)
        if of_sites := self._mailboxes.get(address):
            return whose.of_mailbox(address, of_sites[0])
        for mailbox, separator in mailboxes_of(address):
            for site in self._mailboxes.get(mailbox, ()):
                if site.email_separator == separator:
                    return whose.of_nobody(address, site)
        return None

    def _holders(self, row: Any) -> list[Holder]:
        which: Mapping[str, Any] = {"address": row.id, "site": row.s_id, "at": self._at}
        return [Holder(lease_of(one), visit_of(one)) for one in _holders.all(self._connection, which)]
