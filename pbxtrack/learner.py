"""The work behind: what sites' calls teach is learned again whenever there are enough new ones."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from functools import partial

import structlog

from pbxtrack.calls.learning import learn
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage import curves
from pbxtrack.storage.database import Database

_EVERY = 600.0  # s between looks whether there is something to learn
_FIRST = 30.0  # s after the start: a process that begins has better things to do
_HUMBLE = 10  # niceness: leases and calls come first

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
        apart = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "pbxtrack.learner", stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            told, complaint = await apart.communicate(self._database_url.encode())  # it may hold a password
        finally:
            if apart.returncode is None:
                apart.kill()
                await apart.wait()
        if apart.returncode:
            reason = complaint.decode(errors="replace").strip().splitlines()
            log.warning("nothing_learned", reason=reason[-1] if reason else f"exit {apart.returncode}")
            return []
        learned = told.decode().split()
        for key in learned:
            log.info("curves_learned", site=key)
        return learned


def _main() -> int:
    """Learn once; the database's address is on the standard input, the sites' keys go to the standard output."""
    os.nice(_HUMBLE)
    try:
        database = Database(sys.stdin.read())
        try:
            print(*learn_sites(database, datetime.now(UTC)), sep="\n")
        finally:
            database.close()
    except PbxtrackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
