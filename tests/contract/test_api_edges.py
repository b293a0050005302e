"""What is the same for every address of the API: errors, headers, health."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from pbxtrack.api.app import create_app, create_runner
from pbxtrack.errors import StorageUnavailable
from pbxtrack.health import Check, Readiness
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage.database import Database
from tests.contract.api_client import PAGE, a_token, running, services


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/leases", 405),
        ("DELETE", "/api/v1/calls", 405),
        ("POST", "/healthz", 405),
        ("TRACE", "/docs", 405),
    ],
)
async def test_aiohttps_own_errors_are_problems_too(database: Database, method: str, path: str, status: int) -> None:
    async with running(database) as client:
        response = await client.request(method, path)
        document = await response.json()
    assert response.status == document["status"] == status
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert "Server" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if status == 405:
        assert response.headers["Allow"]


@pytest.mark.asyncio
async def test_a_defect_is_a_500_that_tells_nothing_but_where_to_look(database: Database) -> None:
    async def broken(_: LeaseRequest) -> LeaseGrant:
        raise ValueError("secret words")

    with capture_logs() as logs:
        async with running(database, acquire=broken) as client:
            response = await client.post("/api/v1/leases", json={"site": "demo", "page": PAGE})
            document = await response.json()
    assert response.status == 500
    assert "secret" not in json.dumps(document)
    entry = next(entry for entry in logs if entry["event"] == "internal_error")
    assert entry["error_id"] == document["id"]
    assert entry["error_id"] in document["detail"]
    assert entry["exc_info"]


@pytest.mark.asyncio
async def test_logs_hold_neither_tokens_nor_whole_numbers_nor_leases(database: Database) -> None:
    from tests.contract.site import a_site

    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100"])
    manager = a_token(database)
    with capture_logs() as logs:
        async with running(database) as client:
            lease = await (await client.post("/api/v1/leases", json={"site": "demo", "page": PAGE})).json()
            await client.post(f"/api/v1/leases/{lease['lease']}/renew")
            await client.get("/api/v1/calls", headers=manager)
    written = str(logs)
    assert "lease_granted" in written
    for secret in ("+74951230100", lease["lease"], manager["Authorization"].split()[1]):
        assert secret not in written


@pytest.mark.asyncio
async def test_alive(database: Database) -> None:
    async with running(database) as client:
        response = await client.get("/healthz")
        assert (response.status, await response.json()) == (200, {"status": "alive"})
        assert (await client.head("/healthz")).status == 200


@pytest.mark.asyncio
async def test_ready_or_the_reason_why_not(database: Database) -> None:
    async def not_ready() -> Readiness:
        return Readiness([Check("database", ok=True), Check("ami pbx1", ok=False, reason="not connected")])

    async def gone() -> Readiness:
        raise StorageUnavailable("x")

    answers: list[tuple[int, Any]] = []
    for ready in (None, not_ready, gone):
        async with running(database, **({"ready": ready} if ready else {})) as client:
            response = await client.get("/readyz")
            answers.append((response.status, await response.json()))
    assert answers[0] == (200, {"status": "ready", "checks": [{"name": "database", "ok": True, "reason": ""}]})
    assert answers[1][0] == answers[2][0] == 503
    assert answers[1][1]["detail"] == "ami pbx1: not connected"
    assert answers[1][1]["checks"][1] == {"name": "ami pbx1", "ok": False, "reason": "not connected"}


@pytest.mark.asyncio
async def test_the_description_and_its_page(database: Database) -> None:
    async with running(database) as client:
        description = await client.get("/openapi.json")
        page = await client.get("/docs")
        html = await page.text()
        assert (await description.json())["openapi"] == "3.1.0"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "/api/v1/leases" in html


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/v1/calls/\xff\xfe HTTP/1.1",
        b"GET /api/v1/calls/%zz HTTP/1.1",
        b"GET /api/v1/calls?since=\xed\xa0\x80 HTTP/1.1",
        b"GET /api/v1/calls?%00=%FF HTTP/1.1",
        b"GET //healthz/../../etc/passwd HTTP/1.1",
        b"GET http://[ HTTP/1.1",
        b"POST /api/v1/leases/\x7f/renew HTTP/1.1",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1",
        b"NONSENSE",
    ],
)
async def test_bytes_that_are_no_text_are_a_4xx(database: Database, request_line: bytes) -> None:
    token = a_token(database)["Authorization"].encode()
    runner = create_runner(create_app(services(database)))
    await runner.setup()
    try:
        server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)  # type: ignore[arg-type]
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request_line + b"\r\nHost: x\r\nConnection: close\r\nAuthorization: " + token + b"\r\n\r\n")
        status = (await asyncio.wait_for(reader.readline(), 10)).split()[1]
        writer.close()
        server.close()
    finally:
        await runner.cleanup()
    assert status.startswith(b"4")


@pytest.mark.asyncio
async def test_a_body_that_does_not_arrive_is_a_408(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbxtrack.api.routing.BODY_SECONDS", 0.05)

    async def slowly() -> Any:
        yield b"{"
        await asyncio.sleep(1)

    async with running(database) as client:
        response = await client.post("/api/v1/leases", data=slowly(), headers={"Content-Type": "application/json"})
        assert response.status == 408
