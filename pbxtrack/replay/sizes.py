"""What a site's pool would have been worth at other sizes and holds: its own traffic, replayed at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pbxtrack.pool import sizing
from pbxtrack.replay.engine import Engine, accuracy, run
from pbxtrack.replay.recorded import Traffic
from pbxtrack.replay.site import of_size
from pbxtrack.sitefile.model import Site

_PARTS = (0.5, 0.75, 1.0, 1.5, 2.0)  # of the numbers that the site has, or needs


@dataclass(frozen=True, slots=True)
class Outcome:
    """A size and a hold: the share of calls that went to the visitor whom they came from, and of visitors who found
    no number; ``at_peak``: the most numbers that were held at once. None where there was no such call.
    """

    numbers: int
    hold: timedelta
    accuracy: float | None
    blocking: float
    at_peak: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried: sizes with holds. ``load`` in erlangs at ``hold``, and the numbers ``needed`` for it by
    Erlang's formula; ``have``: the site's own.
    """

    hold: timedelta
    load: float
    needed: int
    have: int
    tried: Sequence[tuple[int, timedelta]]


def plan(site: Site, traffic: Traffic, hold: timedelta | None, most_blocked: float) -> Plan:
    """What to try for a site with this hold; None: its own, half of it and twice as much.

    Raises ValueError where there was no load, or too much.
    """
    have = sum(len(pool.numbers) for pool in site.pools)
    load = sizing.offered_load(traffic.busiest, traffic.visit, hold or site.hold)
    needed = sizing.numbers_needed(load, most_blocked)
    holds = [hold] if hold else holds_around(site.hold)
    tried = [(numbers, held) for held in holds for numbers in sizes_around(have, needed)]
    return Plan(hold or site.hold, load, needed, have, tried)


def sizes_around(*numbers: int) -> list[int]:
    """The sizes to be tried: those, and smaller and larger ones."""
    return sorted({max(1, round(number * part)) for number in numbers if number for part in _PARTS})


def holds_around(hold: timedelta) -> list[timedelta]:
    """The holds to be tried: this one, half and twice as long."""
    return [hold / 2, hold, hold * 2]


def replayed(site: Site, traffic: Traffic, numbers: int, hold: timedelta) -> Outcome:
    """What the traffic would have met with so many numbers and this hold."""
    stage = of_size(site, numbers, hold)
    engine = Engine(stage.site, stage.pools)
    events = traffic.events([number for listed in stage.pools.values() for number in listed])
    right = accuracy(run(engine, events))
    return Outcome(numbers, hold, right, engine.blocking, engine.peak)


def best(outcomes: Sequence[Outcome], most_blocked: float) -> Outcome | None:
    """The fewest numbers with which, at some hold, no more visitors find none, and calls are as good as at any size.

    As good: within one in a hundred of the best.
    """
    good = [one for one in outcomes if one.blocking <= most_blocked]
    most = max((one.accuracy or 0.0 for one in good), default=0.0)
    return min(
        (one for one in good if (one.accuracy or 0.0) >= most - 0.01),
        key=lambda one: (one.numbers, -(one.accuracy or 0.0)),
        default=None,
    )
