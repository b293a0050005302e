"""The demonstration's website, beside a lab."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from aiohttp import web

from pbxtrack.demo.website import create_app
from pbxtrack.lab import Lab
from pbxtrack.lab.addresses import split


@contextlib.contextmanager
def shop(lab: Lab, api: str, key: str) -> Iterator[str]:
    """Serve it with the script of a site while the block lasts; its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> web.AppRunner:
        runner = web.AppRunner(create_app(api, key), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, *split(lab.addresses.website)).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    yield f"http://{lab.addresses.website}"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
