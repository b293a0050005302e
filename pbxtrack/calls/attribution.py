"""Which advertising brought a call: a pure function of what was known when it arrived.

Everybody who was shown the number may have called it, and people whom nobody showed it may, too. Each is weighed by the
site's curves (see :mod:`pbxtrack.calls.curves`); the probabilities are the shares of the weights. A caller who was tied
to a visitor before is that visitor, whoever holds the number now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pbxtrack.calls import reasons
from pbxtrack.calls.curves import State, place_of
from pbxtrack.calls.evidence import Correction, EarlierCall, Holder, Resolution, Tie, last_deed, visit_length
from pbxtrack.numbers import landline_region
from pbxtrack.pool.model import NumberKind, Visit

MAX_CANDIDATES = 8
"""How many of those who may have called are kept with a call, the likeliest."""

_NEGLIGIBLE = 0.005  # a candidate that is less likely is not kept
_SURE = 0.9  # from which probability on something is said without a doubt
_SHARED_PHONE = 0.02  # how often another person calls from a phone that is known
_SECOND_PHONE = 0.02  # how often somebody who called calls from another phone


class Method(StrEnum):
    """How a call was attributed."""

    STATIC = "static"  # the number is one channel's
    LEASE = "lease"  # somebody holds the number
    CALLER = "caller"  # this caller's own earlier call
    PAST_LEASE = "past_lease"  # somebody who held it earlier
    OVERFLOW = "overflow"  # shown to everybody for whom no number was left
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A visit that the call may have come from, with its probability.

    It is the visitor's latest in which they were shown the number; the probability is the visitor's.
    """

    visit: str
    channel: str
    confidence: float
    visitor: str = ""
    lease: str = ""


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


class Possible(NamedTuple):
    """Somebody who may have called for the first time.

    ``place``: of what they did last, on the curves. ``length``: the class of their visit's length; None where it tells
    nothing, see :func:`~pbxtrack.calls.evidence.visit_length`. ``left``: the probability that
    they have not called before, from another phone. ``same_region``: whether their region is that of the caller's
    landline; None where that is unknown.
    """

    holder: Holder
    place: int
    length: int | None
    left: float
    same_region: bool | None


@dataclass(frozen=True, slots=True)
class Weighing:
    """Who may have called. ``shares``: probabilities by visitor; what they lack to 1 is nobody we know.

    ``again``: the caller is known from an earlier call; ``told`` is the channel that people said brought that one, if
    they did. Else ``possible`` is what the shares were made of; it is what the curves are learned from. ``somebody``:
    it is known to be one of these.
    """

    shares: Mapping[str, float]
    holders: Mapping[str, Holder]  # by visitor: the latest lease in which they were shown the number
    again: bool
    possible: Sequence[Possible] = ()
    overflow: bool = False
    told: str | None = None
    somebody: bool = False

    @property
    def nobody(self) -> float:
        """The probability that it was nobody whom we showed the number."""
        return max(0.0, 1 - sum(self.shares.values()))


def attribute(known: Resolution) -> Attribution:
    """Attribute a call by what was known when it arrived."""
    owner = known.owner
    if owner is None:
        return Attribution(Method.NONE, reasons.NOT_OURS)
    if owner.kind is NumberKind.STATIC:
        channel = owner.channel or ""
        return Attribution(Method.STATIC, reasons.STATIC % {"channel": channel}, channel, confidence=1.0)
    return decide(known, weigh(known))


def weigh(known: Resolution) -> Weighing:
    """Who may have dialled a pool's number, or the overflow number."""
    holders: dict[str, Holder] = {}
    for holder in known.holders:
        holders.setdefault(holder.visit.visitor, holder)
    first = _weigh_holders(known, holders)
    return _weigh_caller(known, holders, first) or first


def _weigh_caller(known: Resolution, holders: Mapping[str, Holder], first: Weighing) -> Weighing | None:
    """The caller's earlier calls say who they are; None where they say nothing about this number.

    What people said counts before all else, then the latest call to this number, then the latest to another. As far as
    it does not tell who the caller is, they are anybody.
    """
    if known.caller is None:
        return None
    by_caller = [call for call in known.calls if call.caller == known.caller]
    for call in sorted(by_caller, key=lambda call: (call.told is None, call.number != known.number)):
        tied = {tie.visitor: tie.share for tie in call.ties if tie.visitor in holders}
        unknown = call.unknown if call.number == known.number else 0.0
        if (tells := sum(tied.values()) + unknown) > _NEGLIGIBLE:
            anybody = 1 - tells * (1 - _SHARED_PHONE)
            shares = {visitor: share * anybody for visitor, share in first.shares.items()}
            for visitor, share in tied.items():
                shares[visitor] = shares.get(visitor, 0.0) + share * (1 - _SHARED_PHONE)
            if tells <= 0.5:
                return replace(first, shares=shares)
            return Weighing(shares, holders, again=True, overflow=first.overflow, told=call.told)
    return None


def _weigh_holders(known: Resolution, holders: Mapping[str, Holder]) -> Weighing:
    assert known.owner is not None
    overflow = known.owner.kind is NumberKind.OVERFLOW
    called = _called(known)
    caller_region = landline_region(known.caller) if known.caller else None
    curves = known.curves
    possible: list[Possible] = []
    weights: dict[str, float] = {}
    for visitor, holder in holders.items():
        left = max(1 - called.get(visitor, 0.0), _SECOND_PHONE)
        same = holder.visit.region == caller_region if caller_region and holder.visit.region else None
        state, since = last_deed(holder.lease, known.at)
        place = place_of(state, (known.at - since).total_seconds())
        length = visit_length(place, holder.lease, known.at)
        possible.append(Possible(holder, place, length, left, same))
        weights[visitor] = left * curves.weight(place, holder.visit.channel, length, same)
    if known.caller is None:
        _add_withheld(weights, known, holders)
    total = sum(weights.values()) + (curves.overflow_strangers if overflow else curves.strangers)
    shares = {visitor: weight / total for visitor, weight in weights.items()}
    return Weighing(shares, holders, again=False, possible=possible, overflow=overflow)


def _called(known: Resolution) -> dict[str, float]:
    """How probably each visitor has called already, from another phone than this caller's; 1 or more is surely."""
    called: dict[str, float] = {}
    counted: set[str] = set()  # a caller's latest call tells best who they are
    for call in known.calls:
        if call.caller is not None:
            if call.caller == known.caller or call.caller in counted:
                continue
            counted.add(call.caller)
        for visitor, _, share in call.ties:
            called[visitor] = called.get(visitor, 0.0) + share
    return called


def _add_withheld(weights: dict[str, float], known: Resolution, holders: Mapping[str, Holder]) -> None:
    """Whoever called without a number may do so again, and is not to be told from the others by it."""
    for call in known.calls:
        if call.caller is None and call.number == known.number:
            rate = known.curves.rates[place_of(State.AGAIN, (known.at - call.at).total_seconds())]
            for tie in call.ties:
                if tie.visitor in holders:
                    weights[tie.visitor] = weights.get(tie.visitor, 0.0) + tie.share * rate


def earlier_call(
    at: datetime, number: str, caller: str | None, candidates: Iterable[Candidate], correction: Correction | None = None
) -> EarlierCall:
    """A call as later ones see it: of those who may have made it, whom people said, where they corrected it."""
    if correction is None:
        return EarlierCall(at, number, caller, _ties(candidates))
    if correction.tie is not None:
        return EarlierCall(at, number, caller, [correction.tie], correction.channel)
    fit = _ties(one for one in candidates if one.channel == correction.channel)
    whole = sum(tie.share for tie in fit)
    return EarlierCall(at, number, caller, [tie._replace(share=tie.share / whole) for tie in fit], correction.channel)


def _ties(candidates: Iterable[Candidate]) -> list[Tie]:
    # Candidates that were kept before attribution had probabilities name no visitor: they tie nobody.
    return [Tie(one.visitor, one.lease, one.confidence) for one in candidates if one.visitor]


def as_told(weighing: Weighing, correction: Correction) -> Weighing:
    """What there is to learn from a call that people corrected: it was who they said, or one of that channel."""
    possible = [
        one
        for one in weighing.possible
        if (
            one.holder.visit.visitor == correction.tie.visitor
            if correction.tie
            else one.holder.visit.channel == correction.channel
        )
    ]
    return replace(weighing, possible=possible, somebody=bool(possible))


def decide(known: Resolution, weighing: Weighing) -> Attribution:
    """What is said of a call, of those who may have made it."""
    likeliest = sorted(weighing.shares.items(), key=lambda entry: (-entry[1], entry[0]))
    candidates = tuple(
        Candidate(holder.visit.id, holder.visit.channel, round(share, 4), visitor, holder.lease.id)
        for visitor, share in likeliest[:MAX_CANDIDATES]
        if share >= _NEGLIGIBLE
        for holder in (weighing.holders[visitor],)
    )
    nobody = weighing.nobody
    if weighing.told is not None and nobody > 0.5:
        return Attribution(
            Method.CALLER,
            reasons.AGAIN_TOLD % {"channel": weighing.told},
            weighing.told,
            confidence=round(nobody, 4),
            candidates=candidates,
        )
    if not candidates or nobody > 0.5:
        return Attribution(Method.NONE, _why_nobody(known, weighing, nobody), candidates=candidates)
    visitor, share = likeliest[0]
    holder = weighing.holders[visitor]
    return Attribution(
        _method(known, weighing, holder),
        _why(known, weighing, holder),
        holder.visit.channel,
        holder.visit,
        holder.lease.id,
        round(share, 4),
        candidates,
    )


def _method(known: Resolution, weighing: Weighing, holder: Holder) -> Method:
    if weighing.again:
        return Method.CALLER
    if weighing.overflow:
        return Method.OVERFLOW
    return Method.LEASE if holder is known.holders[0] and holder.lease.live(known.at) else Method.PAST_LEASE


def _why(known: Resolution, weighing: Weighing, holder: Holder) -> str:
    if weighing.told is not None:
        return reasons.AGAIN_TOLD % {"channel": weighing.told}
    if weighing.again:
        if (share := weighing.shares[holder.visit.visitor]) < _SURE:
            return reasons.AGAIN_LIKELIEST % {"share": f"{reasons.percents(round(share, 4))}%"}
        return reasons.AGAIN
    sign = _sign(holder, known.at)
    others = reasons.others(sum(1 for share in weighing.shares.values() if share >= _NEGLIGIBLE) - 1)
    if weighing.overflow:
        return reasons.OVERFLOW % {"sign": sign, "others": others}
    if holder is not known.holders[0]:
        return reasons.LIKELIEST % {"sign": sign, "others": others}
    if holder.lease.live(known.at):
        return reasons.HELD % {"sign": sign, "others": others}
    ago = reasons.ago(known.at - holder.lease.ends_at)
    return reasons.HELD_LAST % {"ago": ago, "sign": sign, "others": others}


def _sign(holder: Holder, at: datetime) -> str:
    state, since = last_deed(holder.lease, at)
    if state is State.SEEN and since >= at:
        return reasons.OPEN
    template = {State.KEEN: reasons.TAPPED, State.LEFT: reasons.CLOSED}.get(state, reasons.LAST_SIGN)
    return template % {"ago": reasons.ago(at - since)}


def _why_nobody(known: Resolution, weighing: Weighing, nobody: float) -> str:
    if not known.holders:
        return reasons.NEVER_SHOWN
    if weighing.again:
        return reasons.AGAIN_NOBODY
    if weighing.overflow:
        return reasons.OVERFLOW_UNKNOWN
    return reasons.NOBODY % {"share": f"{reasons.percents(round(nobody, 4))}%"}
