"""Runs the demonstration: lab, service, visitors, calls, and the comparison with what was scripted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pbxtrack.demo.script import CALLS, VISITORS, ScriptedCall, Visitor
from pbxtrack.demo.website import create_app
from pbxtrack.errors import PbxtrackError
from pbxtrack.lab.addresses import split
from pbxtrack.lab.caller import CallResult
from pbxtrack.lab.lab import Lab

DIAL_TIMEOUT = 3  # s that a line rings in the demonstration before the call counts as missed
TOLERANCE = 0.2  # s between what the caller saw and what the call log says
WEBSITE_KEY = "oak"
NAME = "demo"  # who logs in to the dashboard
_START_LIMIT = 15.0
_SETTLE_LIMIT = 5.0  # s for the log to be complete after the last call
_STAGGER = 0.4  # s between calls, so that a person can follow


@dataclass(slots=True)
class Played:
    """A scripted call as it went: what the caller saw, and the call log's entry."""

    scripted: ScriptedCall
    dialled: str = ""
    visit: str | None = None
    seen: CallResult | None = None
    logged: Mapping[str, Any] | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.seen is not None and self.logged is not None and self.logged["ended_at"] is not None


class Service:
    """A `pbxtrack serve` of our own and a client of its API."""

    def __init__(self, lab: Lab) -> None:
        self._environment = {**os.environ, "PBXTRACK_CONFIG": str(lab.config_path)}
        self.url = f"http://{lab.addresses.api}"
        self.log = lab.log_dir / "pbxtrack.log"
        self.token = ""
        self.password = ""
        self._http: aiohttp.ClientSession | None = None

    def command(self, *arguments: str) -> str:
        """Run a pbxtrack command; its output. Raises PbxtrackError with what it said when it failed."""
        done = subprocess.run(
            [sys.executable, "-m", "pbxtrack", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise PbxtrackError(f"pbxtrack {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the block lasts; the service ends with this process, however that ends."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "pbxtrack", "serve",
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            async with aiohttp.ClientSession(self.url, headers=self._headers()) as self._http:
                await self._until_ready(process)
                yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def lease(self, visitor: Visitor, known: str | None = None) -> dict[str, Any]:
        """What the website's script would ask for."""
        body = {"site": "demo", "page": visitor.page, "referrer": visitor.referrer, "visitor": known}
        return await self._json("POST", "/api/v1/leases", json=body)

    async def calls(self) -> list[dict[str, Any]]:
        """The whole call log, newest first."""
        answer = await self._json("GET", "/api/v1/calls", params={"limit": "250"})
        items: list[dict[str, Any]] = answer["items"]
        return items

    async def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        assert self._http is not None
        async with self._http.request(method, path, **request) as response:
            if response.status >= 400:
                raise PbxtrackError(f"{method} {path}: {response.status} {(await response.text())[:200]}")
            answer: dict[str, Any] = await response.json()
            return answer

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        assert self._http is not None
        loop = asyncio.get_running_loop()
        deadline, reason = loop.time() + _START_LIMIT, ""
        while process.returncode is None and loop.time() < deadline:
            try:
                async with self._http.get("/readyz") as response:
                    if response.ok:
                        return
                    reason = await response.text()
            except aiohttp.ClientError as error:
                reason = str(error)
            await asyncio.sleep(0.1)
        last = self.log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        raise PbxtrackError(f"pbxtrack did not get ready: {reason} {' | '.join(last)}")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def set_up(service: Service, lab: Lab) -> Path:
    """Put the demonstration's site in force, let somebody log in, and make a token; the site file's path."""
    site = lab.root / "site.toml"
    text = files("pbxtrack.demo").joinpath("site.toml").read_text("utf-8")
    site.write_text(text.replace("http://127.0.0.1:8000", f"http://{lab.addresses.website}"), "utf-8")
    service.command("db", "upgrade")
    service.command("apply", str(site))
    service.token = json.loads(service.command("token", "add", "demo", "--json"))["token"]
    service.password = json.loads(service.command("user", "add", NAME, "--generate", "--json"))["password"]
    return site


@asynccontextmanager
async def website(lab: Lab, service: Service) -> AsyncIterator[str]:
    """Serve the website whose visitors are leased numbers; its address."""
    runner = web.AppRunner(create_app(service.url, WEBSITE_KEY), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, *split(lab.addresses.website)).start()
        yield f"http://{lab.addresses.website}"
    finally:
        await runner.cleanup()


async def play(lab: Lab, service: Service, plays: Sequence[Played]) -> None:
    """Let the visitors come and the callers call; returns when the last call is over. Fills the plays in."""
    leases = {visitor.name: await service.lease(visitor) for visitor in VISITORS}
    over = {played.scripted.name: asyncio.Event() for played in plays}

    async def call(played: Played, delay: float) -> None:
        scripted = played.scripted
        await asyncio.sleep(delay)
        if scripted.after:
            await over[scripted.after].wait()
            await asyncio.sleep(_STAGGER)
        if isinstance(scripted.dials, Visitor):
            lease = leases[scripted.dials.name]
            played.visit = lease["visit"]
            played.dialled = scripted.prefix + lease["number"].removeprefix("+7")
        else:
            played.dialled = scripted.dials
        played.seen = await asyncio.to_thread(
            lab.call,
            from_=scripted.caller,
            to=played.dialled,
            ring=scripted.ring,
            talk=scripted.talk,
            outcome=scripted.status,
            hangup=scripted.hangup,
            caller_name=scripted.caller_name,
            audio=True,
        )
        over[scripted.name].set()

    await asyncio.gather(*(call(played, index * _STAGGER) for index, played in enumerate(plays)))


async def settle(service: Service, plays: Sequence[Played]) -> None:
    """Wait until the call log holds the end of every call, or say what is missing."""
    deadline = asyncio.get_running_loop().time() + _SETTLE_LIMIT
    while asyncio.get_running_loop().time() < deadline:
        match(plays, await service.calls())
        if all(played.complete for played in plays):
            break
        await asyncio.sleep(0.2)
    for played in plays:
        played.faults = compare(played)


def match(plays: Sequence[Played], log: Sequence[Mapping[str, Any]]) -> None:
    """Find each call's entry in the log: callers call in the order of the script."""
    entries = sorted(log, key=lambda entry: str(entry["started_at"]))
    free = list(entries)
    for played in plays:
        entry = next((entry for entry in free if entry["caller"] == played.scripted.caller), None)
        if entry:
            free.remove(entry)
            played.logged = entry


def compare(played: Played) -> list[str]:
    """Where the call log differs from the script and from what the caller saw; empty where it is right."""
    scripted, seen, entry = played.scripted, played.seen, played.logged
    if entry is None or seen is None:
        return ["is not in the call log"]
    attribution = entry["attribution"]
    expected = {
        "channel": (attribution["channel"], scripted.channel),
        "visit": (attribution["visit"], played.visit),
        "method": (attribution["method"], scripted.method),
        "status": (entry["status"], scripted.status),
        "hung_up_by": (entry["hung_up_by"], scripted.hung_up_by),
        "repeat": (entry["repeat"], scripted.after is not None),
    }
    faults = [f"{name} is {found!r}, not {wanted!r}" for name, (found, wanted) in expected.items() if found != wanted]
    for name, found, wanted in (
        ("ringing", entry["ringing_seconds"], seen.ringing_seconds),
        ("talk", entry["talk_seconds"], seen.talk_seconds),
    ):
        if abs(found - wanted) > TOLERANCE:
            faults.append(f"{name} is {found:.2f} s, and the caller saw {wanted:.2f} s")
    return faults


def plays() -> list[Played]:
    """The script, not yet played."""
    return [Played(scripted) for scripted in CALLS]
