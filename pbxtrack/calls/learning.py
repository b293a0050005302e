"""Learning a site's curves from its own calls, by expectation-maximisation.

Whose a call was is mostly not known; but it is known who may have made it. Each round takes the shares that the present
curves give (expectation), counts them as parts of calls into the steps of the curves, and divides by the time that
visitors spent in each step (maximisation). What is believed beforehand counts as some more calls, so that few calls
change little (Gamma priors). After A. Dempster, N. Laird, D. Rubin, "Maximum likelihood from incomplete data via the EM
algorithm", J. R. Stat. Soc. B 39 (1977).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from pbxtrack.calls.attribution import Weighing
from pbxtrack.calls.curves import CURVES, EDGES, PLACES, PRIOR, STEPS, WIDTHS, Curves, State, place_of
from pbxtrack.calls.evidence import last_deed
from pbxtrack.pool.model import Lease

ROUNDS = 8
"""Rounds of expectation and maximisation; each begins where the last learning ended."""

FIRST_LESSON = 50
"""Calls from which on there is something to learn."""

LESSON_GROWTH = 1.5
"""By what factor the calls must have grown to learn from them again."""

_HEARTBEAT_STEPS = EDGES.index(60)  # a visitor whose page is open is heard at least so often: steps of their silence
_BELIEF = {State.SEEN: 20.0, State.LEFT: 5.0, State.KEEN: 5.0, State.AGAIN: 10.0}
"""How many calls the prior counts for, by curve."""

_LEAST_BELIEF = 0.05  # calls, in each step
_STRANGERS = 0.1 / 86_400  # calls per second to a number of the pool
_STRANGERS_BELIEF = 2.0  # calls
_CHANNEL_BELIEF = 10.0  # calls of a channel that are expected of it without it
_REGION_BELIEF = 20.0  # calls from landlines


class Silence(NamedTuple):
    """Time in which a visitor could have called for the first time.

    ``live``: seconds for which their page was seen open. ``state``: what they did last; ``age``: for how many seconds
    since then they could have called, until now or until they did.
    """

    channel: str
    live: float
    state: State
    age: float


@dataclass(slots=True)
class Exposure:
    """Seconds that people spent in each step of the curves: ``visitors`` by channel and place, ``callers`` by step.

    ``numbers`` and ``overflow``: seconds in which a stranger could have called one of the pool's numbers, and the
    overflow number.
    """

    visitors: Mapping[str, Sequence[float]]
    callers: Sequence[float]
    numbers: float
    overflow: float = 0.0


@dataclass(slots=True)
class Lessons:
    """What there is to learn from: calls as they were weighed, and the time in which they could have been made.

    ``again``: seconds since the same caller's call before, for each that came again.
    """

    weighings: Sequence[Weighing]
    again: Sequence[float]
    exposure: Exposure


def silence(lease: Lease, channel: str, now: datetime, *, called: bool) -> Silence:
    """The time in which a lease's visitor could have called for the first time."""
    live = (lease.seen_at - lease.started_at).total_seconds()
    state, since = last_deed(lease, now)
    return Silence(channel, live, state, 0.0 if called or since > now else (now - since).total_seconds())


def visitors_exposure(silences: Iterable[Silence]) -> dict[str, list[float]]:
    """The seconds that visitors spent in each step, by channel and place."""
    ages: defaultdict[tuple[str, State], list[float]] = defaultdict(list)
    live: defaultdict[str, float] = defaultdict(float)
    for channel, seconds, state, age in silences:
        live[channel] += seconds
        ages[channel, state].append(age)
    exposure: dict[str, list[float]] = {channel: [0.0] * PLACES for channel in live}
    for (channel, state), listed in ages.items():
        for step, seconds in enumerate(steps_exposure(listed)):
            exposure[channel][state * STEPS + step] += seconds
    for channel, seconds in live.items():
        for step in range(_HEARTBEAT_STEPS):
            exposure[channel][State.SEEN * STEPS + step] += seconds * WIDTHS[step] / EDGES[_HEARTBEAT_STEPS]
    return exposure


def steps_exposure(ages: Iterable[float]) -> list[float]:
    """The seconds spent in each step of a curve by those who are in their silence for so long."""
    listed = sorted(ages)
    sums = [0.0, *accumulate(listed)]
    seconds = []
    for step in range(STEPS):
        low, high = EDGES[step], EDGES[step + 1]
        begun, past = bisect_right(listed, low), bisect_right(listed, high)
        seconds.append(sums[past] - sums[begun] - low * (past - begun) + WIDTHS[step] * (len(listed) - past))
    return seconds


def learn(lessons: Lessons, before: Curves = PRIOR) -> Curves:
    """The curves that fit the calls best, beginning with those that were learned before."""
    calls, kinds = _sorted(weighing for weighing in lessons.weighings if not weighing.again)
    # The rounds raise what is low but slowly: they begin with more strangers than are believed in without any lesson.
    curves = before if before.version else replace(before, strangers=_STRANGERS)
    for _ in range(ROUNDS):
        curves = _maximise(_expect(calls, kinds, curves), lessons, curves)
    return replace(curves, calls=len(lessons.weighings), version=before.version + 1)


class _Kind(NamedTuple):
    """What the curves tell apart of those who may have called."""

    place: int
    channel: str
    same_region: bool | None


@dataclass(slots=True)
class _Call:
    """A weighing as the rounds need it: ``kinds``, by their index, of those who may have called, and ``left``.

    ``by_chance``: the share of them whose region is the caller's; None where no region is known.
    """

    kinds: Sequence[int]
    left: Sequence[float]
    overflow: bool
    by_chance: float | None


def _sorted(weighings: Iterable[Weighing]) -> tuple[list[_Call], list[_Kind]]:
    """The calls, and the kinds of people who may have made them: few, so that a round weighs each but once."""
    indexes: dict[tuple[int, str, bool | None], int] = {}
    calls = []
    for weighing in weighings:
        kinds = [(one.place, one.holder.visit.channel, one.same_region) for one in weighing.possible]
        regions = [one.same_region for one in weighing.possible if one.same_region is not None]
        calls.append(
            _Call(
                [indexes.setdefault(kind, len(indexes)) for kind in kinds],
                [one.left for one in weighing.possible],
                weighing.overflow,
                sum(regions) / len(regions) if regions else None,
            )
        )
    return calls, [_Kind(*kind) for kind in indexes]


@dataclass(slots=True)
class _Counts:
    """Parts of calls, as the shares give them."""

    places: list[float] = field(default_factory=lambda: [0.0] * PLACES)
    channels: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    strangers: float = 0.0
    overflow_strangers: float = 0.0
    same_region: float = 0.0  # of those who called; and by how much it would be so for anybody who was shown the number
    same_by_chance: float = 0.0
    known_region: float = 0.0


def _expect(calls: Sequence[_Call], kinds: Sequence[_Kind], curves: Curves) -> _Counts:
    counts = _Counts()
    weight_of = [curves.weight(*kind) for kind in kinds]
    found = [0.0] * len(kinds)
    for call in calls:
        stranger = curves.overflow_strangers if call.overflow else curves.strangers
        weights = [*map(mul, map(weight_of.__getitem__, call.kinds), call.left)]
        total = sum(weights) + stranger
        for index, weight in zip(call.kinds, weights, strict=True):
            found[index] += weight / total
        if call.overflow:
            counts.overflow_strangers += stranger / total
        else:
            counts.strangers += stranger / total
        if call.by_chance is not None:
            weighed = zip(call.kinds, weights, strict=True)
            known = sum(weight for index, weight in weighed if kinds[index].same_region is not None)
            counts.same_by_chance += call.by_chance * known / total
    for kind, share in zip(kinds, found, strict=True):
        counts.places[kind.place] += share
        counts.channels[kind.channel] += share
        if kind.same_region is not None:
            counts.known_region += share
            counts.same_region += share * kind.same_region
    return counts


def _maximise(counts: _Counts, lessons: Lessons, curves: Curves) -> Curves:
    exposure = lessons.exposure
    again = [0.0] * STEPS
    for seconds in lessons.again:
        again[place_of(State.AGAIN, seconds) - State.AGAIN * STEPS] += 1
    calls = [*counts.places[: State.AGAIN * STEPS], *again]
    spent = [0.0] * (State.AGAIN * STEPS)  # as long as visitors of an ordinary channel would need for as many calls
    for channel, by_place in exposure.visitors.items():
        factor = curves.channels.get(channel, 1.0)
        for place in range(len(spent)):
            spent[place] += factor * by_place[place]
    rates = _rates(calls, [*spent, *exposure.callers])
    return replace(
        curves,
        rates=rates,
        channels=_channels(counts, exposure, rates),
        strangers=_strangers(counts.strangers, exposure.numbers, _STRANGERS),
        overflow_strangers=_strangers(counts.overflow_strangers, exposure.overflow, PRIOR.overflow_strangers),
        same_region=_by_chance(counts.same_region, counts.same_by_chance),
        other_region=_by_chance(counts.known_region - counts.same_region, counts.known_region - counts.same_by_chance),
    )


def _rates(calls: Sequence[float], spent: Sequence[float]) -> tuple[float, ...]:
    rates = []
    for curve in range(CURVES):
        prior = PRIOR.rates[curve * STEPS : (curve + 1) * STEPS]
        expected = PRIOR.expected[curve * STEPS]
        for step, rate in enumerate(prior):
            place = curve * STEPS + step
            belief = max(_BELIEF[State(curve)] * rate * WIDTHS[step] / expected, _LEAST_BELIEF)
            rates.append((calls[place] + belief) / (spent[place] + belief / rate))
    return tuple(rates)


def _channels(counts: _Counts, exposure: Exposure, rates: Sequence[float]) -> dict[str, float]:
    """By what factor a channel's visitors called more often than all visitors did in their place."""
    expected = {
        channel: sum(rate * spent for rate, spent in zip(rates, seconds, strict=False))
        for channel, seconds in exposure.visitors.items()
    }
    found, foreseen = sum(counts.channels.values()), sum(expected.values())
    whole = found / foreseen if foreseen else 1.0  # the level is the curves' to tell
    return {
        channel: (counts.channels[channel] + _CHANNEL_BELIEF) / (whole * calls + _CHANNEL_BELIEF)
        for channel, calls in expected.items()
    }


def _strangers(calls: float, seconds: float, prior: float) -> float:
    return (calls + _STRANGERS_BELIEF) / (seconds + _STRANGERS_BELIEF / prior)


def _by_chance(found: float, expected: float) -> float:
    """How much more often something was found than it would be by chance."""
    return (found + _REGION_BELIEF) / (expected + _REGION_BELIEF)


def worth_learning(learned: int, heard: int) -> bool:
    """Whether there are enough more calls than those learned from: half as many more, and 50 for a beginning."""
    return heard >= FIRST_LESSON and heard >= learned * LESSON_GROWTH
