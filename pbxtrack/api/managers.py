"""Who may read and change calls: programs with an API token, and people with the dashboard's session."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aiohttp import hdrs, web
from sqlalchemy import Connection

from pbxtrack.access import Access, NotAllowed, NotTheirs, Right
from pbxtrack.api.services import SERVICES
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.pages import MAX_ID, read_id
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tokens import find_token, note_use
from pbxtrack.web.problems import Problem
from pbxtrack.web.sessions import COOKIE, CSRF_HEADER, SAFE_METHODS, read_session

ACCESS = web.RequestKey("ACCESS", Access)
_MAX_TOKEN = 200  # characters

log = structlog.get_logger(__name__)


async def authenticate(request: web.Request, right: Right) -> None:
    """Take ``Authorization: Bearer TOKEN`` or the dashboard's session; Problem without one that may do this."""
    if hdrs.AUTHORIZATION not in request.headers and COOKIE in request.cookies:
        access = await _by_session(request)
    else:
        access = await _by_token(request)
    try:
        access.require(right)
    except NotAllowed as error:
        raise Problem("not-allowed", _sentence(error)) from None
    request[ACCESS] = access


async def still_may(request: web.Request, right: Right) -> bool:
    """Whether who asked a while ago may still, and sees the same sites; so too while the database cannot tell."""
    before = request[ACCESS]
    try:
        await authenticate(request, right)
    except Problem:
        return False
    except StorageUnavailable:
        return True
    return request[ACCESS] == before


def credential(request: web.Request) -> str:
    """What whoever asks has shown: one token's requests, or one session's, have the same."""
    given = request.headers.get(hdrs.AUTHORIZATION)
    return given.partition(" ")[2].strip() if given else request.cookies[COOKIE]


def sites_asked(request: web.Request, asked: Sequence[str]) -> Sequence[str]:
    """The sites that a question is about, of those that whoever asks may see; empty: all that there are."""
    try:
        return request[ACCESS].among(asked)
    except NotTheirs as error:
        raise Problem("unknown-site", _sentence(error)) from None
    except NotAllowed as error:
        raise Problem("not-allowed", _sentence(error)) from None


def site_to_write(connection: Connection, access: Access, key: str) -> int:
    """The id of the site that a request writes to; Problem where whoever asks sees none of this key."""
    found = live_sites(connection, [key]) if access.sees(key) else ()
    if not found:
        raise Problem("unknown-site", f"There is no site {key!r}.")
    return int(found[0].id)


def row_id(request: web.Request, name: str, most: int = MAX_ID) -> int:
    """The number in the address that names a row; Problem where it cannot be one."""
    found = read_id(request.match_info[name], most)
    if found is None:
        raise Problem("not-found", f"There is no such {name}.")
    return found


async def _by_session(request: web.Request) -> Access:
    services = request.app[SERVICES]
    session = await read_session(request, services.database, services.now())
    if session is None:
        raise _refused("The session is over; log in again, or send an API token.")
    if request.method not in SAFE_METHODS and not session.is_ours(request.headers.get(CSRF_HEADER)):
        raise Problem("not-allowed", f"A browser must send the header {CSRF_HEADER}, as our own pages do.")
    return session.person.access


async def _by_token(request: web.Request) -> Access:
    services = request.app[SERVICES]
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not given:
        raise _refused("Send the header `Authorization: Bearer TOKEN`; `pbxtrack token add` makes a token.")
    scheme, _, secret = given[0].partition(" ")
    secret = secret.strip()
    if len(given) > 1 or scheme.lower() != "bearer" or not secret or len(secret) > _MAX_TOKEN:
        raise _refused("The header is not of the form `Authorization: Bearer TOKEN`.", "invalid_request")
    token = await services.database.read(lambda connection: find_token(connection, secret))
    if token is None:
        raise _refused("The token is unknown or was revoked.", "invalid_token")
    now = services.now()
    if token.stale(now):
        try:
            await services.database.write(lambda connection: note_use(connection, token.id, now))
        except StorageUnavailable as error:  # reading may still work, and is what was asked for
            log.warning("token_use_not_noted", token=token.name, reason=str(error))
    return token.access


def _refused(detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="pbxtrack"' + (f', error="{error}"' if error else "")
    return Problem("not-authenticated", detail, headers={hdrs.WWW_AUTHENTICATE: challenge})


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
