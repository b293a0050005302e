"""Routes as data: what one takes, what it answers and to whom. Serving and OpenAPI are both made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar, get_origin

import orjson
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from pbxtrack.access import Right
from pbxtrack.api import cors, managers
from pbxtrack.web.problems import Problem

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY = 32 * 1024  # bytes
BODY_SECONDS = 10.0  # for a body to arrive in
_JSON_TYPES = frozenset({"application/json", "text/plain"})  # the second spares a browser the preflight


class Audience(Enum):
    """Who may ask."""

    WEBSITE = "Websites"  # from a site's own origins, or from no browser at all
    MANAGER = "Managers and programs"  # with a token, or the dashboard's session
    ANYONE = "Service"


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its status, what it is, and its model (None: no JSON). Without a ``content_type``: no body."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    content_type: str | None = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one address.

    ``handler`` is called with the request, and with ``body=`` and ``query=`` where the route declares their models.
    ``problems`` are the kinds (see :mod:`pbxtrack.web.problems`) that are the route's own; those that come with its
    audience, its body and its query are known without saying.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[web.StreamResponse]]
    summary: str
    answer: Answer
    audience: Audience
    right: Right = Right.READ  # that a manager needs
    description: str = ""
    also: tuple[Answer, ...] = ()  # other good answers
    body: type[BaseModel] | None = None
    body_optional: bool = False
    max_body: int = MAX_BODY  # bytes
    query: type[BaseModel] | None = None
    path_parameters: Mapping[str, str] = field(default_factory=dict)  # name -> description
    problems: tuple[str, ...] = ()

    @property
    def all_problems(self) -> list[str]:
        """Every kind of problem that the route can answer."""
        kinds = list(self.problems)
        match self.audience:
            case Audience.WEBSITE:
                kinds += ["foreign-origin", "unavailable"]
            case Audience.MANAGER:
                kinds += ["not-authenticated", "not-allowed", "bad-parameter", "unavailable"]
        if self.query:
            kinds.append("bad-parameter")
        if self.body:
            kinds += ["bad-request", "too-slow", "too-large", "unsupported-type", "invalid-body"]
        return list(dict.fromkeys([*kinds, "internal-error"]))


def add(app: web.Application, route: Route) -> None:
    """Serve the route."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if route.audience is Audience.MANAGER:
            await managers.authenticate(request, route.right)
        elif route.audience is Audience.WEBSITE:
            await cors.admit(request)
        inputs: dict[str, Any] = {}
        if route.query:
            inputs["query"] = read_query(request, route.query)
        elif route.audience is Audience.MANAGER and request.query:
            raise Problem("bad-parameter", f"There is no parameter {_quoted(next(iter(request.query)))}.")
        if route.body:
            inputs["body"] = await read_body(request, route.body, optional=route.body_optional, most=route.max_body)
        return await route.handler(request, **inputs)

    path = pattern(route.path)
    if route.method == "GET":
        app.router.add_get(path, serve)  # and HEAD
    else:
        app.router.add_route(route.method, path, serve)


def pattern(path: str) -> str:
    """The address as aiohttp wants it, with parameters that hold any text: what fits is for the handler to say."""
    return path.replace("}", ":[^/]+}")


def answer(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query parameters; a Problem that names the first one that is unknown, doubled or wrong."""
    values: dict[str, Any] = {}
    for name in request.query:
        declared = model.model_fields.get(name)
        if declared is None:
            known = ", ".join(model.model_fields)
            raise Problem("bad-parameter", f"There is no parameter {_quoted(name)}; there are {known}.")
        given = request.query.getall(name)
        if get_origin(declared.annotation) is list:
            values[name] = given
        elif len(given) > 1:
            raise Problem("bad-parameter", f"The parameter {name} is given more than once.", parameter=name)
        else:
            values[name] = given[0]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        raise Problem("bad-parameter", f"The parameter {name}: {_message(first)}.", parameter=name) from None


async def read_body(request: web.Request, model: type[Model], *, optional: bool, most: int = MAX_BODY) -> Model:
    """The JSON body, of ``most`` bytes; a Problem where there is none that fits."""
    raw = await _read(request if most == MAX_BODY else request.clone(client_max_size=most))
    if not raw.strip():
        if optional:
            return model()
        raise Problem("bad-request", "The body is empty; it must be JSON.")
    if request.content_type not in _JSON_TYPES or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Problem("unsupported-type", "Send application/json, or text/plain with JSON inside, in UTF-8.")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        raise Problem("bad-request", f"The body is not JSON: {_message(found[0])}.")
    errors = [{"at": "/".join(map(_quoted, one["loc"])), "message": _message(one)} for one in found[:20]]
    raise Problem("invalid-body", f"{errors[0]['at'] or 'the body'}: {errors[0]['message']}.", errors=errors)


async def _read(request: web.Request) -> bytes:
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem("unsupported-type", "The body must not be compressed.")
    try:
        if request.content.is_eof():  # it came with the headers, as most do: a time limit would cost more than it
            return await request.read()
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Problem("too-slow", f"The body did not arrive within {BODY_SECONDS:.0f} seconds.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Problem("bad-request", "The body did not arrive as the headers say.") from None


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "string_pattern_mismatch":  # whose pattern would say little to people
        return "holds a character that is not allowed"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Invalid JSON: ").rstrip(".")
    if message[1:2].isupper():  # "EOF while parsing": no sentence begins like that
        return message[:200]
    return message[:1].lower() + message[1:200]


def _quoted(name: object) -> str:
    """A name that came from outside, as it may stand in an answer."""
    return "".join(character if character.isprintable() else "?" for character in str(name)[:64])
