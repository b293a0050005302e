"""A call as Asterisk's own record tells it, and what can be made of that alone.

No database is needed for it: of a large file's calls the process that reads it makes as much as it finds the time for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from pbxtrack.calls.events import (
    Entry,
    Fact,
    call_id,
    entries,
    from_microseconds,
    from_plain,
    microseconds,
    plain,
    restored,
)
from pbxtrack.calls.lifecycle import Call, Outcome, Status, outcome, project


class CallSummary(NamedTuple):
    """What is asked of a call before it is kept, and, as JSON, the whole :class:`Call` (``state``)."""

    node: str
    linkedid: str
    started_at: datetime
    dialled: str | None
    caller: str | None
    caller_name: str | None
    withheld: bool
    recording: str | None
    fallback: str | None
    called_out: str | None
    state: str

    @property
    def id(self) -> str:
        return call_id(self.node, self.linkedid)


def summary(call: Call) -> CallSummary:
    """Of a call as it is now."""
    state = orjson.dumps(call, default=sorted, option=orjson.OPT_UTC_Z).decode()
    return CallSummary(
        call.node, call.linkedid, call.started_at, call.dialled, call.caller, call.caller_name, call.withheld,
        call.recording, call.fallback, call.called_out, state,
    )  # fmt: skip


class Derived(NamedTuple):
    """A call, what became of it, and its facts as they are kept."""

    call: CallSummary
    outcome: Outcome
    entries: Sequence[Entry]


class ReportedCall:
    """A call by its facts, of which there must be one. What they add up to is made when it is asked for.

    Of two processes whichever has the time makes it: ``plain`` takes it from one to the other.
    """

    __slots__ = ("_facts", "_made", "_plain", "linkedid", "node")

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.node, self.linkedid = facts[0].node, facts[0].linkedid
        self._facts: Sequence[Fact] | None = facts
        self._plain: Sequence[tuple[Any, ...]] = ()
        self._made: Derived | None = None

    @property
    def id(self) -> str:
        return call_id(self.node, self.linkedid)

    @property
    def facts(self) -> Sequence[Fact]:
        if self._facts is None:
            node, linkedid = self.node, self.linkedid
            if self._made:
                self._facts = [restored(node, linkedid, entry) for entry in self._made.entries]
            else:
                self._facts = [from_plain(node, linkedid, one) for one in self._plain]
        return self._facts

    def make(self) -> Derived:
        """All that is kept of the call."""
        if self._made is None:
            call = project(self.facts)
            self._made = Derived(summary(call), outcome(call), entries(self.facts))
        return self._made

    @property
    def outcome(self) -> Outcome:
        return self._made.outcome if self._made else outcome(project(self.facts))

    def plain(self) -> tuple[Any, ...]:
        """It as nothing but tuples, numbers and texts, which are quickly sent: its facts, or what was made of them."""
        if self._made is None:
            return self.node, self.linkedid, [plain(fact) for fact in self.facts]
        call, ended, written = self._made
        return (
            self.node, self.linkedid, (), (microseconds(call.started_at), *call[3:]),
            (
                ended.status.value, _number(ended.answered_at), _number(ended.ended_at), ended.ringing_seconds,
                ended.talk_seconds, ended.answered_by, ended.hung_up_by, ended.hangup_cause,
            ),
            written,
        )  # fmt: skip

    @classmethod
    def of(cls, given: tuple[Any, ...]) -> ReportedCall:
        """What :meth:`plain` was made of."""
        told = object.__new__(cls)
        told.node, told.linkedid, told._plain, *made = given
        told._facts = told._made = None
        if made:
            (started_at, *call), (status, answered_at, ended_at, *more), written = made
            told._made = Derived(
                CallSummary(told.node, told.linkedid, from_microseconds(started_at), *call),
                Outcome(Status(status), _time(answered_at), _time(ended_at), *more),
                written,
            )
        return told


def _number(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _time(number: int | None) -> datetime | None:
    return None if number is None else from_microseconds(number)
