"""What recording calls asks of a store. Implemented by :mod:`pbxtrack.storage`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pbxtrack.calls.attribution import Attribution
from pbxtrack.calls.events import Fact
from pbxtrack.calls.lifecycle import Call, Outcome
from pbxtrack.pool.model import Sign
from pbxtrack.pool.ports import Directory


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as it is kept: what is known of it, what became of it, and who brought it.

    ``dialled`` and ``caller`` are normalised; ``attribution`` is None until the dialled number is known.
    """

    call: Call
    outcome: Outcome
    dialled: str | None = None
    caller: str | None = None
    site_id: int | None = None
    contact_id: int | None = None
    first: bool = False
    target_talk: timedelta = field(default=timedelta(seconds=60))
    attribution: Attribution | None = None

    @property
    def target(self) -> bool:
        """Whether the call counts as a lead: answered, and talked for long enough."""
        return self.outcome.answered_at is not None and self.outcome.talk_seconds >= self.target_talk.total_seconds()


class CallStore(Directory, Protocol):
    """Facts and calls within one transaction."""

    def lock(self, call_ids: Collection[str]) -> None:
        """Let no other transaction touch these calls, or bring them into being, until this one ends."""

    def append(self, facts: Sequence[Fact], now: datetime) -> None:
        """Keep the facts that are not known already."""

    def load(self, call_ids: Collection[str]) -> Mapping[str, CallRecord]:
        """Those of the calls that exist."""

    def facts(self, node: str, linkedid: str) -> Sequence[Fact]:
        """Every fact of a call, by time."""

    def save(self, records: Sequence[CallRecord]) -> None:
        """Keep the calls, new or changed."""

    def contact(self, site_id: int, caller: str, at: datetime) -> tuple[int, bool]:
        """(the contact, whether this is its first call) of a caller at a site; made if it is new."""

    def prolong(self, signs: Sequence[Sign]) -> None:
        """Calls are signs of life of their visitors: hold their leases on, where they were live then."""
