"""What a process keeps of what it read of the sites."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from pbxtrack.storage.prepared import Prepared, Reader
from pbxtrack.storage.tables import revisions

_revision = Prepared(select(revisions.c.number).where(revisions.c.name == "sites"))


NEXT_REVISION = update(revisions).where(revisions.c.name == "sites").values(number=revisions.c.number + 1)
"""Makes every process read anew what it keeps of the sites."""


class KnownSites:
    """What a process read of the sites' numbers, as long as nobody changes them. Safe from several threads."""

    def __init__(self, most: int = 100_000) -> None:
        """``most`` numbers are kept."""
        self._most = most
        self._revision = 0
        self._known: dict[object, Any] = {}

    def read(self, reader: Reader) -> dict[object, Any]:
        """What is known at the database's present revision."""
        row = _revision.one_or_none(reader, {})
        return self.at(row.number) if row else {}

    def at(self, revision: int) -> dict[object, Any]:
        """What is known at a revision; of an older one than the newest that was seen, nothing."""
        if revision < self._revision:
            return {}
        if revision > self._revision or len(self._known) > self._most:
            self._revision, self._known = revision, {}
        return self._known
