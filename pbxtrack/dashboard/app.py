"""The pages as routes of the service's application: who may ask, which site it is about, what goes wrong."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from pbxtrack.access import NotAllowed
from pbxtrack.dashboard import (
    call,
    calls,
    contact,
    entry,
    exports,
    health,
    languages,
    numbers,
    overview,
    people,
    pool_size,
    reports,
    settings_channels,
    settings_numbers,
    settings_script,
    settings_site,
    static,
    tokens,
)
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import DESK, MAX_BODY, Desk, Page
from pbxtrack.dashboard.forms import Unreadable, read_form, require_text
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.sites import live_sites
from pbxtrack.web.sessions import CSRF_FIELD, CSRF_HEADER, SAFE_METHODS, from_elsewhere, read_session

PAGES: tuple[Page, ...] = (
    *entry.PAGES,
    *settings_site.PAGES,
    *settings_channels.PAGES,
    *settings_numbers.PAGES,
    *settings_script.PAGES,
    *overview.PAGES,
    *people.PAGES,
    *tokens.PAGES,
    *health.PAGES,
    *calls.PAGES,
    *exports.PAGES,
    *call.PAGES,
    *contact.PAGES,
    *reports.PAGES,
    *numbers.PAGES,
    *pool_size.PAGES,
)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

log = structlog.get_logger(__name__)


def add(app: web.Application, desk: Desk) -> None:
    """Serve the pages."""
    app[DESK] = desk
    app.middlewares.insert(0, _lost)
    app.router.add_get("/static/{digest}/{name}", static.serve)
    app.router.add_get("/favicon.ico", static.serve_icon)
    for page in PAGES:
        serve = _serving(page)
        if page.method == "GET":
            app.router.add_get(page.path, serve)
        else:
            app.router.add_route(page.method, page.path, serve)


@web.middleware
async def _lost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who follows a wrong address with a browser is told so in words."""
    response = await handler(request)
    nowhere = response.status == 404 and request.match_info.http_exception is not None
    if nowhere and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        return _guarded(_failed(_nobody(request), 404))
    return response


def _serving(page: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        asked = _nobody(request)
        try:
            response = await _answer(page, asked)
        except NoSuchPage:
            response = _failed(asked, 404)
        except NotAllowed:
            response = _failed(asked, 403)
        except Unreadable as error:
            response = _failed(asked, error.status)
        except StorageUnavailable as error:
            log.warning("storage_unavailable", page=page.path, reason=str(error))
            response = _failed(asked, 503)
            response.headers[hdrs.RETRY_AFTER] = "2"
        except web.HTTPException:
            raise
        except Exception:
            error_id = secrets.token_hex(4)
            log.exception("internal_error", error_id=error_id, method=request.method, page=page.path)
            response = _failed(asked, 500, error_id)
        return _guarded(response)

    return serve


async def _answer(page: Page, asked: Asked) -> web.StreamResponse:
    request, desk = asked.request, asked.request.app[DESK]
    require_text(request.query)
    asked.session = await read_session(request, desk.database, asked.now)
    if asked.session is not None and asked.person.language in languages.LANGUAGES:
        asked.language = str(asked.person.language)
    if request.method not in SAFE_METHODS:
        # Only who may send much is listened to for long.
        may = page.open or (asked.session is not None and asked.may(page.right))
        asked.form = await read_form(request, page.max_body if may else min(page.max_body, MAX_BODY))
    if page.open:
        return await page.handler(asked)
    if asked.session is None:
        if request.method not in SAFE_METHODS:
            return asked.redirect("/login")
        return asked.redirect("/login", next=request.rel_url.path_qs if request.path != "/" else None)
    if request.method not in SAFE_METHODS:
        token = request.headers.get(CSRF_HEADER) or asked.form.get(CSRF_FIELD)
        if from_elsewhere(request) or not asked.session.is_ours(token):
            return _failed(asked, 403)
    asked.access.require(page.right)
    asked.sites = [row for row in await asked.read(live_sites) if asked.access.sees(row.key)]
    if "site" in request.match_info:
        asked.site = next((row for row in asked.sites if row.key == request.match_info["site"]), None)
        if asked.site is None:
            raise NoSuchPage
    return await page.handler(asked)


def _nobody(request: web.Request) -> Asked:
    desk = request.app[DESK]
    language = request.cookies.get(languages.COOKIE, "")
    if language not in languages.LANGUAGES:
        language = languages.negotiated(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    return Asked(
        request=request,
        database=desk.database,
        region=desk.default_region,
        now=desk.now(),
        language=language,
        session=None,
        sites=[],
    )


def _guarded(response: web.StreamResponse) -> web.StreamResponse:
    response.headers.setdefault("Content-Security-Policy", _POLICY)
    return response


def _failed(asked: Asked, status: int, error_id: str | None = None) -> web.Response:
    return asked.render("failed.html", status=status, error_id=error_id, code=status)
