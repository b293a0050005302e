"""Pool numbers that got around: into a listing, a forum, a robot's list. Pure.

Whoever calls such a number was not shown it, and whoever holds it now is taken for the caller now and then. All numbers
of a pool are called by some strangers; one that is called by many more than the others has leaked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

LEAST_CALLERS = 4
"""Different strangers who must have called: one person who calls every day is none of many."""

LEAST_DAYS = 3
"""Days on which strangers must have called: an evening's wrong advertisement is over by tomorrow."""

CHANCE = 0.001
"""How probably one number of a pool or more would be called as often by chance."""

_BELIEF = 1.0  # calls by strangers that any number may have had besides those that the others had


class StrangersCalls(NamedTuple):
    """What a pool's number had of calls that were most likely nobody's whom the website showed it.

    ``calls`` of different ``callers`` (one for all who hid their numbers), on so many ``days``.
    """

    number: str
    calls: int
    callers: int
    days: int


def leaked(pool: Sequence[StrangersCalls]) -> list[str]:
    """Those numbers of a pool that strangers call far more often than the others."""
    total = sum(one.calls for one in pool)
    found = []
    for one in pool:
        others = max(1, len(pool) - 1)
        usual = (total - one.calls + _BELIEF) / others if len(pool) > 1 else _BELIEF
        steady = one.callers >= LEAST_CALLERS and one.days >= LEAST_DAYS
        if steady and at_least(one.callers, max(usual, _BELIEF / 2)) < CHANCE / len(pool):
            found.append(one.number)
    return found


def at_least(count: int, mean: float) -> float:
    """How probably ``count`` events or more happen where ``mean`` are expected (Poisson's distribution)."""
    return max(0.0, 1 - sum(math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(count)))
