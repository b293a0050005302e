"""Invented traffic of a website that tracks its calls, and the truth about each call.

What people do is not drawn from what pbxtrack believes of them. Times are lognormal or mixtures of that, rates swing
from one quarter of an hour to the next, and some habits (repeat calls, visits that come back, shared telephones) are of
no simple form at all, so that no model of pbxtrack's fits exactly. The trace has what a website and an Asterisk could
have told; who really called stands beside it, and is for whoever compares.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
HEARTBEAT = 60.0
"""How often a page that can be seen tells so."""

_QUARTER = 15 * MINUTE
_NEW_VISIT = 31 * MINUTE  # who comes back earlier goes on with the visit that they left
_TRIES = 50  # to draw a time of day at which people call


@dataclass(frozen=True, slots=True)
class Times:
    """A lognormal distribution of seconds; what is beyond its ends is taken for the ends."""

    median: float
    sigma: float
    least: float = 0.0
    most: float = math.inf

    def draw(self, chance: Random) -> float:
        return min(max(self.least, self.median * math.exp(self.sigma * chance.gauss(0, 1))), self.most)

    @property
    def mean(self) -> float:
        """The mean, the ends apart."""
        return self.median * math.exp(self.sigma**2 / 2)


@dataclass(frozen=True, slots=True)
class Source:
    """What brings visits: the addresses that they come with, the channel that these make, its share of visits.

    ``calls``: how likely they call, compared with others.
    """

    channel: str
    share: float
    page: str
    referrer: str = ""
    calls: float = 1.0


SOURCES = (
    Source("Paid: yandex", 0.50, "/?utm_source=yandex&utm_medium=cpc&utm_campaign=sofas"),
    Source("Organic search", 0.20, "/", "https://ya.ru/"),
    Source("Direct", 0.12, "/"),
    Source("Paid: google", 0.10, "/sofas?gclid=Cj0", "https://www.google.com/"),
    Source("Social", 0.05, "/?utm_source=vk&utm_medium=social"),
    Source("Referral", 0.03, "/contacts", "https://catalogue.example/furniture"),
)
"""Of visits that call as often whatever brought them."""

UNEVEN = tuple(
    replace(source, calls=calls) for source, calls in zip(SOURCES, (1.0, 1.4, 0.8, 1.2, 0.3, 2.0), strict=True)
)
"""The same, where some sources bring people who call and some bring people who look."""

# fmt: off
DAYTIME = (
    0.1, 0.05, 0.05, 0.05, 0.05, 0.1, 0.3, 0.6, 1.0, 1.5, 1.8, 1.9,
    1.9, 1.8, 1.8, 1.7, 1.7, 1.6, 1.5, 1.4, 1.2, 1.0, 0.6, 0.25,
)
# fmt: on
"""A shop's day: how busy each hour is, 1 on average."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What visitors and callers do. Shares are of 1, times in seconds."""

    visits_per_hour: float = 100.0
    by_hour: Sequence[float] = ()
    """How busy each hour of the day is, 1 on average; empty: all alike."""
    swing: float = 0.2
    """Sigma of the factor on the rate of each quarter of an hour."""
    sources: Sequence[Source] = UNEVEN
    regions: Mapping[str, float] = field(default_factory=lambda: {"495": 0.6, "812": 0.2, "": 0.2})

    visit_mean: float = 3 * MINUTE
    glance: float = 0.4
    """The share of visits that are no more than a glance."""
    leaves: float = 0.65
    """The share of visits whose end the page tells of."""
    hides: float = 0.2
    """The share of visits during which the page is out of sight for a while."""
    returns: float = 0.2
    """The share of visits by somebody who was there before."""
    return_after: Times = Times(20 * HOUR, 1.5, least=_NEW_VISIT)

    calls: float = 0.06
    """The share of visits that call."""
    during: float = 0.45
    soon: float = 0.41
    """Of those who call: how many do during the visit, and within minutes; the others call hours later."""
    soon_after: Times = Times(3 * MINUTE, 1.0, least=5.0, most=HOUR)
    later_after: Times = Times(5 * HOUR, 1.1, least=HOUR, most=7 * DAY)
    taps: float = 0.55
    """Of calls during a visit: how many begin with a tap on the number."""
    tap_before: Times = Times(7.0, 0.6, least=1.0, most=MINUTE)
    idle_taps: float = 0.02
    """The share of visits without a call in which the number is tapped all the same."""
    copies: float = 0.1
    """Of calls during a visit without a tap, and soon after one: before how many the number is copied."""
    idle_copies: float = 0.005
    kept: float = 0.4
    """Of those who call hours later: how many tapped or copied the number to have it then; the others noted it."""

    repeats: float = 0.25
    """The share of calls after which the caller calls once more, on the number they were shown."""
    repeat_after: Times = Times(14 * HOUR, 1.3, least=2 * MINUTE, most=20 * DAY)
    withheld: float = 0.04
    """The share of callers who withhold their number, each time."""
    shared: float = 0.01
    """The share of callers who use the telephone of another visitor who called."""
    strangers: float = 0.02
    """The share of calls by people who were shown nothing: wrong numbers, robots, a number's former callers."""


PRESETS: Mapping[str, Habits] = {
    "ordinary": Habits(),
    "few taps": Habits(taps=0.1, idle_taps=0.005, copies=0.03, kept=0.1, leaves=0.3),
    "late callers unseen": Habits(kept=0.0),
    "slow callers": Habits(during=0.25, soon=0.45, later_after=Times(9 * HOUR, 1.2, least=HOUR, most=10 * DAY)),
    "many repeats": Habits(repeats=0.45),
    "long visits": Habits(visit_mean=12 * MINUTE, glance=0.2, hides=0.5),
    "strangers": Habits(strangers=0.1),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called: the visit in which they were shown the number, whose it was, and what had brought it."""

    visit: str
    visitor: str
    channel: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """A trace, line by line in the order of time, and the truth: who made each call, None for a stranger."""

    lines: Sequence[Mapping[str, Any]]
    truth: Mapping[str, Caller | None]
    visitors: Mapping[str, str]
    """Whose each visit was."""

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write ``NAME.jsonl`` and ``NAME.truth.jsonl``; their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        trace, truth = folder / f"{name}.jsonl", folder / f"{name}.truth.jsonl"
        with trace.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in self.lines)
        with truth.open("w", encoding="utf-8") as file:
            for call, caller in self.truth.items():
                who = caller or Caller("", "", "")
                known = {"visit": who.visit or None, "visitor": who.visitor or None, "channel": who.channel or None}
                file.write(json.dumps({"call": call, **known}) + "\n")
        return trace, truth


def generate(habits: Habits, *, hours: float, numbers: Sequence[str], seed: int) -> Traffic:
    """So many hours of traffic; the same seed makes the same. ``numbers`` are the pool's, which strangers dial."""
    making = _Making(habits, hours * HOUR, Random(seed))
    for at in making.arrivals():
        making.visit(at)
    making.strangers(numbers)
    return making.done()


class _Making:
    """Traffic that is being made up."""

    def __init__(self, habits: Habits, end: float, chance: Random) -> None:
        self._habits, self._end, self._chance = habits, end, chance
        self._lines: list[dict[str, Any]] = []
        self._callers: list[Caller | None] = []  # of each call, in the order in which they were made up
        self._starts: list[float] = []  # of each visit, and whose it was
        self._visitors: list[str] = []
        self._gone: dict[str, float] = {}  # when each visitor's latest visit is over
        self._phones: dict[str, str | None] = {}  # of each visitor who called
        self._source: dict[str, Source] = {}  # what brought each visitor last
        self._rate = habits.calls * sum(one.share for one in habits.sources)
        self._rate /= sum(one.share * one.calls for one in habits.sources)
        shape = habits.glance * _GLANCE.mean + (1 - habits.glance) * _READING.mean
        self._stretch = habits.visit_mean / shape

    def arrivals(self) -> Iterator[float]:
        """When visits begin: at random, at a rate that is another each quarter of an hour."""
        habits, chance = self._habits, self._chance
        start = 0.0
        while start < self._end:
            swing = math.exp(habits.swing * chance.gauss(0, 1) - habits.swing**2 / 2)
            rate = habits.visits_per_hour / HOUR * self._busy(start) * swing
            at = start + chance.expovariate(rate)
            while at < min(start + _QUARTER, self._end):
                yield at
                at += chance.expovariate(rate)
            start += _QUARTER

    def visit(self, at: float) -> None:
        """A visit, the calls that come of it, and what its page tells."""
        chance, habits = self._chance, self._habits
        visitor, source = self._who(at)
        visit = f"s{len(self._starts) + 1}"
        self._starts.append(at)
        self._visitors.append(visitor)
        self._source[visitor] = source
        self._tell(
            at,
            type="visit", visit=visit, visitor=visitor, page=f"https://shop.example{source.page}",
            referrer=source.referrer, region=_pick(chance, habits.regions),
        )  # fmt: skip
        shape = _GLANCE if chance.random() < habits.glance else _READING
        length = shape.draw(chance) * self._stretch
        caller = Caller(visit, visitor, source.channel)
        if chance.random() < self._rate * source.calls:
            length = self._caller(caller, at, max(length, _READING.draw(chance) * self._stretch))
        else:
            self._idle(visit, at, length)
        self._looks(visit, at, length)
        self._gone[visitor] = at + length

    def strangers(self, numbers: Sequence[str]) -> None:
        """Calls by people who were shown nothing. Half of them are by a few who call again and again."""
        chance, share = self._chance, self._habits.strangers
        known = [_phone(chance) for _ in range(20)]
        for _ in range(round(len(self._callers) * share / (1 - share))):
            phone = chance.choice(known) if chance.random() < 0.5 else _phone(chance)
            at = self._waking(lambda: chance.uniform(0, self._end))
            self._call(at, None if chance.random() < 0.1 else phone, {"number": chance.choice(numbers)}, None)

    def done(self) -> Traffic:
        """In the order of time; calls are named in it too, so that a name tells nothing."""
        self._lines.sort(key=lambda line: line["t"])  # what was told at one time stays in the order it was told in
        truth: dict[str, Caller | None] = {}
        for line in self._lines:
            if line["type"] == "call":
                caller = self._callers[line["call"]]
                line["call"] = f"c{len(truth) + 1}"
                truth[line["call"]] = caller
        return Traffic(
            self._lines, truth, {f"s{place}": visitor for place, visitor in enumerate(self._visitors, start=1)}
        )

    def _who(self, at: float) -> tuple[str, Source]:
        """Somebody new, or who was here before; and what brings them now."""
        chance, habits = self._chance, self._habits
        source = chance.choices(habits.sources, [one.share for one in habits.sources])[0]
        new = f"v{len(self._starts) + 1}"
        if chance.random() >= habits.returns:
            return new, source
        earlier = bisect_right(self._starts, at - habits.return_after.draw(chance)) - 1
        if earlier < 0:
            return new, source
        visitor = self._visitors[earlier]
        if self._gone[visitor] > at - _NEW_VISIT:
            return new, source
        again = chance.random()  # by the same way, by a bookmark, or by another way
        direct = [one for one in habits.sources if one.channel == "Direct"]
        if again < 0.4:
            source = self._source[visitor]
        elif again < 0.8 and direct:
            source = direct[0]
        return visitor, source

    def _caller(self, caller: Caller, at: float, length: float) -> float:
        """The calls of somebody who calls; how long their visit lasts then."""
        chance, habits = self._chance, self._habits
        when = chance.random()
        if when < habits.during:
            called = at + max(10.0, length * chance.betavariate(2, 1.5))
            length = max(length, called - at)
            if chance.random() < habits.taps:
                tapped = max(at + 2.0, called - habits.tap_before.draw(chance))
                self._tell(tapped, type="renew", visit=caller.visit, event="tap")
                if chance.random() < 0.5:  # the telephone takes the page's place, and they do not come back to it
                    length = tapped - at
            elif chance.random() < habits.copies:
                self._tell(chance.uniform(at + 2.0, called), type="renew", visit=caller.visit, event="copy")
        elif when < habits.during + habits.soon:
            called = at + length + habits.soon_after.draw(chance)
            if chance.random() < habits.copies:
                self._tell(at + length * chance.uniform(0.5, 1), type="renew", visit=caller.visit, event="copy")
        else:
            called = self._after(at + length, habits.later_after)
            if chance.random() < habits.kept:
                event = chance.choice(("tap", "copy"))
                self._tell(at + length * chance.uniform(0.3, 1), type="renew", visit=caller.visit, event=event)
        phone = self._phone_of(caller.visitor)
        self._call(called, phone, {"visit": caller.visit}, caller)
        while chance.random() < habits.repeats:
            called = self._after(called, habits.repeat_after)
            self._call(called, phone, {"visit": caller.visit}, caller)
        return length

    def _idle(self, visit: str, at: float, length: float) -> None:
        """Taps and copies after which nobody calls."""
        for event, share in (("tap", self._habits.idle_taps), ("copy", self._habits.idle_copies)):
            if self._chance.random() < share:
                self._tell(at + length * self._chance.uniform(0.1, 1), type="renew", visit=visit, event=event)

    def _looks(self, visit: str, at: float, length: float) -> None:
        """Signs of life of the page while it can be seen, other pages, and its end."""
        chance, habits = self._chance, self._habits
        hidden = at + length, at + length
        if chance.random() < habits.hides:
            since = at + length * chance.random()
            hidden = since, since + _HIDDEN.draw(chance)
        beat = at + HEARTBEAT
        while beat < min(at + length, self._end):
            if hidden[0] <= beat < hidden[1]:
                beat = hidden[1]  # back in sight, which is told at once
                continue
            self._tell(beat, type="renew", visit=visit)
            beat += HEARTBEAT
        page = at + _PAGE.draw(chance)
        while page < at + length:
            if not hidden[0] <= page < hidden[1]:
                self._tell(page, type="renew", visit=visit, event="view")
            page += _PAGE.draw(chance)
        if chance.random() < habits.leaves:
            self._tell(at + length, type="renew", visit=visit, event="leave")

    def _phone_of(self, visitor: str) -> str | None:
        if visitor not in self._phones:
            chance, others = self._chance, list(self._phones.values())[-200:]
            phone: str | None = _phone(chance)
            if others and chance.random() < self._habits.shared:
                phone = chance.choice(others)
            elif chance.random() < self._habits.withheld:
                phone = None
            self._phones[visitor] = phone
        return self._phones[visitor]

    def _call(self, at: float, phone: str | None, dials: Mapping[str, str], caller: Caller | None) -> None:
        if at < self._end:
            self._tell(at, type="call", call=len(self._callers), **{"from": phone}, dials=dials)
            self._callers.append(caller)

    def _tell(self, at: float, **line: Any) -> None:
        if at < self._end:
            self._lines.append({"t": round(at, 1), **line})

    def _busy(self, at: float) -> float:
        return self._habits.by_hour[int(at % DAY // HOUR)] if self._habits.by_hour else 1.0

    def _after(self, since: float, after: Times) -> float:
        return self._waking(lambda: since + after.draw(self._chance))

    def _waking(self, draw: Callable[[], float]) -> float:
        """A time at which people are about: the busier the hour, the likelier."""
        for _ in range(_TRIES):
            at = draw()
            if self._chance.random() * max(self._habits.by_hour, default=1.0) <= self._busy(at):
                break
        return at


_GLANCE = Times(20.0, 0.8, least=2.0, most=2 * HOUR)
_READING = Times(220.0, 0.9, least=5.0, most=2 * HOUR)
_HIDDEN = Times(40.0, 0.9, least=2.0, most=150.0)
_PAGE = Times(75.0, 0.9, least=3.0)


def _pick(chance: Random, shares: Mapping[str, float]) -> str:
    return chance.choices(list(shares), list(shares.values()))[0]


def _phone(chance: Random) -> str:
    return f"+79{chance.randrange(10**9):09d}"
