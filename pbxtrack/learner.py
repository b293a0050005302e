"""The work behind: what sites' calls teach is learned again whenever there are enough new ones."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from functools import partial

import structlog

from pbxtrack.aside import run_aside, serve_aside
from pbxtrack.calls.learning import learn
from pbxtrack.storage import curves
from pbxtrack.storage.database import Database

_EVERY = 600.0  # s between looks whether there is something to learn
_FIRST = 30.0  # s after the start: a process that begins has better things to do

log = structlog.get_logger(__name__)


def learn_sites(database: Database, now: datetime, *, everything: bool = False) -> list[str]:
    """Learn the curves of those sites of which there are enough new calls; their keys. ``everything``: of all sites.

    Raises StorageUnavailable.
    """
    taught = database.read_now(lambda connection: curves.taught(connection, now))
    due = [site for site in taught if site.heard and (everything or site.due(now))]
    for site in due:
        # Nobody may wait for this reading to write: it takes long.
        lessons = database.read_now(partial(curves.lessons, site_id=site.site_id, now=now))
        learned = learn(lessons, site.curves)
        with database.transaction() as connection:
            curves.keep(connection, site.site_id, learned, now)
    return [site.key for site in due]


class Learner:
    """Learns in a process of its own, since reckoning would keep this one's callers and visitors waiting."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def run(self) -> None:
        """Learn from time to time, until cancelled."""
        await asyncio.sleep(_FIRST)
        while True:
            await self.once()
            await asyncio.sleep(_EVERY)

    async def once(self) -> list[str]:
        """Learn if there is something to learn; the sites of which something was."""
        learned = await run_aside("pbxtrack.learner", self._database_url) or []
        for key in learned:
            log.info("curves_learned", site=key)
        return learned


if __name__ == "__main__":
    sys.exit(serve_aside(lambda database: learn_sites(database, datetime.now(UTC))))
