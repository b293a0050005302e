"""Asterisk's own records against ours: what we did not hear is added, what we know already is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pbxtrack.calls.events import CallArrived, Entry, Fact, LegJoined, LegLeft
from pbxtrack.calls.lifecycle import Call
from pbxtrack.calls.ports import CallRecord, CallStore, Known
from pbxtrack.calls.reported import ReportedCall
from pbxtrack.calls.service import attribute_again, keep, outbound, updated

_SAME = timedelta(milliseconds=100)
"""An event told by two of Asterisk's parts has times that differ by less: each takes the time for itself."""


@dataclass(slots=True)
class Reconciled:
    """What became of the calls that were compared."""

    added: list[CallRecord] = field(default_factory=list)  # we knew nothing of them
    mended: list[CallRecord] = field(default_factory=list)
    agreed: int = 0


def reconcile(store: CallStore, told: Sequence[ReportedCall], now: datetime, region: str, *, exact: bool) -> Reconciled:
    """Compare calls with what is known of them, and add what is missing.

    ``exact``: the times are Asterisk's own of each event (CEL), and a call that differs from them is mended. Otherwise
    (CDR) only calls are mended whose end nobody heard.
    """
    by_id: dict[str, ReportedCall] = {}
    for one in told:
        call_id = one.id
        by_id[call_id] = ReportedCall([*by_id[call_id].facts, *one.facts]) if call_id in by_id else one
    store.lock(by_id.keys())
    known = store.known(by_id.keys())
    result = Reconciled()
    new: list[tuple[str, str, Sequence[Entry]]] = []
    news: list[Fact] = []
    calls: dict[str, CallRecord] = {}
    before: dict[str, CallRecord] = {}
    for call_id, one in by_id.items():
        if call_id not in known:
            made = one.make()
            new.append((one.node, one.linkedid, made.entries))
            calls[call_id] = CallRecord(made.call, made.outcome, outbound=outbound(made.call, region))
        elif _agree(known[call_id], one, exact):
            result.agreed += 1
        else:
            ours = store.load([call_id])[call_id]
            if missing := _missing(ours.whole, store.facts(one.node, one.linkedid), one.facts):
                news += missing
                before[call_id], calls[call_id] = ours, updated(ours, missing, region)
            else:
                result.agreed += 1
    store.enter(new, now)
    store.append(news, now)
    for changed in keep(store, before, calls, region) if calls else []:
        (result.mended if changed.call.id in known else result.added).append(changed)
    attribute_again(store, result.added, region)
    return result


def _agree(known: Known, call: ReportedCall, exact: bool) -> bool:
    ours = known.outcome
    if not ours.status.over or known.unseen or not known.attributed:
        return False
    if not exact:
        return True
    told = call.outcome
    return (
        ours.status is told.status
        and (ours.answered_by, ours.hung_up_by) == (told.answered_by, told.hung_up_by)
        and _near(ours.answered_at, told.answered_at)
        and _near(ours.ended_at, told.ended_at)
        and abs(ours.talk_seconds - told.talk_seconds) < _SAME.total_seconds()
    )


def _near(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < _SAME


def _missing(known: Call, heard: Sequence[Fact], told: Sequence[Fact]) -> list[Fact]:
    """The facts that nobody told us. A CDR names a line's leg by its channel, the others do by its id."""
    names = {fact.leg: name for fact in told if (name := getattr(fact, "name", ""))}
    ids = {leg.name: leg_id for leg_id, leg in known.legs.items() if leg.name}
    told = [replace(fact, leg=ids.get(names.get(fact.leg, ""), fact.leg)) for fact in told]
    return [fact for fact in told if not any(_same(fact, other) for other in heard)]


def _same(one: Fact, other: Fact) -> bool:
    if one.kind != other.kind or one.leg != other.leg:
        return False
    if isinstance(one, CallArrived):
        return True
    if isinstance(one, LegJoined | LegLeft) and isinstance(other, LegJoined | LegLeft) and one.bridge != other.bridge:
        return False
    return abs(one.at - other.at) < _SAME and getattr(one, "unseen", False) == getattr(other, "unseen", False)
