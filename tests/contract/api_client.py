"""The API on a loopback port, over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from pbxtrack.api.app import create_app
from pbxtrack.api.services import Services
from pbxtrack.health import Check, Readiness
from pbxtrack.pool import service
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.tokens import add_token

ORIGIN = "https://shop.example"
PAGE = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=spring"


def services(database: Database, **changes: Any) -> Services:
    """What the API needs, without group commit."""

    async def acquire(request: LeaseRequest) -> LeaseGrant:
        return await database.write(
            lambda connection: service.acquire(SqlLeases(connection), request, datetime.now(UTC))
        )

    async def renew(lease: str) -> LeaseGrant | None:
        return await database.write(lambda connection: service.renew(SqlLeases(connection), lease, datetime.now(UTC)))

    async def ready() -> Readiness:
        return Readiness([Check("database", ok=True)])

    given: dict[str, Any] = {"acquire": acquire, "renew": renew, "ready": ready} | changes
    return Services(database=database, **given)


@asynccontextmanager
async def running(database: Database, **changes: Any) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of a running API."""
    app = create_app(services(database, **changes))
    async with TestClient(TestServer(app)) as client:
        yield client


def a_token(database: Database) -> dict[str, str]:
    """The headers of a manager."""
    with database.transaction() as connection:
        _, secret = add_token(connection, "tests", datetime.now(UTC))
    return {"Authorization": f"Bearer {secret}"}
