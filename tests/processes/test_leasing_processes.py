"""Processes that are killed while they lease: no number is two visitors', and nothing that was told is lost."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

import aiohttp
import pytest
from sqlalchemy import text

from pbxtrack.storage.database import Database
from tests.contract.site import a_site
from tests.processes.audit import audit
from tests.processes.browsers import Browser
from tests.processes.ledger import Ledger
from tests.processes.servers import kill_now_and_then, serving, until_ready

SECONDS = float(os.environ.get("PBXTRACK_TEST_SECONDS", "12"))
NUMBERS = [f"+7495123{index:04}" for index in range(100)]
MAILBOX = "sales@shop.example"
EMAILS = [f"info{index}@shop.example" for index in range(30)]  # fewer: they run short all the while
SEED = "pbxtrack"
_PATIENCE = 60.0  # s

# What a browser sees of a process that was killed.
KILLED = {"ClientConnectorError", "ServerDisconnectedError", "ClientOSError", "ClientPayloadError"}
BUSY = {"status 503"}  # on a machine with much else to do


async def lease_and_kill(database: Database, folder: Path, *, processes: int, browsers: int, seconds: float) -> Ledger:
    """What browsers were told by processes that were killed all the while."""
    with database.transaction() as connection:
        # Shorter than a site file may say, so that in a short time many holds end.
        a_site(connection, pool=NUMBERS, email=MAILBOX, emails=EMAILS, hold_seconds=2, guaranteed_seconds=1)
    ledger = Ledger()
    url = database.url.render_as_string(hide_password=False)
    with serving(url, processes, folder) as servers:
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            await until_ready(servers, http)
            urls = [server.url for server in servers]
            busy = [Browser(http, urls, ledger, Random(f"{SEED} {index}")).browse() for index in range(browsers)]
            work = asyncio.gather(kill_now_and_then(servers, http, Random(SEED), ledger), *busy)
            await _watch(work, ledger, seconds)
    print(ledger.summary())
    return ledger


async def _watch(work: asyncio.Future[list[None]], ledger: Ledger, seconds: float) -> None:
    """Let it work for so long, and longer on a machine so slow that not everything has happened yet."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    try:
        while loop.time() - begin < seconds or not (ledger.kills and ledger.renewals and ledger.gone):
            if loop.time() - begin > seconds + _PATIENCE:
                break
            done, _ = await asyncio.wait([work], timeout=0.1)
            if done:
                work.result()
    finally:
        work.cancel()
        await asyncio.wait([work])


def check(database: Database, ledger: Ledger) -> None:
    assert set(ledger.errors) <= KILLED | BUSY
    assert ledger.kills
    assert len(ledger.leases) > len(NUMBERS)
    assert ledger.renewals
    assert ledger.gone
    assert {told.email for told in ledger.leases} > set(EMAILS), "there are made ones, too"
    with database.transaction() as connection:
        if not database.is_sqlite:  # what the last to be killed was doing may still go on
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        audit(connection, ledger)


@pytest.mark.asyncio
@pytest.mark.timeout(SECONDS + 120)
async def test_four_processes_on_postgresql(postgresql_database: Database, tmp_path: Path) -> None:
    ledger = await lease_and_kill(postgresql_database, tmp_path, processes=4, browsers=150, seconds=SECONDS)
    check(postgresql_database, ledger)


@pytest.mark.asyncio
async def test_one_process_on_sqlite(sqlite_database: Database, tmp_path: Path) -> None:
    ledger = await lease_and_kill(sqlite_database, tmp_path, processes=1, browsers=150, seconds=min(SECONDS, 12))
    check(sqlite_database, ledger)
