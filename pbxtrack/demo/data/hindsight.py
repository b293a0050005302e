"""The year's calls as `pbxtrack rebuild` makes them at its end: by the curves that they taught, by time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pbxtrack.calls.attribution import attribute, earlier_call
from pbxtrack.calls.curves import Curves
from pbxtrack.calls.evidence import (
    MAX_HOLDERS,
    SURE_ENOUGH,
    EarlierCall,
    Holder,
    Resolution,
    heard,
    older_leases,
    recent,
)
from pbxtrack.calls.held import as_it_was, held_in
from pbxtrack.calls.learning import Exposure, Heard, Lessons, gaps, learn, silences, steps_exposure, visitors_exposure
from pbxtrack.calls.ports import CallRecord
from pbxtrack.demo.data.year import Made, Memory, Year
from pbxtrack.pool.model import NumberKind
from pbxtrack.storage.curves import MAX_CALLS, MAX_LEASES, MEMORY
from pbxtrack.storage.directory import OVERFLOW_MEMORY


def learned(year: Year, until: datetime) -> Curves:
    """What the company's calls taught, as the service would learn it at that moment."""
    memory = year.memory
    since = until - MEMORY
    calls = [made.record for made in year.lived.calls if made.record.call.started_at >= since and _leased(memory, made)]
    calls = calls[-MAX_CALLS:]
    heard = [Heard(record.call.started_at, record.caller, _lease(record)) for record in calls]
    again, since_last = gaps(heard, until)
    shown = [(lease, visit.channel) for lease, visit in memory.shown() if lease.started_at >= since][-MAX_LEASES:]
    begin = min([calls[0].call.started_at] if calls else [until])
    seconds = (until - begin).total_seconds()
    exposure = Exposure(
        visitors=visitors_exposure(silences(shown, heard, begin, until)),
        callers=steps_exposure([*again, *since_last]),
        numbers=seconds * sum(len(numbers) for numbers in year.pools.values()),
        overflow=seconds,
    )
    weighings = list(year.lived.weighings)[-len(calls) :] if calls else []
    return learn(Lessons(weighings, again, exposure))


def _lease(record: CallRecord) -> str | None:
    tie = record.attribution
    return tie.lease if tie and tie.confidence >= SURE_ENOUGH else None


def _leased(memory: Memory, made: Made) -> bool:
    owner = memory.owner(made.record.dialled or "")
    return owner is not None and owner.kind is not NumberKind.STATIC


class Hindsight:
    """What is known of each call when the year is over: what MemoryLeases tells of the present moment, of any."""

    def __init__(self, memory: Memory, curves: Curves) -> None:
        self._memory, self._curves = memory, curves
        self._holders: defaultdict[str | None, list[Holder]] = defaultdict(list)  # by number; None: the overflow number
        for lease in memory.all_leases.values():
            self._holders[lease.number].append(Holder(lease, memory.visits[lease.visit]))
        self._begun = {
            number: [holder.lease.started_at for holder in holders] for number, holders in self._holders.items()
        }
        self._to: defaultdict[str, list[EarlierCall]] = defaultdict(list)
        self._by: defaultdict[str, list[EarlierCall]] = defaultdict(list)

    def attributed(self, record: CallRecord) -> CallRecord:
        """The call as it is attributed now; calls are to be given by time."""
        if record.dialled is None:
            return record
        known = as_it_was(self._resolve(record.dialled, record.call.started_at, record.caller), record.held)
        return replace(record, attribution=attribute(known), held=held_in(known))

    def remember(self, made: Made) -> None:
        """Let later calls be attributed by this one, which was, and by what people wrote on it."""
        record = made.record
        if record.dialled is None or record.attribution is None or not _leased(self._memory, made):
            return
        correction = made.written.correction if made.written else None
        candidates = record.attribution.candidates
        call = earlier_call(record.call.started_at, record.dialled, record.caller, candidates, correction)
        self._to[record.dialled].append(call)
        if record.caller:
            self._by[record.caller].append(call)

    def _resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        owner = self._memory.owner(number)
        if owner is None or owner.kind is NumberKind.STATIC:
            return Resolution(number, at, caller, owner)
        holders = self._latest(number, at, overflow=owner.kind is NumberKind.OVERFLOW)
        by_caller = recent(reversed(self._by[caller]), at) if caller else []
        older = older_leases(number, by_caller, {holder.lease.id for holder in holders})
        holders += [self._holder(lease) for lease in older]
        calls = heard(caller, by_caller, recent(reversed(self._to[number]), at))
        return Resolution(number, at, caller, owner, holders, calls, self._curves)

    def _latest(self, number: str, at: datetime, *, overflow: bool) -> list[Holder]:
        key = None if overflow else number
        end = bisect_right(self._begun.get(key, ()), at)
        found: Sequence[Holder] = self._holders[key][max(0, end - MAX_HOLDERS) : end]
        since = at - OVERFLOW_MEMORY
        return [holder for holder in reversed(found) if not overflow or holder.lease.started_at >= since]

    def _holder(self, lease: str) -> Holder:
        found = self._memory.all_leases[lease]
        return Holder(found, self._memory.visits[found.visit])
