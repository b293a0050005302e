"""API tokens: made and shown this once, revoked."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from aiohttp import web

from pbxtrack.access import Right, Role
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.people import REFUSALS, Refused, refusal, role_of, sites_of
from pbxtrack.storage import admission
from pbxtrack.storage.admission import MOST_ID, NoSuchToken
from pbxtrack.storage.tokens import MAX_NAME

_DONE: Mapping[str, str] = {"revoked": marked("Revoked: it is refused from now on.")}

log = structlog.get_logger(__name__)


async def show(asked: Asked) -> web.StreamResponse:
    return await _list(asked)


async def make(asked: Asked) -> web.StreamResponse:
    name = str(asked.form.get("name", ""))
    try:
        role, sites = role_of(asked.form), sites_of(asked)
        token, secret = await asked.write(lambda c: admission.issue(c, asked.access, name, role, sites, asked.now))
    except Refused as error:
        return await _list(asked, error=str(error), status=422)
    except tuple(REFUSALS) as error:
        return await _list(asked, error=str(refusal(asked, error)), status=422)
    log.info("token_added", token=token.id, name=token.name, role=role.value, who=asked.access.name)
    return await _list(asked, made=(token.name, secret))


async def revoke(asked: Asked) -> web.StreamResponse:
    token_id = asked.row_id("token", MOST_ID)
    try:
        token = await asked.write(lambda c: admission.withdraw(c, asked.access, token_id, asked.now))
    except NoSuchToken:
        raise NoSuchPage from None
    log.info("token_revoked", token=token.id, name=token.name, who=asked.access.name)
    return asked.redirect("/tokens", done="revoked")


async def _list(
    asked: Asked, error: str | None = None, made: tuple[str, str] | None = None, status: int = 200
) -> web.Response:
    found = await asked.read(lambda connection: admission.known_tokens(connection, asked.access))
    done = _DONE.get(asked.query.get("done", ""))
    return asked.render(
        "tokens.html",
        status=status,
        tokens=[token for token in found if token.revoked_at is None],
        revoked=[token for token in reversed(found) if token.revoked_at is not None][:50],
        error=error,
        made=made,
        done=asked.text(done) if done else None,
        form=asked.form,
        roles=list(Role),
        most=MAX_NAME,
    )


PAGES = (
    Page(path="/tokens", handler=show, right=Right.PEOPLE),
    Page(path="/tokens", handler=make, method="POST", right=Right.PEOPLE),
    Page(path="/tokens/{token}/revoke", handler=revoke, method="POST", right=Right.PEOPLE),
)
