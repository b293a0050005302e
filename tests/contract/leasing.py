"""One request at a time, for tests that are about one."""

from __future__ import annotations

from datetime import datetime

from pbxtrack.pool import service
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.pool.ports import LeaseStore


def one(store: LeaseStore, request: LeaseRequest, now: datetime) -> LeaseGrant:
    """Acquire a lease; raises UnknownSite."""
    (answer,) = service.acquire(store, [request], now)
    if isinstance(answer, service.UnknownSite):
        raise answer
    return answer
