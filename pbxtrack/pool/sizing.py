"""How many numbers a pool needs: Erlang's B formula, as pure functions.

Visitors are the calls of telephone traffic, numbers the trunks. A number is taken from the first page of a visit
until the hold after its last sign of life has passed; a visitor who comes while all are taken is blocked, and is
shown the overflow number.

With a load of A erlangs on N numbers, and visitors who come independently of each other (a Poisson process), the part
of them that is blocked is

    B(N, A) = (A^N / N!) / (A^0 / 0! + A^1 / 1! + … + A^N / N!)

whatever the distribution of the times for which numbers are held: only their mean counts. It is computed by the
recursion

    B(0, A) = 1
    B(n, A) = A · B(n-1, A) / (n + A · B(n-1, A))

The formula is from A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in
automatic telephone exchanges" (1917); the recursion follows from it by dividing B(n) by B(n-1), and stands in V. B.
Iversen's "Teletraffic Engineering Handbook" (ITU-D), in the chapter on Erlang's loss system. Every term is positive
and nothing is subtracted, so that errors of rounding do not grow; factorials, which would overflow, do not occur.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, islice

MAX_LOAD = 1e6
"""Erlangs that are reckoned with: a million visitors at once. The recursion takes a step a number."""


def offered_load(visits_per_hour: float, visit: timedelta, hold: timedelta) -> float:
    """Erlangs: how many numbers would be taken at once, on average, if there were always one to be had.

    ``visits_per_hour`` of the busiest hours; ``visit``: the mean from a visit's first sign of life to its last;
    ``hold``: how long the number is kept after that.
    """
    return _sound(visits_per_hour * (visit.total_seconds() + hold.total_seconds()) / 3_600)


def blocking(numbers: int, load: float) -> float:
    """The part of visitors, 0 to 1, who find no number free among so many, at ``load`` erlangs."""
    if numbers < 0:
        raise ValueError("there cannot be fewer than no numbers")
    return next(islice(_blockings(_sound(load)), numbers, None))


def numbers_needed(load: float, most_blocked: float) -> int:
    """The smallest pool in which no more than a part ``most_blocked`` of visitors, between 0 and 1, finds no number."""
    if not 0 < most_blocked < 1:
        raise ValueError("the part of visitors who find no number must be between 0 and 1, such as 0.01")
    return next(numbers for numbers, part in enumerate(_blockings(_sound(load))) if part <= most_blocked)


def _blockings(load: float) -> Iterator[float]:
    """The blocking of pools of 0, 1, 2 … numbers."""
    part = 1.0
    for numbers in count(1):
        yield part
        offered = load * part
        part = offered / (numbers + offered)


def _sound(load: float) -> float:
    if not (math.isfinite(load) and 0 < load <= MAX_LOAD):
        raise ValueError(
            f"a load of {load:g} erlangs cannot be reckoned with: it must be above 0, {MAX_LOAD:,.0f} at most"
        )
    return load
