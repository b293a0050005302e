"""Which calls the translator follows, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pbxtrack.ami.events import EventLeg
from pbxtrack.calls.events import Fact

MAX_HELD_PER_CALL = 64
MAX_ENTERED = 8
MAX_GONE = 1000  # legs of a call


@dataclass(frozen=True, slots=True)
class Entered:
    """How a leg came in, before the dialplan could change anything."""

    at: datetime
    number: str
    name: str


@dataclass(slots=True)
class KnownCall:
    """What must be remembered of a call while it lasts. Until it is ``ours`` its facts are held back."""

    ours: bool = False
    arrived: bool = False
    fallback: bool = False
    called_out: bool = False
    dialled: str = ""
    caller_leg: str = ""
    entered: dict[str, Entered] = field(default_factory=dict)
    legs: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    held: list[Fact] = field(default_factory=list)


class KnownCalls:
    """Calls by linkedid: ours, those that may yet be ours (the least recently heard of go first), and the ended.

    ``forgotten`` counts calls let go because there were too many.
    """

    def __init__(self, most_ours: int, most_held: int, most_facts: int) -> None:
        self._most_ours, self._most_held, self._most_facts = most_ours, most_held, most_facts
        self._ours: OrderedDict[str, KnownCall] = OrderedDict()
        self._held: OrderedDict[str, KnownCall] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()  # a late word of these must not begin them anew
        self._home: dict[str, str] = {}  # leg: linkedid
        self._facts = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._ours) + len(self._held)

    @property
    def ours(self) -> int:
        """How many calls of ours go on."""
        return len(self._ours)

    @property
    def size(self) -> int:
        """Everything that is kept, in entries; bounded."""
        return len(self) + len(self._ended) + len(self._home) + self._facts

    def is_ours(self, linkedid: str) -> bool:
        return linkedid in self._ours or linkedid in self._ended

    def is_over(self, linkedid: str) -> bool:
        return linkedid in self._ended

    def home(self, leg: str) -> str | None:
        """The call that this leg was last seen in."""
        return self._home.get(leg)

    def get(self, linkedid: str) -> KnownCall:
        """The call, known from now on, and the last to be forgotten."""
        for calls in (self._ours, self._held):
            if known := calls.get(linkedid):
                calls.move_to_end(linkedid)
                return known
        known = self._held[linkedid] = KnownCall()
        while len(self._held) > self._most_held:
            self._forget(self._held)
        return known

    def hold(self, call: KnownCall, facts: Sequence[Fact]) -> None:
        """Keep facts of a call until it is known whose it is."""
        room = MAX_HELD_PER_CALL - len(call.held)
        call.held += facts[:room]
        self._facts += len(facts[:room])
        while self._facts > self._most_facts and len(self._held) > 1:
            self._forget(self._held)

    def adopt(self, linkedid: str) -> list[Fact]:
        """The call is ours; what was held back of it."""
        call = self._ours[linkedid] = self._held.pop(linkedid)
        call.ours = True
        held, call.held = call.held, []
        self._facts -= len(held)
        while len(self._ours) > self._most_ours:
            self._forget(self._ours)
        return held

    def enter(self, linkedid: str, call: KnownCall, leg: EventLeg) -> None:
        """A leg was heard of. One that is gone stays gone, whatever is heard of it late."""
        if leg.uniqueid in call.gone:
            return
        home = self._home.get(leg.uniqueid)
        if home is not None and home != linkedid:  # a transfer joined it to this call
            former = self._held.get(home) or self._ours.get(home)
            if former:
                former.legs.discard(leg.uniqueid)
                if not former.legs and not former.ours:
                    self._drop(self._held, home)
        call.legs.add(leg.uniqueid)
        self._home[leg.uniqueid] = linkedid

    def leave(self, linkedid: str, call: KnownCall, leg: str) -> bool:
        """A leg is gone; whether it was the call's last."""
        self._home.pop(leg, None)
        call.legs.discard(leg)
        call.gone.add(leg)
        if len(call.gone) > MAX_GONE:  # a queue may ring its members for an hour
            call.gone.pop()
        if call.legs:
            return False
        if call.ours:
            self._ended[linkedid] = None
            while len(self._ended) > self._most_held:
                self._ended.popitem(last=False)
        self._drop(self._ours if call.ours else self._held, linkedid)
        return True

    def _forget(self, calls: OrderedDict[str, KnownCall]) -> None:
        self.forgotten += 1
        self._drop(calls, next(iter(calls)))

    def _drop(self, calls: OrderedDict[str, KnownCall], linkedid: str) -> None:
        if call := calls.pop(linkedid, None):
            self._facts -= len(call.held)
            for leg in call.legs:
                if self._home.get(leg) == linkedid:
                    del self._home[leg]
