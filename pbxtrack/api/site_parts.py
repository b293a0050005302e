"""The pools and the channels of a site: both are lists in an order, with names, so both are served alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from pbxtrack.access import Right
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.sites import (
    ChannelBody,
    ChannelChanges,
    ChannelOfSite,
    ChannelsOfSite,
    ForceQuery,
    PoolAnswer,
    PoolBody,
    PoolChanges,
    PoolsPage,
)
from pbxtrack.api.site_changes import change, site_of
from pbxtrack.api.sites import SITE
from pbxtrack.sitefile.data import Data, data_of, folded
from pbxtrack.sitefile.edit import Kind, moved_part, with_part, without_part
from pbxtrack.sitefile.model import Site
from pbxtrack.web.problems import Problem


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the routes of one kind of parts are made of."""

    kind: Kind
    body: type[BaseModel]
    changes: type[BaseModel]
    one: type[BaseModel]
    page: type[BaseModel]
    about: str

    async def list_all(self, request: web.Request) -> web.Response:
        data = data_of(await site_of(request))
        return answer({"items": [self._told(part) for part in data[self.kind]]})

    async def show(self, request: web.Request) -> web.Response:
        return answer(self._named(await site_of(request), request.match_info[self.kind]))

    async def create(self, request: web.Request, body: BaseModel) -> web.Response:
        values = _values(body)
        site = await change(request, lambda data: with_part(data, self.kind, None, values), force=False)
        return answer(self._named(site, values["name"].strip()), status=201)

    async def change(self, request: web.Request, body: BaseModel, query: ForceQuery) -> web.Response:
        name, values = request.match_info[self.kind], _values(body)
        place = values.pop("position", None)
        new = (values.get("name") or name).strip()

        def edit(data: Data) -> Data:
            changed = with_part(data, self.kind, name, values)
            return changed if place is None else moved_part(changed, self.kind, values.get("name", name), place)

        return answer(self._named(await change(request, edit, force=query.force), new))

    async def delete(self, request: web.Request, query: ForceQuery) -> web.Response:
        name = request.match_info[self.kind]
        await change(request, lambda data: without_part(data, self.kind, name), force=query.force)
        return web.Response(status=204)

    def _named(self, site: Site, name: str) -> dict[str, Any]:
        for part in data_of(site)[self.kind]:
            if part["name"] == name:
                return self._told(part)
        raise Problem("not-found", f"The site has no such {self.kind}.")

    def _told(self, part: Data) -> dict[str, Any]:
        told = {name: part.get(name) for name in self.one.model_fields}
        return {**told, "numbers": folded(part["numbers"])}

    def routes(self) -> tuple[Route, ...]:
        """The routes of these parts."""
        kind, many = self.kind, f"/api/v1/sites/{{site}}/{self.kind}s"
        one = f"{many}/{{{kind}}}"
        named = {**SITE, kind: f"The {kind}'s name."}
        configured: dict[str, Any] = {"audience": Audience.MANAGER, "right": Right.CONFIGURE}
        return (
            Route(
                method="GET",
                path=many,
                handler=_as(self.list_all, f"list_{kind}s"),
                summary=f"The {kind}s of a site, in their order",
                audience=Audience.MANAGER,
                path_parameters=SITE,
                answer=Answer(200, f"The {kind}s.", self.page),
                problems=("unknown-site",),
            ),
            Route(
                method="POST",
                path=many,
                handler=_as(self.create, f"create_{kind}"),
                summary=f"Add a {kind}, behind the others",
                description=self.about,
                path_parameters=SITE,
                body=self.body,
                answer=Answer(201, f"The {kind}.", self.one),
                problems=("unknown-site", "number-held"),
                **configured,
            ),
            Route(
                method="GET",
                path=one,
                handler=_as(self.show, f"show_{kind}"),
                summary=f"One {kind}",
                audience=Audience.MANAGER,
                path_parameters=named,
                answer=Answer(200, f"The {kind}.", self.one),
                problems=("unknown-site", "not-found"),
            ),
            Route(
                method="PATCH",
                path=one,
                handler=_as(self.change, f"change_{kind}"),
                summary=f"Change a {kind}, or its place in the order",
                path_parameters=named,
                query=ForceQuery,
                body=self.changes,
                answer=Answer(200, f"The {kind} as it is now.", self.one),
                problems=("unknown-site", "not-found", "number-held"),
                **configured,
            ),
            Route(
                method="DELETE",
                path=one,
                handler=_as(self.delete, f"delete_{kind}"),
                summary=f"Remove a {kind}",
                path_parameters=named,
                query=ForceQuery,
                answer=Answer(204, "It is removed.", content_type=None),
                problems=("unknown-site", "not-found", "number-held"),
                **configured,
            ),
        )


def _as(method: Any, name: str) -> Any:
    """A handler under a name of its own, by which the description calls it."""

    async def handler(request: web.Request, **inputs: Any) -> web.StreamResponse:
        response: web.StreamResponse = await method(request, **inputs)
        return response

    handler.__name__ = name
    return handler


def _values(body: BaseModel) -> dict[str, Any]:
    """What was said, with a null only where it means something; ``match`` without what is not in it."""
    values = body.model_dump(include=body.model_fields_set)
    if values.get("match") is not None:
        values["match"] = {key: glob for key, glob in values["match"].items() if glob is not None}
    for name in ("name", "numbers", "position"):  # which cannot be empty
        if values.get(name, ...) is None:
            del values[name]
    return values


ROUTES = (
    *_Parts(
        "pool",
        PoolBody,
        PoolChanges,
        PoolAnswer,
        PoolsPage,
        "Its numbers, and e-mail addresses, are leased to visitors.",
    ).routes(),
    *_Parts(
        "channel",
        ChannelBody,
        ChannelChanges,
        ChannelOfSite,
        ChannelsOfSite,
        "A visit belongs to the first channel whose `match` fits; a call on one of its numbers to it alone.",
    ).routes(),
)
