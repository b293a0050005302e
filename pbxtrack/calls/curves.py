"""How likely people are to call, by the time since they gave a sign of life: the curves that calls are weighed by.

A visitor is taken for a source of calls whose rate depends on what they did last and how long ago. Whoever of those who
may have called had the highest rate at the moment of the call is the likeliest caller: the probabilities are the rates'
shares, which is exact for independent sources (competing risks). The rates are constant within steps of time that grow,
so that learning them is counting: calls in a step, by the time that visitors spent in it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

EDGES: tuple[float, ...] = (
    0, 10, 30, 60, 90, 180, 300, 450, 600, 900, 1_200, 1_800, 2_700, 3_600, 5_400, 7_200, 10_800, 14_400, 21_600,
    28_800, 43_200, 57_600, 86_400, 172_800, 345_600, 691_200, 2_592_000, 7_776_000,
)  # fmt: skip
"""Where the steps of a curve begin, and the last one ends: seconds, up to 90 days."""

STEPS = len(EDGES) - 1
WIDTHS: tuple[float, ...] = tuple(EDGES[step + 1] - EDGES[step] for step in range(STEPS))


class State(IntEnum):
    """What is known of somebody who may call; each has a curve."""

    SEEN = 0  # since the last sign of life of a visitor who did nothing of the following
    LEFT = 1  # since the page was closed
    KEEN = 2  # since the number was tapped or copied
    AGAIN = 3  # since this person's last call


CURVES = len(State)
PLACES = CURVES * STEPS
"""All steps of all curves, in one row: those of the first state first."""


HEARTBEAT_STEPS = EDGES.index(60)
"""Steps of a silence in which a page may be open still: it is heard once a minute."""

LATE = EDGES.index(600)
"""The step from which on it makes no difference whether the page was closed or just not heard of again."""

LENGTHS: tuple[float, ...] = (0, 20, 60, 180, 600)
"""Where the classes of visits by their length begin: seconds between the first and the last sign of life."""


def length_of(seconds: float) -> int:
    """The class of a visit of that length."""
    return bisect_right(LENGTHS, seconds) - 1 if seconds > 0 else 0


def step_of(seconds: float) -> int:
    """The step that a time falls into; the last one for all that is longer than the curves."""
    return bisect_right(EDGES, seconds, hi=STEPS) - 1 if seconds > 0 else 0


def place_of(state: State, seconds: float) -> int:
    """The place of a state's step among all of them."""
    return state * STEPS + step_of(seconds)


@dataclass(frozen=True)
class Curves:
    """What a site's calls taught. ``rates``: calls per second of one person, by place.

    ``strangers``: calls per second to one number of the pool from people whom nobody showed it; ``overflow_strangers``
    the same of the overflow number. ``channels``: by what factor visits of a channel call more often than others;
    ``lengths``: the same of visits that are over, by their length.
    ``same_region`` and ``other_region``: how many times as likely a candidate is whose region is, or is not, that of
    the caller's landline. ``calls``: how many it was learned from. ``version`` grows with each that is kept.
    """

    rates: Sequence[float]
    strangers: float
    overflow_strangers: float
    channels: Mapping[str, float] = field(default_factory=dict)
    lengths: Sequence[float] = (1.0,) * len(LENGTHS)
    same_region: float = 1.0
    other_region: float = 1.0
    calls: int = 0
    version: int = 0

    def factor(self, channel: str, length: int | None) -> float:
        """How many times as often somebody calls whose visit is of that channel and length; None: of any length."""
        factor = self.channels.get(channel, 1.0)
        return factor if length is None else factor * self.lengths[length]

    def weight(self, place: int, channel: str, length: int | None, same_region: bool | None) -> float:
        """Calls per second of one person; ``same_region``: None where that is not known."""
        weight = self.rates[place] * self.factor(channel, length)
        if same_region is None:
            return weight
        return weight * (self.same_region if same_region else self.other_region)

    @cached_property
    def expected(self) -> Sequence[float]:
        """Calls that one person is expected to make yet, by place: from the step's beginning to the curve's end."""
        expected = [0.0] * PLACES
        for curve in range(CURVES):
            rest = 0.0
            for step in reversed(range(STEPS)):
                place = curve * STEPS + step
                rest += self.rates[place] * WIDTHS[step]
                expected[place] = rest
        return expected


def _mixture(calls: float, parts: Sequence[tuple[float, float]]) -> list[float]:
    """The rates of somebody who calls so many times: (share, mean delay in seconds) of exponential delays."""
    return [
        calls
        * sum(share * (math.exp(-EDGES[step] / mean) - math.exp(-EDGES[step + 1] / mean)) for share, mean in parts)
        / WIDTHS[step]
        for step in range(STEPS)
    ]


_HOUR, _DAY = 3_600.0, 86_400.0

# What is believed before a site's calls have taught anything: that 6 visitors in 100 call, most of them within minutes,
# one in seven hours later; half of those who tapped or copied the number; and that one caller in three calls again.
_VISITOR = _mixture(0.06, [(0.5, 90), (0.22, 300), (0.12, 1_200), (0.11, 4 * _HOUR), (0.05, 2 * _DAY)])
_KEEN = _mixture(0.5, [(0.8, 20), (0.1, 300), (0.07, 4 * _HOUR), (0.03, 2 * _DAY)])
_AGAIN = _mixture(0.35, [(0.3, 0.5 * _HOUR), (0.4, 6 * _HOUR), (0.3, 4 * _DAY)])
_LEAST = 1e-12  # calls per second: no step is impossible

PRIOR = Curves(
    rates=tuple(max(rate, _LEAST) for rate in (*_VISITOR, *_VISITOR, *_KEEN, *_AGAIN)),
    strangers=0.03 / _DAY,
    overflow_strangers=1 / _DAY,
)
"""The curves of a site whose calls have taught nothing yet."""
