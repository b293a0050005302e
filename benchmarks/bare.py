"""What the ratios are ratios to: servers that do the exchange and nothing else. Run as a program of its own."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from aiohttp import web

_COMMANDS = b'EXEC MSet "PBXTRACK_CALL=x,PBXTRACK_CHANNEL=y,PBXTRACK_LINE=PJSIP/sales"\n'


async def _agi(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\n\n")
    writer.write(_COMMANDS)
    writer.write_eof()
    await reader.read()
    writer.close()


async def _lease(request: web.Request) -> web.Response:
    body = json.loads(await request.read())
    return web.json_response({"lease": "x", "number": "+74951230000", "site": body["site"]}, status=201)


async def _renew(request: web.Request) -> web.Response:
    json.loads(await request.read())
    return web.json_response({"lease": request.match_info["lease"], "number": "+74951230000"})


async def _serve(kind: str) -> None:
    if kind == "agi":
        server = await asyncio.start_server(_agi, "127.0.0.1", 0, backlog=512)
        port = server.sockets[0].getsockname()[1]
    else:
        app = web.Application()
        app.router.add_post("/api/v1/leases", _lease)
        app.router.add_post("/api/v1/leases/{lease}/renew", _renew)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        port = runner.addresses[0][1]
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
