"""Managers correct what was computed, and what they did is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError

from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.rebuild import rebuild
from tests.contract.api_client import OTHER_STATIC, PAGE, STATIC, T0, a_token, put_call, running
from tests.contract.leasing import one
from tests.contract.site import a_site

CALLS = "/api/v1/calls"
POOL = "+74951230100"


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], pool=[POOL])
        a_site(connection, key="other", static=[OTHER_STATIC], pool=["+74951230200"])
    return a_token(database)


def visited(database: Database, site: str = "demo", after: timedelta = timedelta(minutes=-1)) -> LeaseGrant:
    with database.transaction() as connection:
        return one(SqlLeases(connection), LeaseRequest(site, PAGE), T0 + after)


async def patch(
    client: TestClient[Any, Any], call: str, headers: dict[str, str], status: int = 200, **body: Any
) -> Any:
    response = await client.patch(f"{CALLS}/{call}", json=body, headers=headers)
    document = await response.json()
    assert response.status == status, document
    return document


async def ids(client: TestClient[Any, Any], headers: dict[str, str], **query: str) -> list[str]:
    page = await (await client.get(CALLS, params=query, headers=headers)).json()
    return [call["id"] for call in page["items"]]


@pytest.mark.asyncio
async def test_a_channel_is_corrected_and_taken_back(database: Database, manager: dict[str, str]) -> None:
    call = put_call(database, 0)
    async with running(database) as client:
        before = (await (await client.get(f"{CALLS}/{call}", headers=manager)).json())["attribution"]
        corrected = await patch(client, call, manager, attribution={"channel": "Word of mouth"})
        found = corrected["attribution"]
        assert found["why"] == "Corrected by tests: Word of mouth brought the call, not Billboard."
        assert (found["channel"], found["confidence"], found["corrected"]) == ("Word of mouth", 1.0, True)
        assert (found["method"], found["visit"], found["candidates"]) == ("corrected", None, [])
        assert found["computed"] == {key: before[key] for key in before if key not in ("corrected", "computed")}
        assert await ids(client, manager, channel="Word of mouth") == [call]
        assert await ids(client, manager, channel="Billboard") == []
        taken_back = await patch(client, call, manager, attribution=None)
        assert taken_back["attribution"] == before
        assert [(one["field"], one["before"], one["after"]) for one in taken_back["history"]] == [
            ("attribution", {"channel": "Word of mouth", "visit": None}, None),
            ("attribution", None, {"channel": "Word of mouth", "visit": None}),
        ]
        assert {one["who"] for one in taken_back["history"]} == {"tests"}


@pytest.mark.asyncio
async def test_a_visit_is_corrected_and_can_be_learnt_from(database: Database, manager: dict[str, str]) -> None:
    grant = visited(database)
    call = put_call(database, 0)
    async with running(database) as client:
        found = await patch(client, call, manager, attribution={"visit": grant.visit.id})
        assert found["visit"]["id"] == found["attribution"]["visit"] == grant.visit.id
        assert (found["attribution"]["channel"], found["attribution"]["campaign"]) == ("Paid: yandex", "spring")
        assert found["attribution"]["candidates"] == [
            {"visit": grant.visit.id, "channel": "Paid: yandex", "confidence": 1.0}
        ]
        assert await ids(client, manager, campaign="spring") == [call]
    with database.transaction() as connection:
        row = connection.execute(select(tables.calls)).one()
    assert (row.corrected_visit_id, row.corrected_channel) == (grant.visit.id, "Paid: yandex")
    assert (row.visit_id, row.channel, row.method) == (None, "Billboard", "static"), "what was computed stays"


@pytest.mark.asyncio
async def test_a_visit_must_be_one_to_the_calls_site(database: Database, manager: dict[str, str]) -> None:
    call = put_call(database, 0)
    nobodys = put_call(database, 1, dialled="+74959999999")
    elsewhere = visited(database, "other").visit.id
    too_late = visited(database, after=timedelta(hours=1)).visit.id
    async with running(database) as client:
        for where, visit in ((call, elsewhere), (call, "none"), (nobodys, elsewhere), (call, too_late)):
            problem = await patch(client, where, manager, 422, attribution={"visit": visit}, note="not kept")
            assert problem["detail"] == "attribution/visit: the call's site had no such visit before the call."
        shown = await (await client.get(f"{CALLS}/{call}", headers=manager)).json()
        assert (shown["history"], shown["note"]) == ([], None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        {"attribution": {}},
        {"attribution": {"channel": ""}},
        {"attribution": {"channel": "a", "visit": "b"}},
        {"attribution": {"channel": "x" * 301}},
        {"attribution": "Radio"},
        {"qualified": "yes"},
        {"qualified": 1},
        {"settled_by": "x"},
    ],
)
async def test_what_does_not_fit_is_refused(database: Database, manager: dict[str, str], body: dict[str, Any]) -> None:
    call = put_call(database, 0)
    async with running(database) as client:
        await patch(client, call, manager, 422, **body)


@pytest.mark.asyncio
async def test_people_say_what_is_a_lead(database: Database, manager: dict[str, str]) -> None:
    short, long = put_call(database, 0, talk=5), put_call(database, 1, talk=70)
    async with running(database) as client:
        assert await ids(client, manager, target="true") == [long]
        assert (await patch(client, short, manager, qualified=True))["target"]
        answer = await patch(client, long, manager, qualified=False)
        assert (answer["target"], answer["qualified"]) == (False, False)
        assert await ids(client, manager, target="true") == [short]
        assert await ids(client, manager, target="false") == [long]
        assert (await patch(client, long, manager, qualified=None))["target"]


@pytest.mark.asyncio
async def test_every_change_is_in_the_history(database: Database, manager: dict[str, str]) -> None:
    call = put_call(database, 0)
    async with running(database, now=lambda: T0) as client:
        await patch(client, call, manager, note="Wants a boat", tags=["boat", "boat"])
        await patch(client, call, manager, note="Wants a boat", tags=["boat"], qualified=None, attribution=None)
        await patch(client, call, manager, qualified=True)
        found = await patch(client, call, manager, note=None)
    assert [(one["field"], one["before"], one["after"]) for one in found["history"]] == [
        ("note", "Wants a boat", None),
        ("qualified", None, True),
        ("tags", [], ["boat"]),
        ("note", None, "Wants a boat"),
    ]
    assert {one["at"] for one in found["history"]} == {"2026-03-01T09:00:00.250Z"}


def test_the_database_refuses_to_change_the_audit(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(tables.audit.insert().values(call_id="a", at=T0, who="Ann", field="note", after="x"))
    with pytest.raises(DBAPIError, match="only added to"), database.transaction() as connection:
        connection.execute(update(tables.audit).values(who="Bob"))
    with database.transaction() as connection:
        assert connection.scalars(select(tables.audit.c.who)).all() == ["Ann"]


@pytest.mark.asyncio
async def test_a_rebuild_heeds_corrections(database: Database, manager: dict[str, str]) -> None:
    call = put_call(database, 0, talk=70)
    async with running(database) as client:
        corrected = await patch(client, call, manager, attribution={"channel": "Radio"}, qualified=False, note="x")
        with database.transaction() as connection:
            connection.execute(update(tables.calls).values(confidence=0.1, why="No."))
        [*_, done] = rebuild(database, None, "RU")
        assert done.attributions == 1
        assert await (await client.get(f"{CALLS}/{call}", headers=manager)).json() == corrected
        assert await ids(client, manager, min_confidence="1") == [call]
    with database.transaction() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.audit)) == 3
