"""Managers and programs read the call log over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from pbxtrack.calls.events import CallArrived
from pbxtrack.calls.service import record
from pbxtrack.storage.call_search import CallFilter
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import calls
from pbxtrack.storage.views import call_timeline, calls_page
from tests.contract.api_client import CALLER, OTHER_STATIC, STATIC, T0, a_token, put_call, running
from tests.contract.site import a_site

CALLS = "/api/v1/calls"


@pytest.fixture
def manager(database: Database) -> dict[str, str]:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    return a_token(database)


@pytest.mark.asyncio
async def test_a_call_has_the_shape_that_programs_know(database: Database, manager: dict[str, str]) -> None:
    call_id = put_call(database, 0, talk=70)
    async with running(database) as client:
        response = await client.get(f"{CALLS}/{call_id}", headers=manager)
        call = await response.json()
    assert response.status == 200
    assert call.pop("contact").isdecimal()
    assert call == {
        "id": call_id,
        "started_at": "2026-03-01T09:00:00.250Z",
        "answered_at": "2026-03-01T09:00:06.250Z",
        "ended_at": "2026-03-01T09:01:16.250Z",
        "site": "demo",
        "dialled": STATIC,
        "caller": CALLER,
        "status": "answered",
        "ringing_seconds": 5.0,
        "talk_seconds": 70.0,
        "answered_by": "PJSIP/sales",
        "hung_up_by": "pbx",
        "hangup_cause": 16,
        "first": True,
        "repeat": False,
        "unique": True,
        "target": True,
        "qualified": None,
        "settled_by": None,
        "settled_at": None,
        "outbound": None,
        "recording": None,
        "note": None,
        "tags": [],
        "attribution": {
            "method": "static",
            "channel": "Billboard",
            "source": None,
            "medium": None,
            "campaign": None,
            "term": None,
            "content": None,
            "visit": None,
            "confidence": 1.0,
            "why": "The number belongs to the channel Billboard.",
            "candidates": [],
            "corrected": False,
            "computed": None,
        },
        "pbx": {"node": "pbx1", "linkedid": "1772355600.0", "end_seen": True, "fallback": None},
        "visit": None,
        "history": [],
    }


@pytest.mark.asyncio
async def test_a_contact_is_a_person_and_their_calls(database: Database, manager: dict[str, str]) -> None:
    theirs = [put_call(database, n) for n in range(3)]
    others = [put_call(database, 3, dialled=OTHER_STATIC), put_call(database, 4, caller="+79160000001")]
    withheld = put_call(database, 5, caller=None)
    async with running(database) as client:
        items = (await (await client.get(CALLS, headers=manager)).json())["items"]
        contacts = {call["id"]: call["contact"] for call in items}
        assert contacts[withheld] is None
        assert len({contacts[call_id] for call_id in theirs}) == 1
        assert len({contacts[call_id] for call_id in (theirs[0], *others)}) == 3
        response = await client.get(f"/api/v1/contacts/{contacts[theirs[0]]}", headers=manager)
        assert await response.json() == {
            "id": contacts[theirs[0]],
            "site": "demo",
            "caller": CALLER,
            "first_at": "2026-03-01T09:00:00.250Z",
            "calls": [call for call in items if call["id"] in theirs],
        }
        for nobody in ("0", "x", "-1", "9" * 30, "1;", "%00"):
            assert (await client.get(f"/api/v1/contacts/{nobody}", headers=manager)).status == 404


@pytest.mark.asyncio
async def test_pages_hold_still_while_calls_arrive(database: Database, manager: dict[str, str]) -> None:
    made = [put_call(database, n) for n in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    async with running(database) as client:
        for round_ in range(5):
            parameters = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = await (await client.get(CALLS, params=parameters, headers=manager)).json()
            seen += [call["id"] for call in page["items"]]
            cursor = page["next"]
            put_call(database, 100 + round_)
            if cursor is None:
                break
    assert seen == made[::-1]


@pytest.mark.asyncio
async def test_calls_of_one_moment_are_told_apart_by_the_cursor(database: Database, manager: dict[str, str]) -> None:
    with database.transaction() as connection:
        arrivals = [
            CallArrived(node="pbx1", linkedid=f"1.{n}", at=T0, leg=f"1.{n}", dialled=STATIC, caller=None)
            for n in range(5)
        ]
        record(SqlCalls(connection), arrivals, T0, "RU")
    seen: list[str] = []
    cursor: str | None = ""
    async with running(database) as client:
        while cursor is not None:
            parameters = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
            page = await (await client.get(CALLS, params=parameters, headers=manager)).json()
            seen += [call["id"] for call in page["items"]]
            cursor = page["next"]
    assert seen == [f"pbx1-1.{n}" for n in (4, 3, 2, 1, 0)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("since=2026-03-01T09:02:00.250Z", [4, 3, 2]),
        ("until=2026-03-01T12:02:00.250%2B03:00", [1, 0]),
        ("site=other", [3]),
        ("site=other&site=demo", [4, 3, 2, 1, 0]),
        ("site=nobody", []),
        ("channel=Billboard", [4, 3, 2, 1, 0]),
        ("channel=Radio", []),
        ("campaign=spring", []),
        ("status=answered", [1]),
        ("status=missed&status=answered", [4, 3, 2, 1, 0]),
        ("status=talking", []),
        ("caller=%2B79161234567", [3, 1, 0]),
        ("caller=+79161234567", [3, 1, 0]),
        ("caller=8 (916) 123-45-67", [3, 1, 0]),
        ("caller=withheld", [4]),
        ("caller=nobody", []),
        ("dialled=84951230002", [3]),
        ("dialled=no%20number", []),
        ("repeat=true", [1]),
        ("repeat=false", [4, 3, 2, 0]),
        ("unique=true", [3, 2, 0]),
        ("unique=false", [4, 1]),
        ("unsettled=true", [3, 2]),
        ("unsettled=false", [4, 1, 0]),
        ("target=true", [1]),
        ("target=false", [4, 3, 2, 0]),
        ("min_confidence=1", [4, 3, 2, 1, 0]),
        ("min_confidence=0.5&limit=1", [4]),
        ("site=demo&target=true&caller=79161234567", [1]),
        ("tag=vip", [1]),
        ('tag=nobody\'s&tag="new"', [2]),
        ("tag=vi", []),
        ("hour=12", [4, 3, 2, 1, 0]),
        ("hour=9", []),
        ("caller_ends=34567", [3, 1, 0]),
        ("caller_ends=67", [3, 1, 0]),
        ("caller_ends=79161234567", [3, 1, 0]),
        ("caller_ends=3456", []),
        ("recording=true", [1]),
        ("recording=false&hour=12", [4, 3, 2, 0]),
    ],
)
async def test_every_filter(database: Database, manager: dict[str, str], query: str, expected: list[int]) -> None:
    put_call(database, 0)
    put_call(database, 1, talk=60)
    put_call(database, 2, caller="+79160000000")
    put_call(database, 3, dialled=OTHER_STATIC)
    put_call(database, 4, caller=None)
    _change(database, 1, tags=["vip", "new"], recording="1.wav")
    _change(database, 2, tags=['"new"'])
    async with running(database) as client:
        response = await client.get(f"{CALLS}?{query}", headers=manager)
        page = await response.json()
    assert response.status == 200, page
    assert [int(call["pbx"]["linkedid"].split(".")[1]) for call in page["items"]] == expected


def test_an_hour_is_one_of_the_sites_clocks_as_they_were_then(database: Database) -> None:
    winter = datetime(2026, 1, 15, 7, 50, tzinfo=UTC)
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], timezone="Europe/Berlin")
        a_site(connection, key="other", static=[OTHER_STATIC], timezone="Asia/Kathmandu")  # 5:45 ahead
    for n, (dialled, at) in enumerate(
        [(STATIC, winter), (STATIC, winter + timedelta(days=180)), (OTHER_STATIC, winter), (STATIC, winter)]
    ):
        put_call(database, n, dialled=dialled)
        _change(database, n, started_at=at)
    _change(database, 3, site_id=None)
    with database.reading() as connection:
        found = {
            hour: sorted(call["pbx"]["linkedid"][-1] for call in calls_page(connection, CallFilter(hour=hour))[0])
            for hour in range(24)
        }
    assert {hour: calls for hour, calls in found.items() if calls} == {8: ["0"], 9: ["1"], 13: ["2"]}


def _change(database: Database, n: int, **values: object) -> None:
    with database.transaction() as connection:
        connection.execute(update(calls).where(calls.c.linkedid == f"1772355600.{n}").values(values))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("colour=red", "colour"),
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=" + "A" * 399, "cursor"),
        ("cursor=MCAA", "cursor"),  # "0 \0"
        ("cursor=%C3%A9", "cursor"),
        ("since=yesterday", "since"),
        ("since=2026-03-01T09:00:00", "since"),
        ("since=2026-02-30T09:00:00Z", "since"),
        ("since=0001-01-01T00:00:00%2B23:59", "since"),
        ("until=9999-12-31T23:59:59-23:59", "until"),
        ("until=1772355600", "until"),
        ("status=lost", "status"),
        ("repeat=1", "repeat"),
        ("target=maybe", "target"),
        ("unique=yes", "unique"),
        ("unsettled=1", "unsettled"),
        ("hour=24", "hour"),
        ("caller_ends=4", "caller_ends"),
        ("caller_ends=12%25", "caller_ends"),
        ("recording=no", "recording"),
        ("min_confidence=1.5", "min_confidence"),
        ("min_confidence=nan", "min_confidence"),
        ("min_confidence=-1", "min_confidence"),
        ("site=", "site"),
        ("site=%00", "site"),
        ("caller=%00", "caller"),
        ("channel=" + "x" * 301, "channel"),
        ("&".join(["site=a"] * 21), "site"),
    ],
)
async def test_a_bad_parameter_is_named(database: Database, manager: dict[str, str], query: str, named: str) -> None:
    async with running(database) as client:
        response = await client.get(f"{CALLS}?{query}", headers=manager)
        document = await response.json()
    assert response.status == 400
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert f"parameter {named}" in document["detail"]


@pytest.mark.asyncio
@pytest.mark.parametrize("call", ["nobody", "%00", "%FF", "a%2Fb", "%ED%A0%80", "x" * 201, "..%2f..%2fetc"])
async def test_a_call_that_is_not_is_404(database: Database, manager: dict[str, str], call: str) -> None:
    async with running(database) as client:
        for response in (
            await client.get(f"{CALLS}/{call}", headers=manager),
            await client.patch(f"{CALLS}/{call}", json={"note": "x"}, headers=manager),
        ):
            assert response.status == 404
            assert response.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.asyncio
async def test_without_tables_it_is_503(database: Database, manager: dict[str, str]) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE calls RENAME TO gone")
    try:
        async with running(database) as client:
            response = await client.get(CALLS, headers=manager)
            document = await response.json()
    finally:
        with database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO calls")
    assert response.status == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert document["status"] == 503


def test_the_timeline_tells_a_call_in_words(database: Database, manager: dict[str, str]) -> None:
    call_id = put_call(database, 0, talk=3)
    with database.transaction() as connection:
        told = call_timeline(connection, call_id)
        assert call_timeline(connection, "nobody") == []
    assert [fact["sentence"] for fact in told] == [
        "+79161234567 dialled +74951230001 (heard by ami).",
        "Asterisk began to call PJSIP/sales-0001.",
        "PJSIP/sales-0001 rang.",
        "PJSIP/sales-0001 answered.",
        "PJSIP/sales-0001 is gone (cause 16).",
        "The caller is gone (cause 16).",
    ]
    assert told[0]["at"] == "2026-03-01T09:00:00.250Z"
