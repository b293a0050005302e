"""``GET /metrics`` of a service that runs: what it counts, that it is documented, that it answers whatever happens."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from pbxtrack.bootstrap import Application
from pbxtrack.errors import StorageUnavailable
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.settings import Address, AgiSettings, AmiSettings, ApiSettings, DatabaseSettings, MailSettings, Settings
from pbxtrack.storage.database import Database
from pbxtrack.testing.fake_asterisk import FakeAsterisk
from tests.contract.api_client import running
from tests.contract.site import a_site
from tests.unit.ami_parts import until
from tests.unit.ami_traces import NODE, START

DOCS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
ANY_PORT = Address("127.0.0.1", 0)
PAGE = "https://shop.example/?utm_source=yandex"


def settings_for(database: Database, folder: Path, fake: FakeAsterisk) -> Settings:
    cel_file = folder / "cel.csv"
    cel_file.touch()
    return Settings(
        data_dir=folder,
        database=DatabaseSettings(url=database.url.render_as_string(hide_password=False)),
        api=ApiSettings(listen=ANY_PORT),
        agi=AgiSettings(listen=ANY_PORT),
        ami=[AmiSettings(node=NODE, port=fake.port, secret=SecretStr("secret"), cel_file=cel_file)],
        mail=MailSettings(listen=ANY_PORT, upstream=Address("127.0.0.1", 1)),
    )


@asynccontextmanager
async def serving(settings: Settings, *services: str) -> AsyncIterator[Application]:
    application = Application(settings, services)
    await application.start()
    try:
        yield application
    finally:
        await application.stop()


async def ask(application: Application) -> str:
    """The page, as Prometheus asks for it."""
    assert application._api is not None
    host, port = application._api.addresses[0]
    async with ClientSession() as client, client.get(f"http://{host}:{port}/metrics") as response:
        assert response.status == 200
        return await response.text()


def values(page: str) -> dict[tuple[str, ...], float]:
    """Each value by its name and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in text_string_to_metric_families(page)
        for sample in metric.samples
    }


def exported(page: str) -> dict[str, tuple[str, frozenset[str]]]:
    """(type, labels) of each metric that has a value."""
    return {
        sample.name: (metric.type, frozenset(sample.labels))
        for metric in text_string_to_metric_families(page)
        for sample in metric.samples
    }


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    _, _, table = DOCS.partition("\n## Every metric\n")
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:3] == "| `"]
    assert all(len(row) == 4 and row[3] for row in rows)
    return {name.strip("`"): (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}


def fallback(call: int, reason: str) -> dict[str, str | list[str]]:
    """An event of a call that the dialplan sent on by itself."""
    uniqueid = f"{START}.{call}"
    return {
        "Event": "BridgeEnter", "Timestamp": f"{START}.000000", "Uniqueid": uniqueid, "Linkedid": uniqueid,
        "Channel": "PJSIP/carrier-1", "BridgeUniqueid": "1", "CallerIDNum": "+79161234567",
        "ChanVariable": [f"PBXTRACK_CALL={NODE}-{uniqueid}", f"PBXTRACK_FALLBACK={reason}"],
    }  # fmt: skip


@pytest.mark.asyncio
async def test_anybody_may_ask_and_gets_prometheuss_text(database: Database) -> None:
    async with running(database) as client:
        response = await client.get("/metrics")
        page = await response.text()
        assert (await client.head("/metrics")).status == 200
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert "# HELP pbxtrack_ami_connected 1 if " in page
    assert "# TYPE pbxtrack_ami_events_total counter" in page


@pytest.mark.asyncio
async def test_what_is_documented_is_exported_and_the_other_way_round(database: Database, tmp_path: Path) -> None:
    with database.transaction() as connection:
        a_site(connection, static=["+74951230001"])
    services = "api", "agi", "ami", "mail"
    async with FakeAsterisk() as fake, serving(settings_for(database, tmp_path, fake), *services) as running:
        await until(lambda: running.listeners and running.snapshot().ami[NODE].connected)
        await fake.send(fallback(1, "timeout"))
        await until(lambda: running.snapshot().ami[NODE].lag)
        await until(lambda: running.reconcilers[NODE].following)
        await until(lambda: (mail := running.snapshot().mail) and mail.waiting is not None)
        page = await ask(running)
    assert exported(page) == documented()
    found = values(page)
    for name in ("ami_listening", "ami_connected", "ami_events_total", "cel_following", "cel_working"):
        assert found[f"pbxtrack_{name}", NODE] == 1, name
    assert found["pbxtrack_agi_answering",] == found["pbxtrack_agi_starts_total",] == 1
    assert found["pbxtrack_ami_link_age_seconds", NODE] < 60
    assert "7916" not in page


def test_the_rules_of_the_document_are_of_metrics_that_there_are() -> None:
    [block] = re.findall(r"^```yaml\n(groups:.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    rules: list[dict[str, Any]] = [rule for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["annotations"]["summary"]
        names = re.findall(r"\b(?:pbxtrack|process)_\w+", rule["expr"])
        assert names or rule["expr"].startswith("up{"), rule
        assert set(names) <= documented().keys()
        for name, labels in re.findall(r"(pbxtrack_\w+)\{([^}]*)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)=", labels)) <= documented()[name][1]
        assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.asyncio
async def test_it_is_answered_while_the_database_is_locked(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
    request = LeaseRequest("demo", PAGE)
    async with FakeAsterisk() as fake, serving(settings_for(sqlite_database, tmp_path, fake), "api", "ami") as running:
        await running.acquire(request)
        await running.acquire(request)  # somebody else, for whom no number is left
        other = sqlite3.connect(tmp_path / "pbxtrack.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            await until(lambda: running.snapshot().ami[NODE].connected)
            await fake.send(fallback(1, "timeout"))
            leasing = asyncio.create_task(running.acquire(request))
            await until(lambda: running.recorder.away)
            async with asyncio.timeout(1):
                found = values(await ask(running))
            with pytest.raises(StorageUnavailable):
                await leasing
        finally:
            other.execute("ROLLBACK")
            other.close()
        assert found["pbxtrack_facts_spooling",] == 1
        assert found["pbxtrack_facts_waiting", "memory"] + found["pbxtrack_facts_waiting", "disk"] > 0
        await until(lambda: not running.recorder.away, 20)
        found = values(await ask(running))
    assert found["pbxtrack_facts_spooling",] == 0
    assert found["pbxtrack_facts_spooled_total",] > 0
    assert found["pbxtrack_leases_total", "number"] == found["pbxtrack_leases_total", "overflow"] == 1
    assert found["pbxtrack_leases_refused_total",] == 1


@pytest.mark.asyncio
async def test_a_reason_from_outside_makes_no_series_of_its_own(sqlite_database: Database, tmp_path: Path) -> None:
    async with FakeAsterisk() as fake, serving(settings_for(sqlite_database, tmp_path, fake), "api", "ami") as running:
        await until(lambda: running.snapshot().ami[NODE].connected)
        for call, reason in enumerate(["timeout", "timeout", "unanswered", "+79161234567", '"} 1\nx 2'], 1):
            await fake.send(fallback(call, reason))
        await until(lambda: running.snapshot().ami[NODE].counts.events >= 5)
        page = await ask(running)
    name, found = "pbxtrack_ami_fallbacks_total", values(page)
    assert {key[2]: n for key, n in found.items() if key[0] == name} == {
        "timeout": 2, "unanswered": 1, "unknown-number": 0, "not-a-number": 0, "other": 2,
    }  # fmt: skip
    assert "7916" not in page


@pytest.mark.asyncio
async def test_counts_go_on_from_one_turn_to_the_next(sqlite_database: Database, tmp_path: Path) -> None:
    async with FakeAsterisk() as fake, serving(settings_for(sqlite_database, tmp_path, fake), "api") as running:
        running.services.append("ami")
        for turn in (1, 2, 3):
            listening = asyncio.create_task(running._listen(running.settings.ami[0]))
            await until(lambda: running.snapshot().ami[NODE].connected)
            await fake.send(fallback(turn, "timeout"))
            await until(lambda turn=turn: running.snapshot().ami[NODE].counts.events == turn)  # type: ignore[misc]
            listening.cancel()
            await asyncio.wait([listening])
            standing_by = running.snapshot().ami[NODE]
            assert (standing_by.listening, standing_by.connected) == (False, False)
            assert (standing_by.counts.events, standing_by.counts.fallbacks["timeout"]) == (turn, turn)
            assert standing_by.counts.reconnects == 0
        found = values(await ask(running))
    assert found["pbxtrack_ami_listening", NODE] == found["pbxtrack_ami_connected", NODE] == 0
    assert found["pbxtrack_ami_events_total", NODE] == 3
