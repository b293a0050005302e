"""Asterisk's CEL file against the call log, while both are written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from pbxtrack.calls.events import Fact
from pbxtrack.calls.reconcile import Reconciled
from pbxtrack.errors import StorageUnavailable
from pbxtrack.ledger.follow import CelFollower, Position
from pbxtrack.words import Words, quoted

_EVERY = 1.0  # s between looks at the file
_BATCH = 200  # calls of a transaction: others write between
_RETRY_MOST = 2.0  # s, while the database is away

Reconcile = Callable[[Sequence[Sequence[Fact]], Position | None], Awaitable[Reconciled]]
"""Compares calls with the call log, and keeps the position with them. May raise StorageUnavailable."""

log = structlog.get_logger(__name__)


class Reconciler:
    """Adds to the call log what nobody told us of one Asterisk's calls.

    Its counters only grow: ``added`` calls that we knew nothing of, ``mended`` ones that we had not heard to the end,
    ``agreed`` ones that we knew as they were.
    """

    def __init__(
        self,
        path: Path,
        node: str,
        *,
        reconcile: Reconcile,
        since: Callable[[], Awaitable[Position | None]],
        every: float = _EVERY,
    ) -> None:
        self._path, self._node, self._every = path, node, every
        self._reconcile, self._since = reconcile, since
        self._reason: Words | str = ""
        self.added = 0
        self.mended = 0
        self.agreed = 0
        self.following = False  # whether it runs

    @property
    def reason(self) -> Words | str:
        """Why it does not work at present; empty when all is well."""
        return self._reason

    async def run(self) -> None:
        """Follow the file until cancelled."""
        self.following = True
        try:
            await self._follow()
        finally:
            self.following = False

    async def _follow(self) -> None:
        while True:
            try:
                follower = CelFollower(self._path, self._node, await self._since())
                break
            except StorageUnavailable as error:
                self._complain(quoted(error))
                await asyncio.sleep(_EVERY)
        kept = follower.position
        try:
            while True:
                calls = await self._step(follower)
                for start in range(0, len(calls), _BATCH):
                    # Only with the last calls of the step the position is right.
                    last = start + _BATCH >= len(calls)
                    await self._keep(calls[start : start + _BATCH], follower.position if last else None)
                if not calls and follower.position != kept:
                    await self._keep([], follower.position)
                kept = follower.position
                if not calls:
                    await asyncio.sleep(self._every)
        finally:
            follower.close()

    async def _step(self, follower: CelFollower) -> list[Sequence[Fact]]:
        try:
            calls = await asyncio.to_thread(follower.step)
        except OSError as error:
            self._complain(Words("%(path)s cannot be read: %(error)s", path=self._path, error=error.strerror))
            return []
        except Exception:
            log.exception("Asterisk's own records could not be read", node=self._node)
            self._reason = Words("an error inside pbxtrack; see the log")
            return []
        self._reason = ""
        return calls

    async def _keep(self, calls: Sequence[Sequence[Fact]], position: Position | None) -> None:
        pause = 0.1
        while True:
            try:
                found = await self._reconcile(calls, position)
                break
            except StorageUnavailable as error:
                self._complain(quoted(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _RETRY_MOST)
            except Exception:
                log.exception("calls could not be compared", node=self._node, calls=len(calls))
                if len(calls) <= 1:
                    calls = []  # it would fail again; the others must not wait for it
                    continue
                for call in calls:
                    await self._keep([call], None)
                calls = []
        self.added += len(found.added)
        self.mended += len(found.mended)
        self.agreed += found.agreed
        if found.added or found.mended:
            log.info(
                "calls completed from Asterisk's own records",
                node=self._node,
                added=len(found.added),
                mended=len(found.mended),
            )

    def _complain(self, reason: Words) -> None:
        if str(reason) != str(self._reason):
            log.error("Asterisk's own records are not compared", node=self._node, reason=str(reason))
        self._reason = reason
