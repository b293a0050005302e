"""What Asterisk tells of a call, from how it went: the same facts, in the same order, as AMI gives of a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from pbxtrack.calls.events import (
    CallArrived,
    CalledOut,
    CallQueued,
    Fact,
    HangupRequested,
    LegEnded,
    LegJoined,
    LegLeft,
    LineAnswered,
    LineDialled,
    LineFailed,
    LineRang,
    RecordingStarted,
    call_id,
    from_microseconds,
)
from pbxtrack.calls.lifecycle import Status
from pbxtrack.demo.data.plan import NODE, SECOND

TIMEOUT = 60.0
"""Seconds that a line rings."""

PATIENCE = 15.0
"""About how many seconds a queue lets one operator's telephone ring."""

_FAILURES = {Status.BUSY: ("BUSY", 17), Status.ABANDONED: ("CANCEL", 127), Status.MISSED: ("NOANSWER", 0)}
_TRUNK = "PJSIP/carrier"


@dataclass(frozen=True, slots=True)
class Went:
    """How a call went: the last of ``operators`` rang for so many seconds, and they talked for ``talk``.

    ``by_caller``: whether the caller hung up, or the company.
    """

    status: Status
    rang: float
    talk: float
    operators: Sequence[str]
    by_caller: bool


Line = tuple[str, str]
"""A leg's uniqueid, and its Asterisk channel."""


class _Told:
    """The facts of one call, as time goes on."""

    def __init__(self, exchange: Exchange, at: int) -> None:
        self._exchange = exchange
        self._at = at
        self.caller = exchange.next_leg(at)
        self.linkedid = self.caller
        self.facts: list[Fact] = []

    def wait(self, seconds: float) -> None:
        self._at += int(seconds * SECOND)

    def say(self, kind: type[Fact], after: float, leg: str, **data: Any) -> None:
        """Something happened to a leg, about so many seconds after what was told last."""
        self.wait(self._exchange.about(after))
        at = from_microseconds(self._at)
        self.facts.append(kind(node=NODE, linkedid=self.linkedid, at=at, leg=leg, **data))

    def dial(self, endpoint: str, after: float) -> Line:
        """Asterisk calls somebody."""
        leg = self._exchange.next_leg(self._at)
        line = leg, self._exchange.channel(endpoint)
        self.say(LineDialled, after, leg, name=line[1])
        return line


class Exchange:
    """An Asterisk that counts its legs, and tells of calls. Times are in microseconds since 1970."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.legs = 0

    def next_leg(self, at: int) -> str:
        """The uniqueid of a new leg."""
        self.legs += 1
        return f"{at // SECOND}.{self.legs}"

    def channel(self, endpoint: str) -> str:
        """The name of the leg that was made last."""
        return f"{endpoint}-{self.legs:08x}"

    def about(self, seconds: float) -> float:
        """Nearly so many seconds: no two things take equally long."""
        return seconds * self._random.uniform(0.6, 1.4)

    def came_in(
        self, at: int, dialled: str, caller: str | None, name: str | None, went: Went, *, queue: bool, record: bool
    ) -> list[Fact]:
        """The facts of a call to the company."""
        call = _Told(self, at)
        own = call.caller, self.channel(_TRUNK)
        arrival = {"dialled": dialled, "caller": caller, "caller_name": name, "withheld": caller is None}
        call.say(CallArrived, 0, call.caller, heard="ami", **arrival)
        call.say(CallArrived, 0.004, call.caller, heard="agi", **arrival)
        if went.status is Status.FAILED:
            call.say(LegEnded, 0.006, call.caller, cause=20)
            return call.facts
        if queue:
            call.say(CallQueued, 0.01, call.caller)
            lines = self._ring_in_turn(call, went)
        else:
            lines = self._ring_all(call, went)
        if went.status is Status.ANSWERED:
            if record:
                file = f"pbxtrack/{call_id(NODE, call.linkedid)}.wav"
                call.say(RecordingStarted, 0.002, call.caller, file=file)
            self._talk(call, went, lines, own, went.by_caller)
        else:
            self._in_vain(call, went, lines)
        return call.facts

    def called_out(self, at: int, number: str, went: Went) -> list[Fact]:
        """The facts of a call that the first of the operators made."""
        call = _Told(self, at)
        own = call.caller, self.channel(went.operators[0])
        call.say(CalledOut, 0, call.caller, number=number)
        line = call.dial(_TRUNK, 0.03)
        call.say(LineRang, 0.9, line[0], name=line[1])
        call.wait(went.rang)
        if went.status is Status.ANSWERED:
            self._talk(call, went, [line], own, not went.by_caller)
        else:
            self._in_vain(call, went, [line])
        return call.facts

    def _ring_all(self, call: _Told, went: Went) -> list[Line]:
        """Ring the operators at once; their legs."""
        lines = [call.dial(operator, 0.003) for operator in went.operators]
        if went.status is not Status.BUSY:
            for leg, name in lines:
                call.say(LineRang, 0.004, leg, name=name)
            call.wait(went.rang)
        return lines

    def _ring_in_turn(self, call: _Told, went: Went) -> list[Line]:
        """Ring one operator after another; the last one's leg. Where all are busy, nobody is rung before."""
        *before, last = went.operators
        for operator in before if went.status is not Status.BUSY else ():
            leg, name = call.dial(operator, 0.05)
            call.say(LineRang, 0.02, leg, name=name)
            call.say(LineFailed, PATIENCE, leg, name=name, status="NOANSWER")
            call.say(LegEnded, 0.001, leg, cause=0)
        leg, name = call.dial(last, 0.05)
        if went.status is not Status.BUSY:
            call.say(LineRang, 0.02, leg, name=name)
            call.wait(went.rang)
        return [(leg, name)]

    def _in_vain(self, call: _Told, went: Went, lines: Sequence[Line]) -> None:
        failure, cause = _FAILURES[went.status]
        if went.status is Status.ABANDONED:
            call.say(HangupRequested, 0.001, call.caller, cause=cause)
        for leg, name in lines:
            if went.status is Status.BUSY:
                call.say(HangupRequested, 0.02, leg, cause=cause)
            call.say(LineFailed, 0.001, leg, name=name, status=failure)
            call.say(LegEnded, 0.001, leg, cause=cause)
        call.say(LegEnded, 0.001, call.caller, cause=cause or 19)

    def _talk(self, call: _Told, went: Went, lines: Sequence[Line], own: Line, by_caller: bool) -> None:
        """The last of the lines answers. ``by_caller``: whether whoever began the call hangs up."""
        *others, line = lines
        bridge = str(UUID(int=self._random.getrandbits(128), version=4))
        call.say(LineAnswered, 0.001, line[0], name=line[1])
        for leg, name in others:
            call.say(LineFailed, 0.001, leg, name=name, status="CANCEL")
            call.say(LegEnded, 0.003, leg, cause=26)
        for leg, name in (line, own):
            call.say(LegJoined, 0.002, leg, name=name, bridge=bridge)
        call.wait(went.talk)
        call.say(HangupRequested, 0.001, (own if by_caller else line)[0], cause=16)
        for leg, _ in (own, line):
            call.say(LegLeft, 0.002, leg, bridge=bridge)
            call.say(LegEnded, 0.002, leg, cause=16)
