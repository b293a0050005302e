"""Who may read and change calls: programs with an API token."""

from __future__ import annotations

import structlog
from aiohttp import hdrs, web

from pbxtrack.api.problems import Problem
from pbxtrack.api.services import SERVICES
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.tokens import Token, find_token, note_use

TOKEN = web.RequestKey("TOKEN", Token)
_MAX_TOKEN = 200  # characters

log = structlog.get_logger(__name__)


async def authenticate(request: web.Request) -> None:
    """Take ``Authorization: Bearer TOKEN``; Problem without one that is valid."""
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
    request[TOKEN] = token
    now = services.now()
    if token.stale(now):
        try:
            await services.database.write(lambda connection: note_use(connection, token.id, now))
        except StorageUnavailable as error:  # reading may still work, and is what was asked for
            log.warning("token_use_not_noted", token=token.name, reason=str(error))


def _refused(detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="pbxtrack"' + (f', error="{error}"' if error else "")
    return Problem("not-authenticated", detail, headers={hdrs.WWW_AUTHENTICATE: challenge})
