"""Coming in and going out: log-in, log-out, the way to a site, one's own account."""

from __future__ import annotations

import structlog
from aiohttp import hdrs, web

from pbxtrack.access import NotAllowed
from pbxtrack.dashboard import languages
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import DESK, Page
from pbxtrack.dashboard.languages import LANGUAGES, marked
from pbxtrack.passwords import PoorPassword
from pbxtrack.storage import people
from pbxtrack.storage.people import Locked
from pbxtrack.web.hashing import hashed, is_right
from pbxtrack.web.sessions import CSRF_FIELD, begin, end, from_elsewhere, is_our_log_in, log_in_token, offer_log_in

_YEAR = 31_536_000  # s
_WRONG = marked("Name or password is wrong.")
_STALE = marked("The page was open for too long. Please try again.")
_TOO_MANY = marked("Too many tries. Please wait a minute.")
_LOCKED = marked("Too many wrong passwords. Please try again in %(wait)s.")

log = structlog.get_logger(__name__)


async def show_log_in(asked: Asked) -> web.StreamResponse:
    if asked.session is not None:
        return asked.redirect("/")
    return await _log_in_page(asked)


async def log_in(asked: Asked) -> web.StreamResponse:
    form = asked.form
    name, password = str(form.get("name", "")).strip().casefold()[:200], str(form.get("password", ""))[:1_000]
    if from_elsewhere(asked.request) or not is_our_log_in(asked.request, form.get("token")):
        return await _log_in_page(asked, asked.text(_STALE), name, status=400)
    desk = asked.request.app[DESK]
    address = desk.addresses.of(asked.request.remote, tuple(asked.request.headers.getall(hdrs.X_FORWARDED_FOR, [])))
    verdict = desk.log_ins.take(address)
    if not verdict.allowed:
        response = await _log_in_page(asked, asked.text(_TOO_MANY), name, status=429)
        response.headers.update(verdict.headers)
        return response
    found = await asked.write(lambda connection: people.try_to_log_in(connection, name, asked.now))
    if found is None:
        found = desk.nobodies.tried(name, asked.now)
    if isinstance(found, Locked):
        wait = asked.format.spell(max((found.until - asked.now).total_seconds(), 1))
        return await _log_in_page(asked, asked.text(_LOCKED, wait=wait), name, status=429)
    person, kept = found or (None, None)
    if not await is_right(password, kept) or person is None:
        log.info("log_in_failed", known=person is not None)
        return await _log_in_page(asked, asked.text(_WRONG), name, status=401)
    secret = await asked.write(lambda connection: people.logged_in(connection, person.id, asked.now))
    log.info("logged_in", person=person.name)
    response = web.Response(status=303, headers={hdrs.LOCATION: _next(str(form.get("next", "")))})
    begin(asked.request, response, secret)
    return response


async def log_out(asked: Asked) -> web.StreamResponse:
    session = asked.session
    assert session is not None
    await asked.write(lambda connection: people.log_out(connection, session.secret))
    response = asked.redirect("/login")
    end(response)
    return response


async def start(asked: Asked) -> web.StreamResponse:
    """The only site at once; else the choice among them."""
    if len(asked.sites) == 1:
        return asked.redirect(f"/sites/{asked.sites[0].key}")
    return asked.render("sites.html")


async def choose_language(asked: Asked) -> web.StreamResponse:
    language, session = str(asked.form.get("language", "")), asked.session
    if session is not None and not session.is_ours(asked.form.get(CSRF_FIELD)):
        raise NotAllowed("the form is not ours")
    response = web.Response(status=303, headers={hdrs.LOCATION: _next(str(asked.form.get("next", "")))})
    if language in LANGUAGES:
        if session is not None:
            await asked.write(lambda connection: people.change_person(connection, session.person.id, language=language))
        response.set_cookie(languages.COOKIE, language, max_age=_YEAR, samesite="Lax")
    return response


async def show_account(asked: Asked) -> web.StreamResponse:
    return asked.render("account.html", error=None, done=asked.query.get("done"))


async def change_password(asked: Asked) -> web.StreamResponse:
    old, new = str(asked.form.get("old", ""))[:1_000], str(asked.form.get("new", ""))[:1_000]
    person = asked.person
    tried = await asked.write(lambda connection: people.try_to_log_in(connection, person.name, asked.now))
    if isinstance(tried, Locked) or tried is None:
        return asked.render("account.html", status=429, error=asked.text(_TOO_MANY), done=None)
    if not await is_right(old, tried[1]):
        error = asked.text(marked("The old password is wrong."))
        return asked.render("account.html", status=400, error=error, done=None)
    try:
        kept = await hashed(new, person.name)
    except PoorPassword as poor:
        return asked.render("account.html", status=400, error=asked.text(str(poor)), done=None)
    await asked.write(lambda connection: people.change_password(connection, person.id, kept))
    secret = await asked.write(lambda connection: people.logged_in(connection, person.id, asked.now))
    log.info("password_changed", person=person.name)
    response = asked.redirect("/account", done="password")
    begin(asked.request, response, secret)
    return response


async def _log_in_page(asked: Asked, error: str | None = None, name: str = "", status: int = 200) -> web.Response:
    token = log_in_token(asked.request)
    anybody = await asked.read(people.anybody)
    after = asked.query.get("next") or str(asked.form.get("next", ""))
    values = {"token": token, "error": error, "name": name, "next": _next(after), "anybody": anybody}
    response = asked.render("login.html", status=status, **values)
    offer_log_in(asked.request, response, token)
    return response


def _next(path: str) -> str:
    """Where to go on: a page of ours, and nobody else's."""
    if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and len(path) < 2_000:
        return path
    return "/"


PAGES = (
    Page(path="/login", handler=show_log_in, open=True),
    Page(path="/login", handler=log_in, method="POST", open=True),
    Page(path="/logout", handler=log_out, method="POST"),
    Page(path="/language", handler=choose_language, method="POST", open=True),
    Page(path="/account", handler=show_account),
    Page(path="/account", handler=change_password, method="POST"),
    Page(path="/", handler=start),
)
