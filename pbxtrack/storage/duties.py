"""Who does what only one process shall do, in SQL. A holder says again and again that it is there."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.storage.clock import now
from pbxtrack.storage.tables import duties

HELD = timedelta(seconds=4)
"""How long a holder that is not heard of is believed to be there."""

_SOUGHT = timedelta(seconds=3)  # others look every second

_mine = update(duties).where(duties.c.name == bindparam("duty"), duties.c.holder == bindparam("me"))


def claim(connection: Connection, duty: str, me: str) -> str:
    """Take a duty that nobody has, or say that one still has it; who has it now.

    If that is another process, it learns that one waits.
    """
    time = now(connection)
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(duties)
    held = {"holder": me, "held_until": time + HELD}
    free = or_(duties.c.holder == me, duties.c.held_until <= time)
    taking = insert.values(name=duty, **held).on_conflict_do_update(index_elements=["name"], set_=held, where=free)
    if connection.execute(taking.returning(duties.c.name)).first():
        return me
    seeking = update(duties).where(duties.c.name == duty).values(sought_at=time).returning(duties.c.holder)
    return str(connection.scalar(seeking))


def release(connection: Connection, duty: str, me: str) -> bool:
    """Let go of a duty; whether another process waits for it."""
    time = now(connection)
    if not connection.execute(_mine.values(held_until=time), {"duty": duty, "me": me}).rowcount:
        return False
    sought = connection.scalar(select(duties.c.sought_at).where(duties.c.name == duty))
    return sought is not None and time - sought < _SOUGHT


def is_taken(connection: Connection, duty: str, me: str) -> bool:
    """Whether another process has it by now."""
    row = connection.execute(select(duties).where(duties.c.name == duty)).one_or_none()
    return row is not None and row.holder != me and row.held_until > now(connection)
