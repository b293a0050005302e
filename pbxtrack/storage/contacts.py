"""People who called a site, known by the number they call from."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, exists, func, select

from pbxtrack.storage.tables import calls, contacts, sites
from pbxtrack.storage.times import rfc3339
from pbxtrack.storage.told import channel_told, is_target
from pbxtrack.storage.views import newest_calls

MOST_CALLS = 100
"""Calls of a person that are shown, the newest."""
MOST_OUTBOUND = 20
"""Calls of the company to a person that are shown, the newest."""


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


def contact_figures(connection: Connection, contact_id: str) -> dict[str, Any]:
    """What the calls of a contact that there is add up to.

    ``calls``, ``target``, ``talk_seconds``; ``first`` and ``last``: the advertising channels of those calls, None where
    unknown; ``outbound``: when the company called them, the newest first; none where they
    are known at another site, too.
    """
    row = connection.execute(
        select(contacts.c.site_id, contacts.c.caller).where(contacts.c.id == int(contact_id))
    ).one()
    theirs = (calls.c.site_id == row.site_id, calls.c.caller == row.caller, calls.c.contact_id == int(contact_id))
    count, target, talk = connection.execute(
        select(
            func.count(), func.count().filter(is_target.is_(True)), func.coalesce(func.sum(calls.c.talk_seconds), 0.0)
        )
        .select_from(calls)
        .where(*theirs)
    ).one()
    one = select(channel_told).where(*theirs).limit(1)
    # Such a call belongs to no site. Who is known at another site, too, may have been called for that one.
    elsewhere = exists().where(contacts.c.caller == row.caller, contacts.c.site_id != row.site_id)
    called = connection.execute(
        select(calls.c.started_at, calls.c.status, calls.c.answered_at, calls.c.talk_seconds)
        .where(calls.c.outbound == row.caller, ~elsewhere)
        .order_by(calls.c.started_at.desc())
        .limit(MOST_OUTBOUND)
    )
    return {
        "calls": count,
        "target": target,
        "talk_seconds": talk,
        "first": connection.scalar(one.order_by(calls.c.started_at, calls.c.id)) or None,
        "last": connection.scalar(one.order_by(calls.c.started_at.desc(), calls.c.id.desc())) or None,
        "outbound": [
            {
                "started_at": rfc3339(call.started_at),
                "status": call.status,
                "talk_seconds": round(call.talk_seconds, 3) if call.answered_at else None,
            }
            for call in called
        ],
    }
