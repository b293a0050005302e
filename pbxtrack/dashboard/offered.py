"""What may be chosen to find calls, kept for a minute: it takes longer to find than the calls do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from pbxtrack.dashboard.asked import Asked
from pbxtrack.storage.call_sums import choices
from pbxtrack.storage.database import Database

_KEPT = timedelta(minutes=1)


class Offered:
    """Of each site."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[datetime, Mapping[str, list[str]]]] = {}

    def of(self, connection: Connection, key: str, now: datetime) -> Mapping[str, list[str]]:
        """As :func:`choices` has it."""
        since, kept = self._kept.get(key, (now, None))
        if kept is None or not timedelta() <= now - since < _KEPT:
            kept = choices(connection, key)
            self._kept[key] = now, kept
        return kept


_OFFERED: WeakKeyDictionary[Database, Offered] = WeakKeyDictionary()


def offered(asked: Asked) -> Offered:
    """That of the database."""
    return _OFFERED.setdefault(asked.database, Offered())
