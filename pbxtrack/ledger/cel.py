"""CEL, Asterisk's log of channel events, to facts. Pure.

CEL says nearly all that AMI says, to the microsecond, whether anybody listens or not. What it does not say: that a line
rings (ringing is then counted from the moment it was dialled), and the variables that our dialplan set. A call is ours
if one of its legs was in our context of the dialplan; the number that was dialled is the extension there.
"""

from __future__ import annotations

import csv
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import orjson

from pbxtrack.calls.events import (
    CallArrived,
    CallQueued,
    CallTransferred,
    Fact,
    HangupRequested,
    LegEnded,
    LegJoined,
    LegLeft,
    LineAnswered,
    LineDialled,
    LineFailed,
    RecordingStarted,
)
from pbxtrack.calls.reading import EPOCH, clean, is_id, read_name, read_number

HEARD = "cel"
CONTEXT = "pbxtrack"  # asterisk-conf/extensions_pbxtrack.conf

_OURS, _SAMPLE = 19, 20  # columns: as asterisk-conf/cel_custom_pbxtrack.conf has them; as Asterisk's sample does
_AMAFLAGS = 12  # the column that only the sample has
_UNUSED = ('"APP_END",', '"CHAN_END",')  # a quarter of all lines, where somebody keeps them
_TIME = re.compile(r"[0-9]{9,11}\.[0-9]{1,9}")
_ID = re.compile(r"(?:.*-)?([0-9]{9,11})\.([0-9]+)")
_EVENT = re.compile(r"[A-Z][A-Z_]{2,31}")
_PLACEHOLDERS = frozenset({"0", "i", "s", "T", "h"})  # extensions of our context that are no numbers
_DIALLED_BY = frozenset({"AppDial", "AppQueue"})
_BUSY, _ELSEWHERE = 17, 26  # Q.850 and Asterisk's "answered elsewhere"
_FIRST_LEGS, _SOME_LEGS = 4, 16  # of an Asterisk that starts; of one that had run
_LATE = 2.0  # s; what is still said of a call after its end
_STALE = 86_400.0  # s; no call lasts as long
_MAX_ROWS = 5_000  # of a call
_MAX_CALLS = 50_000  # at once
_new_tuple = tuple.__new__


class CelRow(NamedTuple):
    """A row of the file as it stands there; what is needed of it is read when it is known to be of a call of ours."""

    event: str
    time: str
    name: str
    number: str
    ani: str
    rdnis: str
    dnid: str
    exten: str
    context: str
    channel: str
    app: str
    appdata: str
    account: str
    uniqueid: str
    linkedid: str
    peer: str
    userfield: str
    usertype: str
    extra: str

    @property
    def at(self) -> datetime:
        """When it happened."""
        second, _, fraction = self.time.partition(".")  # see read_row
        return EPOCH + timedelta(0, int(second), int(fraction.ljust(6, "0")[:6]))


def read_row(line: str) -> CelRow | None:
    """The row of a line; None for what is none."""
    columns = _columns(line)
    if len(columns) == _SAMPLE:
        del columns[_AMAFLAGS]
    if len(columns) != _OURS:
        return None
    row = _new_tuple(CelRow, columns)  # half the time of CelRow._make
    known = (
        (row.event in _TOLD or _EVENT.fullmatch(row.event))
        and _TIME.fullmatch(row.time)
        and is_id(row.uniqueid)
        and (row.linkedid == row.uniqueid or is_id(row.linkedid))
    )
    return row if known else None


def _columns(line: str) -> list[str]:
    """The line's columns; none where it is no CSV.

    Nearly all lines have quotes around each column and within none but the last: to split those takes a third of the
    time that a CSV reader takes.
    """
    columns = line.split('","', _OURS - 1)
    last = columns[-1]
    within = line.count('"') - last.count('"') - (2 * _OURS - 1)
    if len(columns) == _OURS and not within and line[0] == last[-1:] == '"':
        last = last[:-1]
        if not last:
            columns[0] = columns[0][1:]
            columns[-1] = last
            return columns
        if '"' not in last.replace('""', ""):
            columns[0] = columns[0][1:]
            columns[-1] = last.replace('""', '"')
            return columns
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return []


@dataclass(slots=True)
class _Gathered:
    """A call on its way. ``up`` are the legs that did not hang up yet; without one, it is over."""

    place: object
    since: float
    rows: list[CelRow] = field(default_factory=list)
    up: set[str] = field(default_factory=set)
    ours: bool = False

    def add(self, row: CelRow) -> None:
        if len(self.rows) >= _MAX_ROWS:  # a queue that rings its members for hours: how it began and ended matters
            del self.rows[_MAX_ROWS // 4 : _MAX_ROWS // 2]
        self.rows.append(row)
        self.ours = self.ours or row.context == CONTEXT
        if row.event == "HANGUP":
            self.up.discard(row.uniqueid)
        elif row.event == "CHAN_START" or len(self.rows) == 1:
            self.up.add(row.uniqueid)


class CelReader:
    """The lines of one Asterisk's file, in their order, to the facts of one call after another.

    A call is given once, some time after its last leg hung up: events of different legs are not written in perfect
    order. One that Asterisk did not survive is given when that is noticed; its legs end, unseen, with its last row.
    ``malformed`` counts lines that are no rows, ``forgotten`` calls let go because there were too many at once.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._calls: OrderedDict[str, _Gathered] = OrderedDict()  # by linkedid
        self._homes: dict[str, str] = {}  # linkedid by leg
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._times = (-math.inf, math.inf)  # of the last two rows
        self._look_at = -math.inf  # not before then can a call have become stale
        self._newest = (0.0, 0)  # of the legs: when it was made, and which one it was since Asterisk started
        self.malformed = 0
        self.forgotten = 0

    @property
    def oldest(self) -> object:
        """The place of the first line of the calls that are not given yet; None when there are none."""
        return next((call.place for call in self._calls.values()), None)

    def feed(self, line: str, place: object = None) -> list[Sequence[Fact]]:
        """The facts of each call that is over by now. ``place`` is where the line stands, for :attr:`oldest`."""
        over: list[Sequence[Fact]] = []
        if line.startswith(_UNUSED):
            return over
        row = read_row(line)
        if row is None:
            self.malformed += bool(line.strip())
            return over
        if row.event == "CHAN_START" and self._restarted(row.uniqueid):
            over += self.rest()
        time = float(row.time)
        now = self._clock(time)
        linkedid = self._home(row)
        call = self._calls.get(linkedid)
        if call is None:
            call = self._calls[linkedid] = _Gathered(place, max(now, time))
            if len(self._calls) > _MAX_CALLS:
                self._drop(next(iter(self._calls)))
                self.forgotten += 1
        call.add(row)
        self._homes[row.uniqueid] = linkedid
        if not call.up:
            self._ended[linkedid] = now
        elif linkedid in self._ended:
            del self._ended[linkedid]
        if self._ended and abs(now - next(iter(self._ended.values()))) > _LATE:
            self._due(now, over)
        if now > self._look_at:
            self._let_go(now, over)
        return over

    def ended(self) -> Iterator[Sequence[Fact]]:
        """The facts of the calls that are over: nothing more is said of them."""
        while self._ended:
            yield from self._give(next(iter(self._ended)))

    def rest(self) -> Iterator[Sequence[Fact]]:
        """The facts of every call: nothing more is said of any."""
        for linkedid in list(self._calls):
            yield from self._give(linkedid)

    def finish(self, now: float) -> Iterator[Sequence[Fact]]:
        """The facts of the calls that are over at the end of a file; of others, if they cannot go on by ``now``."""
        yield from self.ended()
        for linkedid, call in list(self._calls.items()):
            if now - call.since > _STALE:
                yield from self._give(linkedid)

    @property
    def going_on(self) -> int:
        """Calls of ours that are not given yet."""
        return sum(call.ours for call in self._calls.values())

    def _clock(self, time: float) -> float:
        """The time by the file, which one odd row does not move."""
        before, last = self._times
        self._times = last, time
        low, high = (before, last) if before <= last else (last, before)
        return low if time < low else high if time > high else time  # the middle one of three

    def _due(self, now: float, over: list[Sequence[Fact]]) -> None:
        # The distance counts, in either direction: clocks are set back, too.
        while self._ended:
            linkedid, ended = next(iter(self._ended.items()))
            if abs(now - ended) <= _LATE:
                break
            over += self._give(linkedid)

    def _let_go(self, now: float, over: list[Sequence[Fact]]) -> None:
        linkedid, first = next(iter(self._calls.items()), ("", None))
        if first is not None and now - first.since > _STALE:
            over += self._give(linkedid)
        else:
            self._look_at = (first.since if first is not None else now) + _STALE

    def _restarted(self, uniqueid: str) -> bool:
        """Whether Asterisk was started anew: it counts its legs from 0 again. Ids are made in their order."""
        found = _ID.fullmatch(uniqueid)
        if not found:
            return False
        made, count = float(found[1]), int(found[2])
        before, self._newest = self._newest, (made, count)
        # Two made at once may be told in the other order. Within a second of the last leg, only Asterisk's very first
        # legs tell of a new start.
        later = before[0] if count < _FIRST_LEGS and before[1] >= _SOME_LEGS else before[0] + 2
        return count < before[1] and made >= later

    def _home(self, row: CelRow) -> str:
        """The call that the row is of: Asterisk changes a leg's linkedid when calls are joined.

        A leg of a call of ours stays with it; one of another's comes to ours.
        """
        now, before = row.linkedid, self._homes.get(row.uniqueid, row.linkedid)
        if now == before:
            return now
        former = self._calls.get(before)
        if former is not None and former.ours:
            return before
        if former is not None:
            former.up.discard(row.uniqueid)
        return now

    def _give(self, linkedid: str) -> Iterator[Sequence[Fact]]:
        call = self._drop(linkedid)
        if call is not None and call.ours and (facts := facts_of(self._node, linkedid, call.rows, call.up)):
            yield facts

    def _drop(self, linkedid: str) -> _Gathered | None:
        call = self._calls.pop(linkedid, None)
        self._ended.pop(linkedid, None)
        for leg in {row.uniqueid for row in call.rows} if call else ():
            if self._homes.get(leg) == linkedid:
                del self._homes[leg]
        return call


def facts_of(node: str, linkedid: str, rows: Sequence[CelRow], up: Collection[str] = ()) -> list[Fact]:
    """The facts of a call of ours; none where it did not meet our dialplan. ``up``: legs whose end nothing tells."""
    arrived = next((row for row in rows if row.context == CONTEXT), None)
    if arrived is None:
        return []
    facts = _Call(node, linkedid, arrived, rows).facts()
    if up:
        last = max(row.at for row in rows)
        facts += [LegEnded(node=node, linkedid=linkedid, at=last, leg=leg, unseen=True) for leg in sorted(up)]
    return facts


class _Call:
    def __init__(self, node: str, linkedid: str, arrived: CelRow, rows: Sequence[CelRow]) -> None:
        self._node, self._linkedid = node, linkedid
        self._rows = rows
        self._caller = arrived.uniqueid
        self._came_in = next((row for row in rows if row.uniqueid == self._caller), arrived)
        self._arrived = arrived
        self._answered: set[str] = set()
        self._begun = {row.uniqueid for row in rows if row.event == "CHAN_START"}
        ends = [row for row in rows if row.event == "HANGUP" and row.uniqueid == self._caller]
        self._dialstatus = clean(str(_extra(ends[-1]).get("dialstatus") or ""), 32).upper() if ends else ""
        self._facts: list[Fact] = []

    def facts(self) -> list[Fact]:
        self._facts = [self._arrival()]
        for row in self._rows:
            if told := _TOLD.get(row.event):
                told(self, row)
        return self._facts

    def _arrival(self) -> Fact:
        number, withheld = read_number(self._came_in.number)
        name = read_name(self._came_in.name)
        if withheld and name and read_number(name)[1]:  # "Anonymous"
            name = None
        row = self._arrived
        return CallArrived(
            node=self._node,
            linkedid=self._linkedid,
            at=self._came_in.at,
            leg=self._caller,
            dialled=clean(row.dnid if row.exten in _PLACEHOLDERS else row.exten),
            caller=number,
            caller_name=name,
            withheld=withheld,
            heard=HEARD,
        )

    def _add(self, kind: type[Fact], row: CelRow, **more: Any) -> None:
        self._facts.append(kind(node=self._node, linkedid=self._linkedid, at=row.at, leg=row.uniqueid, **more))

    def _began(self, row: CelRow) -> None:
        if self._is_line(row):
            self._add(LineDialled, row, name=clean(row.channel))

    def _answer(self, row: CelRow) -> None:
        if row.app in _DIALLED_BY:
            self._answered.add(row.uniqueid)
            self._add(LineAnswered, row, name=clean(row.channel))

    def _bridge(self, row: CelRow) -> None:
        if bridge := clean(str(_extra(row).get("bridge_id") or ""), 64):
            if row.event == "BRIDGE_EXIT":
                self._add(LegLeft, row, bridge=bridge)
            else:
                self._add(LegJoined, row, name=clean(row.channel), bridge=bridge)

    def _transfer(self, row: CelRow) -> None:
        self._add(
            CallTransferred, row, how="blind" if row.event == "BLINDTRANSFER" else "attended", target=_target(row)
        )

    def _app(self, row: CelRow) -> None:
        if row.app == "Queue":
            self._add(CallQueued, row)
        elif row.app == "MixMonitor" and row.uniqueid == self._caller and row.context == CONTEXT:
            self._add(RecordingStarted, row, file=clean(row.appdata.partition(",")[0]))

    def _is_line(self, row: CelRow) -> bool:
        """A leg that began in the call is one that was dialled; of a Local pair, the half that faces the caller."""
        return row.uniqueid != self._caller and not row.channel.endswith(";2")

    def _hangup(self, row: CelRow) -> None:
        extra = _extra(row)
        cause = extra.get("hangupcause")
        cause = cause if isinstance(cause, int) and 0 <= cause <= 999 else None
        if row.channel and extra.get("hangupsource") == row.channel:
            self._add(HangupRequested, row, cause=cause)
        # Of a leg that began before the file did it is not known whether it had answered.
        failed = row.uniqueid in self._begun and row.uniqueid not in self._answered
        if failed and self._is_line(row) and row.app in _DIALLED_BY:
            self._add(LineFailed, row, name=clean(row.channel), status=self._failure(cause))
        self._add(LegEnded, row, cause=cause)

    def _failure(self, cause: int | None) -> str:
        """CEL tells what Dial() came to of the caller's leg only, and of each line why it ended."""
        if cause == _BUSY:
            return "BUSY"
        if cause == _ELSEWHERE or self._dialstatus in ("", "ANSWER"):
            return "CANCEL"
        return self._dialstatus

    by_event: ClassVar[Mapping[str, Callable[[_Call, CelRow], None]]] = {
        "CHAN_START": _began, "ANSWER": _answer, "BRIDGE_ENTER": _bridge, "BRIDGE_EXIT": _bridge, "HANGUP": _hangup,
        "BLINDTRANSFER": _transfer, "ATTENDEDTRANSFER": _transfer, "APP_START": _app,
    }  # fmt: skip


_TOLD = _Call.by_event


def _extra(row: CelRow) -> dict[str, Any]:
    try:
        found = orjson.loads(row.extra) if row.extra else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _target(row: CelRow) -> str:
    extra = _extra(row)
    for name in ("extension", "transfer_target_channel_name", "channel2_name", "app"):
        if isinstance(extra.get(name), str) and extra[name]:
            return clean(extra[name], 128)
    return ""
