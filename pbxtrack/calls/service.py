"""Recording: facts become calls, and calls are attributed. Works on any :class:`~pbxtrack.calls.ports.CallStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pbxtrack.calls.attribution import Method, attribute
from pbxtrack.calls.events import Fact
from pbxtrack.calls.evidence import as_it_was, held_in
from pbxtrack.calls.lifecycle import Call, merge, outcome
from pbxtrack.calls.ports import Caller, CallRecord, CallStore, Dialled
from pbxtrack.numbers import InvalidNumber, Number, read_caller
from pbxtrack.pool.model import Resolution, Sign
from pbxtrack.pool.ports import Directory


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
    calls = {
        call_id: merge(known[call_id].call if call_id in known else None, news) for call_id, news in by_call.items()
    }
    return keep(store, known, calls, region)


def keep(store: CallStore, known: Mapping[str, CallRecord], calls: Mapping[str, Call], region: str) -> list[CallRecord]:
    """Save the calls, by their ids, as they are now, attributed where that can be done; those that changed.

    ``known`` is how those were that are not new; the facts are appended, and the calls locked.
    """
    updated = {call_id: _updated(known.get(call_id), call, region) for call_id, call in calls.items()}
    attribute_all(store, updated, region)
    store.prolong([sign for call_id, record in updated.items() if (sign := _sign(known.get(call_id), record))])
    changed = [record for call_id, record in updated.items() if record != known.get(call_id)]
    store.lock_callers(changed, known)
    store.save(changed)
    store.follow(changed, known)
    return changed


def attribute_again(store: CallStore, late: Sequence[CallRecord], region: str) -> None:
    """Calls were found late: whoever had called the same number again was taken for somebody new. Mends that."""
    tied = [
        Dialled(record.dialled, record.call.started_at, record.caller)
        for record in late
        if record.caller and record.attribution and record.attribution.visit
    ]
    for call_id in store.after(tied):  # one after another: each is tied by the one before it
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


def outbound(call: Call, region: str) -> str | None:
    """The number that the company called, normalised; None where somebody called the company.

    Who does may be sent on to an outside line: that call came in all the same.
    """
    return read_caller(call.called_out, region) if call.called_out and call.dialled is None else None


def _updated(before: CallRecord | None, call: Call, region: str) -> CallRecord:
    before = before or CallRecord(call, outcome(call))
    return replace(before, call=call, outcome=outcome(call), outbound=outbound(call, region))


def attribute_all(store: CallStore, records: dict[str, CallRecord], region: str) -> None:
    """Attribute those that are not yet, and whose dialled number is known: all of them by the same few queries."""
    due = [
        (call_id, record.call, dialled)
        for call_id, record in records.items()
        if record.attribution is None and (dialled := record.call.dialled) is not None
    ]
    asked = [
        Dialled(_e164(dialled, region), call.started_at, read_caller(None if call.withheld else call.caller, region))
        for _, call, dialled in due
    ]
    resolved = zip(due, store.resolve_all(asked), strict=True)
    found = [as_it_was(known, records[call_id].held) for (call_id, _, _), known in resolved]
    callers = {
        call_id: Caller(known.owner.site.id, one.caller, one.at)
        for (call_id, _, _), one, known in zip(due, asked, found, strict=True)
        if known.owner and one.caller
    }
    contacts = dict(zip(callers, store.contacts(list(callers.values())), strict=True))
    for (call_id, _, dialled), one, known in zip(due, asked, found, strict=True):
        contact_id, first = contacts.get(call_id, (None, False))
        site = known.owner.site if known.owner else None
        record = records[call_id]
        records[call_id] = replace(
            record,
            dialled=known.number or dialled[:64],
            caller=one.caller,
            attribution=attribute(known),
            held=held_in(known),
            contact_id=contact_id,
            first=first,
            site_id=site.id if site else None,
            target_talk=site.target_talk if site else record.target_talk,
        )


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
    if attribution is None or attribution.method is not Method.LEASE or attribution.lease is None:
        return None
    if record.outcome.ended_at and not (before and before.outcome.ended_at):
        return Sign(attribution.lease, at=record.outcome.ended_at)
    if before is None or before.attribution is None:
        return Sign(attribution.lease, at=record.call.started_at)
    return None
