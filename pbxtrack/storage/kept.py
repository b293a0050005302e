"""What an import, or a rebuild, keeps of the calls to each number, from one batch to the next.

Each batch asks for the latest calls to nearly every number: to read them anew took longer than to write the batch.
"""

from __future__ import annotations

import sqlite3
from bisect import insort
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pbxtrack.calls.attribution import Method, earlier_call
from pbxtrack.calls.evidence import MAX_EARLIER_CALLS, EarlierCall
from pbxtrack.calls.ports import CallRecord

AHEAD = timedelta(days=1)  # what is read of calls that are later than those which ask
_MOST, _FEWER = 3 * MAX_EARLIER_CALLS, MAX_EARLIER_CALLS * 3 // 2  # kept of a number's calls; left when there are more
_MOST_NUMBERS = 5_000


class KeptCall(NamedTuple):
    """A call in the order of time; the id is the call's."""

    at: datetime
    id: str
    call: EarlierCall


class _Number:
    """The latest calls to a number before ``until``, by time. ``whole``: there are no older ones."""

    __slots__ = ("calls", "until", "whole")

    def __init__(self, calls: list[KeptCall], until: datetime, *, whole: bool) -> None:
        self.calls, self.until, self.whole = calls, until, whole

    def enough(self, earliest: datetime, latest: datetime) -> bool:
        """Whether all are there that may matter to calls between these times."""
        return latest <= self.until and (self.whole or _full(self.calls, earliest))

    def put(self, call_id: str, call: EarlierCall | None) -> None:
        """The call is now as this one tells; None: it tells nothing of later calls."""
        self.calls = [kept for kept in self.calls if kept.id != call_id]
        if call is None or not (self.whole or (self.calls and call.at >= self.calls[0].at)):
            return
        insort(self.calls, KeptCall(call.at, call_id, call), key=lambda kept: (kept.at, kept.id))
        if len(self.calls) > _MOST:
            self.calls, self.whole = self.calls[-_FEWER:], False


class KeptCalls:
    """The latest calls to numbers, as long as nobody else writes to the database: which only SQLite can tell.

    Whoever keeps them must let go of them when a transaction fails.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, _Number] = {}
        self._seen: tuple[sqlite3.Connection, int] | None = None

    def look(self, driver: sqlite3.Connection) -> None:
        """Forget everything if somebody else has written. To be called in each transaction before it is asked."""
        ((version,),) = driver.execute("PRAGMA data_version").fetchall()  # changes with the commits of others alone
        if self._seen != (driver, version) or len(self._numbers) > _MOST_NUMBERS:
            self._seen = driver, version
            self._numbers = {}

    def lacking(self, numbers: Collection[str], earliest: datetime, latest: datetime) -> set[str]:
        """Those of the numbers of which too little is kept for calls between these times."""
        return {
            number
            for number in numbers
            if (kept := self._numbers.get(number)) is None or not kept.enough(earliest, latest)
        }

    def keep(self, number: str, calls: Sequence[KeptCall], earliest: datetime, until: datetime) -> None:
        """Keep what was read: by time, the calls before ``until``, with as many before ``earliest`` as may matter."""
        self._numbers[number] = _Number(list(calls), until, whole=not _full(calls, earliest))

    def of(self, number: str) -> list[EarlierCall]:
        """The calls to a number, the latest first."""
        return [kept.call for kept in reversed(self._numbers[number].calls)]

    def saved(self, records: Sequence[CallRecord]) -> None:
        """These calls were written."""
        for record in records:
            if record.dialled and (number := self._numbers.get(record.dialled)):
                number.put(record.call.id, _earlier_call(record))


def _full(calls: Sequence[KeptCall], earliest: datetime) -> bool:
    """Whether, by time, as many begin before that time as are ever looked at."""
    return len(calls) >= MAX_EARLIER_CALLS and calls[MAX_EARLIER_CALLS - 1].at < earliest


def _earlier_call(record: CallRecord) -> EarlierCall | None:
    tie = record.attribution
    if record.dialled is None or tie is None or tie.method is Method.STATIC:
        return None
    return earlier_call(record.call.started_at, record.dialled, record.caller, tie.candidates, record.correction)
