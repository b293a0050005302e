"""Rows of costs and deals, locked while they are written: one at a time writes those of a site."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, select

from pbxtrack.access import Access
from pbxtrack.storage.tables import sites


def lock_site(connection: Connection, site_id: int) -> None:
    """Let nobody else write the site's costs and deals until this transaction ends. Leasing is not held up."""
    connection.execute(select(sites.c.id).where(sites.c.id == site_id).with_for_update(key_share=True))


def locked_row(connection: Connection, table: Table, row_id: int, access: Access) -> Row[Any] | None:
    """The row of a cost or deal, with its site locked; None if there is none that whoever asks may see."""
    site = connection.execute(
        select(sites.c.id, sites.c.key).join_from(table, sites).where(table.c.id == row_id)
    ).one_or_none()
    if site is None or not access.sees(site.key):
        return None
    lock_site(connection, site.id)
    return connection.execute(select(table).where(table.c.id == row_id)).one_or_none()
