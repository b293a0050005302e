"""Server-sent events, read as a browser reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

LIVE = "/api/v1/live"
_PATIENCE = 5.0  # s; what is expected comes within one


@dataclass
class Stream:
    """An open stream; ``last_id`` is what a browser would come back with."""

    response: ClientResponse
    last_id: str = ""

    async def next(self) -> tuple[str, Any]:
        """The next event: its name and its data. Raises EOFError at the end of the stream."""
        name, data = "", None
        async with asyncio.timeout(_PATIENCE):
            while line := await self.response.content.readline():
                field, _, value = line.decode().rstrip("\n").partition(": ")
                match field:
                    case "event":
                        name = value
                    case "data":
                        data = json.loads(value)
                    case "id":
                        self.last_id = value
                    case "" if name:
                        return name, data
        raise EOFError

    async def begun(self) -> None:
        """Read up to the position that a stream begins with."""
        async with asyncio.timeout(_PATIENCE):
            while await self.response.content.readline() != b"\n":
                pass

    async def until(self, **wanted: Any) -> Any:
        """The first call with these members."""
        while True:
            name, call = await self.next()
            assert name == "call"
            if all(call[key] == value for key, value in wanted.items()):
                return call


@asynccontextmanager
async def listening(
    client: TestClient[Any, Any], headers: Mapping[str, str], *, last_id: str = "", site: str = ""
) -> AsyncIterator[Stream]:
    """An open stream; a new one has begun."""
    query = {"site": site} if site else {}
    more = {"Last-Event-ID": last_id} if last_id else {}
    response = await client.get(LIVE, params=query, headers={**headers, **more})
    try:
        assert response.status == 200, await response.text()
        stream = Stream(response)
        if not last_id:
            await stream.begun()
        yield stream
    finally:
        response.close()
