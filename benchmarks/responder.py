"""A FastAGI server that answers every call alike: what FastAGI costs Asterisk, whoever answers."""

from __future__ import annotations

import asyncio
from typing import cast

import uvloop

_ANSWER = b'SET VARIABLE PBXTRACK_LINE "PJSIP/sales"\n'


class _Session(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\n\n"):
            self._received = b""
            self._transport.write(_ANSWER)
            self._transport.write_eof()


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main())
