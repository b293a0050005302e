"""Which advertising brought a call: a pure function of what was known when it arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pbxtrack.pool.model import Holder, NumberKind, Resolution, Visit

CALLER_BINDING = timedelta(days=90)
"""How long a caller who dials the same number again belongs to the visit that they were shown it in."""

# First estimates, until a site's own calls teach better ones. The guide that the field quotes says about 90 % for
# dynamic tracking. A caller who was tied to a visit and dials the very number again is surer than any newcomer.
_SURE_LEASE = 0.9
_SURE_CALLER = 0.95
_PAST_LEASE = 0.6
_PAST_HALF_LIFE = timedelta(hours=6)


class Method(StrEnum):
    """How a call was attributed."""

    STATIC = "static"  # the number is one channel's
    LEASE = "lease"  # somebody holds the number
    CALLER = "caller"  # this caller's own earlier call on this number
    PAST_LEASE = "past_lease"  # nobody holds it; somebody did
    OVERFLOW = "overflow"  # shown to everybody for whom no number was left
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A visit that the call may have come from, with its probability."""

    visit: str
    channel: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """The tie between a call and a channel. ``confidence`` is a probability; ``why`` one sentence for people."""

    method: Method
    why: str
    channel: str | None = None
    visit: Visit | None = None
    lease: str | None = None
    confidence: float = 0.0
    candidates: Sequence[Candidate] = ()


def attribute(known: Resolution) -> Attribution:
    """Attribute a call by what was known when it arrived."""
    owner = known.owner
    if owner is None:
        return Attribution(Method.NONE, "The dialled number is not one of ours.")
    if owner.kind is NumberKind.STATIC:
        channel = owner.channel or ""
        return Attribution(Method.STATIC, f"The number belongs to the channel {channel}.", channel, confidence=1.0)
    if owner.kind is NumberKind.OVERFLOW:
        return Attribution(Method.OVERFLOW, "The overflow number, shown to visitors when the pool was used up.")
    if known.bound is not None:
        return _by_caller(known, known.bound)
    if known.current is not None:
        return _by_lease(known, known.current)
    if known.earlier:
        return _by_past_lease(known, known.earlier[0])
    return Attribution(Method.NONE, "Nobody had been shown this number before the call.")


def _by_caller(known: Resolution, bound: Visit) -> Attribution:
    others = [known.current] if known.current and known.current.visit.id != bound.id else []
    return Attribution(
        Method.CALLER,
        "The same caller dialled this number before and belongs to the visit in which it was shown.",
        bound.channel,
        bound,
        confidence=_SURE_CALLER,
        candidates=(_candidate(bound, _SURE_CALLER), *_share(others, 1 - _SURE_CALLER)),
    )


def _by_lease(known: Resolution, holder: Holder) -> Attribution:
    idle = known.at - holder.lease.seen_at
    return Attribution(
        Method.LEASE,
        f"The number was held for this visit; its last sign of life was {_ago(idle)} before the call.",
        holder.visit.channel,
        holder.visit,
        holder.lease.id,
        _SURE_LEASE,
        (_candidate(holder.visit, _SURE_LEASE), *_share(known.earlier[:1], 1 - _SURE_LEASE)),
    )


def _by_past_lease(known: Resolution, last: Holder) -> Attribution:
    gone = max(known.at - last.lease.ends_at, timedelta())
    confidence = round(float(_PAST_LEASE * 0.5 ** (gone / _PAST_HALF_LIFE)), 3)
    return Attribution(
        Method.PAST_LEASE,
        f"Nobody held the number; this visit held it last, until {_ago(gone)} before the call.",
        last.visit.channel,
        last.visit,
        last.lease.id,
        confidence,
        (_candidate(last.visit, confidence), *_share(known.earlier[1:2], (1 - confidence) / 4)),
    )


def _candidate(visit: Visit, confidence: float) -> Candidate:
    return Candidate(visit.id, visit.channel, round(confidence, 3))


def _share(holders: Sequence[Holder], rest: float) -> list[Candidate]:
    """Half of what is left goes to the others who may have seen the number; the rest to somebody unknown."""
    return [_candidate(holder.visit, rest / 2 / len(holders)) for holder in holders]


def _ago(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(seconds, 0)} seconds"
