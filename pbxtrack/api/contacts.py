"""People who called."""

from __future__ import annotations

from aiohttp import web

from pbxtrack.api.managers import ACCESS
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.contacts import ContactAnswer
from pbxtrack.api.services import SERVICES
from pbxtrack.storage.contacts import contact_detail
from pbxtrack.web.problems import Problem


async def show_contact(request: web.Request) -> web.Response:
    contact_id = request.match_info["contact"]
    contact = await request.app[SERVICES].database.read(lambda connection: contact_detail(connection, contact_id))
    if contact is None or not request[ACCESS].sees(contact["site"]):
        raise Problem("not-found", "There is no such contact.")
    return answer(contact)


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/contacts/{contact}",
        handler=show_contact,
        summary="Somebody who called a site, and their calls",
        description="Known by the number they call from. Who called two sites is a contact of each.",
        audience=Audience.MANAGER,
        path_parameters={"contact": "`contact` of one of their calls."},
        answer=Answer(200, "The contact.", ContactAnswer),
        problems=("not-found",),
    ),
)
