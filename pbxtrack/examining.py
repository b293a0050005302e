"""Slow looks at everything, taken aside and kept for a while: whoever asks is never kept waiting by them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog

from pbxtrack.health import Finding

_KEEP = 60.0  # s that what was found serves
_LONGEST = 60.0  # s for one examination

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and how many seconds ago. ``whole``: False where the time was up before the end."""

    findings: Sequence[Finding]
    age: float
    whole: bool = True


class Examiner:
    """Examines in a thread with a loop of its own, since looks may block: a file on a disk that hangs, a slow DNS."""

    def __init__(
        self,
        examine: Callable[[], AsyncIterator[Finding]],
        *,
        keep: float = _KEEP,
        longest: float = _LONGEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._examine = examine
        self._keep = keep
        self._longest = longest
        self._clock = clock
        self._busy = threading.Lock()
        self._known: tuple[Sequence[Finding], float, bool] | None = None

    def latest(self) -> Examined | None:
        """What was found last; None where nothing was yet. Where that is old, another look begins behind it."""
        known, now = self._known, self._clock()
        if (known is None or now - known[1] >= self._keep) and self._busy.acquire(blocking=False):
            # A daemon: nobody waits for it when the service stops.
            threading.Thread(target=self._look, name="examiner", daemon=True).start()
        return Examined(known[0], now - known[1], known[2]) if known else None

    def _look(self) -> None:
        findings: list[Finding] = []
        whole = False
        try:
            with contextlib.suppress(TimeoutError):
                asyncio.run(self._collect(findings))
                whole = True
        except Exception:
            log.exception("examining_failed")
        finally:
            self._known = findings, self._clock(), whole
            self._busy.release()

    async def _collect(self, findings: list[Finding]) -> None:
        async with asyncio.timeout(self._longest):
            async for finding in self._examine():
                findings.append(finding)  # noqa: PERF401 - what was found before the time was up is kept
