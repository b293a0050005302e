"""People who log in, and tokens of programs: within what whoever asks may do themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import NotAllowed, NotTheirs, Right
from pbxtrack.api.managers import ACCESS, row_id
from pbxtrack.api.routing import Answer, Audience, Route, answer
from pbxtrack.api.schemas.people import (
    TokenAnswer,
    TokenBody,
    TokenChanges,
    TokenMade,
    TokensPage,
    UserAnswer,
    UserBody,
    UserChanges,
    UserMade,
    UsersPage,
)
from pbxtrack.api.services import SERVICES
from pbxtrack.passwords import PoorPassword, make_password
from pbxtrack.storage import admission
from pbxtrack.storage.admission import MOST_ID, LastOwner, NameTaken, NoSuchPerson, NoSuchToken, PoorName
from pbxtrack.storage.people import Person
from pbxtrack.storage.times import rfc3339
from pbxtrack.storage.tokens import Token
from pbxtrack.web.hashing import hashed
from pbxtrack.web.problems import Problem

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def list_users(request: web.Request) -> web.Response:
    access = request[ACCESS]
    found = await request.app[SERVICES].database.read(lambda c: admission.known_people(c, access))
    return answer({"items": [_user(person) for person in found]})


async def show_user(request: web.Request) -> web.Response:
    return answer(_user(await _person(request)))


async def create_user(request: web.Request, body: UserBody) -> web.Response:
    access, now = request[ACCESS], request.app[SERVICES].now()
    made = None if body.password else make_password()
    kept = await _hashed(body.password or made or "", body.name)
    sites = None if body.sites is None else frozenset(body.sites)
    person = await _write(request, lambda c: admission.let_in(c, access, body.name, kept, body.role, sites, now))
    log.info("person_added", person=person.name, role=person.role.value, who=access.name)
    return answer({**_user(person), "password": made}, status=201)


async def change_user(request: web.Request, body: UserChanges) -> web.Response:
    access, person = request[ACCESS], await _person(request)
    given = body.model_fields_set
    role = body.role or person.role
    wanted = None if body.sites is None else frozenset(body.sites)
    sites = wanted if "sites" in given else person.sites
    kept = await _hashed(body.password, person.name) if body.password else None

    def work(connection: Connection) -> Person:
        changed = admission.change_access(connection, access, person.id, role, sites)
        if kept is not None:
            admission.give_password(connection, access, person.id, kept)
        return changed

    changed = await _write(request, work)
    log.info("person_changed", person=changed.name, changed=sorted(given), who=access.name)
    return answer(_user(changed))


async def delete_user(request: web.Request) -> web.Response:
    access, person_id = request[ACCESS], row_id(request, "user", MOST_ID)
    person = await _write(request, lambda c: admission.let_out(c, access, person_id))
    log.info("person_removed", person=person.name, who=access.name)
    return web.Response(status=204)


async def list_tokens(request: web.Request) -> web.Response:
    access = request[ACCESS]
    found = await request.app[SERVICES].database.read(lambda c: admission.known_tokens(c, access))
    return answer({"items": [_token(token) for token in found]})


async def show_token(request: web.Request) -> web.Response:
    access, token_id = request[ACCESS], row_id(request, "token", MOST_ID)
    return answer(_token(await _read(request, lambda c: admission.known_token(c, access, token_id))))


async def create_token(request: web.Request, body: TokenBody) -> web.Response:
    access, now = request[ACCESS], request.app[SERVICES].now()
    sites = None if body.sites is None else frozenset(body.sites)
    token, secret = await _write(request, lambda c: admission.issue(c, access, body.name, body.role, sites, now))
    log.info("token_added", token=token.id, name=token.name, role=token.role.value, who=access.name)
    return answer({**_token(token), "token": secret}, status=201)


async def change_token(request: web.Request, body: TokenChanges) -> web.Response:
    access, token_id = request[ACCESS], row_id(request, "token", MOST_ID)
    token = await _write(request, lambda c: admission.rename_token(c, access, token_id, body.name))
    log.info("token_changed", token=token.id, name=token.name, who=access.name)
    return answer(_token(token))


async def delete_token(request: web.Request) -> web.Response:
    access, token_id, now = request[ACCESS], row_id(request, "token", MOST_ID), request.app[SERVICES].now()
    token = await _write(request, lambda c: admission.withdraw(c, access, token_id, now))
    log.info("token_revoked", token=token.id, name=token.name, who=access.name)
    return web.Response(status=204)


async def _person(request: web.Request) -> Person:
    access, person_id = request[ACCESS], row_id(request, "user", MOST_ID)
    return await _read(request, lambda c: admission.known_person(c, access, person_id))


async def _read(request: web.Request, work: Callable[[Connection], T]) -> T:
    try:
        return await request.app[SERVICES].database.read(work)
    except (NoSuchPerson, NoSuchToken) as error:
        raise Problem("not-found", _sentence(error)) from None


async def _write(request: web.Request, work: Callable[[Connection], T]) -> T:
    try:
        return await request.app[SERVICES].database.write(work)
    except (NoSuchPerson, NoSuchToken) as error:
        raise Problem("not-found", _sentence(error)) from None
    except NameTaken as error:
        raise Problem("name-taken", _sentence(error)) from None
    except LastOwner as error:
        raise Problem("last-owner", _sentence(error)) from None
    except NotAllowed as error:
        raise Problem("not-allowed", _sentence(error)) from None
    except PoorName as error:
        raise Problem("invalid-body", f"name: {error}.", errors=[{"at": "name", "message": str(error)}]) from None
    except NotTheirs as error:
        raise Problem("invalid-body", f"sites: {error}.", errors=[{"at": "sites", "message": str(error)}]) from None


async def _hashed(password: str, name: str) -> str:
    try:
        return await hashed(password, name)
    except PoorPassword as error:
        errors = [{"at": "password", "message": str(error)}]
        raise Problem("invalid-body", f"password: {error}.", errors=errors) from None


def _user(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "role": person.role.value,
        "sites": None if person.sites is None else sorted(person.sites),
        "created_at": rfc3339(person.created_at),
        "seen_at": rfc3339(person.seen_at),
    }


def _token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "sites": None if token.sites is None else sorted(token.sites),
        "created_at": rfc3339(token.created_at),
        "used_at": rfc3339(token.used_at),
        "revoked_at": rfc3339(token.revoked_at),
    }


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


_OWN: dict[str, Any] = {"audience": Audience.MANAGER, "right": Right.PEOPLE}
_USER = {"user": "The person's `id`."}
_TOKEN = {"token": "The token's `id`."}


def _route(method: str, path: str, handler: Any, summary: str, good: Answer, **more: Any) -> Route:
    return Route(method=method, path=path, handler=handler, summary=summary, answer=good, **_OWN, **more)


_GONE = Answer(204, "Done.", content_type=None)

ROUTES = (
    _route("GET", "/api/v1/users", list_users, "Who may log in", Answer(200, "Everybody, by name.", UsersPage)),
    _route(
        "POST", "/api/v1/users", create_user, "Let somebody log in", Answer(201, "They may.", UserMade),
        body=UserBody, problems=("name-taken",),
    ),
    _route(
        "GET", "/api/v1/users/{user}", show_user, "One person", Answer(200, "The person.", UserAnswer),
        path_parameters=_USER, problems=("not-found",),
    ),
    _route(
        "PATCH", "/api/v1/users/{user}", change_user, "Give another role, other sites, or another password",
        Answer(200, "The person as they are now.", UserAnswer),
        path_parameters=_USER, body=UserChanges, problems=("not-found", "last-owner"),
    ),
    _route(
        "DELETE", "/api/v1/users/{user}", delete_user, "Let somebody log in no more", _GONE,
        description="What they wrote on calls stays.", path_parameters=_USER, problems=("not-found", "last-owner"),
    ),
    _route("GET", "/api/v1/tokens", list_tokens, "Every token, without its secret", Answer(200, "Tokens.", TokensPage)),
    _route(
        "POST", "/api/v1/tokens", create_token, "Make a token", Answer(201, "The token.", TokenMade),
        body=TokenBody, problems=("name-taken",),
    ),
    _route(
        "GET", "/api/v1/tokens/{token}", show_token, "One token in use", Answer(200, "The token.", TokenAnswer),
        path_parameters=_TOKEN, problems=("not-found",),
    ),
    _route(
        "PATCH", "/api/v1/tokens/{token}", change_token, "Call a token otherwise",
        Answer(200, "The token as it is now.", TokenAnswer),
        path_parameters=_TOKEN, body=TokenChanges, problems=("not-found", "name-taken"),
    ),
    _route(
        "DELETE", "/api/v1/tokens/{token}", delete_token, "Refuse a token from now on", _GONE,
        path_parameters=_TOKEN, problems=("not-found",),
    ),
)  # fmt: skip
