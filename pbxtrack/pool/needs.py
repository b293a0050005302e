"""What is asked and answered of how many numbers a site needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_BLOCKED = 0.01
"""The part of visitors who may find no number."""

MOST_DAYS = 30


@dataclass(frozen=True, slots=True)
class Question:
    """Of a site (its key), by what happened in its last ``days``; ``holds``: with half and twice its hold, too."""

    site: str
    days: int
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """What the traffic would have met with so many numbers and this hold (seconds): the share of calls that went to
    whoever made them, None without calls; of visitors, how large a part found no number; the most held at once.
    """

    numbers: int
    hold: float
    accuracy: float | None
    blocking: float
    at_peak: int


@dataclass(frozen=True, slots=True)
class Needs:
    """``since``: the traffic's first moment, seconds since 1970, later than was asked where there was too much of it.

    ``busiest``: visits in the hour in which most began, of ``visit`` seconds on average; ``load`` in erlangs at
    ``hold`` seconds, and how many numbers it needs by Erlang's formula; ``have``: how many there are. ``best``: the
    place in ``sizes`` of the fewest numbers that are as good as any; None where all are too few.
    """

    since: float
    visits: int
    calls: int
    busiest: int
    visit: float
    hold: float
    load: float
    needed: int
    have: int
    sizes: Sequence[Size]
    best: int | None


class NoAnswer(StrEnum):
    """Why there is none."""

    NOT_YET = "not_yet"
    BUSY = "busy"  # with another question
    NO_POOL = "no_pool"
    NO_VISITS = "no_visits"
    TOO_LONG = "too_long"
    FAILED = "failed"
