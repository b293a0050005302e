"""How the settings change a site: what it takes away is shown first, and done when somebody agrees to that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import NotTheirs
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.languages import marked
from pbxtrack.sitefile.data import Data, NoSuchPart, WrongSite, data_of
from pbxtrack.sitefile.edit import Kind, moved_part, place_of, without_part
from pbxtrack.sitefile.model import Site
from pbxtrack.storage.site_changes import Changed, Consent, Edit, change_site, the_site

_FIELDS: Mapping[str, str] = {
    "name": marked("Name"),
    "key": marked("Key"),
    "line": marked("Line"),
    "numbers": marked("Numbers"),
    "regions": marked("Regions"),
    "emails": marked("E-mail addresses"),
    "overflow_number": marked("Overflow number"),
    "replace": marked("Numbers on the website"),
    "email": marked("Mailbox"),
}
DONE: Mapping[str, str] = {
    "saved": marked("Saved. It holds for visitors and calls from now on."),
    "same": marked("Nothing had to be changed."),
    "removed": marked("Removed. Calls of the past stay as they are."),
    "made": marked("The site is made. Put its script on the website next."),
}

log = structlog.get_logger(__name__)

Again = Callable[[Mapping[str, str]], web.Response]
Work = Callable[[Connection, Consent], Changed]


async def site_of(asked: Asked) -> Site:
    """The site, whole."""
    try:
        return await asked.read(lambda connection: the_site(connection, asked.key, asked.access))
    except NotTheirs:
        raise NoSuchPage from None


async def data_of_site(asked: Asked) -> Data:
    """The site, as data."""
    return data_of(await site_of(asked))


async def change(asked: Asked, edit: Edit, back: str, again: Again, done: str = "saved") -> web.Response:
    """Change the page's site, and go ``back``. ``again`` makes the page with what is wrong, by field."""

    def work(connection: Connection, consent: Consent) -> Changed:
        return change_site(connection, asked.key, edit, asked.access, asked.now, asked.region, consent)

    return await carry_out(asked, work, asked.address(back, done=done), asked.address(back, done="same"), again)


async def carry_out(asked: Asked, work: Work, after: str, unchanged: str, again: Again) -> web.Response:
    """Do some work on the sites, once whoever asks has agreed to what it takes away."""
    form = asked.form

    def agreed(changed: Changed) -> bool:
        if changed.takes and form.get("confirm") != changed.digest:
            return False
        return not changed.plan.held or form.get("force") == "1"

    try:
        changed = await asked.write(lambda connection: work(connection, agreed))
    except WrongSite as error:
        return again(wrong(asked, error))
    except (NoSuchPart, NotTheirs):
        raise NoSuchPage from None
    if changed.applied:
        log.info("site_changed", site=_key(asked, changed), changes=changed.summary, who=asked.access.name)
        return web.Response(status=303, headers={"Location": after})
    if not changed.plan.changes:
        return web.Response(status=303, headers={"Location": unchanged})
    kept = [(name, value) for name, value in form.items() if name not in ("csrf", "confirm", "force")]
    return asked.render("settings_confirm.html", changed=changed, kept=kept, back=unchanged.partition("?")[0])


async def part_named(asked: Asked, kind: Kind, name: str) -> Data:
    """The site's pool or channel of this name, as data; NoSuchPage."""
    for part in (await data_of_site(asked))[kind]:
        if part["name"] == name:
            return dict(part)
    raise NoSuchPage


async def move_part(asked: Asked, kind: Kind, back: str) -> web.Response:
    """Move the pool or channel that the form names one place up or down, and go ``back`` to the list."""
    name, step = str(asked.form.get("name", "")), 1 if asked.form.get("to") == "down" else -1

    def edit(data: Data) -> Data:
        return moved_part(data, kind, name, place_of(data, kind, name) + step)

    return await change(asked, edit, back, refused(asked, back))


async def remove_part(asked: Asked, kind: Kind, back: str) -> web.Response:
    """Take the pool or channel that the form names out of the site, and go ``back`` to the list."""
    name = str(asked.form.get("name", ""))
    return await change(asked, lambda data: without_part(data, kind, name), back, refused(asked, back), "removed")


def refused(asked: Asked, back: str) -> Again:
    """Tells what is wrong where there is no form to tell it in."""

    def page(errors: Mapping[str, str]) -> web.Response:
        other = elsewhere(asked, errors, frozenset())
        return asked.render("settings_refused.html", status=422, other=other, back=asked.address(back))

    return page


def wrong(asked: Asked, error: WrongSite) -> dict[str, str]:
    """What is wrong in words, by the field of the form; under "" what belongs to none."""
    field = error.field
    values = {name: asked.text(str(value)) if name == "hint" else value for name, value in error.wrong.values.items()}
    return {field: asked.text(error.wrong.text, **values)}


def elsewhere(asked: Asked, errors: Mapping[str, str], there: frozenset[str]) -> str | None:
    """What is wrong with fields that the page does not have, in one line."""
    for field, text in errors.items():
        if field not in there:
            name = asked.text(_FIELDS[field]) if field in _FIELDS else field
            return f"{name}: {text}" if name else text
    return None


def told(asked: Asked) -> str | None:
    """What was done just before, in words."""
    done = DONE.get(asked.query.get("done", ""))
    return asked.text(done) if done else None


def text_of(form: Mapping[str, Any], name: str) -> str | None:
    """A field's text; None where nothing was written."""
    return str(form.get(name, "")).strip() or None


def lines_of(form: Mapping[str, Any], name: str) -> list[str]:
    """The lines of a field; commas and semicolons separate, too."""
    text = str(form.get(name, "")).replace(",", "\n").replace(";", "\n")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _key(asked: Asked, changed: Changed) -> str | None:
    return changed.site.key if changed.site else asked.site.key if asked.site else None
