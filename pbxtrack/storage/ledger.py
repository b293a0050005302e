"""How far each Asterisk's own records have been read, in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.storage.tables import ledger_positions


def position(connection: Connection, node: str) -> tuple[str, int] | None:
    """(the file, the bytes of it that are known) of an Asterisk; None where nothing was read yet."""
    row = connection.execute(select(ledger_positions).where(ledger_positions.c.node == node)).one_or_none()
    return (row.file, row.position) if row else None


def keep_position(connection: Connection, node: str, file: str, offset: int) -> None:
    """Note it, with the calls up to there in the same transaction."""
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(ledger_positions)
    latest = {"file": file, "position": offset}
    connection.execute(insert.values(node=node, **latest).on_conflict_do_update(index_elements=["node"], set_=latest))
