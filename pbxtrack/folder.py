"""The work behind: days that are over, or that changed, are rolled up for reports."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import structlog

from pbxtrack.aside import run_aside, serve_aside
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import due, fold_all

_EVERY = 30.0  # s between looks whether there is something to fold
_FIRST = 20.0  # s after the start: a process that begins has better things to do

log = structlog.get_logger(__name__)


class Folder:
    """Folds whenever there is something to fold."""

    def __init__(self, database: Database, database_url: str) -> None:
        self._database, self._database_url = database, database_url

    async def run(self) -> None:
        """Fold from time to time, until cancelled."""
        await asyncio.sleep(_FIRST)
        while True:
            await self.once()
            await asyncio.sleep(_EVERY)

    async def once(self) -> int:
        """Fold if there is something to fold; how many days were."""
        try:
            if not await self._database.read(lambda connection: due(connection, datetime.now(UTC))):
                return 0
        except StorageUnavailable as error:
            log.debug("database_away", reason=str(error))
            return 0
        days = sum(map(int, await run_aside("pbxtrack.folder", self._database_url) or ()))
        log.info("days_folded", days=days)
        return days


if __name__ == "__main__":
    sys.exit(serve_aside(fold_all))
