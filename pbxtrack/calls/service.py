"""Recording: facts become calls, and calls are attributed. Works on any :class:`~pbxtrack.calls.ports.CallStore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pbxtrack.calls.attribution import Method, attribute
from pbxtrack.calls.events import Fact
from pbxtrack.calls.lifecycle import Call, apply, begin, outcome
from pbxtrack.calls.ports import CallRecord, CallStore
from pbxtrack.numbers import InvalidNumber, Number, read_caller
from pbxtrack.pool.model import Resolution, Sign
from pbxtrack.pool.ports import Directory


def record(store: CallStore, facts: Sequence[Fact], now: datetime, region: str) -> list[CallRecord]:
    """Append the facts and bring their calls up to date; the calls that changed.

    ``region`` says how numbers without a country are read. Facts that are known already change nothing.
    """
    store.lock({fact.call_id for fact in facts})
    store.append(facts, now)
    by_call: dict[str, list[Fact]] = {}
    for fact in facts:
        by_call.setdefault(fact.call_id, []).append(fact)
    known = store.load(by_call.keys())
    # A fact that was known is applied again, which changes nothing: that costs less than to ask which ones are new.
    updated = {call_id: _update(store, known.get(call_id), news, region) for call_id, news in by_call.items()}
    store.prolong([sign for call_id, record in updated.items() if (sign := _sign(known.get(call_id), record))])
    changed = [record for call_id, record in updated.items() if record != known.get(call_id)]
    store.save(changed)
    return changed


def resolve(
    directory: Directory, dialled: str, caller: str | None, at: datetime, region: str
) -> tuple[Resolution, str | None]:
    """What is known of a number dialled by ``caller``, and the caller's number, normalised; None if withheld."""
    caller = read_caller(caller, region)
    try:
        number = Number.parse(dialled, region)
    except InvalidNumber:
        return Resolution(number=None, at=at), caller
    return directory.resolve(number.e164, at, caller), caller


def _update(store: CallStore, before: CallRecord | None, facts: Sequence[Fact], region: str) -> CallRecord:
    call = before.call if before else begin(facts[0])
    for fact in facts:
        call = apply(call, fact)
    record = replace(before, call=call, outcome=outcome(call)) if before else CallRecord(call, outcome(call))
    if record.attribution is None and call.dialled is not None:
        record = _attribute(store, record, call, call.dialled, region)
    return record


def _attribute(store: CallStore, record: CallRecord, call: Call, dialled: str, region: str) -> CallRecord:
    known, caller = resolve(store, dialled, None if call.withheld else call.caller, call.started_at, region)
    record = replace(
        record,
        dialled=known.number or dialled[:64],
        caller=caller,
        attribution=attribute(known),
    )
    if known.owner is None:
        return record
    site = known.owner.site
    contact_id, first = store.contact(site.id, caller, call.started_at) if caller else (None, False)
    return replace(record, site_id=site.id, contact_id=contact_id, first=first, target_talk=site.target_talk)


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
