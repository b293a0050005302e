"""What is known of calls: facts, in the past tense, as they are appended to the ledger.

A fact belongs to a call, which is named by the Asterisk it passed (``node``) and Asterisk's ``linkedid``, and most
often to one *leg* of it (an Asterisk channel, named by its uniqueid). Times are Asterisk's, aware, in UTC. Facts may
reach us twice, late or never, in any order; :mod:`pbxtrack.calls.lifecycle` makes the same call of them in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar

import orjson

from pbxtrack import utc

MAX_TEXT = 512  # characters of any text from outside that a fact keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a call at a moment."""

    node: str
    linkedid: str
    at: datetime
    leg: str = ""

    kind: ClassVar[str] = "fact"

    @property
    def call_id(self) -> str:
        return call_id(self.node, self.linkedid)

    @property
    def key(self) -> str:
        """Names this fact within its call: the same event heard twice, or by two listeners, has the same key."""
        return f"{self.kind}:{self.leg}:{microseconds(self.at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArrived(Fact):
    """A caller dialled a number of ours. ``leg`` is the caller's.

    ``dialled`` and ``caller`` are as Asterisk had them; ``heard`` says who told us: ``agi`` or ``ami``.
    """

    dialled: str
    caller: str | None
    caller_name: str | None = None
    withheld: bool = False
    heard: str = "ami"

    kind = "arrived"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.leg}:{self.heard}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDialled(Fact):
    """Asterisk began to call a line; ``leg`` is the line's, ``name`` its Asterisk channel (``PJSIP/sales-0001``)."""

    name: str
    kind = "dialled"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRang(Fact):
    """The line said that it rings."""

    name: str
    kind = "rang"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAnswered(Fact):
    """The line picked up."""

    name: str
    kind = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFailed(Fact):
    """The line did not pick up; ``status`` is Asterisk's: BUSY NOANSWER CANCEL CHANUNAVAIL CONGESTION…"""

    name: str
    status: str
    kind = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegJoined(Fact):
    """A leg entered a bridge: it can talk to whoever else is in one."""

    name: str
    bridge: str
    kind = "joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegLeft(Fact):
    """A leg left a bridge."""

    bridge: str
    kind = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupRequested(Fact):
    """The far end of this leg hung up, or refused; ``cause`` is Q.850."""

    cause: int | None = None
    kind = "hangup"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded(Fact):
    """A leg is gone; ``cause`` is Q.850. ``unseen``: found gone after a break, the time is when that was noticed."""

    cause: int | None = None
    unseen: bool = False
    kind = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQueued(Fact):
    """The call waits in a queue for somebody to answer; what is connected meanwhile only plays music."""

    kind = "queued"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred(Fact):
    """Somebody sent the call on; ``how`` is blind or attended, ``target`` what was dialled."""

    how: str
    target: str
    kind = "transferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(Fact):
    """Asterisk began to record; ``file`` is relative to Asterisk's monitor directory."""

    file: str
    kind = "recording"


FALLBACK_REASONS = ("timeout", "unanswered", "unknown-number", "not-a-number")  # that our dialplan knows
OTHER_REASON = "other"  # for all else, where reasons are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackTaken(Fact):
    """The dialplan went on without our answer. ``reason``: one of FALLBACK_REASONS, or what a user's dialplan says."""

    reason: str
    kind = "fallback"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.leg}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledOut(Fact):
    """The company called a number; ``number`` is as the dialplan has it, ``leg`` that of whoever called."""

    number: str
    kind = "called_out"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.leg}"


KINDS: Mapping[str, type[Fact]] = {
    cls.kind: cls
    for cls in (
        CallArrived, LineDialled, LineRang, LineAnswered, LineFailed, LegJoined, LegLeft, HangupRequested, LegEnded,
        CallQueued, CallTransferred, RecordingStarted, FallbackTaken, CalledOut,
    )
}  # fmt: skip
_COMMON = frozenset(field.name for field in fields(Fact))


def call_id(node: str, linkedid: str) -> str:
    """The call's id, everywhere: ``pbx1-1795322452.12``. Engineers can search Asterisk's own logs for it."""
    return f"{node}-{linkedid}"


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """What :func:`microseconds` was of."""
    return _EPOCH + timedelta(0, 0, number)


def details(fact: Fact) -> dict[str, Any]:
    """What a fact says beyond node, call, time and leg, as JSON can hold it."""
    return {name: getattr(fact, name) for name in _own_fields(fact.kind)}


@cache
def _own_fields(kind: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(KINDS[kind]) if field.name not in _COMMON)


Entry = tuple[str, str, str, str, str]
"""A fact as it is kept with its call: kind, time (as :func:`pbxtrack.utc.texts` has it), leg, key, details as JSON."""


def entries(facts: Sequence[Fact]) -> tuple[Entry, ...]:
    """The facts as they are kept, in their order."""
    times = utc.texts([fact.at for fact in facts])
    return tuple(
        [(fact.kind, at, fact.leg, fact.key, _written(fact.kind)(fact)) for fact, at in zip(facts, times, strict=True)]
    )


def restored(node: str, linkedid: str, entry: Entry) -> Fact:
    """The fact that was kept so."""
    kind, at, leg, _, data = entry
    time = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return restore(kind, node=node, linkedid=linkedid, at=time, leg=leg, data=orjson.loads(data))


def plain(fact: Fact) -> tuple[Any, ...]:
    """A fact without its call, as numbers and texts."""
    return (fact.kind, microseconds(fact.at), fact.leg, *_values(fact.kind)(fact))


def from_plain(node: str, linkedid: str, given: tuple[Any, ...]) -> Fact:
    """What :func:`plain` was made of."""
    kind, at, leg, *values = given
    data = dict(zip(_own_fields(kind), values, strict=True))
    return restore(kind, node=node, linkedid=linkedid, at=from_microseconds(at), leg=leg, data=data)


@cache
def _values(kind: str) -> Callable[[Fact], tuple[Any, ...]]:
    """Reads what a fact says beyond call, time and leg."""
    names = _own_fields(kind)
    if len(names) > 1:
        return attrgetter(*names)
    return lambda fact: tuple([getattr(fact, name) for name in names])


@cache
def _written(kind: str) -> Callable[[Fact], str]:
    """Writes such a fact's details as JSON."""
    names = _own_fields(kind)
    if not names:
        return lambda _: "{}"
    values: Callable[[Fact], Any] = attrgetter(*names)
    if len(names) == 1:
        (name,) = names
        return lambda fact: orjson.dumps({name: values(fact)}).decode()
    return lambda fact: orjson.dumps(dict(zip(names, values(fact), strict=True))).decode()


def restore(kind: str, *, node: str, linkedid: str, at: datetime, leg: str, data: Mapping[str, Any]) -> Fact:
    """The fact that was stored; raises KeyError for a kind that this version does not know."""
    return KINDS[kind](node=node, linkedid=linkedid, at=at, leg=leg, **data)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
