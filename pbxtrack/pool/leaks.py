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
"""How probably one number of a pool or more would be called by so many by chance."""


class StrangersCalls(NamedTuple):
    """What a pool's number had of calls that were most likely nobody's whom the website showed it.

    ``calls`` of different ``callers`` (one for all who hid their numbers), on so many ``days``.
    """

    number: str
    calls: int
    callers: int
    days: int


def leaked(pool: Sequence[StrangersCalls], others: Sequence[StrangersCalls] = ()) -> list[str]:
    """Those numbers of a pool that far more strangers call than the others.

    Of a pool of one number there are none: it is compared with those of the site's other pools, which are ``others``.
    Where there are none of those either, nobody can tell.

    Given all the strangers who called, and if each dialled one of the numbers at random, how many dialled this one has
    a binomial distribution, whatever the rate at which strangers call, which nobody knows (J. Przyborowski and
    H. Wilenski, "Homogeneity of results in testing samples from Poisson series", 1940). As each number of the pool is
    looked at, each must be less probable by so many times (Bonferroni).
    """
    among = pool if len(pool) > 1 else [*pool, *others]
    total = sum(one.callers for one in among)
    return [
        one.number
        for one in pool
        if one.callers >= LEAST_CALLERS
        and one.days >= LEAST_DAYS
        and at_least(one.callers, total, 1 / len(among)) < CHANCE / len(pool)
    ]


def at_least(count: int, total: int, share: float) -> float:
    """How probably ``count`` or more of ``total`` fall to a ``share``; 1 where they are no more than are expected."""
    if count <= total * share:
        return 1.0
    left = total - count
    chosen = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(left + 1)
    term = math.exp(chosen + count * math.log(share) + left * math.log1p(-share))
    found = 0.0
    while term > found * 1e-12:  # beyond what is expected, each is less probable than the one before
        found += term
        term *= (total - count) / (count + 1) * share / (1 - share)
        count += 1
    return found
