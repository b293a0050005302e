"""Loads recorded AMI, and writes AMI events by hand."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pbxtrack.ami.messages import Message
from pbxtrack.ami.translate import Translator
from pbxtrack.calls.events import Fact
from pbxtrack.calls.lifecycle import Call, project

FOLDER = Path(__file__).parents[1] / "fixtures" / "ami"
DID = "74951230100"
NODE = "pbx1"
START = 1795322452


def load(name: str) -> list[dict[str, str | list[str]]]:
    """A trace; those that lack our variables get them where Asterisk would write them."""
    events = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]
    return events if name.startswith("lab/") else [with_variables(event) for event in events]


def with_variables(event: dict[str, str | list[str]], did: str = DID) -> dict[str, str | list[str]]:
    for prefix in ("", "Dest", "Transferer", "Transferee", "OrigTransferer", "SecondTransferer", "TransferTarget"):
        linkedid = event.get(f"{prefix}Linkedid")
        if linkedid and event.get("Event") != "Newchannel":
            event[f"{prefix}ChanVariable"] = [f"PBXTRACK_CALL={NODE}-{linkedid}", f"PBXTRACK_DID={did}"]
    return event


def facts_of(events: Iterable[Message]) -> list[Fact]:
    translator = Translator(NODE)
    facts = [fact for event in events for fact in translator.feed(event)]
    assert translator.malformed == 0
    return facts


def calls_of(facts: Sequence[Fact]) -> dict[str, Call]:
    by_call: dict[str, list[Fact]] = {}
    for fact in facts:
        by_call.setdefault(fact.linkedid, []).append(fact)
    return {linkedid: project(facts) for linkedid, facts in by_call.items()}


def call_of(events: Iterable[Message]) -> Call:
    """The one call of these events."""
    (call,) = calls_of(facts_of(events)).values()
    return call


class Script:
    """A call's events, written by hand. Legs are numbered; times are seconds from the start."""

    def __init__(self, ours: bool = True) -> None:
        self.ours = ours
        self.events: list[dict[str, str | list[str]]] = []
        self._names: dict[int, str] = {}
        self.linkedid = f"{START}.1"

    def say(self, event: str, at: float, *, linked: int = 1, **headers: str | int) -> "Script":
        """Headers whose value is a leg's number and whose name is a prefix become that leg's headers."""
        fields: dict[str, str | list[str]] = {"Event": event, "Timestamp": f"{START + at:.6f}"}
        for name, value in headers.items():
            if isinstance(value, str):
                fields[name] = value
                continue
            prefix = "" if name == "leg" else name
            fields[f"{prefix}Channel"] = self._names.get(value, f"PJSIP/leg{value}-{value:08x}")
            fields[f"{prefix}Uniqueid"] = f"{START}.{value}"
            fields[f"{prefix}Linkedid"] = f"{START}.{linked}"
        self.events.append(with_variables(fields) if self.ours and linked == 1 else fields)
        return self

    def new(self, leg: int, at: float, name: str, state: str = "Down", **headers: str) -> "Script":
        self._names[leg] = f"{name}-{leg:08x}"
        values: dict[str, str | int] = {"leg": leg, "ChannelStateDesc": state, **headers}
        return self.say("Newchannel", at, linked=1, **values)

    def caller(self, number: str = "+79161234567", name: str = "<unknown>") -> "Script":
        return self.new(1, 0, "PJSIP/carrier", "Ring", CallerIDNum=number, CallerIDName=name)

    def dial(self, leg: int, at: float, by: int = 1, ring: float | None = 0.1) -> "Script":
        caller = "+79161234567" if by == 1 else "<unknown>"
        self.say("DialBegin", at, leg=by, Dest=leg, CallerIDNum=caller)
        if ring is not None:
            self.say("DialState", at + ring, leg=by, Dest=leg, DialStatus="RINGING")
        return self

    def dialled(self, leg: int, at: float, status: str, by: int = 1) -> "Script":
        return self.say("DialEnd", at, leg=by, Dest=leg, DialStatus=status)

    def join(self, at: float, bridge: str, *legs: int) -> "Script":
        for leg in legs:
            self.say("BridgeEnter", at, leg=leg, BridgeUniqueid=bridge)
        return self

    def leave(self, at: float, bridge: str, *legs: int) -> "Script":
        for leg in legs:
            self.say("BridgeLeave", at, leg=leg, BridgeUniqueid=bridge)
        return self

    def asks_to_end(self, leg: int, at: float, cause: int = 16) -> "Script":
        return self.say("HangupRequest", at, leg=leg, Cause=str(cause))

    def end(self, at: float, *legs: int, cause: int = 16) -> "Script":
        for leg in legs:
            self.say("Hangup", at, leg=leg, Cause=str(cause))
        return self
