"""Calls as they change: told of within a moment, to those who may know, whoever wrote them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from pbxtrack.access import Access, Role
from pbxtrack.api import live, watch
from pbxtrack.calls.events import CallArrived, Fact, LegEnded, LineAnswered, LineDialled, LineRang
from pbxtrack.calls.service import record
from pbxtrack.storage import people, tables, tokens
from pbxtrack.storage.annotations import annotate_call
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.changes import Changes, Found, Position
from pbxtrack.storage.database import Database
from tests.contract.api_client import CALLER, OTHER_STATIC, STATIC, T0, a_token, assert_problem, put_call, running
from tests.contract.site import a_site
from tests.contract.sse import LIVE, Stream, listening

NOBODYS = "+74959999999"


@pytest.fixture
def other_process(database: Database) -> Iterator[Database]:
    """The same database, as another process has it open."""
    opened = Database(database.url.render_as_string(hide_password=False))
    yield opened
    opened.close()


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    return a_token(database)


def token_for(database: Database, *sites: str) -> dict[str, str]:
    with database.transaction() as connection:
        _, secret = tokens.add_token(connection, "theirs", T0, Role.MANAGER, frozenset(sites))
    return {"Authorization": f"Bearer {secret}"}


def heard(database: Database, *facts: Fact) -> None:
    with database.transaction() as connection:
        record(SqlCalls(connection), facts, T0, "RU")


@pytest.mark.asyncio
async def test_a_call_is_told_of_from_its_ring_to_its_end(
    database: Database, other_process: Database, manager: dict[str, str]
) -> None:
    leg: dict[str, Any] = {"node": "pbx1", "linkedid": "7", "at": T0}
    async with running(database) as client, listening(client, manager) as stream:
        heard(
            other_process,
            CallArrived(**leg, leg="7", dialled=STATIC, caller=CALLER),
            LineDialled(**leg, leg="b", name="PJSIP/sales-1"),
            LineRang(**leg, leg="b", name="PJSIP/sales-1"),
        )
        call = await stream.until(id="pbx1-7", status="ringing")
        listed = (await (await client.get("/api/v1/calls", headers=manager)).json())["items"]
        assert listed == [call]
        heard(other_process, LineAnswered(**leg, leg="b", name="PJSIP/sales-1"))
        await stream.until(id="pbx1-7", status="talking")
        ended: dict[str, Any] = leg | {"at": T0 + timedelta(seconds=70)}
        heard(other_process, *(LegEnded(**ended, leg=name, cause=16) for name in ("b", "7")))
        assert (await stream.until(id="pbx1-7", status="answered"))["target"]
        changes = {"note": "asked for a price"}
        with other_process.transaction() as connection:
            annotate_call(connection, "pbx1-7", changes, Access("ann", Role.OWNER), T0, "RU")
        await stream.until(id="pbx1-7", note="asked for a price")


@pytest.mark.asyncio
async def test_other_calls_that_change_with_one_are_told_of(database: Database, manager: dict[str, str]) -> None:
    missed = put_call(database, 0)
    async with running(database) as client, listening(client, manager) as stream:
        answered = put_call(database, 5, talk=70)
        assert (await stream.until(id=missed))["settled_by"] == answered
        await stream.until(id=answered)


@pytest.mark.asyncio
async def test_who_comes_back_misses_nothing(
    database: Database, other_process: Database, manager: dict[str, str]
) -> None:
    put_call(database, 0)
    async with running(database) as client:
        async with listening(client, manager) as stream:
            before = put_call(database, 1)
            await stream.until(id=before)
        meanwhile = [put_call(other_process, n) for n in (2, 3)]
        async with listening(client, manager, last_id=stream.last_id) as stream:
            for call_id in meanwhile:
                await stream.until(id=call_id)
            at_last = put_call(other_process, 4)
            await stream.until(id=at_last)


@pytest.mark.asyncio
@pytest.mark.parametrize("last_id", ["999999999-0", "x", "0-0; DROP", "9" * 400])
async def test_who_knows_nothing_of_ours_is_told_to_read_anew(
    database: Database, manager: dict[str, str], last_id: str
) -> None:
    put_call(database, 0)
    async with running(database) as client, listening(client, manager, last_id=last_id) as stream:
        assert await stream.next() == ("reload", {})
        call_id = put_call(database, 1)
        await stream.until(id=call_id)


@pytest.mark.asyncio
async def test_nobody_is_told_of_anothers_calls(database: Database, manager: dict[str, str]) -> None:
    theirs = token_for(database, "other")
    async with running(database) as client, AsyncExitStack() as stack:

        async def opened(headers: dict[str, str], **more: str) -> Stream:
            return await stack.enter_async_context(listening(client, headers, **more))

        everything, narrowed, foreign = await opened(manager), await opened(manager, site="demo"), await opened(theirs)
        nobodys, demo = put_call(database, 0, dialled=NOBODYS), put_call(database, 1)
        other = put_call(database, 2, dialled=OTHER_STATIC)
        assert [(await everything.next())[1]["id"] for _ in range(3)] == [nobodys, demo, other]
        assert (await narrowed.next())[1]["id"] == demo
        assert (await foreign.next())[1]["id"] == other
        back = await opened(theirs, last_id="0-0")
        assert (await back.next())[1]["id"] == other
        put_call(database, 3, dialled=OTHER_STATIC)
        assert {(await one.next())[1]["site"] for one in (foreign, back)} == {"other"}
        response = await client.get(LIVE, params={"site": "demo"}, headers=theirs)
        assert_problem(response, 404, await response.json())


@pytest.mark.asyncio
async def test_what_is_committed_late_is_told_of(postgresql_database: Database) -> None:
    """Of two transactions the one with the lower numbers may be the later one to be there."""
    changes, clock = Changes(), 0.0

    def look(after: float) -> list[str]:
        nonlocal clock
        clock += after
        return [
            call["id"]
            for call in postgresql_database.read_now(lambda connection: changes.look(connection, clock)).calls
        ]

    with postgresql_database.transaction() as connection:
        a_site(connection, static=[STATIC])
    assert look(0) == []
    with postgresql_database.engine.connect() as slow:
        arrived = CallArrived(node="pbx1", linkedid="slow", at=T0, leg="slow", dialled=STATIC, caller="+79160000001")
        record(SqlCalls(slow), [arrived], T0, "RU")
        quick = [put_call(postgresql_database, n, dialled=NOBODYS, caller=None) for n in (0, 1)]
        assert look(0.25) == quick
        for _ in range(40):  # ten seconds, in which others go on
            assert look(0.25) == []
        slow.commit()
    assert look(0.25) == ["pbx1-slow"]
    assert look(0.25) == []
    for _ in range(8):
        look(0.25)
    last = postgresql_database.read_now(
        lambda connection: connection.scalar(
            select(tables.call_facts.c.id).order_by(tables.call_facts.c.id.desc()).limit(1)
        )
    )
    position = postgresql_database.read_now(lambda connection: changes.look(connection, clock)).position
    assert position.facts == last  # and nothing is looked through again and again


@pytest.mark.asyncio
async def test_a_stream_ends_when_its_token_or_sites_do(
    database: Database, manager: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK_EVERY", 0.2)
    with database.transaction() as connection:
        person = people.add_person(connection, "ann", "hash", Role.MANAGER, frozenset({"demo"}), T0)
        secret = people.logged_in(connection, person.id, datetime.now(UTC))
        token, theirs = tokens.add_token(connection, "theirs", T0, Role.MANAGER, frozenset({"demo"}))
    async with (
        running(database) as client,
        listening(client, manager) as stays,
        listening(client, {"Authorization": f"Bearer {theirs}"}) as revoked,
        listening(client, {"Cookie": f"pbxtrack={secret}"}) as moved,
    ):
        with database.transaction() as connection:
            tokens.revoke_token(connection, token.id, T0)
            people.change_person(connection, person.id, sites=frozenset({"other"}))
        for stream in (revoked, moved):
            with pytest.raises(EOFError):
                await stream.next()
        call_id = put_call(database, 0)
        await stays.until(id=call_id)


@pytest.mark.asyncio
async def test_so_many_listen_and_no_more(
    database: Database, manager: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MOST_OF_ONE", 2)
    monkeypatch.setattr(watch, "MOST_OF_ALL", 3)
    others = token_for(database, "other"), token_for(database, "demo")

    async def refused(headers: dict[str, str]) -> Any:
        response = await client.get(LIVE, headers=headers)
        assert_problem(response, 429, document := await response.json())
        assert response.headers["Retry-After"]
        return document["type"]

    async with running(database) as client:
        async with listening(client, manager), listening(client, manager):
            assert (await refused(manager)).endswith("too-many-streams")
            async with listening(client, others[0]):
                await refused(others[1])
        async with asyncio.timeout(5):  # it is noticed that they left
            while (response := await client.get(LIVE, headers=manager)).status != 200:
                await asyncio.sleep(0.1)
        response.close()


@pytest.mark.asyncio
async def test_who_does_not_read_is_let_go() -> None:
    listener = watch.Listener(lambda _: True, Position(0, 0))
    for n in range(200):
        listener.tell([(None, b"{}")], Found((), Position(n, 0)))
    assert await listener.next(1) is None


@pytest.mark.asyncio
async def test_streams_end_at_once_when_the_service_stops(database: Database, manager: dict[str, str]) -> None:
    async with running(database) as client, listening(client, manager) as stream:
        async with asyncio.timeout(2):
            await client.server.close()
        with pytest.raises(EOFError):
            await stream.next()


@pytest.mark.asyncio
async def test_streams_outlive_a_database_that_is_away(postgresql_database: Database, postgres_cluster: str) -> None:
    with postgresql_database.transaction() as connection:
        a_site(connection, static=[STATIC])
    headers = a_token(postgresql_database)
    async with running(postgresql_database) as client, listening(client, headers) as stream:
        with psycopg.connect(host=postgres_cluster, user="postgres", dbname="postgres", autocommit=True) as server:
            server.execute("ALTER DATABASE tests ALLOW_CONNECTIONS false")
            try:
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tests'")
                await asyncio.sleep(1.5)
            finally:
                server.execute("ALTER DATABASE tests ALLOW_CONNECTIONS true")
        call_id = put_call(postgresql_database, 0)
        await stream.until(id=call_id)
