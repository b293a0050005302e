"""The OpenAPI document as a page for people: plain HTML with one style sheet inside, nothing fetched, no script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from aiohttp import web

from pbxtrack.web.problems import KINDS

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1, h2, h3 { line-height: 1.25; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code, pre { font: 0.9em/1.45 ui-monospace, monospace; } code { background: var(--soft); padding: 0 .25em; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .3rem .6rem;
border-bottom: 1px solid var(--line); } details { margin: .5rem 0; } summary { cursor: pointer; }
.method { font-weight: 700; margin-right: .5em; } .scroll { overflow-x: auto; }
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The page, and the Content-Security-Policy under which it shows."""

    html: str
    policy: str


PAGE = web.AppKey("PAGE", Page)


def render(document: dict[str, Any]) -> Page:
    """The page of an OpenAPI document."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    info = document["info"]
    html = "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>",
            f'<p>{_text(info["description"])} <a href="/openapi.json">OpenAPI 3.1</a>.</p>',
            *_operations(document),
            *_problems(),
            *_schemas(document),
            "</main></body></html>",
        ]
    )
    return Page(html, f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'")


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(method, path, operation)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<section id="{escape(operation["operationId"])}">'
    yield f'<h3><span class="method">{method.upper()}</span><code>{escape(path)}</code></h3>'
    yield f"<p>{_text(operation['summary'])}. {_text(operation.get('description', ''))}</p>"
    if "security" in operation:
        yield "<p>With <code>Authorization: Bearer TOKEN</code>.</p>"
    if "parameters" in operation:
        rows = (
            (
                f"<code>{escape(one['name'])}</code>",
                one["in"],
                _type(one["schema"]),
                _text(one.get("description", "")),
            )
            for one in operation["parameters"]
        )
        yield from _table(("Parameter", "in", "type", ""), rows)
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        yield f"<p>Body: {_type(content['application/json']['schema'])} as {' or '.join(map(_code, content))}.</p>"
    answers = (
        (_code(status), _text(one["description"]), ", ".join(_answer_type(one)))
        for status, one in operation["responses"].items()
    )
    yield from _table(("Answer", "", "type"), answers)
    yield "</section>"


def _answer_type(response: dict[str, Any]) -> Iterator[str]:
    for content_type, content in response.get("content", {}).items():
        yield _type(content["schema"]) if content["schema"] else _code(content_type)


def _problems() -> Iterator[str]:
    yield "<h2>Problems</h2>"
    rows = (
        (f'<code id="problem-{escape(kind.name)}">{escape(kind.name)}</code>', str(kind.status), _text(kind.title))
        for kind in KINDS.values()
    )
    yield from _table(("Problem", "status", ""), rows)


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Types</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        text = escape(json.dumps(schema, indent=1, ensure_ascii=False))
        yield f'<details id="type-{escape(name)}"><summary>{_code(name)}</summary><pre>{text}</pre></details>'


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """``rows`` are HTML."""
    yield '<div class="scroll"><table><tr>' + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{escape(name)}">{escape(name)}</a>'
    if schema.get("type") == "array":
        return f"{_type(schema['items'])}, several"
    return escape(" ".join(str(schema[key]) for key in ("type", "format") if key in schema))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _text(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
