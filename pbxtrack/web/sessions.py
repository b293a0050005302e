"""Who asks with a browser: a session in a cookie, and the token that shows a request to be our own page's."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

import structlog
from aiohttp import web

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage import people
from pbxtrack.storage.database import Database
from pbxtrack.storage.people import LONGEST, Person

COOKIE = "pbxtrack"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
SAFE_METHODS = frozenset({"GET", "HEAD"})
"""They change nothing, so that others' pages may ask by them."""
_BEFORE_COOKIE = "pbxtrack_login"  # what shows a log-in to come from our own page, before there is a session
_MAX_SECRET = 100  # characters
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}", re.ASCII)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that somebody has logged in with."""

    person: Person
    secret: str

    @property
    def csrf(self) -> str:
        """What our pages send along with whatever changes something; others' pages cannot know it."""
        return hmac.new(self.secret.encode(), b"csrf", hashlib.sha256).hexdigest()

    def is_ours(self, token: object) -> bool:
        """Whether a request with this token comes from a page of ours."""
        return isinstance(token, str) and hmac.compare_digest(token.encode("utf-8", "replace"), self.csrf.encode())


async def read_session(request: web.Request, database: Database, now: datetime) -> Session | None:
    """The session that the request belongs to; None for none that is good. Raises StorageUnavailable."""
    secret = request.cookies.get(COOKIE)
    if not secret or len(secret) > _MAX_SECRET:
        return None
    found = await database.read(lambda connection: people.find_session(connection, secret, now))
    if found is None:
        return None
    person, to_note = found
    if to_note:
        try:
            await database.write(lambda connection: people.note_use(connection, secret, now))
        except StorageUnavailable as error:  # reading may still work, and is what was asked for
            log.warning("session_use_not_noted", person=person.name, reason=str(error))
    return Session(person, secret)


def from_elsewhere(request: web.Request) -> bool:
    """Whether the browser says that another website's page made this request."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def begin(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    """Let the browser keep a session's secret."""
    _set(request, response, COOKIE, secret, "Lax", int(LONGEST.total_seconds()))
    response.del_cookie(_BEFORE_COOKIE)


def end(response: web.StreamResponse) -> None:
    """Let the browser forget it."""
    response.del_cookie(COOKIE)


def offer_log_in(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Let the browser keep what its log-in must send along."""
    _set(request, response, _BEFORE_COOKIE, token, "Strict", None)


def log_in_token(request: web.Request) -> str:
    """What a log-in must send along: the browser's, or a new one."""
    kept = request.cookies.get(_BEFORE_COOKIE, "")
    return kept if _TOKEN.fullmatch(kept) else secrets.token_urlsafe(24)


def is_our_log_in(request: web.Request, token: object) -> bool:
    """Whether a log-in comes from our own page."""
    kept = request.cookies.get(_BEFORE_COOKIE, "")
    return (
        isinstance(token, str) and bool(_TOKEN.fullmatch(kept)) and hmac.compare_digest(token.encode(), kept.encode())
    )


def _set(
    request: web.Request, response: web.StreamResponse, name: str, value: str, same_site: str, seconds: int | None
) -> None:
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=True,
        samesite=same_site,
        secure=request.secure or forwarded == "https",
    )
