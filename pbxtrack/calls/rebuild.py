"""Making calls of their facts once more, as they would be if all were heard for the first time now.

Calls are worked out in the order of their beginning, since a caller's earlier calls say whose a later one is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from pbxtrack.calls.attribution import Attribution, Method
from pbxtrack.calls.events import Fact
from pbxtrack.calls.events import call_id as call_id_of
from pbxtrack.calls.lifecycle import Outcome, outcome, project
from pbxtrack.calls.ports import CallRecord, CallStore
from pbxtrack.calls.service import attribute_all, outbound

DIGITS = 6  # of seconds, and of probabilities, that are compared: a database may round the last ones


class Key(NamedTuple):
    """A call's name in the facts."""

    node: str
    linkedid: str


class Told(NamedTuple):
    """Everything that was said of a call, up to the ``last`` fact.

    ``facts`` is empty where a newer version wrote something that this one does not understand.
    """

    last: int
    facts: Sequence[Fact]


class RebuildStore(CallStore, Protocol):
    """Facts and calls within one transaction, or a snapshot to read from."""

    def told(self, keys: Collection[Key]) -> Mapping[str, Told]:
        """What was said of each of these calls, by its id."""

    def last_facts(self, keys: Collection[Key]) -> Mapping[str, int]:
        """The last fact of each of these calls, by its id."""

    def written(self, record: CallRecord) -> bool:
        """Whether a call that was loaded is kept with just these times, states and names."""

    def misplaced(self, call_ids: Collection[str]) -> Collection[str]:
        """Those of the calls that are kept as standing otherwise among their caller's than they do."""

    def stand(self, call_ids: Collection[str]) -> Collection[str]:
        """Keep how these calls stand among their caller's; those that stood otherwise."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of calls, as their facts make them; not attributed yet."""

    keys: Sequence[Key]
    told: Mapping[str, Told]
    calls: Mapping[str, CallRecord]

    @property
    def strange(self) -> int:
        """How many calls have facts that this version does not understand."""
        return len(self.told) - len(self.calls)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch changed, by the calls' ids; ``moved`` calls have another caller, number or beginning than before."""

    calls: Collection[str] = ()
    attributions: int = 0
    moved: Sequence[CallRecord] = ()


def gather(store: RebuildStore, keys: Sequence[Key], region: str) -> Batch:
    """Make the calls of these names."""
    told = store.told(keys)
    return Batch(keys, told, _anew(told, region))


def as_kept(store: RebuildStore, found: Batch, region: str) -> bool:
    """Whether the calls are kept as their facts make them; nothing is written.

    If all of a batch is as it is kept, then so was what each of its attributions went by.
    """
    before = store.load(found.calls.keys())
    after = _as_met(before, found.calls)
    attribute_all(store, after, region)
    return (
        len(before) == len(found.calls)
        and not any(_differs(store, one, _settled(one, after[call_id])) for call_id, one in before.items())
        and not store.misplaced(found.calls.keys())
    )


def put_right(store: RebuildStore, found: Batch, region: str) -> Changes:
    """Keep the calls as their facts make them. What people wrote on them stays."""
    store.lock(found.told.keys())
    calls = dict(found.calls)
    last = store.last_facts(found.keys)
    if news := [key for key in found.keys if last.get(call_id := call_id_of(*key)) != found.told[call_id].last]:
        calls |= _anew(store.told(news), region)
    before = store.load(calls.keys())
    changed: list[CallRecord] = []
    attributions = 0
    again = _as_met(before, calls)
    attribute_all(store, again, region)
    for call_id, record in again.items():
        was = before.get(call_id)
        record = _settled(was, record) if was else record
        if was is None or _differs(store, was, record):
            changed.append(record)
            attributions += was is None or not _same_tie(was.attribution, record.attribution)
    store.lock_callers(changed, before)
    store.save(changed)
    placed = {*store.follow(changed, before), *store.stand(calls.keys())}
    moved = [record for record in changed if _place(record) != _place(before.get(record.call.id))]
    return Changes({*placed, *(record.call.id for record in changed)}, attributions, moved)


def _anew(told: Mapping[str, Told], region: str) -> dict[str, CallRecord]:
    calls = {call_id: project(one.facts) for call_id, one in told.items() if one.facts}
    return {
        call_id: CallRecord(call, outcome(call), outbound=outbound(call, region)) for call_id, call in calls.items()
    }


def _as_met(before: Mapping[str, CallRecord], calls: Mapping[str, CallRecord]) -> dict[str, CallRecord]:
    """The calls as if nobody had attributed them; but what was seen of the number's lease then, and what people said,
    is kept.
    """
    return {
        call_id: replace(call, held=was.held, correction=was.correction) if (was := before.get(call_id)) else call
        for call_id, call in calls.items()
    }


def _settled(before: CallRecord, after: CallRecord) -> CallRecord:
    """What is to be kept of a call that was there before.

    Whose a number was at the time of a call is written down nowhere but in the call. Where the number is another
    site's or channel's now, or nobody's, the call stays whose it was.
    """
    after = replace(after, first=before.first)
    if before.site_id is None or before.attribution is None or _owner(before) == _owner(after):
        return after
    return replace(
        after,
        dialled=before.dialled,
        site_id=before.site_id,
        contact_id=before.contact_id,
        target_talk=before.target_talk,
        attribution=before.attribution,
        held=before.held,
    )


def _owner(record: CallRecord) -> object:
    tie = record.attribution
    match tie.method if tie else None:
        case Method.STATIC:
            return record.site_id, Method.STATIC, tie and tie.channel
        case Method.OVERFLOW:
            return record.site_id, Method.OVERFLOW
    return record.site_id


def _place(record: CallRecord | None) -> object:
    return record and (record.site_id, record.caller, record.dialled, record.outbound, record.call.started_at)


def _differs(store: RebuildStore, before: CallRecord, after: CallRecord) -> bool:
    if not store.written(after):
        return True
    same = before == after or (_same_tie(before.attribution, after.attribution) and _rounded(before) == _rounded(after))
    return not same


def _rounded(record: CallRecord) -> CallRecord:
    return replace(record, attribution=None, outcome=_rounded_outcome(record.outcome))


def _rounded_outcome(found: Outcome) -> Outcome:
    return replace(
        found,
        ringing_seconds=round(found.ringing_seconds, DIGITS),
        talk_seconds=round(found.talk_seconds, DIGITS),
    )


def _same_tie(one: Attribution | None, other: Attribution | None) -> bool:
    if one is None or other is None or one == other:
        return one is other or one == other
    return _rounded_tie(one) == _rounded_tie(other)


def _rounded_tie(tie: Attribution) -> Attribution:
    return replace(
        tie,
        confidence=round(tie.confidence, DIGITS),
        candidates=tuple(replace(one, confidence=round(one.confidence, DIGITS)) for one in tie.candidates),
    )
