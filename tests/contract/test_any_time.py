"""Times from outside may be any that there is."""

from __future__ import annotations

import pytest

from pbxtrack.storage.database import Database
from tests.contract.api_client import STATIC, a_token, put_call, running
from tests.contract.site import a_site

FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["calls", "reports/accuracy", "reports/channels", "reports/numbers"])
async def test_every_time_that_there_is_may_be_asked_for(database: Database, path: str) -> None:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], pool=["+74951230100"])
    put_call(database, 0)
    async with running(database) as client:
        manager = a_token(database)
        for since in (None, FIRST, LAST):
            for until in (None, FIRST, LAST):
                given = {name: at for name, at in (("since", since), ("until", until)) if at}
                response = await client.get(f"/api/v1/{path}", params=given, headers=manager)
                assert response.status == 200, (given, await response.text())
