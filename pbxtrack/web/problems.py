"""Errors as RFC 9457 problem documents: one table of them, and the middleware that turns exceptions into answers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from pbxtrack.errors import StorageUnavailable

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
DOCUMENTED_AT = "/docs#problem-"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, and a title that is the same each time it happens."""

    name: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        return DOCUMENTED_AT + self.name


def _kinds(*kinds: tuple[str, int, str]) -> Mapping[str, Kind]:
    return {name: Kind(name, status, title) for name, status, title in kinds}


KINDS = _kinds(
    ("bad-request", 400, "The request cannot be read"),
    ("bad-parameter", 400, "A parameter of the address is unknown or does not fit"),
    ("not-authenticated", 401, "A valid API token, or a session, is needed"),
    ("not-allowed", 403, "Whoever asks may not do this"),
    ("foreign-origin", 403, "This website is not one of the site's origins"),
    ("not-found", 404, "There is nothing here"),
    ("not-recorded", 404, "The call was not recorded"),
    ("recording-missing", 404, "The call was recorded, but the file is not here"),
    ("unknown-site", 404, "No site has this key"),
    ("method-not-allowed", 405, "This method is not for this address"),
    ("too-slow", 408, "The request did not arrive in time"),
    ("conflict", 409, "What is there already is in the way"),
    ("number-held", 409, "Visitors are shown a number that would go or move"),
    ("name-taken", 409, "The name is somebody else's"),
    ("last-owner", 409, "Nobody would be left who may do everything"),
    ("lease-gone", 410, "The lease is gone; ask for a new one"),
    ("too-large", 413, "The request is too large"),
    ("unsupported-type", 415, "The Content-Type is not one of JSON"),
    ("unplayable", 415, "The recording is in a format that browsers do not play"),
    ("no-such-part", 416, "There is no such part of it"),
    ("invalid-body", 422, "The body does not fit its schema"),
    ("too-many-requests", 429, "Too many requests"),
    ("too-many-streams", 429, "Too many listen at once"),
    ("internal-error", 500, "An error inside pbxtrack"),
    ("unavailable", 503, "The database cannot be reached"),
    ("not-ready", 503, "pbxtrack is not ready"),
)
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}  # of aiohttp's own errors
_RETRY_SECONDS = "2"


class Problem(Exception):
    """An answer that is an error. ``more`` are members of the problem document of its own."""

    def __init__(
        self, kind: str, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(kind)
        self.kind = KINDS[kind]
        self.detail = detail
        self.headers = headers or {}
        self.more = more

    def response(self, kind: type[web.Response] = web.Response) -> web.Response:
        document: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            **({"detail": self.detail} if self.detail else {}),
            **self.more,
        }
        return _respond(document, self.headers, kind)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong, the client gets a problem document and never a traceback."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return of_http_error(error)
    except StorageUnavailable as error:
        # The driver's own words may name hosts and users: they are for the log.
        log.warning("storage_unavailable", route=_route(request), reason=str(error))
        detail = "Nothing was done. Try again shortly."
        return Problem("unavailable", detail, headers={"Retry-After": _RETRY_SECONDS}).response()
    except Exception:
        error_id = secrets.token_hex(4)
        log.exception("internal_error", error_id=error_id, method=request.method, route=_route(request))
        return Problem("internal-error", f"The log of pbxtrack has more under {error_id}.", id=error_id).response()


def of_http_error(error: web.HTTPException) -> web.Response:
    """One of aiohttp's own errors as a problem document; ``about:blank`` where we have no words for it."""
    allowed = error.headers.get("Allow")
    if allowed:
        detail = f"Use {allowed.replace(',', ', ')}."
        return Problem("method-not-allowed", detail, headers={"Allow": allowed}).response()
    if error.status in _BY_STATUS:
        return Problem(_BY_STATUS[error.status]).response()
    return _respond({"type": "about:blank", "title": HTTPStatus(error.status).phrase, "status": error.status}, {})


def _respond(
    document: dict[str, Any], headers: Mapping[str, str], kind: type[web.Response] = web.Response
) -> web.Response:
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return kind(body=body, status=document["status"], content_type=CONTENT_TYPE, headers=headers)


def _route(request: web.Request) -> str:
    """The route's pattern: the address itself may hold a lease's id, which is a secret."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"
