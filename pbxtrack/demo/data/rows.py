"""The rows of the year: what the product keeps of it, each with the moment at which it came to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from pbxtrack.calls.events import details, microseconds
from pbxtrack.calls.ports import CallRecord
from pbxtrack.demo.data.year import Made, Memory
from pbxtrack.ids import TIME_PART, id_of
from pbxtrack.storage import tables
from pbxtrack.storage.calls import values_of
from pbxtrack.storage.leases import lease_values, visit_values
from pbxtrack.storage.standing import Standing

Row = tuple[int, Mapping[str, Any]]
"""When it came to be, in microseconds since 1970, and its values by column."""

_RECORDED = timedelta(seconds=0.12)  # facts gather so long before they are kept


class Rows:
    """The rows of one company. ``number_ids``: of its numbers' rows; ``events``: whether those of visits are kept."""

    def __init__(self, memory: Memory, number_ids: Mapping[str, int], random: Random, *, events: bool) -> None:
        self._memory, self._number_ids, self._events = memory, number_ids, events
        self._random = random
        # The product's own ids are unguessable: others are made, that are the same each time.
        self._names = {
            made: id_of(microseconds(began) // 1_000, self._bits())
            for began, made in (
                *((visit.started_at, visit.id) for visit in memory.visits.values()),
                *((lease.started_at, lease.id) for lease in memory.all_leases.values()),
            )
        }

    def _bits(self) -> int:
        return self._random.getrandbits(60) << 20  # the rest tells copies apart

    def visits(self) -> Iterator[Row]:
        """Of the table ``visits``."""
        for visit in self._memory.visits.values():
            values = visit_values(visit, {}) | {"id": self._names[visit.id]}
            if self._events:
                values["events"] = len(self._memory.events.get(visit.id, ()))
            yield microseconds(visit.started_at), values

    def visit_events(self) -> Iterator[Row]:
        """Of the table ``visit_events``; none where they are left out."""
        for visit, events in self._memory.events.items() if self._events else ():
            for place, event in enumerate(events):
                at = microseconds(event.at)
                made = id_of(at // 1_000, self._bits())
                values = {
                    "visit_id": self._names[visit],
                    "id": f"{made[:TIME_PART]}{place:04}{made[TIME_PART + 4 :]}",  # as the product has it
                    "at": event.at,
                    "kind": event.kind.value,
                    "page": event.page,
                }
                yield at, values

    def leases(self) -> Iterator[Row]:
        """Of the table ``leases``."""
        for lease in self._memory.all_leases.values():
            values = lease_values(lease)
            values |= {
                "id": self._names[lease.id],
                "visit_id": self._names[lease.visit],
                "number_id": self._number_ids[lease.number] if lease.number else None,
                "email": None,  # it would be another one each time, and nobody mails to the past
            }
            yield microseconds(lease.started_at), values

    def visitors(self) -> Iterator[Row]:
        """Of the table ``visitors``."""
        first = {lease.visitor: lease for lease in reversed([*self._memory.all_leases.values()])}
        for visitor, (visit, lease) in self._memory.latest.items():
            seen = first[visitor].started_at
            values = {
                "site_id": first[visitor].site_id,
                "id": visitor,
                "first_seen_at": seen,
                "visit_id": self._names[visit],
                "lease_id": self._names[lease],
            }
            yield microseconds(seen), values

    def calls(
        self,
        made: Sequence[Made],
        standing: Mapping[str, Standing],
        contacts: Mapping[str, int],
        audit: list[Row],
    ) -> Iterator[Row]:
        """Of the table ``calls``; to ``audit`` come those of that table, which tell what was written on them."""
        for one in made:
            record = one.record
            at = microseconds(record.call.started_at)
            values = self._call_values(record, contacts)
            stands = standing[record.call.id]
            values |= {
                "first": stands.first,
                "is_unique": stands.unique,
                "settled_by": stands.settled_by,
                "settled_at": stands.settled_at,
            }
            if written := one.written:
                values |= written.values
                if visit := written.values.get("corrected_visit_id"):
                    values["corrected_visit_id"] = self._names[visit]
                if tie := written.values.get("corrected_tie"):
                    values["corrected_tie"] = {**tie, "lease": self._names[tie["lease"]]}
                audit += [(at, self._audit_values(row)) for row in written.audit]
            yield at, values

    def _audit_values(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if row["field"] != "attribution":
            return row
        channel, visit = row["after"]["channel"], row["after"]["visit"]
        return {**row, "after": {"channel": channel, "visit": self._names[visit] if visit else None}}

    def _call_values(self, record: CallRecord, contacts: Mapping[str, int]) -> dict[str, Any]:
        values = values_of(record)
        names = self._names
        tie = record.attribution
        values["contact_id"] = contacts[record.caller] if record.caller else None
        if tie:
            values["visit_id"] = names[tie.visit.id] if tie.visit else None
            values["lease_id"] = names[tie.lease] if tie.lease else None
            values["candidates"] = [
                replace(one, visit=names[one.visit], lease=names[one.lease]) for one in tie.candidates
            ]
        if record.held:
            values["held"] = [replace(held, lease=names[held.lease]) for held in record.held]
        return values


def fact_rows(made: Sequence[Made]) -> Iterator[Row]:
    """Of the table ``call_facts``: each came to be with its call."""
    for one in made:
        at = microseconds(one.record.call.started_at)
        recorded = one.facts[-1].at + _RECORDED
        for fact in one.facts:
            yield (
                at,
                {
                    "node": fact.node,
                    "linkedid": fact.linkedid,
                    "kind": fact.kind,
                    "at": fact.at,
                    "leg": fact.leg,
                    "key": fact.key,
                    "data": details(fact),
                    "recorded_at": recorded,
                },
            )


def contact_rows(made: Sequence[Made], contacts: Mapping[str, int], site_id: int) -> Iterator[Row]:
    """Of the table ``contacts``; ``contacts``: the ids by caller, all of whom called."""
    seen: set[str] = set()
    for one in made:
        record = one.record
        if record.caller and record.caller not in seen:
            seen.add(record.caller)
            first_at: datetime = record.call.started_at
            values = {"id": contacts[record.caller], "site_id": site_id, "caller": record.caller, "first_at": first_at}
            yield microseconds(first_at), values


ORDER = (
    tables.contacts, tables.visits, tables.leases, tables.visitors, tables.visit_events, tables.calls,
    tables.call_facts, tables.audit, tables.deals,
)  # fmt: skip
"""The tables that grow with the year, so that a row follows those that it refers to."""
