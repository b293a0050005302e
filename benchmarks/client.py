"""The client of the benchmarks without Asterisk: a program of its own, that asks so many at once and times each."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import uvloop

from benchmarks import site
from benchmarks.stats import quantiles
from tests.agi_environment import environment

_WARM_UP = 0.1  # of the requests
_RENEWED = 1_000  # leases that are renewed in turn


async def _agi(port: int, numbers: list[str]) -> Callable[[int], Awaitable[None]]:
    async def ask(index: int) -> None:
        call = f"{time.time_ns()}.{index}"
        sent = environment(
            extension=numbers[index % len(numbers)] if numbers else "+74951230000",
            callerid=f"+7916{(time.time_ns() // 1000 + index) % 10_000_000:07d}",
            uniqueid=call,
            arguments=["pbx1", call],
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        commands = await reader.read()
        if b"PBXTRACK_LINE" not in commands:
            raise RuntimeError(f"not answered: {commands!r}")
        writer.write(b"200 result=0\n" * commands.count(b"\n"))
        writer.close()

    return ask


async def _leases(port: int, http: aiohttp.ClientSession) -> Callable[[int], Awaitable[None]]:
    async def ask(index: int) -> None:
        body = {"site": site.KEY, "page": site.page(index), "client_ids": {"ga": f"GA1.{index}"}}
        async with http.post(f"http://127.0.0.1:{port}/api/v1/leases", json=body) as response:
            text = await response.text()
            if response.status != 201:
                raise RuntimeError(text)

    return ask


async def _renewals(port: int, http: aiohttp.ClientSession) -> Callable[[int], Awaitable[None]]:
    url = f"http://127.0.0.1:{port}/api/v1/leases"
    leases = []
    for index in range(_RENEWED):
        async with http.post(url, json={"site": site.KEY, "page": site.page(index)}) as response:
            leases.append((await response.json())["lease"])

    async def ask(index: int) -> None:
        async with http.post(f"{url}/{leases[index % len(leases)]}/renew", json={}) as response:
            text = await response.text()
            if response.status != 200:
                raise RuntimeError(text)

    return ask


async def _run(order: dict[str, Any]) -> dict[str, Any]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        match order["kind"]:
            case "agi":
                ask = await _agi(order["port"], order["numbers"])
            case "leases":
                ask = await _leases(order["port"], http)
            case _:
                ask = await _renewals(order["port"], http)
        numbers = itertools.count()
        took: list[float] = []

        async def worker(until: int) -> None:
            while (index := next(numbers)) < until:
                begin = time.perf_counter()
                await ask(index)
                took.append((time.perf_counter() - begin) * 1e3)

        async def all_of(until: int) -> float:
            begin = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(order["concurrency"]):
                    group.create_task(worker(until))
            return time.perf_counter() - begin

        await all_of(int(order["count"] * _WARM_UP))
        took.clear()
        numbers = itertools.count(order["count"])
        seconds = await all_of(2 * order["count"])
    return {"per_second": round(len(took) / seconds, 1), "ms": quantiles(took)}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_run(json.load(sys.stdin)))))
