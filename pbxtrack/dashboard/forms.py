"""The fields of forms, as browsers send them: UTF-8 and nothing else, and no more than is taken.

aiohttp's own reader decodes by whatever encoding a request names, and some of them take seconds for a small text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, hdrs, web
from multidict import MultiDict, MultiMapping

from pbxtrack.storage.views import storable

_SECONDS = 30.0  # for a form to arrive in
_MOST_FIELDS = 2_000
_UTF_8 = (None, "utf-8", "utf8")


class Unreadable(Exception):
    """A request of which nothing can be made."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Sent:
    """A file."""

    content: bytes


async def read_form(request: web.Request, max_body: int) -> MultiDict[Any]:
    """The fields of a form: texts, and :class:`Sent` files. Raises Unreadable."""
    if (request.charset or "utf-8").lower() not in _UTF_8:
        raise Unreadable(400)
    try:
        async with asyncio.timeout(_SECONDS):
            if request.content_type == "multipart/form-data":
                fields = await _parts(request, max_body)
            else:
                body = await request.clone(client_max_size=max_body).read()
                given = body if request.content_type == "application/x-www-form-urlencoded" else b""
                pairs = parse_qsl(given.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
                fields = MultiDict[Any](pairs)
    except web.HTTPRequestEntityTooLarge:
        raise Unreadable(413) from None
    except TimeoutError:
        raise Unreadable(408) from None
    except (ValueError, LookupError, RuntimeError, web.RequestPayloadError, ConnectionError):
        raise Unreadable(400) from None
    require_text(fields)
    return fields


def require_text(fields: MultiMapping[Any]) -> None:
    """Unreadable where a field is none that a database could hold."""
    if not all(storable(name) and (not isinstance(value, str) or storable(value)) for name, value in fields.items()):
        raise Unreadable(400)


async def _parts(request: web.Request, max_body: int) -> MultiDict[Any]:
    fields: MultiDict[Any] = MultiDict()
    left = max_body
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name or len(fields) >= _MOST_FIELDS:
            raise Unreadable(400)
        if hdrs.CONTENT_ENCODING in part.headers or hdrs.CONTENT_TRANSFER_ENCODING in part.headers:
            raise Unreadable(400)
        content = bytearray()
        while chunk := await part.read_chunk():
            left -= len(chunk)
            if left < 0:
                raise Unreadable(413)
            content += chunk
        fields.add(part.name, Sent(bytes(content)) if part.filename is not None else content.decode())
    return fields
