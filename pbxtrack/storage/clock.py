"""The database's clock."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from pbxtrack.storage.prepared import Prepared
from pbxtrack.storage.tables import UtcTime

_clock = Prepared(select(func.clock_timestamp(type_=UtcTime).label("time")))


def now(connection: Connection) -> datetime:
    """The time, by the database's clock where it has one: processes that share it must agree on the time."""
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    time: datetime = _clock.all(connection, {})[0].time
    return time
