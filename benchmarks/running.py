"""A lab with a dialplan for comparison, and a `pbxtrack serve` beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from types import MappingProxyType

import aiohttp
from sqlalchemy import func, select

from benchmarks import programs, site
from benchmarks.stats import cpu_ms
from pbxtrack.errors import PbxtrackError
from pbxtrack.lab.lab import Lab
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import calls

PLAIN = "+7999"  # numbers that begin so go straight to the line
LEAST = "+7998"  # and these by a FastAGI server that gives everyone the same answer
_START_LIMIT = 20.0
_IDLE = 50.0  # ms of processor time in a second
_DIALPLAN = """
; The benchmarks': the same Dial() for both, without the lab's own steps.
[globals](+)
PBXTRACK_DIAL_OPTIONS=
PBXTRACK_DIAL_TIMEOUT=10

[from-carrier](+)
exten => _+7999X.,1,Dial(PJSIP/sales,10)
 same => n,Hangup(${HANGUPCAUSE})
exten => _+7998X.,1,AGI(agi://127.0.0.1:{port}/)
 same => n,Dial(${PBXTRACK_LINE},10)
 same => n,Hangup(${HANGUPCAUSE})
exten => _+7495X.,1,Goto(pbxtrack,${EXTEN},1)
"""


@contextmanager
def lab() -> Iterator[Lab]:
    """An Asterisk of this run's own, without phones: the load generator is the line."""
    with (
        programs.server("responder") as responder,
        Lab.up(f"bench-{uuid.uuid4().hex[:8]}", "rootfs", phones=False, attached=True) as up,
    ):
        with (up.root / "etc" / "extensions.conf").open("a") as file:
            file.write(_DIALPLAN.replace("{port}", str(responder.port)))
        up.asterisk("dialplan reload")
        # As Debian's own logger.conf has it; the lab's writes a line for each step of the dialplan.
        logger = up.root / "etc" / "logger.conf"
        logger.write_text(logger.read_text().replace(",verbose(3)", ""))
        up.asterisk("logger reload")
        if "PJSIP/sales,10" not in up.asterisk("dialplan show +79991234567@from-carrier"):
            raise PbxtrackError("Asterisk did not take the benchmark's dialplan")
        yield up


def command(
    config: Path, *arguments: str, limit: float = 60, settings: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What a pbxtrack command prints; it may take ``limit`` seconds, ``settings`` are variables."""
    done = subprocess.run(
        [sys.executable, "-m", "pbxtrack", *arguments],
        env={**environment(config), **settings}, capture_output=True, text=True, timeout=limit, check=False,
    )  # fmt: skip
    if done.returncode:
        raise PbxtrackError(f"pbxtrack {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def environment(config: Path) -> Mapping[str, str]:
    """With the lab's settings."""
    return {**os.environ, "PBXTRACK_CONFIG": str(config)}


def furnish(up: Lab) -> list[str]:
    """Put the site in force and lease its numbers; the numbers leased."""
    command(up.config_path, "db", "upgrade")
    command(up.config_path, "apply", str(site.write(up.root)))
    with closing(_database(up)) as database:
        return site.lease(database)


def untracked(kind: str, index: int) -> str:
    """A number of the dialplan for comparison; each call has its own."""
    return f"{LEAST if kind == 'least' else PLAIN}{index:07d}"


def unanswered(up: Lab) -> int:
    """How many calls went on without pbxtrack's answer: those were not its delay."""
    with closing(_database(up)) as database, database.transaction() as connection:
        return connection.scalar(select(func.count()).where(calls.c.fallback.is_not(None))) or 0


def _database(up: Lab) -> Database:
    return Database(f"sqlite:///{up.root}/pbxtrack.db")


@asynccontextmanager
async def serving(up: Lab, **settings: str) -> AsyncIterator[int]:
    """`pbxtrack serve`, as it is shipped, for the lab, with more variables set; its process id."""
    log = up.log_dir / "pbxtrack.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "pbxtrack", "serve",
            env={**environment(up.config_path), **settings}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,  # the kernel shares processors between sessions: as a service has its own
        )  # fmt: skip
    try:
        await _until_ready(f"http://{up.addresses.api}/readyz", process, log)
        await _until_idle(process.pid)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    deadline, reason = asyncio.get_running_loop().time() + _START_LIMIT, ""
    async with aiohttp.ClientSession() as http:
        while process.returncode is None and asyncio.get_running_loop().time() < deadline:
            try:
                async with http.get(url) as response:
                    if response.ok:
                        return
                    reason = await response.text()
            except aiohttp.ClientError as error:
                reason = str(error)
            await asyncio.sleep(0.1)
    raise PbxtrackError(f"pbxtrack did not get ready: {reason} {log.read_text('utf-8', 'replace')[-500:]}")


async def _until_idle(pid: int) -> None:
    """Wait until Asterisk's database has the line of every number: that is once, after the start."""
    deadline = asyncio.get_running_loop().time() + _START_LIMIT
    while asyncio.get_running_loop().time() < deadline:
        before = cpu_ms(pid)
        await asyncio.sleep(1)
        if cpu_ms(pid) - before < _IDLE:
            return
