"""AMI events become facts of calls. Pure: no clock but the one given, no I/O.

Which calls are ours is told by the variables that the dialplan sets; Asterisk writes them on every later event of every
leg (``channelvars``), so a listener that starts in the middle of a call finds its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pbxtrack.ami.events import EventLeg, MalformedEvent, read_cause, read_leg, read_time
from pbxtrack.ami.known import MAX_ENTERED, Entered, KnownCall, KnownCalls
from pbxtrack.ami.messages import Message, text
from pbxtrack.calls.events import (
    CallArrived,
    CalledOut,
    CallQueued,
    CallTransferred,
    Fact,
    FallbackTaken,
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
)
from pbxtrack.calls.reading import clean, created_by, is_id, read_name, read_number

CALL, DID, FALLBACK = "PBXTRACK_CALL", "PBXTRACK_DID", "PBXTRACK_FALLBACK"
PRESENTATION, RECORD = "PBXTRACK_PRES", "PBXTRACK_RECORD"
OUT = "PBXTRACK_OUT"
_OURS = (DID, CALL, OUT)  # a leg with one of these is of a call of ours

_MAIN = ("",)
_DIAL = ("", "Dest")
# In these orders the first leg that carries our variables names the call.
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "Newchannel": _MAIN, "BridgeEnter": _MAIN, "BridgeLeave": _MAIN, "HangupRequest": _MAIN, "SoftHangupRequest": _MAIN,
    "Hangup": _MAIN, "MixMonitorStart": _MAIN, "CoreShowChannel": _MAIN, "QueueCallerJoin": _MAIN,
    "DialBegin": _DIAL, "DialState": _DIAL, "DialEnd": _DIAL,
    "BlindTransfer": ("Transferer", "Transferee"),
    "AttendedTransfer": ("OrigTransferer", "Transferee", "TransferTarget", "SecondTransferer"),
}  # fmt: skip


class Translator:
    """The events of one Asterisk, in the order heard, to facts.

    Calls of others (no variables of ours) give none; the limits say how many calls at once are followed.
    """

    def __init__(
        self,
        node: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        most_calls: int = 50_000,
        most_others: int = 10_000,
        most_held_facts: int = 50_000,
    ) -> None:
        self.node, self._clock = node, clock
        self._own = call_id(node, "")
        self.calls = KnownCalls(most_calls, most_others, most_held_facts)
        self.malformed = 0

    def feed(self, event: Message) -> list[Fact]:
        """The facts that this event brings, and those that were held back until it. Never raises."""
        name = event.get("Event")
        prefixes = _PREFIXES.get(name) if isinstance(name, str) else None
        if prefixes is None:
            return []
        try:
            legs = [leg for prefix in prefixes if (leg := read_leg(event, prefix))]
            if not legs:
                raise MalformedEvent("no leg")
            linkedid = self._call_of(legs)
            at = read_time(event) or self._clock()
            return self._follow(str(name), event, legs, linkedid, at)
        except MalformedEvent:
            self.malformed += 1
            return []

    def locate(self, event: Message) -> str | None:
        """The linkedid of the call of ours that goes on and that the event speaks of; None if there is none."""
        try:
            leg = read_leg(event)
        except MalformedEvent:
            return None
        if leg is None:
            return None
        linkedid = self._call_of([leg])
        if not self.calls.is_ours(linkedid) or self.calls.is_over(linkedid):
            return None
        return None if leg.uniqueid in self.calls.get(linkedid).gone else linkedid

    def forget(self, linkedid: str, leg: str) -> None:
        """A leg went while nobody listened."""
        if self.calls.is_ours(linkedid) and not self.calls.is_over(linkedid):
            self.calls.leave(linkedid, self.calls.get(linkedid), leg)

    def _call_of(self, legs: list[EventLeg]) -> str:
        """The call's own name for itself first: Asterisk changes a leg's linkedid when calls are joined."""
        for leg in legs:
            named = leg.variables.get(CALL, "")
            if named.startswith(self._own) and is_id(named[len(self._own) :]):
                return named[len(self._own) :]
        for leg in legs:
            if self.calls.is_ours(leg.linkedid):
                return leg.linkedid
        for leg in legs:
            home = self.calls.home(leg.uniqueid)
            if home and self.calls.is_ours(home):
                return home
        return legs[0].linkedid

    def _follow(self, name: str, event: Message, legs: list[EventLeg], linkedid: str, at: datetime) -> list[Fact]:
        facts = _facts(name, event, legs, self.node, linkedid, at)
        if self.calls.is_over(linkedid):
            return facts
        call = self.calls.get(linkedid)
        for leg in legs:
            self.calls.enter(linkedid, call, leg)
        # A leg that begins "Down" is being dialled; a caller's rings in.
        came_in = legs[0].uniqueid == linkedid or text(event, "ChannelStateDesc") != "Down"
        if name == "Newchannel" and came_in and not call.ours and len(call.entered) < MAX_ENTERED:
            call.entered[legs[0].uniqueid] = Entered(at, text(event, "CallerIDNum"), text(event, "CallerIDName"))
        if not call.ours and any(leg.variables.get(name) for leg in legs for name in _OURS):
            facts = self.calls.adopt(linkedid) + facts
        if call.ours:
            news = [
                *self._arrival(call, event, legs, linkedid, at),
                *self._fallback(call, legs, linkedid, at),
                *self._called_out(call, legs, linkedid, at),
            ]
            if name == "MixMonitorStart":
                news += self._recording(call, legs[0], linkedid, at)
            facts = news + facts
        else:
            self.calls.hold(call, facts)
            facts = []
        if name == "Hangup" and self.calls.leave(linkedid, call, legs[0].uniqueid) and call.ours and not call.arrived:
            facts += self._unseen_arrival(call, linkedid, at)
        return facts

    def _arrival(
        self, call: KnownCall, event: Message, legs: list[EventLeg], linkedid: str, at: datetime
    ) -> list[Fact]:
        """Told by the caller's own leg, so that number and name are the caller's.

        That is the leg that the call is named after; else (a call made by Asterisk itself) the one that came in and
        was the first to have a DID.
        """
        if call.arrived:
            return []
        leg = legs[0]  # the only one whose caller id the event gives
        did = leg.variables.get(DID, "")
        call.dialled = call.dialled or next((found for leg in legs if (found := leg.variables.get(DID))), "")
        if not did or not (leg.uniqueid == linkedid or leg.uniqueid in call.entered):
            return []
        entered = call.entered.get(leg.uniqueid)
        # The number as our dialplan met it (FastAGI saw the same), the name as the trunk gave it: the dialplan
        # writes the advertisement's name over it, to show it to the operator.
        number, withheld = read_number(text(event, "CallerIDNum"))
        if number is None and not withheld and entered:
            number, withheld = read_number(entered.number)
        name = read_name(entered.name if entered else text(event, "CallerIDName"))
        if withheld or leg.variables.get(PRESENTATION, "").lower().startswith("prohib"):
            number, withheld = None, True
            name = None if name and read_number(name)[1] else name  # "Anonymous"
        call.arrived, call.caller_leg = True, leg.uniqueid
        call.entered.clear()
        return [
            CallArrived(
                node=self.node,
                linkedid=linkedid,
                at=entered.at if entered else created_by(linkedid, at),
                leg=leg.uniqueid,
                dialled=clean(did),
                caller=number,
                caller_name=name,
                withheld=withheld,
            )
        ]

    def _unseen_arrival(self, call: KnownCall, linkedid: str, at: datetime) -> list[Fact]:
        """The call is over and its caller's leg was never seen: it was gone before we listened. The number counts."""
        if not call.dialled:
            return []
        at = created_by(linkedid, at)
        return [
            CallArrived(
                node=self.node, linkedid=linkedid, at=at, leg=linkedid, dialled=clean(call.dialled), caller=None
            )
        ]

    def _fallback(self, call: KnownCall, legs: list[EventLeg], linkedid: str, at: datetime) -> list[Fact]:
        reason = next((found for leg in legs if (found := leg.variables.get(FALLBACK))), "")
        if call.fallback or not reason:
            return []
        call.fallback = True
        return [FallbackTaken(node=self.node, linkedid=linkedid, at=at, leg=linkedid, reason=clean(reason, 64))]

    def _called_out(self, call: KnownCall, legs: list[EventLeg], linkedid: str, at: datetime) -> list[Fact]:
        number = next((found for leg in legs if (found := leg.variables.get(OUT))), "")
        if call.called_out or not (number := clean(number, 64)):
            return []
        call.called_out = True
        began = call.entered.get(linkedid)
        at = began.at if began else created_by(linkedid, at)
        return [CalledOut(node=self.node, linkedid=linkedid, at=at, leg=linkedid, number=number)]

    def _recording(self, call: KnownCall, leg: EventLeg, linkedid: str, at: datetime) -> list[Fact]:
        """AMI does not name the file. Ours is the caller leg's, and its name is the dialplan's."""
        if leg.uniqueid != (call.caller_leg or linkedid) or leg.variables.get(RECORD, "1") != "1":
            return []
        file = f"pbxtrack/{call_id(self.node, linkedid)}.wav"
        return [RecordingStarted(node=self.node, linkedid=linkedid, at=at, leg=leg.uniqueid, file=file)]


def _facts(name: str, event: Message, legs: list[EventLeg], node: str, linkedid: str, at: datetime) -> list[Fact]:
    """What one event says of a call, whoever's it is."""
    leg = legs[0]
    if name.startswith("Dial"):
        leg = next((found for found in legs if found.uniqueid == text(event, "DestUniqueid")), leg)
        if not text(event, "DestUniqueid"):
            raise MalformedEvent("a dial without destination")
        return _dial_facts(name, event, leg, node, linkedid, at)
    match name:
        case "BridgeEnter" | "BridgeLeave":
            bridge = clean(text(event, "BridgeUniqueid"), 64)
            if not bridge:
                raise MalformedEvent("no bridge")
            if name == "BridgeLeave":
                return [LegLeft(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, bridge=bridge)]
            return [LegJoined(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, name=leg.name, bridge=bridge)]
        case "HangupRequest":
            return [HangupRequested(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, cause=read_cause(event))]
        case "QueueCallerJoin":
            return [CallQueued(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid)]
        case "Hangup":
            return [LegEnded(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, cause=read_cause(event))]
        case "BlindTransfer" | "AttendedTransfer" if text(event, "Result") == "Success":
            how = "blind" if name == "BlindTransfer" else "attended"
            target = clean(_target(event), 128)
            return [CallTransferred(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, how=how, target=target)]
    return []


def _dial_facts(name: str, event: Message, leg: EventLeg, node: str, linkedid: str, at: datetime) -> list[Fact]:
    status = clean(text(event, "DialStatus"), 32).upper()
    kind: type[LineDialled | LineRang | LineAnswered] | None = None
    if name == "DialBegin":
        kind = LineDialled
    elif name == "DialState" and status == "RINGING":
        kind = LineRang
    elif name == "DialEnd" and status == "ANSWER":
        kind = LineAnswered
    elif name == "DialEnd" and status:
        return [LineFailed(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, name=leg.name, status=status)]
    return [kind(node=node, linkedid=linkedid, at=at, leg=leg.uniqueid, name=leg.name)] if kind else []


def _target(event: Message) -> str:
    """What was dialled, else whom the transferer was talking to, else an application."""
    for name in ("Extension", "SecondTransfererConnectedLineNum", "TransferTargetChannel", "DestApp"):
        value = text(event, name)
        if value and value != "<unknown>":
            return value
    return ""
