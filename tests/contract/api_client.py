"""The API on a loopback port, over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import BaseRunner
from sqlalchemy import func, select

from pbxtrack.access import Access, Role
from pbxtrack.api.app import create_app, create_runner
from pbxtrack.api.services import Services
from pbxtrack.calls.events import CallArrived, Fact, LegEnded, LineAnswered, LineDialled, LineRang
from pbxtrack.calls.service import record
from pbxtrack.health import Check, Readiness
from pbxtrack.metrics import Exposition, Snapshot
from pbxtrack.pool import service
from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign, SiteSettings
from pbxtrack.storage import tables
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.tokens import add_token
from tests.contract.leasing import one

ORIGIN = "https://shop.example"
PAGE = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=spring"
T0 = datetime(2026, 3, 1, 9, 0, 0, 250_000, tzinfo=UTC)
STATIC, OTHER_STATIC = "+74951230001", "+74951230002"
CALLER = "+79161234567"
TESTS = Access("tests", Role.OWNER)


def services(database: Database, **changes: Any) -> Services:
    """What the API needs, without group commit."""

    async def acquire(request: LeaseRequest) -> LeaseGrant:
        return await database.write(lambda connection: one(SqlLeases(connection), request, datetime.now(UTC)))

    async def renew(sign: Sign) -> LeaseGrant | None:
        signs = [sign]
        (answer,) = await database.write(
            lambda connection: service.renew(SqlLeases(connection), signs, datetime.now(UTC))
        )
        if isinstance(answer, service.ForeignSite):
            raise answer
        return answer

    async def site(key: str) -> SiteSettings | None:
        return await database.read(lambda connection: SqlLeases(connection).site(key))

    async def ready() -> Readiness:
        return Readiness([Check("database", ok=True)])

    def metrics() -> bytes:
        return Exposition(lambda: Snapshot(version="0")).text()

    given: dict[str, Any] = {"acquire": acquire, "renew": renew, "site": site, "ready": ready, "metrics": metrics}
    given |= changes
    return Services(database=database, **given)


@asynccontextmanager
async def running(database: Database, **changes: Any) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of a running API."""
    app = create_app(services(database, **changes))
    async with TestClient(Served(app)) as client:
        yield client


class Served(TestServer):
    """On the runner that serves."""

    async def _make_runner(self, **_: Any) -> BaseRunner:
        return create_runner(self.app)


def a_token(database: Database) -> dict[str, str]:
    """The headers of a manager."""
    with database.transaction() as connection:
        _, secret = add_token(connection, "tests", datetime.now(UTC))
    return {"Authorization": f"Bearer {secret}"}


def put_call(database: Database, n: int, *, dialled: str = STATIC, caller: str | None = CALLER, talk: int = 0) -> str:
    """A call that began ``n`` minutes after T0, rang for 5 s and, if ``talk``, was answered."""
    at, linkedid = T0 + timedelta(minutes=n), f"1772355600.{n}"

    def when(seconds: float) -> dict[str, Any]:
        return {"node": "pbx1", "linkedid": linkedid, "at": at + timedelta(seconds=seconds)}

    facts: list[Fact] = [
        CallArrived(**when(0), leg=linkedid, dialled=dialled, caller=caller),
        LineDialled(**when(0), leg="b", name="PJSIP/sales-0001"),
        LineRang(**when(1), leg="b", name="PJSIP/sales-0001"),
    ]
    if talk:
        facts.append(LineAnswered(**when(6), leg="b", name="PJSIP/sales-0001"))
    facts += [LegEnded(**when(6 + talk), leg=leg, cause=16) for leg in ("b", linkedid)]
    with database.transaction() as connection:
        record(SqlCalls(connection), facts, at, "RU")
    return f"pbx1-{linkedid}"


def leased(database: Database) -> int:
    with database.transaction() as connection:
        return connection.scalar(select(func.count()).select_from(tables.leases)) or 0


def assert_problem(response: Any, status: int, document: dict[str, Any]) -> None:
    assert response.status == status
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert document["status"] == status
    assert document["title"]
    assert document["type"]
