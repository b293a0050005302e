"""Asterisk's own records against ours: what we did not hear is added, what we know already is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pbxtrack.calls.events import CallArrived, Fact, LegJoined, LegLeft
from pbxtrack.calls.lifecycle import Call, merge, outcome, project
from pbxtrack.calls.ports import CallRecord, CallStore, Known
from pbxtrack.calls.service import attribute_again, keep

_SAME = timedelta(milliseconds=100)
"""An event told by two of Asterisk's parts has times that differ by less: each takes the time for itself."""


@dataclass(slots=True)
class Reconciled:
    """What became of the calls that were compared."""

    added: list[CallRecord] = field(default_factory=list)  # we knew nothing of them
    mended: list[CallRecord] = field(default_factory=list)
    agreed: int = 0


def reconcile(
    store: CallStore, told: Sequence[Sequence[Fact]], now: datetime, region: str, *, exact: bool
) -> Reconciled:
    """Compare calls, each given by its facts, with what is known, and add what is missing.

    ``exact``: the times are Asterisk's own of each event (CEL), and a call that differs from them is mended. Otherwise
    (CDR) only calls are mended whose end nobody heard.
    """
    by_id: dict[str, list[Fact]] = {}
    for facts in told:
        by_id.setdefault(facts[0].call_id, []).extend(facts)
    store.lock(by_id.keys())
    known = store.known(by_id.keys())
    result = Reconciled()
    news: list[Fact] = []
    calls: dict[str, Call] = {}
    before: dict[str, CallRecord] = {}
    for call_id, whole in by_id.items():
        if call_id not in known:
            news += whole
            calls[call_id] = project(whole)
        elif _agree(known[call_id], whole, exact):
            result.agreed += 1
        else:
            ours = store.load([call_id])[call_id]
            if missing := _missing(ours, store.facts(whole[0].node, whole[0].linkedid), whole):
                news += missing
                before[call_id], calls[call_id] = ours, merge(ours.call, missing)
            else:
                result.agreed += 1
    if news:
        store.append(news, now)
    for changed in keep(store, before, calls, region) if calls else []:
        (result.mended if changed.call.id in known else result.added).append(changed)
    attribute_again(store, result.added, region)
    return result


def _agree(known: Known, facts: Sequence[Fact], exact: bool) -> bool:
    ours = known.outcome
    if not ours.status.over or known.unseen or not known.attributed:
        return False
    if not exact:
        return True
    told = outcome(project(facts))
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


def _missing(known: CallRecord, heard: Sequence[Fact], told: Sequence[Fact]) -> list[Fact]:
    """The facts that nobody told us. A CDR names a line's leg by its channel, the others do by its id."""
    names = {fact.leg: name for fact in told if (name := getattr(fact, "name", ""))}
    ids = {leg.name: leg_id for leg_id, leg in known.call.legs.items() if leg.name}
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
