"""The FastAGI server against peers that behave, and peers that do not."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from pbxtrack.agi.protocol import AgiRequest
from pbxtrack.agi.server import AgiServer, bind
from pbxtrack.errors import PbxtrackError, StorageUnavailable
from pbxtrack.settings import Address
from tests.agi_environment import environment


async def sales(_: AgiRequest) -> Mapping[str, str]:
    return {"PBXTRACK_LINE": "PJSIP/sales"}


@asynccontextmanager
async def serving(handler: object = sales, **options: float) -> AsyncIterator[AgiServer]:
    listener = bind(Address("127.0.0.1", 0))
    server = AgiServer(handler, listener, **options)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: AgiServer, data: bytes, reply: bytes = b"200 result=0\n") -> bytes:
    """Be Asterisk: send the environment, take the commands, answer each, close."""
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(data)
    try:
        commands = await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:  # closed on us before it read all
        return b""
    writer.write(reply * commands.count(b"\n"))
    writer.close()
    await writer.wait_closed()
    return commands


async def settled(server: AgiServer, sessions: int) -> None:
    async with asyncio.timeout(10):
        while sum(server.outcomes.values()) < sessions:
            await asyncio.sleep(0.01)
    assert server.sessions == 0


@pytest.mark.asyncio
async def test_a_call_is_answered_in_one_piece() -> None:
    async with serving() as server:
        assert await ask(server, environment()) == b'EXEC MSet "PBXTRACK_LINE=PJSIP/sales"\n'
        await settled(server, 1)
        assert server.outcomes == {"answered": 1}


@pytest.mark.asyncio
async def test_a_caller_who_left_is_an_ordinary_end() -> None:
    async with serving() as server:
        await ask(server, environment(), reply=b"HANGUP\n")
        await settled(server, 1)
        assert server.outcomes == {"hung_up": 1}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "error", [StorageUnavailable("gone"), PbxtrackError("no such script"), RuntimeError("a defect of ours")]
)
async def test_a_handler_that_fails_closes_without_a_command(error: Exception) -> None:
    async def fail(_: AgiRequest) -> Mapping[str, str]:
        raise error

    async with serving(fail) as server:
        assert await ask(server, environment()) == b""
        await settled(server, 1)
        assert server.outcomes == {"failed": 1}


@pytest.mark.asyncio
async def test_a_handler_that_hangs_is_cut_at_its_deadline() -> None:
    async def hang(_: AgiRequest) -> Mapping[str, str]:
        await asyncio.sleep(60)
        return {}

    async with serving(hang, deadline=0.1) as server:
        assert await ask(server, environment()) == b""
        await settled(server, 1)
        assert server.outcomes == {"too_slow": 1}


@pytest.mark.asyncio
async def test_port_probes_and_half_open_peers_do_not_stay() -> None:
    async with serving() as server:
        for _ in range(20):  # opened and closed, as a port scanner does
            _, writer = await asyncio.open_connection(server.address.host, server.address.port)
            writer.close()
            await writer.wait_closed()
        silent = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(20)]
        half = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(20)]
        for _, writer in half:
            writer.write(environment()[:100])
        assert await ask(server, environment()), "the others do not keep a call from being answered"
        await settled(server, 61)
        for _, writer in silent + half:
            writer.close()


@pytest.mark.asyncio
async def test_no_more_sessions_than_allowed() -> None:
    release = asyncio.Event()

    async def wait(_: AgiRequest) -> Mapping[str, str]:
        await release.wait()
        return {"PBXTRACK_LINE": "PJSIP/sales"}

    async with serving(wait, max_sessions=5, deadline=5) as server:
        waiting = [asyncio.create_task(ask(server, environment())) for _ in range(5)]
        await asyncio.sleep(0.2)
        assert await ask(server, environment()) == b"", "refused at once: the dialplan takes the last known line"
        release.set()
        assert all(await asyncio.gather(*waiting))


@pytest.mark.asyncio
async def test_a_peer_that_never_reads_is_cut() -> None:
    async with serving() as server:
        _, writer = await asyncio.open_connection(server.address.host, server.address.port)
        writer.write(environment())
        await settled(server, 1)
        writer.close()


@pytest.mark.asyncio
async def test_an_address_that_is_taken_is_one_clear_line() -> None:
    async with serving() as server:
        with pytest.raises(PbxtrackError, match="cannot listen for FastAGI"):
            bind(server.address)


@pytest.mark.asyncio
async def test_ten_thousand_random_strings_leave_nothing_behind() -> None:
    chance = random.Random(22)
    rubbish = [chance.randbytes(chance.randrange(0, 600)) for _ in range(200)]
    rubbish += [environment()[: chance.randrange(1, 400)] + b"\n\n" for _ in range(100)]
    rubbish += [b"agi_" + chance.randbytes(100) + b"\n\n" for _ in range(100)]

    async def throw(server: AgiServer, count: int) -> None:
        async def one(data: bytes) -> None:
            reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
            writer.write(data)
            writer.write_eof()
            await reader.read()
            writer.close()

        for start in range(0, count, 100):
            await asyncio.gather(*(one(rubbish[(start + index) % len(rubbish)]) for index in range(100)))

    async with serving() as server:
        await throw(server, 1_000)
        await settled(server, 1_000)
        gc.collect()
        before = len(gc.get_objects())
        await throw(server, 9_000)
        await settled(server, 10_000)
        gc.collect()
        grown = len(gc.get_objects()) - before
        assert grown < 500, f"{grown} more objects after 9,000 more strings"
        assert await ask(server, environment()), "and calls are answered as before"
