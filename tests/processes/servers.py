"""`pbxtrack serve api`, several processes on one database: killed at random and started again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import aiohttp

from tests.processes.ledger import Ledger

_START_LIMIT = 60.0  # s


class Server:
    """One process, at an address of its own."""

    def __init__(self, database_url: str, address: str, folder: Path) -> None:
        self.url = f"http://{address}"
        self._log = folder / f"{address}.log"
        self._folder = folder
        others = {name: value for name, value in os.environ.items() if not name.startswith("PBXTRACK_")}
        self._environment = {**others, "PBXTRACK_DATABASE__URL": database_url, "PBXTRACK_API__LISTEN": address}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "pbxtrack", "serve", "api"],
                env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def ready(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"{self.url}/readyz") as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            assert self._process is not None
            assert self._process.poll() is None, self.last_words()
            return False

    def last_words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2000:]


@contextmanager
def serving(database_url: str, count: int, folder: Path) -> Iterator[Sequence[Server]]:
    """So many processes. Their loopback address is nobody else's, so that a port is free again after each kill."""
    own = os.getpid()
    host = f"127.{64 + (own >> 16 & 63)}.{own >> 8 & 255}.{own & 255}"
    servers = [Server(database_url, f"{host}:{8081 + index}", folder) for index in range(count)]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


async def until_ready(servers: Sequence[Server], http: aiohttp.ClientSession) -> None:
    for server in servers:
        deadline = time.monotonic() + _START_LIMIT
        while not await server.ready(http):
            assert time.monotonic() < deadline, server.last_words()
            await asyncio.sleep(0.1)


async def kill_now_and_then(
    servers: Sequence[Server], http: aiohttp.ClientSession, random: Random, ledger: Ledger
) -> None:
    """Every second or so, without end; of several servers one is left to answer."""
    least = min(1, len(servers) - 1)
    while True:
        await asyncio.sleep(random.uniform(0.6, 1.4))
        up = [server for server in servers if await server.ready(http)]
        if len(up) > least:
            victim = random.choice(up)
            victim.kill()
            victim.start()
            ledger.kills += 1
