"""An Asterisk that plays invented traffic as fast as it is taken, as a program. Each line it reads is an order.

``play COUNT BEGIN``: a day of so many events, that begins then (seconds since 1970), to whoever is logged in; answers,
when the last of it is handed to the kernel, with the seconds it took. It ends with its input.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

import uvloop

from benchmarks import site
from pbxtrack.testing.fake_asterisk import FakeAsterisk
from tests import ami_traffic
from tests.ami_traffic import DAY, Planned

WHOLE = 1_000_000  # events of a whole day
_CHUNK = 64 * 1024  # bytes at a time: Asterisk writes each event for itself, and the kernel makes as much of them
_POOL = tuple(f"+7495123{index:04d}" for index in range(900))


def day(count: int, begin: float) -> list[Planned]:
    """The day that is played; one of fewer events is shorter, and not quieter."""
    # The first so many of the pool are leased; every other call is to one of them.
    return ami_traffic.plan(
        count, site.dialled(_POOL[: site.LEASES], 2 * site.LEASES), begin, lasts=DAY * count / WHOLE
    )


async def _play(fake: FakeAsterisk, calls: Sequence[Planned]) -> None:
    chunk: list[bytes] = []
    size = 0
    for event in ami_traffic.play(calls):
        chunk.append(event)
        size += len(event)
        if size >= _CHUNK:
            await fake.send(b"".join(chunk))
            chunk, size = [], 0
    await fake.send(b"".join(chunk))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    async with FakeAsterisk() as fake:
        print(fake.port, flush=True)
        while order := await loop.run_in_executor(None, sys.stdin.readline):
            _, count, begin = order.split()
            calls = await loop.run_in_executor(None, day, int(count), float(begin))
            print("ready", flush=True)
            started = time.perf_counter()
            await _play(fake, calls)
            print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
