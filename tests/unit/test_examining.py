"""Slow looks are taken aside, one at a time, and what they found is kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

from pbxtrack.examining import Examined, Examiner
from pbxtrack.health import Finding

WELL = Finding("disk", True, "1 GiB free")


def until(look: Callable[[], Examined | None], enough: Callable[[Examined], bool]) -> Examined:
    """What is found once that is enough."""
    for _ in range(500):
        found = look()
        if found is not None and enough(found):
            return found
        time.sleep(0.01)
    raise AssertionError("nothing was found")


def test_nobody_waits_and_one_look_is_taken_at_a_time() -> None:
    go, looks = threading.Event(), 0

    async def examine() -> AsyncIterator[Finding]:
        nonlocal looks
        looks += 1
        go.wait(5)  # blocks its own thread, and no other
        yield WELL

    now = 0.0
    examiner = Examiner(examine, keep=60, clock=lambda: now)
    assert [examiner.latest() for _ in range(5)] == [None] * 5
    go.set()
    found = until(examiner.latest, lambda found: True)
    assert (found.findings, found.whole, looks) == ([WELL], True, 1)
    now = 59.0
    assert examiner.latest() == Examined([WELL], 59.0)
    now = 61.0
    assert examiner.latest() == Examined([WELL], 61.0), "what is old serves until there is something newer"
    assert until(examiner.latest, lambda found: found.age == 0).findings == [WELL]
    assert looks == 2


def test_what_was_found_before_the_time_was_up_is_told() -> None:
    async def examine() -> AsyncIterator[Finding]:
        yield WELL
        await asyncio.sleep(60)

    found = until(Examiner(examine, longest=0.05).latest, lambda found: True)
    assert (found.findings, found.whole) == ([WELL], False)


def test_a_look_that_breaks_is_no_reason_to_look_no_more() -> None:
    broken = True

    async def examine() -> AsyncIterator[Finding]:
        yield WELL
        if broken:
            raise RuntimeError("a defect")

    examiner = Examiner(examine, keep=0)
    assert not until(examiner.latest, lambda found: True).whole
    broken = False
    assert until(examiner.latest, lambda found: found.whole).findings == [WELL]
