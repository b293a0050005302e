"""Visitors' browsers, which ask whichever process they come to and write down what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp

from tests.processes.ledger import Ledger, Told, told

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_PAGES = ["https://shop.example/", "https://shop.example/prices", "https://shop.example/?utm_source=yandex"]
_EVENTS = [None, None, "view", "tap", "copy"]


class Browser:
    """One visitor after another; now and then one who was here before."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], ledger: Ledger, random: Random) -> None:
        self._http = http
        self._urls = urls
        self._ledger = ledger
        self._random = random
        self._visitor: str | None = None

    async def browse(self) -> None:
        """Without end."""
        while True:
            if self._random.random() < 0.5:
                self._visitor = None
            # A browser that opens its pages again asks for all of them at once.
            pages = await asyncio.gather(*(self._open() for _ in range(self._random.choice([1, 1, 1, 2, 3]))))
            lease = pages[-1]
            while lease is not None:
                await asyncio.sleep(self._random.choice([0.1, 0.2, 0.4, 0.8, 1.3, 2.2]))
                leaves = self._random.random() < 0.3
                lease = await self._renew(lease, leaves)
                if leaves:
                    break
            await asyncio.sleep(self._random.choice([0.05, 0.1, 0.3, 2.5]))

    async def _open(self) -> Told | None:
        body = {"site": "demo", "page": self._random.choice(_PAGES), "visitor": self._visitor}
        answer = await self._post("/api/v1/leases", body)
        if isinstance(answer, Told):
            self._ledger.leases.append(answer)
            self._visitor = answer.visitor
            return answer
        return None

    async def _renew(self, lease: Told, leaves: bool) -> Told | None:
        body = {"event": "leave" if leaves else self._random.choice(_EVENTS), "page": _PAGES[1]}
        answer = await self._post(f"/api/v1/leases/{lease.lease}/renew", body)
        if isinstance(answer, Told):
            self._ledger.renewals.append(answer)
            return answer
        if answer == 410:
            self._ledger.gone.append((lease.lease, datetime.now(UTC)))
            return None
        return lease  # nobody answered: the number is shown on

    async def _post(self, path: str, body: Mapping[str, Any]) -> Told | int | None:
        """What was told, or the status of a refusal; None where there was no answer, and a moment later."""
        url = self._random.choice(self._urls)
        try:
            async with self._http.post(url + path, json=body, headers={"User-Agent": AGENT}) as response:
                if response.ok:
                    answer = await response.json()
                    return told(answer, datetime.now(UTC))
                if response.status != 410:
                    self._ledger.errors[f"status {response.status}"] += 1
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            self._ledger.errors[type(error).__name__] += 1
        await asyncio.sleep(0.1)
        return None
