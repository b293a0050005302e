"""What recording calls asks of a store. Implemented by :mod:`pbxtrack.storage`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from pbxtrack.calls.attribution import Attribution
from pbxtrack.calls.events import Entry, Fact
from pbxtrack.calls.evidence import Correction, Directory, Resolution
from pbxtrack.calls.lifecycle import Call, Outcome
from pbxtrack.calls.reported import CallSummary
from pbxtrack.pool.model import Sign


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as an attribution met it: later signs of life change the lease."""

    lease: str
    seen_at: datetime
    ends_at: datetime
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as it is kept: what is known of it, what became of it, and who brought it.

    ``dialled`` and ``caller`` are normalised, so is ``outbound``: the number that the company called, None where
    somebody called the company. ``attribution`` is None until the dialled number is known; ``correction`` is what
    people say instead. Of a call that was loaded, ``call`` is whole.
    """

    call: Call | CallSummary
    outcome: Outcome
    dialled: str | None = None
    caller: str | None = None
    site_id: int | None = None
    contact_id: int | None = None
    first: bool = False
    target_talk: timedelta = field(default=timedelta(seconds=60))
    attribution: Attribution | None = None
    correction: Correction | None = None
    held: Sequence[Held] = ()
    outbound: str | None = None

    @property
    def whole(self) -> Call:
        """The call with its legs. Only of one that was loaded."""
        assert isinstance(self.call, Call)
        return self.call

    @property
    def target(self) -> bool:
        """Whether the call counts as a lead: answered, and talked for long enough."""
        return self.outcome.answered_at is not None and self.outcome.talk_seconds >= self.target_talk.total_seconds()


class Known(NamedTuple):
    """What the log says of a call, without how it came to be. ``unseen``: of some leg nobody saw the end."""

    outcome: Outcome
    attributed: bool
    unseen: bool


class Dialled(NamedTuple):
    """A number that was dialled, in E.164 (None: what was dialled is none), by whom; None if withheld."""

    number: str | None
    at: datetime
    caller: str | None


class Caller(NamedTuple):
    """Who called a site, and when."""

    site_id: int
    number: str
    at: datetime


class CallStore(Directory, Protocol):
    """Facts and calls within one transaction."""

    def lock(self, call_ids: Collection[str]) -> None:
        """Let no other transaction touch these calls, or bring them into being, until this one ends."""

    def append(self, facts: Sequence[Fact], now: datetime) -> None:
        """Keep the facts that are not known already."""

    def enter(self, calls: Sequence[tuple[str, str, Sequence[Entry]]], now: datetime) -> None:
        """:meth:`append`, of facts that are written already: each call's node, its linkedid and its facts."""

    def load(self, call_ids: Collection[str]) -> Mapping[str, CallRecord]:
        """Those of the calls that exist."""

    def known(self, call_ids: Collection[str]) -> Mapping[str, Known]:
        """What the log says of those of the calls that exist."""

    def facts(self, node: str, linkedid: str) -> Sequence[Fact]:
        """Every fact of a call, by time."""

    def lock_callers(self, changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> None:
        """Let no other transaction :meth:`follow` calls of these calls' callers until this one ends."""

    def save(self, records: Sequence[CallRecord]) -> None:
        """Keep the calls, new or changed."""

    def follow(self, changed: Sequence[CallRecord], before: Mapping[str, CallRecord]) -> Collection[str]:
        """Bring up to date how calls stand among their caller's others, now that these changed; those that did, by id.

        That is: which call was a caller's first, which are unique, and which answered one settled a missed one.
        """

    def resolve_all(self, asked: Sequence[Dialled]) -> Sequence[Resolution]:
        """What is known of each number that was dialled, as :meth:`resolve` tells it."""

    def after(self, callers: Sequence[Caller]) -> Sequence[str]:
        """The attributed calls by the same callers to the same sites, later than these, as long as a caller is bound.

        By their ids, the earliest first.
        """

    def contacts(self, callers: Sequence[Caller]) -> Sequence[tuple[int, bool]]:
        """(the contact, whether this is its first call) of each caller; those that are new are made."""

    def prolong(self, signs: Sequence[Sign]) -> None:
        """Calls are signs of life of their visitors: hold their leases on, where they were live then."""
