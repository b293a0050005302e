"""Messages and the spool, in SQL. A message is recorded once for its fingerprint and site; one process sends it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.emails.model import Received, Resolved, telling
from pbxtrack.emails.ports import Recorded, Spooled, Standing, Waiting
from pbxtrack.ids import new_id
from pbxtrack.storage.clock import now
from pbxtrack.storage.tables import emails, spool

HELD = timedelta(minutes=5)
"""How long a claim lasts: much longer than a message takes, or is allowed to take, to be sent."""

_LOOKED_AT = 500  # files at once


def record(
    connection: Connection, received: Received, spooled: Spooled, place: str, me: str, is_gone: Callable[[str], bool]
) -> Recorded:
    """Record a message that came to one site, and that its file waits at ``place``, claimed by the process ``me``.

    The very same message may come again, since an answer was lost: it is recorded once, and sent again only if it was
    not sent. ``is_gone`` tells of a process that holds a claim whether it has ended.
    """
    time = now(connection)
    told = telling(received.to)
    email_id = _keep(connection, received, told)
    row = _row(spooled, place, time) | {"email_id": email_id, "site_id": told.site_id}
    claim = {"holder": me, "held_until": time + HELD}
    insert = _insert(connection, spool).values(**row, **claim).on_conflict_do_nothing()
    if connection.execute(insert.returning(spool.c.key)).first():
        return Recorded(Standing.OURS)
    this = spool.c.key == spooled.key
    known = connection.execute(select(spool).where(this).with_for_update()).one()
    if known.sent:
        return Recorded(Standing.SENT)
    if known.done_at is None and known.held_until > time and known.holder and not is_gone(known.holder):
        return Recorded(Standing.BUSY)
    again = {name: row[name] for name in ("place", "file", "next_at", "done_at")}
    connection.execute(update(spool).where(this).values(**again, **claim))
    return Recorded(Standing.OURS, known.file if known.place == place else "")


def claim(connection: Connection, place: str, me: str, most: int, is_gone: Callable[[str], bool]) -> Sequence[Waiting]:
    """Messages at ``place`` whose time has come and that nobody sends at this moment, claimed by the process ``me``."""
    time = now(connection)
    waits = spool.c.place == place, spool.c.done_at.is_(None)
    holders = connection.scalars(select(spool.c.holder).where(*waits, spool.c.held_until > time).distinct())
    gone = [holder for holder in holders if holder is not None and is_gone(holder)]
    free = or_(spool.c.held_until <= time, spool.c.holder.in_(gone))
    due = or_(spool.c.next_at <= time, spool.c.holder.in_(gone))
    wanted = select(spool).where(*waits, free, due).order_by(spool.c.next_at).limit(most)
    rows = connection.execute(wanted.with_for_update(skip_locked=True)).all()
    keys = [row.key for row in rows]
    connection.execute(update(spool).where(spool.c.key.in_(keys)).values(holder=me, held_until=time + HELD))
    return [
        Waiting(
            Spooled(row.key, row.file, row.sender, row.recipient, row.address, row.utf8),
            row.created_at,
            row.attempts,
            row.site_id,
        )
        for row in rows
    ]


def relayed(connection: Connection, key: str) -> None:
    """The upstream has taken a message: whoever holds it by now must not send it again."""
    time = now(connection)
    _settle(connection, spool.c.key == key, {"sent": True, "done_at": time}, {"relayed_at": time, "refused": None})


def refused(
    connection: Connection, key: str, reply: str, me: str, notice: Spooled | None = None, place: str = ""
) -> None:
    """The upstream will never take it. ``notice``, of which the sender is told, waits at ``place`` from now on."""
    time = now(connection)
    mine = and_(spool.c.key == key, spool.c.holder == me)
    if _settle(connection, mine, {"done_at": time, "reply": reply}, {"refused": reply}) and notice is not None:
        waits = _row(notice, place, time) | {"held_until": time}
        connection.execute(_insert(connection, spool).values(waits).on_conflict_do_nothing())


def later(connection: Connection, key: str, me: str, at: datetime, reply: str) -> None:
    """It is to be tried again at that time; whoever comes first then."""
    free = {"holder": None, "held_until": now(connection), "next_at": at, "reply": reply}
    mine = spool.c.key == key, spool.c.holder == me
    connection.execute(update(spool).where(*mine).values(free | {"attempts": spool.c.attempts + 1}))


def waiting(connection: Connection) -> int:
    """How many messages wait, at all places."""
    return connection.scalar(select(func.count()).select_from(spool).where(spool.c.done_at.is_(None))) or 0


def forget(connection: Connection, before: datetime) -> None:
    """Forget what was settled before that time; what is recorded of messages stays."""
    connection.execute(spool.delete().where(spool.c.done_at < before))


def unwanted(connection: Connection, place: str, files: Collection[str]) -> list[str]:
    """Of the files at a place, those that no message waits for."""
    names = sorted(files)
    wanted: set[str] = set()
    for start in range(0, len(names), _LOOKED_AT):
        some = spool.c.file.in_(names[start : start + _LOOKED_AT])
        wanted.update(
            connection.scalars(select(spool.c.file).where(some, spool.c.place == place, spool.c.done_at.is_(None)))
        )
    return [name for name in names if name not in wanted]


def _keep(connection: Connection, received: Received, told: Resolved) -> str:
    touch = told.touch
    values = {
        "id": new_id(received.at),
        "site_id": told.site_id,
        "at": received.at,
        "recipient": told.address,
        "sender": received.sender,
        "author": received.author,
        "author_name": received.author_name,
        "subject": received.subject,
        "message_id": received.message_id,
        "in_reply_to": received.in_reply_to,
        "size": received.size,
        "nature": received.nature.value,
        "fingerprint": received.fingerprint,
        "lease_id": told.lease_id,
        "visit_id": told.visit_id,
        "kind": told.kind.value,
        "channel": told.channel,
        **{
            name: getattr(touch, name) if touch else None
            for name in ("source", "medium", "campaign", "term", "content")
        },
        "confidence": told.confidence,
        "why": told.why,
        "body": received.body,
    }
    insert = _insert(connection, emails).values(values).on_conflict_do_nothing()
    if connection.execute(insert.returning(emails.c.id)).first():
        return str(values["id"])
    same = emails.c.site_id == told.site_id, emails.c.fingerprint == received.fingerprint
    return str(connection.scalar(select(emails.c.id).where(*same)))


def _settle(connection: Connection, which: ColumnElement[bool], row: dict[str, Any], email: dict[str, Any]) -> bool:
    settled = update(spool).where(which).values(**row, holder=None).returning(spool.c.email_id)
    found = connection.execute(settled).one_or_none()
    if found is not None and found.email_id is not None:
        connection.execute(update(emails).where(emails.c.id == found.email_id).values(**email))
    return found is not None


def _row(spooled: Spooled, place: str, time: datetime) -> dict[str, Any]:
    return {
        "key": spooled.key,
        "place": place,
        "file": spooled.file,
        "sender": spooled.sender,
        "recipient": spooled.recipient,
        "address": spooled.address,
        "utf8": spooled.utf8,
        "created_at": time,
        "next_at": time,
        "attempts": 0,
        "done_at": None,
        "sent": False,
    }


def _insert(connection: Connection, table: Any) -> Any:
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
