"""Views of the call log that people keep by a name: each has their own at each site."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.tables import saved_views

MAX_NAME = 100  # characters
MAX_QUERY = 8_000
MOST = 50
"""Views of a person at a site."""


class SavedView(NamedTuple):
    """``query`` is what stands in the address behind the question mark."""

    id: int
    name: str
    query: str


class TooManyViews(PbxtrackError):
    """Nobody finds anything among more of them."""


def list_views(connection: Connection, person_id: int, site_id: int) -> list[SavedView]:
    """A person's views of a site, by name."""
    wanted = (
        select(saved_views.c.id, saved_views.c.name, saved_views.c.query)
        .where(saved_views.c.person_id == person_id, saved_views.c.site_id == site_id)
        .order_by(saved_views.c.name)
    )
    return [SavedView._make(row) for row in connection.execute(wanted)]


def save_view(connection: Connection, person_id: int, site_id: int, name: str, query: str) -> None:
    """Keep a view, in place of theirs of the same name. Raises TooManyViews."""
    theirs = (saved_views.c.person_id == person_id) & (saved_views.c.site_id == site_id)
    same = update(saved_views).where(theirs, saved_views.c.name == name).values(query=query)
    if connection.execute(same).rowcount:
        return
    if (connection.scalar(select(func.count()).select_from(saved_views).where(theirs)) or 0) >= MOST:
        raise TooManyViews(f"there are {MOST} views already")
    values = {"person_id": person_id, "site_id": site_id, "name": name, "query": query}
    connection.execute(saved_views.insert().values(values))


def remove_view(connection: Connection, person_id: int, site_id: int, view_id: int) -> None:
    """Forget one of a person's views; nothing where there is none."""
    connection.execute(
        delete(saved_views).where(
            saved_views.c.id == view_id, saved_views.c.person_id == person_id, saved_views.c.site_id == site_id
        )
    )
