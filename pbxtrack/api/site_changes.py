"""How the API changes sites: what is wrong, held or not there becomes a problem."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import NotAllowed, NotTheirs
from pbxtrack.api.managers import ACCESS
from pbxtrack.api.services import SERVICES
from pbxtrack.sitefile.data import NoSuchPart, WrongSite
from pbxtrack.sitefile.model import Site
from pbxtrack.storage.site_changes import Changed, Consent, Edit, change_site, the_site, unless_held, whatever
from pbxtrack.web.problems import Problem

_SHOWN = 1_000  # held numbers that a problem names

log = structlog.get_logger(__name__)

Work = Callable[[Connection, Consent], Changed]


async def site_of(request: web.Request) -> Site:
    """The site of the address."""
    key, access = request.match_info["site"], request[ACCESS]
    with _problems():
        return await request.app[SERVICES].database.read(lambda connection: the_site(connection, key, access))


async def change(request: web.Request, edit: Edit, *, force: bool) -> Site:
    """Change the site of the address; as it is now."""
    services, access, key = request.app[SERVICES], request[ACCESS], request.match_info["site"]

    def work(connection: Connection, consent: Consent) -> Changed:
        return change_site(connection, key, edit, access, services.now(), services.default_region, consent)

    changed = await carry_out(request, work, key, force=force)
    assert changed.site is not None
    return changed.site


async def carry_out(request: web.Request, work: Work, key: str, *, force: bool) -> Changed:
    """Do some work on the sites, unless visitors are shown numbers that would go."""
    consent = whatever if force else unless_held
    with _problems():
        changed = await request.app[SERVICES].database.write(lambda connection: work(connection, consent))
    if changed.plan.changes and not changed.applied:
        held = list(changed.plan.held)
        detail = (
            f"Visitors hold {len(held)} of the numbers or addresses; wait until their hold ends, or say force=true."
        )
        raise Problem("number-held", detail, numbers=held[:_SHOWN])
    if changed.applied:
        log.info("site_changed", site=key, changes=changed.summary, who=request[ACCESS].name)
    return changed


@contextmanager
def _problems() -> Any:
    try:
        yield
    except NotTheirs as error:
        raise Problem("unknown-site", _sentence(error)) from None
    except NotAllowed as error:
        raise Problem("not-allowed", _sentence(error)) from None
    except NoSuchPart as error:
        raise Problem("not-found", _sentence(error)) from None
    except WrongSite as error:
        path = error.path[2:] if error.path[:1] in (("pool",), ("channel",)) else error.path
        at = "/".join(map(str, path))
        errors = [{"at": at, "message": str(error.wrong)}]
        raise Problem("invalid-body", f"{at or 'the body'}: {error.wrong}.", errors=errors) from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
