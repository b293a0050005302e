"""People who called a site, known by the number they call from."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.storage.tables import calls, contacts, sites
from pbxtrack.storage.times import rfc3339
from pbxtrack.storage.views import newest_calls

MOST_CALLS = 100
"""Calls of a person that are shown, the newest."""


def contact_detail(connection: Connection, contact_id: str) -> dict[str, Any] | None:
    """A person and their calls, as the call log lists them; None if there is nobody of this id."""
    if not re.fullmatch(r"\d{1,18}", contact_id, re.ASCII):
        return None
    row = connection.execute(
        select(contacts, sites.c.key)
        .join_from(contacts, sites, sites.c.id == contacts.c.site_id)
        .where(contacts.c.id == int(contact_id))
    ).one_or_none()
    if row is None:
        return None
    theirs = (calls.c.site_id == row.site_id, calls.c.caller == row.caller)  # for which there is an index
    return {
        "id": str(row.id),
        "site": row.key,
        "caller": row.caller,
        "first_at": rfc3339(row.first_at),
        "calls": newest_calls(connection, *theirs, calls.c.contact_id == row.id, limit=MOST_CALLS),
    }
