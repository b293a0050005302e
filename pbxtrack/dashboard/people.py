"""People who may log in: added with a password that is made, given a role and sites, taken out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import NotTheirs, Right, Role
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.errors import PbxtrackError
from pbxtrack.passwords import make_password
from pbxtrack.storage import admission
from pbxtrack.storage.admission import MOST_ID, LastOwner, NameTaken, NoSuchPerson, PoorName
from pbxtrack.storage.people import MAX_NAME, Person
from pbxtrack.web.hashing import hashed

T = TypeVar("T")

REFUSALS: Mapping[type[PbxtrackError], str] = {
    PoorName: marked("This name cannot be: it is empty, too long, or has characters that are not seen."),
    NameTaken: marked("This name is taken; choose another one."),
    LastOwner: marked("This is the only owner of all sites; make another one first."),
    NotTheirs: marked("One of the sites is not there any more."),
}
_UNCLEAR = marked("Choose all sites, or some of them.")
_DONE: Mapping[str, str] = {
    "saved": marked("Saved."),
    "removed": marked("Removed; their sessions have ended. What they wrote stays."),
}

log = structlog.get_logger(__name__)


class Refused(Exception):
    """What was asked for cannot be; the message is for people, in their language."""


async def show(asked: Asked) -> web.StreamResponse:
    return await _list(asked)


async def add(asked: Asked) -> web.StreamResponse:
    form = asked.form
    try:
        role, sites = role_of(form), sites_of(asked)
        name = _said(asked, lambda: admission.person_name(str(form.get("name", ""))))
        password = make_password()
        kept = await hashed(password, name)
        person = await _write(asked, lambda c: admission.let_in(c, asked.access, name, kept, role, sites, asked.now))
    except Refused as error:
        return await _list(asked, error=str(error), status=422)
    log.info("person_added", person=person.name, role=role.value, who=asked.access.name)
    return await _list(asked, made=(person.name, password))


async def show_one(asked: Asked) -> web.StreamResponse:
    return _one(asked, await _found(asked))


async def save(asked: Asked) -> web.StreamResponse:
    person = await _found(asked)
    try:
        role, sites = role_of(asked.form), sites_of(asked)
        await _write(asked, lambda c: admission.change_access(c, asked.access, person.id, role, sites))
    except Refused as error:
        return _one(asked, person, error=str(error), status=422)
    log.info("person_changed", person=person.name, role=role.value, who=asked.access.name)
    return asked.redirect("/people", done="saved")


async def reset_password(asked: Asked) -> web.StreamResponse:
    person = await _found(asked)
    password = make_password()
    kept = await hashed(password, person.name)
    await _write(asked, lambda c: admission.give_password(c, asked.access, person.id, kept))
    log.info("password_reset", person=person.name, who=asked.access.name)
    return _one(asked, person, password=password)


async def remove(asked: Asked) -> web.StreamResponse:
    person = await _found(asked)
    try:
        await _write(asked, lambda c: admission.let_out(c, asked.access, person.id))
    except Refused as error:
        return _one(asked, person, error=str(error), status=409)
    log.info("person_removed", person=person.name, who=asked.access.name)
    return asked.redirect("/people", done="removed")


def role_of(form: Mapping[str, Any]) -> Role:
    """The role that a form names; the one that may least, where it names none that there is."""
    given = str(form.get("role", ""))
    return Role(given) if given in list(Role) else Role.MANAGER


def sites_of(asked: Asked) -> frozenset[str] | None:
    """The sites that a form chooses; None: all. Single ones are meant where all are chosen, too. Refused for none."""
    everything = asked.form.get("all") == "on"
    chosen = frozenset(site.key for site in asked.sites if f"site_{site.key}" in asked.form)
    if not everything and not chosen:
        raise Refused(asked.text(_UNCLEAR))
    return chosen or None


async def _write(asked: Asked, work: Callable[[Connection], T]) -> T:
    try:
        return await asked.write(work)
    except tuple(REFUSALS) as error:
        raise refusal(asked, error) from None
    except NoSuchPerson:
        raise NoSuchPage from None


def _said(asked: Asked, work: Callable[[], T]) -> T:
    try:
        return work()
    except tuple(REFUSALS) as error:
        raise refusal(asked, error) from None


def refusal(asked: Asked, error: Exception) -> Refused:
    """Why something cannot be, in the language of whoever asks."""
    return Refused(asked.text(next(text for kind, text in REFUSALS.items() if isinstance(error, kind))))


async def _found(asked: Asked) -> Person:
    person_id = asked.row_id("person", MOST_ID)
    try:
        return await asked.read(lambda c: admission.known_person(c, asked.access, person_id))
    except NoSuchPerson:
        raise NoSuchPage from None


async def _list(
    asked: Asked, error: str | None = None, made: tuple[str, str] | None = None, status: int = 200
) -> web.Response:
    found = await asked.read(lambda connection: admission.known_people(connection, asked.access))
    done = _DONE.get(asked.query.get("done", ""))
    return asked.render(
        "people.html",
        status=status,
        people=found,
        error=error,
        made=made,
        done=asked.text(done) if done else None,
        form=asked.form,
        roles=list(Role),
        most=MAX_NAME,
    )


def _one(
    asked: Asked, person: Person, error: str | None = None, password: str | None = None, status: int = 200
) -> web.Response:
    values = {"person": person, "error": error, "password": password, "roles": list(Role)}
    return asked.render("person.html", status=status, **values)


PAGES = tuple(
    Page(path=f"/people{path}", handler=handler, method=method, right=Right.PEOPLE)
    for path, handler, method in (
        ("", show, "GET"),
        ("", add, "POST"),
        ("/{person}", show_one, "GET"),
        ("/{person}", save, "POST"),
        ("/{person}/password", reset_password, "POST"),
        ("/{person}/remove", remove, "POST"),
    )
)
