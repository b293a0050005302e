"""One person, known by the number they call from: what brought them, and every call."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import Page
from pbxtrack.storage.contacts import contact_detail, contact_figures


async def show(asked: Asked) -> web.StreamResponse:
    contact_id = asked.request.match_info["contact"]

    def found(connection: Connection) -> dict[str, Any]:
        contact = contact_detail(connection, contact_id)
        if contact is None or contact["site"] != asked.key:
            raise NoSuchPage
        return {"contact": contact, "figures": contact_figures(connection, contact_id)}

    return asked.render("contact.html", **await asked.read(found))


PAGES = (Page(path="/sites/{site}/contacts/{contact}", handler=show),)
