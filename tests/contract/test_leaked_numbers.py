"""Numbers that strangers call are told to managers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.strangers import pool_numbers
from tests.contract.api_client import T0, a_token, put_call, running
from tests.contract.site import a_site

REPORT = "/api/v1/reports/numbers"
DAY = 24 * 60
LISTED, QUIET = "+74951230100", "+74951230101"


@pytest.mark.asyncio
async def test_a_number_that_got_around_is_told(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=[LISTED, QUIET, *(f"+749512302{index:02}" for index in range(10))])
    for n in range(12):
        put_call(database, n * DAY, dialled=LISTED, caller=f"+7916000{n:04}")
    put_call(database, 1, dialled=QUIET, caller="+79169999999")
    since = "2026-03-01T00:00:00Z"
    async with running(database) as client:
        manager = a_token(database)
        document = await (await client.get(REPORT, params={"since": since}, headers=manager)).json()
        first, second, *rest = document["items"]
        assert (first["number"], first["leaked"], first["calls"], first["strange_callers"]) == (LISTED, True, 12, 12)
        assert (second["number"], second["leaked"], second["strangers"]) == (QUIET, False, 1)
        assert len(rest) == 10
        assert not any(item["leaked"] for item in rest)
        later = await client.get(REPORT, params={"since": "2026-03-11T00:00:00Z"}, headers=manager)
        assert not any(item["leaked"] for item in (await later.json())["items"]), "it was so then, and is not now"


def report(database: Database, *keys: str) -> dict[tuple[str, str], dict[str, Any]]:
    with database.transaction() as connection:
        items = pool_numbers(connection, T0 + timedelta(days=30), None, None, keys)
    return {(item["site"], item["number"]): item for item in items}


def test_a_number_alone_in_its_pool_is_compared_with_the_sites_others(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, regions={"495": [LISTED], "812": [QUIET, "+74951230102"]})
        a_site(connection, key="other", pool=["+74951230200"])
    for n in range(12):
        put_call(database, n * DAY, dialled=LISTED, caller=f"+7916000{n:04}")
        put_call(database, n * DAY + 1, dialled="+74951230200", caller=f"+7916000{n:04}")
    found = report(database)
    assert [key for key, item in found.items() if item["leaked"]] == [("demo", LISTED)]
    assert found["other", "+74951230200"]["strange_callers"] == 12, "with which no other can be compared"


def test_a_number_that_changed_hands_has_the_calls_of_the_site_alone(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=[LISTED, QUIET])
        other = a_site(connection, key="other", pool=["+74951230200"])
    put_call(database, 0, dialled=LISTED)
    with database.transaction() as connection:
        pool = connection.scalar(select(tables.pools.c.id).where(tables.pools.c.site_id == other))
        moved = update(tables.numbers).where(tables.numbers.c.e164 == LISTED)
        connection.execute(moved.values(site_id=other, pool_id=pool))
    put_call(database, DAY, dialled=LISTED)
    put_call(database, DAY + 1, dialled=LISTED)
    for keys in ((), ("other",)):
        item = report(database, *keys)["other", LISTED]
        assert (item["calls"], item["strangers"], item["days"]) == (2, 2, 1)
