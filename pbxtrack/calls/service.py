"""Recording: facts become calls, and calls are attributed. Works on any :class:`~pbxtrack.calls.ports.CallStore`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pbxtrack.calls.attribution import Attribution, attribute, earlier_call
from pbxtrack.calls.events import Fact
from pbxtrack.calls.evidence import (
    SURE_ENOUGH,
    Correction,
    Directory,
    EarlierCall,
    Holder,
    Resolution,
    heard,
    older_leases,
    recent,
)
from pbxtrack.calls.held import as_it_was, held_in
from pbxtrack.calls.lifecycle import Call, merge, outcome
from pbxtrack.calls.ports import Caller, CallRecord, CallStore, Dialled
from pbxtrack.calls.reported import CallSummary
from pbxtrack.numbers import InvalidNumber, Number, read_caller
from pbxtrack.pool.model import NumberKind, Sign


def record(store: CallStore, facts: Sequence[Fact], now: datetime, region: str) -> list[CallRecord]:
    """Append the facts and bring their calls up to date; the calls that changed.

    ``region`` says how numbers without a country are read. Facts that are known already change nothing.
    """
    by_call: dict[str, list[Fact]] = {}
    for fact in facts:
        by_call.setdefault(fact.call_id, []).append(fact)
    store.lock(by_call.keys())
    store.append(facts, now)
    known = store.load(by_call.keys())
    # A fact that was known is merged again, which changes nothing: that costs less than to ask which ones are new.
    calls = {call_id: updated(known.get(call_id), news, region) for call_id, news in by_call.items()}
    return keep(store, known, calls, region)


def updated(before: CallRecord | None, news: Sequence[Fact], region: str) -> CallRecord:
    """The call with these facts known, too; without ``before``, the one that they speak of.

    Where they tell of another caller, or that the caller withheld their number, it is to be attributed again.
    """
    call = merge(before.whole if before else None, news)
    before = before or CallRecord(call, outcome(call))
    if before.attribution is not None and _caller(call, region) != before.caller:
        before = replace(before, attribution=None)
    return replace(before, call=call, outcome=outcome(call), outbound=outbound(call, region))


def keep(
    store: CallStore, known: Mapping[str, CallRecord], calls: dict[str, CallRecord], region: str
) -> list[CallRecord]:
    """Save the calls, by their ids, as they are now, attributed where that can be done; those that changed.

    ``known`` is how those were that are not new; the facts are appended, and the calls locked.
    """
    attribute_all(store, calls, region)
    store.prolong([sign for call_id, record in calls.items() if (sign := _sign(known.get(call_id), record))])
    changed = [record for call_id, record in calls.items() if record != known.get(call_id)]
    store.lock_callers(changed, known)
    store.save(changed)
    store.follow(changed, known)
    return changed


def attribute_again(store: CallStore, late: Sequence[CallRecord], region: str) -> None:
    """Calls were found late: whoever had called the same number again was taken for somebody new. Mends that."""
    attribute_one_by_one(
        store, later(store, [one for one in late if one.attribution and one.attribution.visit]), region
    )


def later(store: CallStore, calls: Sequence[CallRecord]) -> Sequence[str]:
    """The calls of the same callers that these calls tell something of, by their ids, the earliest first."""
    return store.after(
        [
            Caller(record.site_id, record.caller, record.call.started_at)
            for record in calls
            if record.site_id and record.caller
        ]
    )


def attribute_one_by_one(store: CallStore, call_ids: Sequence[str], region: str) -> None:
    """Attribute calls once more, in this order: each is tied by those before it."""
    for call_id in call_ids:
        record = store.load([call_id])[call_id]
        known, _ = resolve(store, record.call.dialled or "", record.caller, record.call.started_at, region)
        if (again := attribute(as_it_was(known, record.held))) != record.attribution:
            store.save([replace(record, attribution=again)])


def resolve(
    directory: Directory, dialled: str, caller: str | None, at: datetime, region: str
) -> tuple[Resolution, str | None]:
    """What is known of a number dialled by ``caller``, and the caller's number, normalised; None if withheld."""
    caller = read_caller(caller, region)
    number = _e164(dialled, region)
    return directory.resolve(number, at, caller) if number else Resolution(number=None, at=at), caller


def _caller(call: Call | CallSummary, region: str) -> str | None:
    return read_caller(None if call.withheld else call.caller, region)


def outbound(call: Call | CallSummary, region: str) -> str | None:
    """The number that the company called, normalised; None where somebody called the company.

    Who does may be sent on to an outside line: that call came in all the same.
    """
    return read_caller(call.called_out, region) if call.called_out and call.dialled is None else None


def attribute_all(store: CallStore, records: dict[str, CallRecord], region: str) -> None:
    """Attribute those that are not yet, and whose dialled number is known: all of them by the same few queries."""
    due = [
        (call_id, record.call, dialled)
        for call_id, record in records.items()
        if record.attribution is None and (dialled := record.call.dialled) is not None
    ]
    asked = [Dialled(_e164(dialled, region), call.started_at, _caller(call, region)) for _, call, dialled in due]
    resolved = zip(due, store.resolve_all(asked), strict=True)
    found = [as_it_was(known, records[call_id].held) for (call_id, _, _), known in resolved]
    callers = {
        call_id: Caller(known.owner.site.id, one.caller, one.at)
        for (call_id, _, _), one, known in zip(due, asked, found, strict=True)
        if known.owner and one.caller
    }
    contacts = dict(zip(callers, store.contacts(list(callers.values())), strict=True))
    batch = _Batch(asked)
    by_time = sorted(zip(due, asked, found, strict=True), key=lambda entry: entry[1].at)
    for (call_id, _, dialled), one, known in by_time:
        contact_id, first = contacts.get(call_id, (None, False))
        known = batch.known(known)
        attribution = attribute(known)
        record = records[call_id]
        batch.add(known, attribution, record.correction)
        site = known.owner.site if known.owner else None
        records[call_id] = replace(
            record,
            dialled=known.number or dialled[:64],
            caller=one.caller,
            attribution=attribution,
            held=held_in(known),
            contact_id=contact_id,
            first=first,
            site_id=site.id if site else None,
            target_talk=site.target_talk if site else record.target_talk,
        )


class _Batch:
    """Calls that are attributed together: the store does not know yet how the earlier ones were."""

    def __init__(self, asked: Sequence[Dialled]) -> None:
        self._asked = {(one.at, one.number, one.caller) for one in asked}
        self._since = min((one.at for one in asked), default=None)
        self._to: defaultdict[tuple[int, str | None], list[EarlierCall]] = defaultdict(list)
        self._by: defaultdict[tuple[int, str], list[EarlierCall]] = defaultdict(list)
        self._holders: dict[str, Holder] = {}  # whom calls of the batch are tied to, by lease

    def add(self, known: Resolution, attribution: Attribution, correction: Correction | None) -> None:
        """A call was attributed; those of a batch are added by their time."""
        if known.owner is None or known.number is None or known.owner.kind is NumberKind.STATIC:
            return
        call = earlier_call(known.at, known.number, known.caller, attribution.candidates, correction)
        tied = {tie.lease for tie in call.ties}
        self._holders |= {holder.lease.id: holder for holder in known.holders if holder.lease.id in tied}
        self._to[known.owner.site.id, call.number].append(call)
        if call.caller is not None:
            self._by[known.owner.site.id, call.caller].append(call)

    def known(self, known: Resolution) -> Resolution:
        """What is known of a call, with those of the batch before it: to the same number, or by the same caller."""
        if known.owner is None:
            return known
        site = known.owner.site.id
        by_caller = self._by[site, known.caller] if known.caller is not None else []
        in_batch = heard(known.caller, by_caller, self._to[site, known.number])
        stored = [call for call in known.calls if not self._has(call)]
        if not in_batch and len(stored) == len(known.calls):
            return known
        calls = sorted([*in_batch, *stored], key=lambda call: call.at, reverse=True)
        # A batch of few calls a day is longer than what tells something of its last one; and of calls of one moment
        # none tells of the other, whichever is attributed first.
        own = recent((call for call in calls if call.caller == known.caller), known.at) if known.caller else []
        calls = heard(known.caller, own, recent((call for call in calls if call.number == known.number), known.at))
        older = older_leases(known.number, own, {holder.lease.id for holder in known.holders})
        holders = [*known.holders, *(self._holders[lease] for lease in older if lease in self._holders)]
        return replace(known, holders=holders, calls=calls)

    def _has(self, call: EarlierCall) -> bool:
        if self._since is None or call.at < self._since:
            return False
        return (call.at, call.number, call.caller) in self._asked


def _e164(dialled: str, region: str) -> str | None:
    try:
        return Number.parse(dialled, region).e164
    except InvalidNumber:
        return None


def _sign(before: CallRecord | None, record: CallRecord) -> Sign | None:
    """A call does not end the lease but extends it: whoever called is likely to call that number again.

    Once when it is attributed, and once when it is over.
    """
    attribution = record.attribution
    if attribution is None or attribution.lease is None or attribution.confidence < SURE_ENOUGH:
        return None
    called = record.caller is not None
    if record.outcome.ended_at and not (before and before.outcome.ended_at):
        return Sign(attribution.lease, at=record.outcome.ended_at, call=called)
    if before is None or before.attribution is None:
        return Sign(attribution.lease, at=record.call.started_at, call=called)
    return None
