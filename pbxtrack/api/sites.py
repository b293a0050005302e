"""Sites, by the rules of the site file: read, added, changed, removed."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from pbxtrack.access import Right
from pbxtrack.api.managers import ACCESS
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.sites import ForceQuery, SiteAnswer, SiteBody, SiteChanges, SitesPage
from pbxtrack.api.services import SERVICES
from pbxtrack.api.site_changes import carry_out, change, site_of
from pbxtrack.sitefile.data import data_of
from pbxtrack.sitefile.edit import with_values
from pbxtrack.sitefile.model import Site
from pbxtrack.storage.site_changes import add_site, remove_site
from pbxtrack.storage.sites import read_sites


async def list_sites(request: web.Request) -> web.Response:
    access = request[ACCESS]
    found = await request.app[SERVICES].database.read(read_sites)
    return answer({"items": [_site(site) for site in found if access.sees(site.key)]})


async def show_site(request: web.Request) -> web.Response:
    return answer(_site(await site_of(request)))


async def create_site(request: web.Request, body: SiteBody) -> web.Response:
    services, access = request.app[SERVICES], request[ACCESS]
    data = with_values({}, body.model_dump())
    changed = await carry_out(
        request,
        lambda connection, consent: add_site(
            connection, data, access, services.now(), services.default_region, consent
        ),
        body.key,
        force=False,
    )
    assert changed.site is not None
    return answer(_site(changed.site), status=201)


async def change_one_site(request: web.Request, body: SiteChanges, query: ForceQuery) -> web.Response:
    values = body.model_dump(include=body.model_fields_set)
    return answer(_site(await change(request, lambda data: with_values(data, values), force=query.force)))


async def delete_site(request: web.Request, query: ForceQuery) -> web.Response:
    access, key, now = request[ACCESS], request.match_info["site"], request.app[SERVICES].now()
    await carry_out(
        request,
        lambda connection, consent: remove_site(connection, key, access, now, consent),
        key,
        force=query.force,
    )
    return web.Response(status=204)


def _site(site: Site) -> dict[str, Any]:
    data = data_of(site)
    return {name: data.get(name) for name in SiteAnswer.model_fields}


SITE = {"site": "The site's key."}

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/sites",
        handler=list_sites,
        summary="The sites, in their order",
        audience=Audience.MANAGER,
        answer=Answer(200, "The sites.", SitesPage),
    ),
    Route(
        method="POST",
        path="/api/v1/sites",
        handler=create_site,
        summary="Add a site",
        description="Only for who sees all sites. A key that was a removed site's brings it back.",
        audience=Audience.MANAGER,
        right=Right.CONFIGURE,
        body=SiteBody,
        answer=Answer(201, "The site.", SiteAnswer),
    ),
    Route(
        method="GET",
        path="/api/v1/sites/{site}",
        handler=show_site,
        summary="One site",
        audience=Audience.MANAGER,
        path_parameters=SITE,
        answer=Answer(200, "The site.", SiteAnswer),
        problems=("unknown-site",),
    ),
    Route(
        method="PATCH",
        path="/api/v1/sites/{site}",
        handler=change_one_site,
        summary="Change a site",
        audience=Audience.MANAGER,
        right=Right.CONFIGURE,
        path_parameters=SITE,
        query=ForceQuery,
        body=SiteChanges,
        answer=Answer(200, "The site as it is now.", SiteAnswer),
        problems=("unknown-site", "number-held"),
    ),
    Route(
        method="DELETE",
        path="/api/v1/sites/{site}",
        handler=delete_site,
        summary="Remove a site",
        description="Only for who sees all sites. Its calls stay.",
        audience=Audience.MANAGER,
        right=Right.CONFIGURE,
        path_parameters=SITE,
        query=ForceQuery,
        answer=Answer(204, "It is removed.", content_type=None),
        problems=("unknown-site", "number-held"),
    ),
)
