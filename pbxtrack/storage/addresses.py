"""Whose an e-mail address is, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from pbxtrack.emails.model import Recipient, Resolved
from pbxtrack.storage.tables import addresses, channels, sites


def resolve_recipients(connection: Connection, asked: Sequence[str], at: datetime) -> dict[str, Resolved]:
    """Whose each address is, by the address as it was asked; what is no site's is missing. Case does not matter."""
    live = select(sites).where(sites.c.removed_at.is_(None), sites.c.email.is_not(None)).order_by(sites.c.position)
    own = list(connection.execute(live))
    owned = select(addresses.c.address, addresses.c.site_id, channels.c.name).join(channels)
    static = {row.address.lower(): row for row in connection.execute(owned.where(addresses.c.removed_at.is_(None)))}
    by_id = {row.id: row for row in own}
    found: dict[str, Resolved] = {}
    for address in asked:
        local, _, domain = address.lower().rpartition("@")
        row = static.get(address.lower())
        if row is not None and row.site_id in by_id:
            site = by_id[row.site_id]
            found[address] = Resolved(
                address.lower(), site.id, site.key, site.email, Recipient.STATIC, row.name, confidence=1.0,
                why=f"The address is {row.name}'s own.",
            )  # fmt: skip
            continue
        for site in own:
            box, _, host = site.email.lower().rpartition("@")
            if domain != host or not (local == box or local.startswith(box + site.email_separator)):
                continue
            kind = Recipient.MAILBOX if local == box else Recipient.UNRESOLVED
            found[address] = Resolved(address.lower(), site.id, site.key, site.email, kind)
            break
    return found
