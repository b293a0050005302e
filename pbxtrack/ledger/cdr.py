"""CDR, Asterisk's records for billing, to facts. Pure. For whoever has no CEL: it knows less.

A CDR does not tell who hung up, a queue's is not exact, and a transferred call's may have lost the number that was
dialled, and with it that the call is ours. That a caller gave up is seen from what does not follow: our dialplan goes
on after a Dial() that nobody answered, and that leaves a second record.
"""

from __future__ import annotations

import csv
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from pbxtrack.calls.events import (
    CallArrived,
    Fact,
    HangupRequested,
    LegEnded,
    LegJoined,
    LegLeft,
    LineAnswered,
    LineDialled,
    LineFailed,
)
from pbxtrack.calls.reading import clean, created_by, is_id, read_epoch, read_name, read_number
from pbxtrack.ledger.cel import CONTEXT

HEARD = "cdr"

_DISPOSITIONS = {
    "ANSWERED": "", "NO ANSWER": "NOANSWER", "BUSY": "BUSY", "FAILED": "CHANUNAVAIL", "CONGESTION": "CONGESTION"
}  # fmt: skip
_FIELDS = (
    "linkedid", "uniqueid", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "start", "answer",
    "end", "disposition",
)  # fmt: skip
# The columns of those fields, by where the disposition stands among so many columns. None: it is not there.
_OURS = (0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16)  # asterisk-conf/cdr_custom_pbxtrack.conf
_CSV = (None, 16, 4, 1, 2, 3, 5, 6, 7, 9, 10, 11, 14)  # cdr_csv's Master.csv, with loguniqueid=yes
_SAMPLE = (None, 16, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 13)  # the mapping in Asterisk's sample of cdr_custom.conf
_LAYOUTS = ((_OURS, range(20, 21)), (_CSV, range(17, 19)), (_SAMPLE, range(17, 20)))
_PLACEHOLDERS = frozenset({"0", "i", "s", "T", "h"})
_CLID = re.compile(r'\s*"?(.*?)"?\s*<[^<>]*>\s*', re.DOTALL)
_YEARS = range(1971, 5_138)  # as far as seconds since 1970 go, in any zone
_SECOND = timedelta(seconds=1)  # times and ids are cut to whole ones
_LATE = 5_000  # records after which no more is said of a call
_MAX_ROWS = 1_000  # of a call


@dataclass(frozen=True, slots=True)
class CdrRow:
    """A record, as far as it is used. ``linkedid`` is the uniqueid where the file does not have it."""

    linkedid: str
    uniqueid: str
    name: str
    src: str
    dst: str
    context: str
    channel: str
    dstchannel: str
    app: str
    start: datetime
    answer: datetime | None
    end: datetime
    disposition: str


def read_row(line: str, zone: tzinfo) -> CdrRow | None:
    """The record of a line; None for what is none. ``zone`` is that of times without one."""
    try:
        columns = next(csv.reader([line], strict=True), [])
    except csv.Error:
        return None
    for layout, widths in _LAYOUTS:
        if len(columns) in widths and columns[layout[-1] or 0] in _DISPOSITIONS:
            given = zip(_FIELDS, layout, strict=True)
            return _row({name: "" if at is None else columns[at] for name, at in given}, zone)
    return None


def _row(given: dict[str, str], zone: tzinfo) -> CdrRow | None:
    uniqueid = given["uniqueid"]
    start, end = _time(given["start"], zone, uniqueid), _time(given["end"], zone, uniqueid)
    linkedid = given["linkedid"] or uniqueid
    if start is None or end is None or not (is_id(uniqueid) and is_id(linkedid)):
        return None
    name = _CLID.fullmatch(given["clid"])
    return CdrRow(
        linkedid=linkedid, uniqueid=uniqueid, name=name[1] if name else "", src=given["src"], dst=given["dst"],
        context=given["dcontext"], channel=clean(given["channel"]), dstchannel=clean(given["dstchannel"]),
        app=given["lastapp"], start=start, answer=_time(given["answer"], zone, uniqueid), end=max(start, end),
        disposition=given["disposition"],
    )  # fmt: skip


def _time(text: str, zone: tzinfo, uniqueid: str) -> datetime | None:
    """Seconds since 1970, or a date and time of that zone.

    Of an hour that comes twice, the first one, unless the call had not begun by then, as its id tells.
    """
    if (at := read_epoch(text)) is not None:
        return at
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    if local.year not in _YEARS:
        return None
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first == second or first >= created_by(uniqueid, second) - _SECOND else second


class CdrReader:
    """The lines of one Asterisk's file, in their order, to the facts of one call after another."""

    def __init__(self, node: str, zone: tzinfo = UTC) -> None:
        self._node, self._zone = node, zone
        self._calls: OrderedDict[str, list[CdrRow]] = OrderedDict()  # by linkedid, the latest told of last
        self.malformed = 0

    def feed(self, line: str) -> Iterator[Sequence[Fact]]:
        """The facts of each call that is over by now."""
        row = read_row(line, self._zone)
        if row is None:
            self.malformed += bool(line.strip())
            return
        rows = self._calls.setdefault(row.linkedid, [])
        if len(rows) < _MAX_ROWS:
            rows.append(row)
        self._calls.move_to_end(row.linkedid)
        while len(self._calls) > _LATE:
            yield from self._give()

    going_on = 0  # a CDR is written when it is over

    def finish(self, now: float) -> Iterator[Sequence[Fact]]:
        """The facts of every call: the file ends here."""
        while self._calls:
            yield from self._give()

    def _give(self) -> Iterator[Sequence[Fact]]:
        linkedid, rows = self._calls.popitem(last=False)
        if facts := facts_of(self._node, linkedid, rows):
            yield facts


def facts_of(node: str, linkedid: str, rows: Sequence[CdrRow]) -> list[Fact]:
    """The facts of a call of ours; none where no record is of our context."""
    rows = sorted(rows, key=lambda row: (row.start, row.end))
    arrived = next((row for row in rows if row.context == CONTEXT and not row.channel.startswith("Local/")), None)
    if arrived is None:
        return []
    common: dict[str, Any] = {"node": node, "linkedid": linkedid}
    caller = arrived.uniqueid
    own = [row for row in rows if row.uniqueid == caller]
    # A queue behind a Local channel picks up long before anybody answers: what counts is the line behind it.
    lines = [row for row in rows if row.dstchannel]
    people = [row for row in lines if not row.dstchannel.startswith("Local/")] or lines
    answered = any(row.disposition == "ANSWERED" for row in people or own)
    end = max(row.end for row in own)
    facts: list[Fact] = [_arrival(common, arrived, own[0].start)]
    for place, row in enumerate(lines):
        facts += _line(common, caller, row, place, answered)
    if not answered and own[-1].app != "Hangup" and people and people[-1].disposition == "NO ANSWER":
        facts.append(HangupRequested(**common, at=end, leg=caller))
    facts.append(LegEnded(**common, at=end, leg=caller))
    return facts


def _arrival(common: dict[str, Any], row: CdrRow, at: datetime) -> Fact:
    number, withheld = read_number(row.src)
    name = read_name(row.name)
    return CallArrived(
        **common,
        at=at,
        leg=row.uniqueid,
        dialled="" if row.dst in _PLACEHOLDERS else clean(row.dst),
        caller=number,
        caller_name=None if withheld else name,
        withheld=withheld,
        heard=HEARD,
    )


def _line(common: dict[str, Any], caller: str, row: CdrRow, place: int, answered: bool) -> Iterator[Fact]:
    """What a record says of the line. It does not tell the line's id: its name stands for it."""
    line: dict[str, Any] = {**common, "leg": row.dstchannel}
    yield LineDialled(**line, at=row.start, name=row.dstchannel)
    if row.disposition == "ANSWERED" and row.answer is not None:
        yield LineAnswered(**line, at=row.answer, name=row.dstchannel)
        bridge = f"cdr-{place}"
        yield LegJoined(**line, at=row.answer, name=row.dstchannel, bridge=bridge)
        yield LegLeft(**line, at=row.end, bridge=bridge)
        if row.uniqueid == caller:
            yield LegJoined(**common, at=row.answer, leg=caller, name=row.channel, bridge=bridge)
            yield LegLeft(**common, at=row.end, leg=caller, bridge=bridge)
    else:
        status = "CANCEL" if answered else _DISPOSITIONS.get(row.disposition, "")
        yield LineFailed(**line, at=row.end, name=row.dstchannel, status=status or "NOANSWER")
    yield LegEnded(**line, at=row.end)
