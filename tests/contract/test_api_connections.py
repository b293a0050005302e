"""Connections as such: slow ones, too many, and what is no HTTP."""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pbxtrack.api.app import create_app, create_runner
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage.database import Database
from tests.contract.api_client import PAGE, services

Connection = tuple[StreamReader, StreamWriter]
Connect = Callable[[], AbstractAsyncContextManager[Connection]]

SOON = 0.3  # s; for what is to be cut off
WAIT = 30  # s; for what surely comes

ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
_BODY = json.dumps({"site": "demo", "page": PAGE}).encode()
LEASE = (
    b"POST /api/v1/leases HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(_BODY)
    + _BODY
)


@asynccontextmanager
async def serving(database: Database, *, busy: Any = None, **bounds: Any) -> AsyncIterator[Connect]:
    """Opens connections to a running API."""
    runner = create_runner(create_app(services(database, **({"acquire": busy} if busy else {}))), **bounds)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    @asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        try:
            yield reader, writer
        finally:
            writer.close()

    try:
        yield connect
    finally:
        await runner.cleanup()


async def answer(reader: StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT)).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), WAIT)
    return int(head[0].split()[1]), headers, body


async def closed(reader: StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), WAIT) == b""
    except ConnectionError:
        return True


@pytest.mark.asyncio
@pytest.mark.parametrize("part", [b"G", b"GET /healthz", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: y"])
@pytest.mark.parametrize("before", [b"", ASK], ids=["first", "second"])
async def test_headers_that_do_not_become_whole_end_the_connection(
    sqlite_database: Database, before: bytes, part: bytes
) -> None:
    async with serving(sqlite_database, head_seconds=SOON) as connect, connect() as (reader, writer):
        if before:
            writer.write(before)
            assert (await answer(reader))[0] == 200
        writer.write(part)
        assert await closed(reader)


@pytest.mark.asyncio
async def test_a_byte_now_and_then_does_not_keep_a_connection_open(sqlite_database: Database) -> None:
    async with serving(sqlite_database, head_seconds=SOON) as connect, connect() as (reader, writer):

        async def trickle() -> None:
            writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            while True:
                writer.write(b"y")
                await asyncio.sleep(SOON / 10)

        trickling = asyncio.create_task(trickle())
        assert await closed(reader)
        trickling.cancel()


@pytest.mark.asyncio
async def test_idle_connections_and_requests_in_pieces_go_on(sqlite_database: Database) -> None:
    async with serving(sqlite_database, head_seconds=1) as connect, connect() as (reader, writer):
        for _ in range(2):
            await asyncio.sleep(1.2)
            writer.write(ASK[:9])
            await asyncio.sleep(0.01)
            writer.write(ASK[9:])
            assert (await answer(reader))[0] == 200


@pytest.mark.asyncio
async def test_a_body_has_a_bound_of_its_own(sqlite_database: Database) -> None:
    async with serving(sqlite_database, head_seconds=SOON) as connect, connect() as (reader, writer):
        writer.write(LEASE[:-5])
        await asyncio.sleep(SOON * 2)
        writer.write(LEASE[-5:])
        assert (await answer(reader))[0] == 404


@pytest.mark.asyncio
async def test_one_connection_too_many_takes_the_place_of_an_idle_one(sqlite_database: Database) -> None:
    async with (
        serving(sqlite_database, connections=2) as connect,
        connect() as (idle, _),
        connect() as (asked, asking),
    ):
        asking.write(ASK)
        assert (await answer(asked))[0] == 200
        async with connect() as (reader, writer):
            writer.write(ASK)
            assert (await answer(reader))[0] == 200
            assert await closed(idle)
            asking.write(ASK)
            assert (await answer(asked))[0] == 200


@pytest.mark.asyncio
async def test_one_connection_too_many_is_refused_where_none_is_idle(sqlite_database: Database) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def busy(_: LeaseRequest) -> LeaseGrant:
        begun.set()
        await go_on.wait()
        raise ValueError

    async with serving(sqlite_database, busy=busy, connections=1) as connect, connect() as (reader, writer):
        writer.write(LEASE)
        await begun.wait()
        async with connect() as (other, _):
            assert await closed(other)
        go_on.set()
        assert (await answer(reader))[0] == 500


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"SECRET\r\n\r\n", 400),
        (b"\x16\x03\x01SECRET\r\n\r\n", 400),
        (b"GET /SECRET HTTP/7.7\r\n\r\n", 400),
        (b"GET /SECRET" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nSECRET\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: SECRET" + b"a" * 9_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"SECRET: x\r\n" * 200 + b"\r\n", 400),
        (b"POST /api/v1/leases HTTP/1.1\r\nHost: x\r\nContent-Length: SECRET\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET http://[SECRET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: SECRET\r\n\r\n", 417),
        (b"GET /SECRET HTTP/1.1\r\nHost: x\r\nExpect: SECRET\r\n\r\n", 417),
        (b"CONNECT secret.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ],
)
async def test_what_is_no_http_is_answered_with_a_problem_that_repeats_nothing(
    sqlite_database: Database, request_bytes: bytes, status: int
) -> None:
    async with serving(sqlite_database) as connect, connect() as (reader, writer):
        writer.write(request_bytes)
        answered, headers, body = await answer(reader)
    document = json.loads(body)
    assert answered == document["status"] == status
    assert headers["content-type"] == "application/problem+json"
    assert "server" not in headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert b"secret" not in body.lower()
    assert document.keys() <= {"type", "title", "status", "detail"}
