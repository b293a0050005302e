"""The OpenAPI 3.1 document, made of the very routes and models that serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from pbxtrack import __version__
from pbxtrack.api.routing import Answer, Audience, Route
from pbxtrack.api.schemas.service import ProblemAnswer
from pbxtrack.web import problems
from pbxtrack.web.server import HEAD_SECONDS
from pbxtrack.web.sessions import COOKIE, CSRF_HEADER

DOCUMENT = web.AppKey("DOCUMENT", dict[str, Any])

_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Which advertising brought each call. Times are RFC 3339 in UTC, ids are opaque, errors are problem documents "
    "(RFC 9457), lists come in pages: ask again with `cursor` set to `next` until that is null. What is no HTTP, or "
    "has too long a first line or too long headers, is answered so, too: 400, `bad-request`. A connection on which the "
    f"headers of a request take more than {HEAD_SECONDS:.0f} seconds is closed."
)
_RATE_HEADERS = {
    "RateLimit-Policy": "The limit: requests and, after `w=`, seconds.",
    "RateLimit-Limit": "How many requests may come at once.",
    "RateLimit-Remaining": "How many may come now.",
    "RateLimit-Reset": "Seconds until all may come again.",
}


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The document of these routes."""
    schemas = _schemas(routes)
    paths: dict[str, Any] = {}
    for route in routes:
        query = schemas.get(route.query.__name__) if route.query else None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, query)
    for route in routes:
        if route.query:
            schemas.pop(route.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pbxtrack", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": audience.value} for audience in Audience],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by `pbxtrack token add`."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": f"The dashboard's; what changes something needs the header `{CSRF_HEADER}`, too.",
                },
            },
        },
    }


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemAnswer, "serialization"): None}
    for route in routes:
        wanted |= {(model, "validation"): None for model in (route.body, route.query) if model}
        wanted |= {(good.model, "serialization"): None for good in (route.answer, *route.also) if good.model}
    _, found = models_json_schema(list(wanted), ref_template=_REF)
    schemas: dict[str, Any] = _untitled(found["$defs"])
    return schemas


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of names: they say nothing."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if isinstance(schema, dict):
        return {
            key: _untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))
        }
    return schema


def _operation(route: Route, query: dict[str, Any] | None) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [route.audience.value],
        "summary": route.summary,
    }
    if route.description:
        operation["description"] = route.description
    parameters = [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in route.path_parameters.items()
    ]
    if query:
        parameters += [_parameter(name, schema) for name, schema in query["properties"].items()]
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        schema = {"$ref": _REF.format(model=route.body.__name__)}
        operation["requestBody"] = {
            "required": not route.body_optional,
            "description": f"At most {route.max_body} bytes.",
            "content": {
                "application/json": {"schema": schema},
                "text/plain": {
                    "schema": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
                },
            },
        }
    if route.audience is Audience.MANAGER:
        operation["security"] = [{"token": []}, {"session": []}]
    operation["responses"] = _responses(route)
    return operation


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    description = schema.pop("description", None)
    if schema.get("default", ...) in (None, []):
        del schema["default"]
    choices = [choice for choice in schema.pop("anyOf", []) if choice != {"type": "null"}]
    if choices:
        schema |= choices[0]
    text = {"description": description} if description else {}
    return {"name": name, "in": "query", "required": False, **text, "schema": schema}


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {str(good.status): _good(good) for good in (route.answer, *route.also)}
    if "too-many-requests" in route.problems:
        responses[str(route.answer.status)]["headers"] = _headers(_RATE_HEADERS)
    by_status: dict[int, list[problems.Kind]] = {}
    for name in route.all_problems:
        kind = problems.KINDS[name]
        by_status.setdefault(kind.status, []).append(kind)
    for status, kinds in sorted(by_status.items()):
        headers = {
            401: {"WWW-Authenticate": "How to authenticate."},
            429: {
                **(_RATE_HEADERS if "too-many-requests" in route.problems else {}),
                "Retry-After": "Seconds.",
            },
        }.get(status, {})
        if any(kind.name == "unavailable" for kind in kinds) and len(kinds) == 1:
            headers = {"Retry-After": "Seconds."}
        responses[str(status)] = {
            "description": "; or: ".join(kind.title for kind in kinds) + ".",
            **({"headers": _headers(headers)} if headers else {}),
            "content": {
                problems.CONTENT_TYPE: {
                    "schema": {"$ref": _REF.format(model=ProblemAnswer.__name__)},
                    "examples": {kind.name: {"value": _example(kind)} for kind in kinds},
                }
            },
        }
    return responses


def _good(answer: Answer) -> dict[str, Any]:
    if answer.content_type is None:
        return {"description": answer.description}
    schema = {"$ref": _REF.format(model=answer.model.__name__)} if answer.model else {}
    return {"description": answer.description, "content": {answer.content_type: {"schema": schema}}}


def _headers(names: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in names.items()}


def _example(kind: problems.Kind) -> dict[str, Any]:
    return {"type": kind.uri, "title": kind.title, "status": kind.status}
