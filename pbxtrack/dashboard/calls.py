"""The call log: found by what is known of calls, newest first, and as they come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiohttp import web
from multidict import MultiDict
from sqlalchemy import Connection

from pbxtrack.calls.lifecycle import LOST
from pbxtrack.dashboard import columns, filters
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.filters import Filters
from pbxtrack.dashboard.offered import Offered, offered
from pbxtrack.storage.call_search import NO_CHANNEL, CallFilter
from pbxtrack.storage.call_sums import MOST, calls_sums
from pbxtrack.storage.pages import read_id
from pbxtrack.storage.people import change_person, find_person
from pbxtrack.storage.saved_views import MAX_NAME, MAX_QUERY, TooManyViews, list_views, remove_view, save_view
from pbxtrack.storage.views import InvalidCursor, calls_page, made_by_company

ROWS = 50
_MAX_CURSOR = 400  # characters
_SHARES = (0.9, 0.5)  # how sure an attribution is asked to be: as its words have it


async def show(asked: Asked) -> web.StreamResponse:
    wanted, cursor = filters.read(asked.query), asked.query.get("cursor")
    chosen_from = offered(asked)
    try:
        found = await asked.read(lambda connection: _found(connection, asked, wanted, cursor, chosen_from))
    except InvalidCursor:
        raise web.HTTPSeeOther(asked.here(cursor=None)) from None
    await _go_where_channels_are_kept(asked, wanted, found["choices"]["channels"])
    return asked.render(
        "calls.html",
        **_common(asked, wanted),
        **{**found, "choices": _with(found["choices"], wanted, asked)},
        first=cursor is None,
        live=cursor is None and asked.period.span.until > asked.now,
        statuses=[(name, asked.text(title)) for name, title in filters.STATUS_NAMES.items()],
        shares=_SHARES,
        chips=filters.chips(wanted, asked.text, asked.format, asked.region, asked.channel),
        kept=_kept(asked, wanted),
        by_end=_which(asked, wanted).caller_ends is not None,
        too_many=asked.query.get("views") == "full",
    )


async def show_rows(asked: Asked) -> web.StreamResponse:
    """The rows of calls that changed, of those that fit; without an ``id`` those of the first page. For a script."""
    wanted = filters.read(asked.query)
    ids = tuple(dict.fromkeys(asked.query.getall("id", [])))[:ROWS]

    def found(connection: Connection) -> dict[str, Any]:
        which = _which(asked, wanted)
        return {
            **_listed(connection, calls_page(connection, _which(asked, wanted, ids), limit=ROWS)[0]),
            "sums": calls_sums(connection, which),
        }

    return asked.render("calls_rows.html", **_common(asked, wanted), **await asked.read(found))


async def choose_columns(asked: Asked) -> web.StreamResponse:
    form, person = MultiDict(asked.form), asked.person

    def change(connection: Connection) -> None:
        now = find_person(connection, person.name)
        if now is not None:
            chosen = columns.chosen(now.choices, form.getall("column", []))
            change_person(connection, now.id, choices=chosen)

    await asked.write(change)
    return asked.redirect("calls", **filters.read(asked.query).query)


async def keep_view(asked: Asked) -> web.StreamResponse:
    wanted = filters.read(asked.query)
    name, query = str(asked.form.get("name", "")).strip()[:MAX_NAME], _kept(asked, wanted)
    if not name or len(query) > MAX_QUERY:
        return asked.redirect("calls", **wanted.query)
    site, person = asked.site, asked.person
    assert site is not None
    try:
        await asked.write(lambda connection: save_view(connection, person.id, site.id, name, query))
    except TooManyViews:
        return asked.redirect("calls", **wanted.query, views="full")
    return asked.redirect("calls", **wanted.query)


async def forget_view(asked: Asked) -> web.StreamResponse:
    site, person, view = asked.site, asked.person, read_id(str(asked.form.get("view", "")))
    assert site is not None
    if view is not None:
        await asked.write(lambda connection: remove_view(connection, person.id, site.id, view))
    return asked.redirect("calls", **filters.read(asked.query).query)


def _found(
    connection: Connection, asked: Asked, wanted: Filters, cursor: str | None, chosen_from: Offered
) -> dict[str, Any]:
    which = _which(asked, wanted)
    if cursor is not None and len(cursor) > _MAX_CURSOR:
        raise InvalidCursor("the cursor is too long")
    items, following = calls_page(connection, which, cursor, ROWS)
    assert asked.site is not None
    return {
        **_listed(connection, items),
        "following": following,
        "sums": calls_sums(connection, which),
        "choices": chosen_from.of(connection, asked.key, asked.now),
        "views": list_views(connection, asked.person.id, asked.site.id),
    }


def _listed(connection: Connection, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Calls, and those by which the company called missed ones of them back."""
    called_back = made_by_company(connection, [call["settled_by"] for call in items if call["settled_by"]])
    return {"items": items, "called_back": called_back}


def _common(asked: Asked, wanted: Filters) -> dict[str, Any]:
    return {
        "wanted": wanted,
        "filters": filters,
        "shown": columns.shown(asked.person.choices),
        "columns": columns.COLUMNS,
        "waits": waits,
        "most": MOST,
    }


def _which(asked: Asked, wanted: Filters, ids: Iterable[str] = ()) -> CallFilter:
    return wanted.which(asked.period, asked.key, asked.region, tuple(ids))


async def _go_where_channels_are_kept(asked: Asked, wanted: Filters, known: Collection[str]) -> None:
    """Go on to the names that calls keep, where an address has a channel as it is shown and none is called so."""
    own: Collection[str] = ()
    if any(one and one not in known for one in wanted.channel):
        own = await asked.own_channels()
    kept = [one if one in known else asked.channel_typed(one, own) for one in wanted.channel]
    if kept != list(wanted.channel):
        raise web.HTTPSeeOther(asked.here(channel=kept))


def _with(choices: Mapping[str, list[str]], wanted: Filters, asked: Asked) -> dict[str, list[tuple[str, str]]]:
    """The choices, and what is chosen already though it is not among them: values, and what they are called."""
    named = {"channels": wanted.channel, "campaigns": wanted.campaign, "tags": wanted.tag}
    every = {name: dict.fromkeys([*named[name], *values]) for name, values in choices.items()}
    channels = [(one, asked.channel(one)) for one in every["channels"] if one != NO_CHANNEL]
    return {
        **{name: [(one, one) for one in values] for name, values in every.items()},
        "channels": [*channels, (NO_CHANNEL, asked.text("Unknown"))],
    }


def _kept(asked: Asked, wanted: Filters) -> str:
    """What a view keeps of an address: what is asked for, and of which days."""
    return asked.address("calls", **wanted.query).partition("?")[2]


def waits(call: dict[str, Any]) -> bool:
    """Whether somebody waits for a call back: the row stands out."""
    return call["status"] in LOST and not call["answered_at"] and not call["settled_by"] and call["caller"] is not None


PAGES = (
    Page(path="/sites/{site}/calls", handler=show),
    Page(path="/sites/{site}/calls.rows", handler=show_rows),
    Page(path="/sites/{site}/calls.columns", handler=choose_columns, method="POST"),
    Page(path="/sites/{site}/calls.views", handler=keep_view, method="POST"),
    Page(path="/sites/{site}/calls.views/remove", handler=forget_view, method="POST"),
)
