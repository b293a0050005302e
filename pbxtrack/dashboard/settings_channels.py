"""Settings: the advertising channels of a site, in their order, and a place to try them."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.settings_change import (
    change,
    elsewhere,
    lines_of,
    move_part,
    part_named,
    remove_part,
    site_of,
    text_of,
    told,
)
from pbxtrack.pool.service import own_hosts
from pbxtrack.sitefile.data import Data, folded
from pbxtrack.sitefile.edit import with_part
from pbxtrack.sitefile.model import Site
from pbxtrack.sources.explain import Explanation, Told, explain
from pbxtrack.sources.touch import MATCHABLE, MAX_URL, ChannelRule

_LIST = "settings/channels"
_EMPTY = '""'  # how a form says that something must be empty: an empty field says nothing of it
_FIELDS = frozenset({"name", "match", "numbers", "emails", "line"})
_TOLD: Mapping[Told, str] = {
    Told.UTM: marked("utm_source in the page's address tells the source."),
    Told.CLICK_ID: marked("The click id in the page's address tells the source."),
    Told.REFERRER: marked("The page that the visitor came from tells the source."),
    Told.OWN: marked("The visitor came from one of the site's own pages, which is no source."),
    Told.NOTHING: marked("Neither the page's address nor the page before tells a source."),
}


async def show(asked: Asked) -> web.StreamResponse:
    site = await site_of(asked)
    given = asked.form or asked.query  # a form sends addresses that are too long for one of ours
    page, referrer = str(given.get("page", ""))[:MAX_URL], str(given.get("referrer", ""))[:MAX_URL]
    tried = _try(site, page, referrer) if page.strip() else None
    return asked.render(
        "settings_channels.html",
        channels=[(channel, folded(channel.numbers)) for channel in site.channels],
        tried=tried,
        told=asked.text(_TOLD[tried.told]) if tried else None,
        tested=page,
        referrer=referrer,
        done=told(asked),
    )


async def move(asked: Asked) -> web.StreamResponse:
    return await move_part(asked, "channel", _LIST)


async def show_one(asked: Asked) -> web.StreamResponse:
    name = asked.query.get("name")
    if name is None:
        return _page(asked, None, {}, {})
    part = await part_named(asked, "channel", name)
    match = {key: value or _EMPTY for key, value in part["match"].items()}
    return _page(asked, name, {**part, "numbers": folded(part["numbers"]), "match": match}, {})


async def save(asked: Asked) -> web.StreamResponse:
    form, name = asked.form, asked.query.get("name")
    given = {key: text_of(form, f"match_{key}") for key in MATCHABLE}
    values: Data = {
        "name": str(form.get("name", "")).strip(),
        "match": {key: "" if text == _EMPTY else text for key, text in given.items() if text is not None},
        "numbers": lines_of(form, "numbers"),
        "emails": lines_of(form, "emails"),
        "line": text_of(form, "line"),
    }
    shown = {**values, "match": {key: text for key, text in given.items() if text is not None}}

    def again(errors: Mapping[str, str]) -> web.Response:
        return _page(asked, name, shown, errors, status=422)

    return await change(asked, lambda data: with_part(data, "channel", name, values), _LIST, again)


async def remove(asked: Asked) -> web.StreamResponse:
    return await remove_part(asked, "channel", _LIST)


def _try(site: Site, page: str, referrer: str) -> Explanation:
    rules = [ChannelRule(channel.name, channel.match) for channel in site.channels]
    return explain(page, referrer, own_hosts(tuple(site.origins)), rules)


def _page(asked: Asked, name: str | None, part: Data, errors: Mapping[str, str], status: int = 200) -> web.Response:
    other = elsewhere(asked, errors, _FIELDS | set(MATCHABLE))
    part = {**dict.fromkeys(_FIELDS), **part, "match": {**dict.fromkeys(MATCHABLE), **part.get("match", {})}}
    return asked.render(
        "settings_channel.html", status=status, name=name, part=part, errors=errors, other=other, matchable=MATCHABLE
    )


PAGES = tuple(
    Page(path=f"/sites/{{site}}/settings/channels{path}", handler=handler, method=method, right=Right.CONFIGURE)
    for path, handler, method in (
        ("", show, "GET"),
        ("", show, "POST"),
        ("/move", move, "POST"),
        ("/one", show_one, "GET"),
        ("/one", save, "POST"),
        ("/remove", remove, "POST"),
    )
)
