"""How many numbers were held, over time, from how many more or fewer there were in each slot. Pure.

A slot is a short time, named by how many of its length are between 1970 and it. What was held is looked at as each
slot ends: a hold that begins and ends in one is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class Held(NamedTuple):
    """Numbers that were held in a step of time: the most at once, and on average."""

    most: int
    mean: float


def slot_of(at: datetime, slot: timedelta) -> int:
    """The slot that a time is in."""
    return int(at.timestamp() // slot.total_seconds())


def held_by_steps(changes: Mapping[int, int], begins: Sequence[int], end: int) -> list[Held | None]:
    """What was held in each of the steps that begin with these slots, ascending, the last of which ends before ``end``.

    ``changes``: how many more numbers, less how many fewer, were held after a slot than before it. None for a step
    without a slot before ``end``: one that is yet to come.
    """
    if not begins:
        return []
    found: list[Held | None] = []
    held = sum(count for slot, count in changes.items() if slot < begins[0])
    for begin, after in zip(begins, [*begins[1:], end], strict=True):
        most = total = 0
        last = min(after, end)
        for slot in range(begin, last):
            held += changes.get(slot, 0)
            total += held
            most = max(most, held)
        found.append(Held(most, total / (last - begin)) if last > begin else None)
    return found
