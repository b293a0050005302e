"""A day of invented AMI traffic: the recorded calls, with other ids, numbers and times, many of them at once.

The same seed gives the same day, so that whoever plays it and whoever checks what came of it need not talk.
"""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, func, select

from pbxtrack.calls.events import Fact
from pbxtrack.calls.lifecycle import Status
from pbxtrack.storage.tables import call_facts, calls
from pbxtrack.testing.fake_asterisk import encode
from tests.unit.ami_traces import NODE, facts_of, load

DAY = 86_400.0  # seconds
_MOST_LEGS = 10  # of a call; so many serial numbers each call has of its own
_STRETCH = (40.0, 300.0)  # recorded calls last seconds, real ones minutes
_OURS = 0.85  # of the calls are tracked; the rest have nothing of ours on them
_AGAIN = 0.3  # of the callers have called before
# Calls by the hour: two peaks and a quiet night.
_HOURS = (1, 1, 1, 1, 1, 2, 5, 12, 30, 52, 60, 58, 48, 50, 60, 58, 50, 38, 24, 14, 9, 6, 3, 2)


@dataclass(frozen=True, slots=True)
class Kind:
    """A recorded call, what became of it, and how many of a hundred calls are like it."""

    trace: str
    status: Status
    share: int


KINDS = (
    Kind("lab/fallback_answered", Status.ANSWERED, 31),
    Kind("lab/ringgroup", Status.ANSWERED, 12),
    Kind("lab/abandoned", Status.ABANDONED, 8),
    Kind("lab/missed", Status.MISSED, 8),
    Kind("lab/queue_answered", Status.ANSWERED, 6),
    Kind("lab/queue", Status.ABANDONED, 5),
    Kind("lab/busy", Status.BUSY, 5),
    Kind("lab/blind_transfer", Status.ANSWERED, 5),
    Kind("mixmon", Status.ANSWERED, 5),
    Kind("lab/local", Status.ANSWERED, 4),
    Kind("lab/local_n", Status.ANSWERED, 3),
    Kind("lab/caller_transfer", Status.ANSWERED, 2),
    Kind("lab/withheld", Status.ANSWERED, 2),
    Kind("lab/rejected", Status.FAILED, 1),
    Kind("lab/local_busy", Status.BUSY, 1),
    Kind("lab/nocontact", Status.FAILED, 1),
    Kind("lab/notanumber", Status.ANSWERED, 1),
)

_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a bridge
    r"|\b[0-9]{10}\.[0-9]{1,5}\b"  # a leg
    r"|(?<=-)[0-9a-f]{8}"  # an Asterisk channel's number
    r"|9161234567|2025550123"  # the caller
    r"|4951230001|4951230100"  # the number dialled
    r"|@TIME@"
)


@dataclass(frozen=True, slots=True)
class _Event:
    after: float  # seconds since the call's first
    parts: tuple[str, ...]  # every other one varies


@dataclass(frozen=True, slots=True)
class _Recorded:
    events: Sequence[_Event]
    legs: Sequence[tuple[str, float]]  # ids as recorded, the caller's first, with the time of their first event
    others: Sequence[str]  # channels and bridges
    facts: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A call of the day. ``linkedid`` is what Asterisk calls it; the times are in seconds since 1970."""

    index: int
    kind: Kind
    ours: bool
    starts: float
    stretch: float
    caller: str
    dialled: str

    @property
    def linkedid(self) -> str:
        return _leg_id(self, 0, 0.0)

    @property
    def events(self) -> int:
        return len(_recorded(self.kind.trace, self.ours).events)

    @property
    def facts(self) -> int:
        """How many facts of it belong in the log."""
        return _recorded(self.kind.trace, ours=True).facts if self.ours else 0


def plan(events: int, numbers: Sequence[str], begin: float, *, lasts: float = DAY, seed: int = 1) -> list[Planned]:
    """The calls of the day that begins then, in order: at least so many events. ``numbers`` (E.164) are dialled.

    A day that ``lasts`` less seconds has as many calls at once with so much fewer events.
    """
    chance = random.Random(seed)
    kinds = []
    while events > 0:
        kind, ours = chance.choices(KINDS, [kind.share for kind in KINDS])[0], chance.random() < _OURS
        kinds.append((kind, ours))
        events -= len(_recorded(kind.trace, ours).events)
    hours = chance.choices(range(24), _HOURS, k=len(kinds))
    starts = sorted(begin + (hour + chance.random()) * lasts / 24 for hour in hours)
    planned: list[Planned] = []
    for index, ((kind, ours), start) in enumerate(zip(kinds, starts, strict=True)):
        known = planned[chance.randrange(index)].caller if index and chance.random() < _AGAIN else ""
        caller = known or f"9{chance.randrange(10**9):09}"
        dialled = chance.choice(numbers)[-10:]
        planned.append(Planned(index, kind, ours, start, chance.uniform(*_STRETCH), caller, dialled))
    return planned


def play(planned: Sequence[Planned]) -> Iterator[bytes]:
    """The events of these calls as Asterisk writes them, in the order of their times."""
    going: list[tuple[float, int, Iterator[tuple[float, bytes]], bytes]] = []
    waiting = iter(planned)
    following = next(waiting, None)
    while going or following:
        if following and (not going or following.starts <= going[0][0]):
            told = _events(following)
            at, said = next(told)
            heapq.heappush(going, (at, following.index, told, said))
            following = next(waiting, None)
            continue
        _, index, told, said = going[0]
        yield said
        if after := next(told, None):
            heapq.heapreplace(going, (after[0], index, told, after[1]))
        else:
            heapq.heappop(going)


def most_at_once(planned: Sequence[Planned]) -> int:
    """How many calls go on at the busiest moment."""
    ends = [
        (call.starts + call.stretch * _recorded(call.kind.trace, call.ours).events[-1].after, -1) for call in planned
    ]
    most = present = 0
    for _, step in sorted(ends + [(call.starts, 1) for call in planned]):
        present += step
        most = max(most, present)
    return most


def differences(connection: Connection, planned: Sequence[Planned]) -> list[str]:
    """What is wrong in the log after these calls: one lost, one that was none, a wrong end, too many or few facts."""
    expected = {f"{NODE}-{call.linkedid}": call for call in planned if call.ours}
    status = {row.id: row.status for row in connection.execute(select(calls.c.id, calls.c.status))}
    counted = select(call_facts.c.linkedid, func.count().label("facts")).group_by(call_facts.c.linkedid)
    facts = {f"{NODE}-{row.linkedid}": row.facts for row in connection.execute(counted)}
    found = [f"{name}: no call of the day" for name in (status.keys() | facts.keys()) - expected.keys()]
    for name, call in expected.items():
        is_there, should_be = (status.get(name), facts.get(name, 0)), (call.kind.status.value, call.facts)
        if is_there != should_be:
            found.append(f"{name} ({call.kind.trace}): {is_there}, not {should_be}")
    return found


def _events(call: Planned) -> Iterator[tuple[float, bytes]]:
    recorded = _recorded(call.kind.trace, call.ours)
    values = {leg: _leg_id(call, index, after) for index, (leg, after) in enumerate(recorded.legs)}
    for index, name in enumerate(recorded.others):
        own = f"{(call.index * 16 + index) & 0xFFFFFFFF:08x}"
        values[name] = own + name[8:]
    values |= dict.fromkeys(("9161234567", "2025550123"), call.caller)
    values |= dict.fromkeys(("4951230001", "4951230100"), call.dialled)
    for event in recorded.events:
        at = call.starts + event.after * call.stretch
        values["@TIME@"] = f"{at:.6f}"
        said = list(event.parts)
        said[1::2] = [values[part] for part in said[1::2]]
        yield at, "".join(said).encode()


def _leg_id(call: Planned, index: int, after: float) -> str:
    """As Asterisk makes them: the second, and a number that is never the same."""
    return f"{int(call.starts + after * call.stretch)}.{call.index * _MOST_LEGS + index}"


@cache
def _recorded(trace: str, ours: bool) -> _Recorded:
    """A trace as pbxtrack's own AMI user hears it, cut at what differs from call to call."""
    events: list[_Event] = []
    legs: dict[str, float] = {}
    others: set[str] = set()
    heard = [event for event in load(trace) if event.get("Privilege") == "call,all"]
    first = latest = float(str(heard[0]["Timestamp"]))
    for event in heard:
        latest = max(latest, float(str(event["Timestamp"])))
        fields = {name: value for name, value in event.items() if isinstance(value, str | list)}
        text = encode(fields | {"Timestamp": "@TIME@"}).decode()
        if not ours:
            text = re.sub(r"(PBXTRACK_\w+=)[^\r]*", r"\1", text)
        elif trace != "lab/notanumber":  # recorded without pbxtrack: these went on without its answer
            text = text.replace("PBXTRACK_FALLBACK=unanswered", "PBXTRACK_FALLBACK=")
        parts = _VARYING.split(text)
        varying = _VARYING.findall(text)
        events.append(_Event(latest - first, tuple(_alternating(parts, varying))))
        for name in varying:
            if "." in name:
                legs.setdefault(name, latest - first)
            elif len(name) != 10 and name != "@TIME@":
                others.add(name)
    assert len(legs) <= _MOST_LEGS
    assert len(others) <= 16
    return _Recorded(events, list(legs.items()), sorted(others), len(_kept(trace)) if ours else 0)


def _kept(trace: str) -> dict[tuple[str, str], Fact]:
    facts = facts_of(event for event in load(trace) if event.get("Privilege") == "call,all")
    wanted = [fact for fact in facts if fact.kind != "fallback" or trace == "lab/notanumber"]
    return {(fact.call_id, fact.key): fact for fact in wanted}


def _alternating(fixed: Sequence[str], varying: Sequence[str]) -> Iterator[str]:
    for before, name in zip(fixed, varying, strict=False):
        yield before
        yield name
    yield fixed[-1]
