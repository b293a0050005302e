"""Writing very many calls of days that no roll-up knows: marks would say nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection


class Trigger(NamedTuple):
    """Statements that take a trigger away, and bring it back."""

    off: str
    on: str


@contextmanager
def unmarked(connection: Connection) -> Iterator[None]:
    """Let no change of the block leave a mark, in this transaction, which is the caller's.

    Only for a database of which nothing is rolled up, and that nobody else writes to: on PostgreSQL they would wait.
    Where the transaction does not come to its end, all is as before it.
    """
    triggers = triggers_of(connection)
    for trigger in triggers:
        connection.exec_driver_sql(trigger.off)
    yield
    for trigger in triggers:
        connection.exec_driver_sql(trigger.on)


def triggers_of(connection: Connection, table: str = "") -> list[Trigger]:
    """The triggers that write marks: of one table, or of all."""
    pattern = f"{table}%_marks"
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE ?", (pattern,)
        )
        return [Trigger(f'DROP TRIGGER "{name}"', sql) for name, sql in rows]
    rows = connection.exec_driver_sql(
        "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE %s AND NOT tgisinternal", (pattern,)
    )
    return [
        Trigger(f'ALTER TABLE {of} DISABLE TRIGGER "{name}"', f'ALTER TABLE {of} ENABLE TRIGGER "{name}"')
        for name, of in rows
    ]
