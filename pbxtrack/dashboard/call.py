"""One call: where it came from and how sure that is, its recording, what happened, and what people say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.causes import cause
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.offered import offered
from pbxtrack.dashboard.timeline import folded, line_name, page_name, timeline
from pbxtrack.dashboard.why import why
from pbxtrack.storage.annotations import (
    MAX_CHANNEL,
    MAX_NOTE,
    MAX_TAG,
    MAX_TAGS,
    InvalidCorrection,
    annotate_call,
)
from pbxtrack.storage.call_search import CallFilter
from pbxtrack.storage.call_views import call_sheet
from pbxtrack.storage.sites import channel_names
from pbxtrack.storage.views import call_detail, call_timeline, calls_page
from pbxtrack.storage.visit_views import visits_began

_OTHERS = 5  # of the caller's calls, before this one and since
_MAX_FORM = 512 * 1024  # bytes: a note of 10,000 characters, and what it was before
_SAID = {"yes": True, "no": False, "": None}
_TOUCH = ("source", "medium", "campaign", "term", "content")
_DONE: Mapping[str, str] = {
    "written": marked("Saved."),
    "corrected": marked("The attribution is corrected. This caller's later calls follow it."),
    "taken-back": marked("The correction is taken back."),
}

log = structlog.get_logger(__name__)


class InvalidForm(Exception):
    """Something in a form that cannot be taken; the message says what, for translation."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message)
        self.values = values


class Others(NamedTuple):
    """The caller's other calls, the newest first: since this one and before it; whether there are more of each."""

    since: list[dict[str, Any]]
    before: list[dict[str, Any]]
    more_since: bool
    more_before: bool


async def show(asked: Asked) -> web.StreamResponse:
    return await _page(asked, done=_DONE.get(asked.query.get("done", "")))


async def write(asked: Asked) -> web.StreamResponse:
    return await _change(asked, "written", _written)


async def correct(asked: Asked) -> web.StreamResponse:
    back = asked.form.get("channel") is None and asked.form.get("visit") is None
    own = await asked.own_channels()
    return await _change(
        asked,
        "taken-back" if back else "corrected",
        lambda form: _correction(form, lambda name: asked.channel_typed(name, own)),
    )


async def _change(asked: Asked, done: str, read: Any) -> web.StreamResponse:
    call_id = asked.request.match_info["call"]
    call = await asked.read(lambda connection: call_detail(connection, call_id))
    if call is None or call["site"] != asked.key:
        raise NoSuchPage
    try:
        changes = read(asked.form)
        if changes:
            access, now = asked.access, asked.now
            await asked.write(lambda connection: annotate_call(connection, call_id, changes, access, now, asked.region))
            log.info("call_changed", call=call_id, changed=sorted(changes), who=access.name)
    except InvalidForm as error:
        return await _page(asked, error=asked.text(str(error), **error.values), status=422)
    except InvalidCorrection:
        error_text = marked("The site had no such visit before the call.")
        return await _page(asked, error=asked.text(error_text), status=422)
    return asked.redirect(f"calls/{call_id}", done=done)


def _written(form: Mapping[str, Any]) -> dict[str, Any]:
    """What a form changes of what it showed: others may have changed the rest meanwhile."""
    given = {name: _text(form, name) for name in ("note", "tags", "qualified")}
    changed = {name: value for name, value in given.items() if value != _text(form, f"{name}_was")}
    made: dict[str, Any] = {}
    if "note" in changed:
        if len(changed["note"]) > MAX_NOTE:
            raise InvalidForm(marked("A note has at most %(most)s characters."), most=MAX_NOTE)
        made["note"] = changed["note"] or None
    if "tags" in changed:
        tags = list(dict.fromkeys(tag.strip() for tag in changed["tags"].split(",") if tag.strip()))
        if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG for tag in tags):
            raise InvalidForm(
                marked("At most %(most)s tags, of %(characters)s characters."), most=MAX_TAGS, characters=MAX_TAG
            )
        made["tags"] = tags
    if "qualified" in changed:
        if changed["qualified"] not in _SAID:
            raise InvalidForm(marked("The form is not one of this page."))
        made["qualified"] = _SAID[changed["qualified"]]
    return made


def _correction(form: Mapping[str, Any], typed: Callable[[str], str]) -> dict[str, Any]:
    if visit := _text(form, "visit"):
        return {"attribution": {"visit": visit[:MAX_CHANNEL]}}
    if form.get("channel") is None:
        return {"attribution": None}
    channel = _text(form, "channel")
    if not 0 < len(channel) <= MAX_CHANNEL:
        raise InvalidForm(marked("A channel's name has 1 to %(most)s characters."), most=MAX_CHANNEL)
    return {"attribution": {"channel": typed(channel)}}


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""


async def _page(asked: Asked, *, error: str | None = None, done: str | None = None, status: int = 200) -> web.Response:
    call_id = asked.request.match_info["call"]
    found = await asked.read(lambda connection: _found(connection, asked, call_id))
    if found is None:
        raise NoSuchPage
    said = {"note": found["call"]["note"] or "", "tags": ", ".join(found["call"]["tags"])}
    said["qualified"] = {True: "yes", False: "no", None: ""}[found["call"]["qualified"]]
    typed = said if error is None or "note" not in asked.form else {name: _text(asked.form, name) for name in said}
    done = asked.text(done) if done else None
    return asked.render("call.html", status=status, error=error, done=done, said=said, typed=typed, **found)


def _found(connection: Connection, asked: Asked, call_id: str) -> dict[str, Any] | None:
    call = call_detail(connection, call_id)
    if call is None or call["site"] != asked.key or asked.site is None:
        return None
    sheet = call_sheet(connection, call_id)
    facts = call_timeline(connection, call_id)
    steps = timeline(call, sheet.leases, facts, asked.texts, asked.format)
    others = _others(connection, asked.key, call)
    attribution = call["attribution"]
    computed = attribution["computed"] or attribution
    known = [*channel_names(connection, asked.site.id), *(one["channel"] for one in sheet.candidates)]
    if asked.may(Right.WRITE):
        known += offered(asked).of(connection, asked.key, asked.now)["channels"]
    return {
        "call": call,
        "sheet": sheet,
        "attribution": attribution,
        "computed": computed,
        "why": lambda sentence: why(sentence, asked.texts, asked.format),
        "unknown": max(0.0, 1 - sum(one["confidence"] for one in sheet.candidates)),
        "touch": {name: attribution[name] for name in _TOUCH},
        "steps": folded(steps),
        "facts": facts,
        "others": others,
        "visits": visits_began(connection, _named(call["history"])),
        "channels": list(dict.fromkeys(asked.channel(name) for name in known)),
        "cause": lambda number: cause(number, asked.texts),
        "page_name": page_name,
        "line_name": line_name,
    }


def _named(history: Iterable[Mapping[str, Any]]) -> set[str]:
    """The visits that corrections name."""
    said = [change[time] for change in history for time in ("before", "after") if change["field"] == "attribution"]
    return {one["visit"] for one in said if one and one["visit"]}


def _others(connection: Connection, site: str, call: Mapping[str, Any]) -> Others:
    if call["caller"] is None:
        return Others([], [], more_since=False, more_before=False)
    at = datetime.fromisoformat(call["started_at"])
    since, _ = calls_page(connection, CallFilter(since=at, sites=[site], caller=call["caller"]), limit=_OTHERS + 2)
    before, _ = calls_page(connection, CallFilter(until=at, sites=[site], caller=call["caller"]), limit=_OTHERS + 1)
    since = [one for one in since if one["id"] != call["id"]]
    return Others(since[:_OTHERS], before[:_OTHERS], len(since) > _OTHERS, len(before) > _OTHERS)


_PATH = "/sites/{site}/calls/{call}"
PAGES = (
    Page(path=_PATH, handler=show),
    Page(path=_PATH, handler=write, method="POST", right=Right.WRITE, max_body=_MAX_FORM),
    Page(path=f"{_PATH}/attribution", handler=correct, method="POST", right=Right.WRITE),
)
