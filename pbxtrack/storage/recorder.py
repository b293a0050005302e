"""Makes facts durable: in the database, and while that is away on disk, from where they follow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from pbxtrack.calls.events import Fact
from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.spool import Spool

Write = Callable[[Sequence[Fact]], Awaitable[None]]
"""Writes facts to the database; raises StorageUnavailable when it cannot now."""

_PATIENCE = 2.0  # s that the database may take before facts go to the disk
_BATCH = 500  # facts
_RETRY = 0.2  # s
_RETRY_MOST = 2.0  # s
_LOOK = 5.0  # s between looks at what processes that ended left

log = structlog.get_logger(__name__)


class Recorder:
    """Records facts. :meth:`run` must run beside it. Its counters only grow: ``spooled`` and ``rejected`` facts."""

    def __init__(self, write: Write, spool: Spool, *, patience: float = _PATIENCE) -> None:
        self._write_to_database = write
        self._spool = spool
        self._patience = patience
        self._disk = asyncio.Lock()
        self._news = asyncio.Event()
        self._away = False
        self.spooled = 0
        self.rejected = 0  # facts that the database would never take

    @property
    def waiting(self) -> int:
        """Facts on disk that are not in the database yet."""
        return self._spool.facts

    @property
    def away(self) -> bool:
        """Whether facts go to the disk at present."""
        return self._away

    async def record(self, facts: Sequence[Fact]) -> None:
        """Make facts durable. Raises StorageUnavailable where neither the database nor the disk takes them."""
        if not facts:
            return
        if not self._away:
            try:
                await self._write(facts)
                return
            except StorageUnavailable as error:
                if not self._away:
                    log.error("facts_go_to_disk", reason=str(error), folder=str(self._spool.folder))
                self._away = True
        try:
            async with self._disk:
                await asyncio.to_thread(self._spool.add, facts)
            self.spooled += len(facts)
        finally:
            self._news.set()  # the database is tried again, even where there was no room on the disk

    async def run(self) -> None:
        """Bring facts from the disk to the database, until cancelled."""
        pause = _RETRY
        while True:
            try:
                more = await self._bring()
            except StorageUnavailable as error:
                log.debug("database_away", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _RETRY_MOST)
                continue
            except Exception:  # a defect, or a disk with one, must not keep later facts from the database
                log.exception("spool_not_read", folder=str(self._spool.folder))
                self._away = False  # the database is tried by whoever records next
                await asyncio.sleep(_LOOK)
                continue
            pause = _RETRY
            if self._away:
                log.info("facts_go_to_the_database_again", waiting=self.waiting)
                self._away = False
            if not more:
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), _LOOK)
                except TimeoutError:
                    continue

    async def close(self) -> None:
        """Let go of the disk; what is there is for the next process."""
        async with self._disk:
            await asyncio.to_thread(self._spool.close)

    async def _bring(self) -> bool:
        """Bring a batch; whether there was one. What comes meanwhile goes behind it."""
        async with self._disk:
            facts = await asyncio.to_thread(self._spool.first, _BATCH)
        if facts is None:
            if self._away:
                await self._write([])  # nothing on the disk, since it is full: does the database answer?
            return False
        try:
            await self._write(facts)
        except StorageUnavailable:
            raise
        except Exception:
            log.exception("spooled_facts_not_recorded", facts=len(facts))
            for fact in facts:
                await self._write_one(fact)
        async with self._disk:
            await asyncio.to_thread(self._spool.done)
        return True

    async def _write_one(self, fact: Fact) -> None:
        try:
            await self._write([fact])
        except StorageUnavailable:
            raise
        except Exception:
            self.rejected += 1
            log.exception("a fact cannot be recorded", call=fact.call_id, kind=fact.kind)

    async def _write(self, facts: Sequence[Fact]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._write_to_database(facts)
        except TimeoutError:
            raise StorageUnavailable("the database does not answer in time") from None
