"""Learning a site's curves from its own calls, by expectation-maximisation.

Whose a call was is mostly not known; but it is known who may have made it. Each round takes the shares that the present
curves give (expectation), counts them as parts of calls into the steps of the curves, and divides by the time that
visitors spent in each step (maximisation). What is believed beforehand counts as some more calls, so that few calls
change little (Gamma priors). After A. Dempster, N. Laird, D. Rubin, "Maximum likelihood from incomplete data via the EM
algorithm", J. R. Stat. Soc. B 39 (1977).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate, pairwise
from operator import mul
from typing import NamedTuple, TypeVar

from pbxtrack.calls.attribution import Weighing
from pbxtrack.calls.curves import (
    CURVES,
    EDGES,
    HEARTBEAT_STEPS,
    LATE,
    LENGTHS,
    PLACES,
    PRIOR,
    STEPS,
    WIDTHS,
    Curves,
    State,
    length_of,
    place_of,
)
from pbxtrack.calls.evidence import last_deed, length_tells
from pbxtrack.pool.model import Lease

_Key = TypeVar("_Key")

ROUNDS = 8
"""Rounds of expectation and maximisation; each begins where the last learning ended."""

FIRST_LESSON = 50
"""Calls from which on there is something to learn."""

LESSON_GROWTH = 1.5
"""By what factor the calls must have grown to learn from them again."""

_BELIEF = {State.SEEN: 20.0, State.LEFT: 5.0, State.KEEN: 5.0, State.AGAIN: 10.0}
"""How many calls the prior counts for, by curve."""

_LEAST_BELIEF = 0.05  # calls, in each step
_STRANGERS = 0.3 / 86_400  # calls per second to a number of the pool; too few of them make late callers look sure
_STRANGERS_BELIEF = 2.0  # calls
_TRAIT_BELIEF = 10.0  # calls of a channel, or of visits of a length, that are expected of it without it
_REGION_BELIEF = 20.0  # calls from landlines


class Silence(NamedTuple):
    """Time in which a visitor could have called for the first time.

    ``live``: seconds for which their page was seen open. ``length``: the class of their visit's length. ``state``: what
    they did last; ``age``: for how many seconds since then they could have called, until now or until they did; of
    these ``skipped`` were before the time that is learned from.
    """

    channel: str
    live: float
    length: int
    state: State
    age: float
    skipped: float = 0.0


MAX_CHANNELS = 200
"""Channels whose visitors are told apart, those of most visits."""

OTHER_CHANNELS = ""
"""All the other channels; nobody of theirs calls more often, or less, than is usual."""

Trait = tuple[str, int | None]
"""A channel, and the class of a visit's length, None where that tells nothing."""


@dataclass(slots=True)
class Exposure:
    """Seconds that people spent in each step of the curves: ``visitors`` by trait and place, ``callers`` by step.

    ``numbers`` and ``overflow``: seconds in which a stranger could have called one of the pool's numbers, and the
    overflow number.
    """

    visitors: Mapping[Trait, Sequence[float]]
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


def silence(lease: Lease, channel: str, begin: datetime, end: datetime, called_at: datetime | None) -> Silence:
    """The time from ``begin`` to ``end`` in which a lease's visitor could have called for the first time.

    ``called_at``: when they did, None where they did not.
    """
    state, since = last_deed(lease, end)
    until = end if called_at is None else min(end, called_at)
    return Silence(
        channel,
        live=max(0.0, (min(lease.seen_at, until) - max(lease.started_at, begin)).total_seconds()),
        length=length_of((lease.seen_at - lease.started_at).total_seconds()),
        state=state,
        age=max(0.0, (until - since).total_seconds()),
        skipped=max(0.0, (begin - since).total_seconds()),
    )


class Heard(NamedTuple):
    """A call that is learned from. ``caller``: None if withheld; ``lease``: of whoever is taken to have made it."""

    at: datetime
    caller: str | None
    lease: str | None


def silences(
    shown: Iterable[tuple[Lease, str]], heard: Iterable[Heard], begin: datetime, end: datetime
) -> Iterator[Silence]:
    """The :func:`silence` of each lease, given with its visit's channel. ``heard``: calls of that time, by time."""
    first_calls: dict[str, datetime] = {}
    for call in heard:
        if call.lease is not None:
            first_calls.setdefault(call.lease, call.at)
    for lease, channel in shown:
        called_at = first_calls.get(lease.id)
        if called_at is None and lease.called:  # earlier than the calls that are looked at
            called_at = lease.started_at
        yield silence(lease, channel, begin, end, called_at)


def gaps(heard: Iterable[Heard], end: datetime) -> tuple[list[float], list[float]]:
    """Seconds between a caller's calls, and since each caller's last; ``heard`` are by time."""
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for call in heard:
        if call.caller:
            times[call.caller].append(call.at)
    between = [(later - earlier).total_seconds() for listed in times.values() for earlier, later in pairwise(listed)]
    return between, [(end - listed[-1]).total_seconds() for listed in times.values()]


def visitors_exposure(silences: Iterable[Silence]) -> dict[Trait, list[float]]:
    """The seconds that visitors spent in each step, by trait and place.

    Visitors write the names of channels: those of most visits are told apart, the others are one.
    """
    silences = list(silences)
    visits = Counter(silence.channel for silence in silences)
    named = {channel for channel, _ in visits.most_common(MAX_CHANNELS)}
    ages: defaultdict[tuple[str, int, State], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    live: defaultdict[str, float] = defaultdict(float)
    for silence in silences:
        channel = silence.channel if silence.channel in named else OTHER_CHANNELS
        live[channel] += silence.live
        whole, skipped = ages[channel, silence.length, silence.state]
        if silence.age > silence.skipped:
            whole.append(silence.age)
            skipped.append(silence.skipped)
    exposure: defaultdict[Trait, list[float]] = defaultdict(lambda: [0.0] * PLACES)
    for (channel, length, state), (whole, skipped) in ages.items():
        spent = zip(steps_exposure(whole), steps_exposure(skipped), strict=True)
        for step, (seconds, before) in enumerate(spent):
            place = state * STEPS + step
            known = length if length_tells(place) else None
            exposure[channel, known][place] += seconds - before
    for channel, seconds in live.items():
        for step in range(HEARTBEAT_STEPS):
            exposure[channel, None][State.SEEN * STEPS + step] += seconds * WIDTHS[step] / EDGES[HEARTBEAT_STEPS]
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
    length: int | None
    same_region: bool | None


@dataclass(slots=True)
class _Call:
    """A weighing as the rounds need it: ``kinds``, by their index, of those who may have called, and ``left``.

    ``strange``: it may have been nobody of them. ``by_chance``: the share of them whose region is the caller's; None
    where no region is known.
    """

    kinds: Sequence[int]
    left: Sequence[float]
    overflow: bool
    strange: bool
    by_chance: float | None


def _sorted(weighings: Iterable[Weighing]) -> tuple[list[_Call], list[_Kind]]:
    """The calls, and the kinds of people who may have made them: few, so that a round weighs each but once."""
    indexes: dict[tuple[int, str, int | None, bool | None], int] = {}
    calls = []
    for weighing in weighings:
        kinds = [(one.place, one.holder.visit.channel, one.length, one.same_region) for one in weighing.possible]
        regions = [one.same_region for one in weighing.possible if one.same_region is not None]
        calls.append(
            _Call(
                [indexes.setdefault(kind, len(indexes)) for kind in kinds],
                [one.left for one in weighing.possible],
                weighing.overflow,
                not weighing.somebody,
                sum(regions) / len(regions) if regions else None,
            )
        )
    return calls, [_Kind(*kind) for kind in indexes]


@dataclass(slots=True)
class _Counts:
    """Parts of calls, as the shares give them."""

    places: list[float] = field(default_factory=lambda: [0.0] * PLACES)
    channels: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    lengths: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
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
        stranger = call.strange * (curves.overflow_strangers if call.overflow else curves.strangers)
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
        if kind.length is not None:
            counts.lengths[kind.length] += share
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
    for trait, by_place in exposure.visitors.items():
        factor = curves.factor(*trait)
        for place in range(len(spent)):
            spent[place] += factor * by_place[place]
    rates = _rates(_alike_later(calls), _alike_later([*spent, *exposure.callers]))
    foreseen = {  # calls, were all traits alike
        trait: sum(rate * seconds for rate, seconds in zip(rates, by_place, strict=False))
        for trait, by_place in exposure.visitors.items()
    }
    channels = _factors(
        counts.channels,
        ((channel, n * curves.factor(OTHER_CHANNELS, length)) for (channel, length), n in foreseen.items()),
    )
    lengths = _factors(
        counts.lengths,
        ((length, n * curves.factor(channel, None)) for (channel, length), n in foreseen.items() if length is not None),
    )
    return replace(
        curves,
        rates=rates,
        channels={channel: factor for channel, factor in channels.items() if channel != OTHER_CHANNELS},
        lengths=[lengths.get(length, 1.0) for length in range(len(LENGTHS))],
        strangers=_strangers(counts.strangers, exposure.numbers, _STRANGERS),
        overflow_strangers=_strangers(counts.overflow_strangers, exposure.overflow, PRIOR.overflow_strangers),
        same_region=_by_chance(counts.same_region, counts.same_by_chance),
        other_region=_by_chance(counts.known_region - counts.same_region, counts.known_region - counts.same_by_chance),
    )


def _alike_later(by_place: Sequence[float]) -> list[float]:
    """With the late steps of visitors who closed the page, and of those who were not heard of again, taken together."""
    together = list(by_place)
    for step in range(LATE, STEPS):
        seen, left = State.SEEN * STEPS + step, State.LEFT * STEPS + step
        together[seen] = together[left] = by_place[seen] + by_place[left]
    return together


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


def _factors(found: Mapping[_Key, float], foreseen: Iterable[tuple[_Key, float]]) -> dict[_Key, float]:
    """By what factor visitors of each kind called more often than all visitors did in their place."""
    expected: defaultdict[_Key, float] = defaultdict(float)
    for key, calls in foreseen:
        expected[key] += calls
    all_expected = sum(expected.values())
    whole = sum(found.values()) / all_expected if all_expected else 1.0  # the level is the curves' to tell
    return {
        key: (found.get(key, 0.0) + _TRAIT_BELIEF) / (whole * calls + _TRAIT_BELIEF) for key, calls in expected.items()
    }


def _strangers(calls: float, seconds: float, prior: float) -> float:
    return (calls + _STRANGERS_BELIEF) / (seconds + _STRANGERS_BELIEF / prior)


def _by_chance(found: float, expected: float) -> float:
    """How much more often something was found than it would be by chance."""
    return (found + _REGION_BELIEF) / (expected + _REGION_BELIEF)


def worth_learning(learned: int, heard: int) -> bool:
    """Whether there are enough more calls than those learned from: half as many more, and 50 for a beginning."""
    return heard >= FIRST_LESSON and heard >= learned * LESSON_GROWTH
