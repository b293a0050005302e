"""Settings: the pools of a site, and every number that calls are tracked on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import NotTheirs, Right
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.settings_change import change, elsewhere, lines_of, move_part, part_named, remove_part, told
from pbxtrack.sitefile.data import Data, folded
from pbxtrack.sitefile.edit import with_part
from pbxtrack.storage.site_changes import the_site
from pbxtrack.storage.site_use import PoolUse, pools_in_use

_LIST = "settings/numbers"
_FIELDS = frozenset({"name", "numbers", "emails", "regions"})


async def show(asked: Asked) -> web.StreamResponse:
    try:
        found = await asked.read(lambda connection: _found(connection, asked))
    except NotTheirs:
        raise NoSuchPage from None
    return asked.render("settings_numbers.html", done=told(asked), **found)


def _found(connection: Connection, asked: Asked) -> dict[str, Any]:
    assert asked.site is not None
    site = the_site(connection, asked.key, asked.access)
    used = pools_in_use(connection, asked.site.id, asked.now)
    return {
        "pools": [(pool, folded(pool.numbers), used.get(pool.name, PoolUse(0, 0))) for pool in site.pools],
        "channels": [(channel, folded(channel.numbers)) for channel in site.channels if channel.numbers],
        "overflow": site.overflow_number,
    }


async def move(asked: Asked) -> web.StreamResponse:
    return await move_part(asked, "pool", _LIST)


async def show_one(asked: Asked) -> web.StreamResponse:
    name = asked.query.get("name")
    if name is None:
        return _page(asked, None, {}, {})
    part = await part_named(asked, "pool", name)
    return _page(asked, name, {**part, "numbers": folded(part["numbers"])}, {})


async def save(asked: Asked) -> web.StreamResponse:
    form, name = asked.form, asked.query.get("name")
    values: Data = {
        "name": str(form.get("name", "")).strip(),
        "numbers": lines_of(form, "numbers"),
        "emails": lines_of(form, "emails"),
        "regions": lines_of(form, "regions"),
    }

    def again(errors: Mapping[str, str]) -> web.Response:
        return _page(asked, name, values, errors, status=422)

    return await change(asked, lambda data: with_part(data, "pool", name, values), _LIST, again)


async def remove(asked: Asked) -> web.StreamResponse:
    return await remove_part(asked, "pool", _LIST)


def _page(asked: Asked, name: str | None, part: Data, errors: Mapping[str, str], status: int = 200) -> web.Response:
    other = elsewhere(asked, errors, _FIELDS)
    part = {**dict.fromkeys(_FIELDS), **part}
    return asked.render("settings_pool.html", status=status, name=name, part=part, errors=errors, other=other)


PAGES = tuple(
    Page(path=f"/sites/{{site}}/settings/numbers{path}", handler=handler, method=method, right=Right.CONFIGURE)
    for path, handler, method in (
        ("", show, "GET"),
        ("/move", move, "POST"),
        ("/one", show_one, "GET"),
        ("/one", save, "POST"),
        ("/remove", remove, "POST"),
    )
)
