"""Copies of the year, side by side: for benchmarks of more calls than can be lived through one by one.

Each copy has numbers, visitors and callers of its own, so that no call of one says anything of another's; all happens
some seconds or minutes earlier than in the year that was lived. A row of it is made by writing other times, ids and
numbers into the row that it is a copy of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

from pbxtrack.demo.data.lines import BETWEEN, NOTHING
from pbxtrack.demo.data.people import Phone, e164
from pbxtrack.ids import TIME_PART, id_of, milliseconds_of, time_part

MOST_EARLIER = 3_600
"""Seconds by which copies are earlier than the year, at most."""

_STEP = 1_009  # s between a copy and the next, within that: two copies in a row are far apart
_OF_COPY = 4  # characters of an id, the last ones, tell the copy; the year's own have noughts there
_EPOCH = date(1970, 1, 1).toordinal()
_SECONDS = [f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}" for at in range(86_400)]
_VARYING = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)"  # times: seconds; what is behind them stays
    r"|(?<![\w.])(1\d{9}\.\d+)"  # Asterisk's ids
    r"|(?<![\w.])(1\d{15})(?!\d)"  # microseconds since 1970
    r"|(?<!\w)(01[0-9a-z]{24})(?!\w)"  # ids of ours
    r"|(\+7\d{10})(?!\d)"  # telephone numbers
)


@dataclass(frozen=True, slots=True)
class Originals:
    """What is another in each copy. ``pooled``: of each pool's number, as it is in the year, those of all copies.

    ``numbers``: the same of the ids of their rows, by id. ``phones``: callers, by number. ``legs``: how many there are.
    """

    copies: int
    pooled: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Sequence[str]]
    phones: Mapping[str, Phone]
    legs: int


class Copy:
    """One of the copies; the first is the year itself."""

    def __init__(self, originals: Originals, index: int) -> None:
        self._copies, self._index = originals.copies, index
        self._shift = -(index * _STEP % MOST_EARLIER)
        self._legs = index * originals.legs
        self._code = id_of(0, index)[-_OF_COPY:]
        # In the order of the groups of _VARYING, and what is no text beyond them.
        self.makes = (self._time, self._leg, self._micros, self._id, self._phone, self._one_of, self._contact)

    @property
    def shift(self) -> timedelta:
        """How much later than in the year all happens; never more than nought."""
        return timedelta(seconds=self._shift)

    def _time(self, between: str, second: int) -> str:
        days, rest = divmod(second + self._shift, 86_400)
        return f"{_day(days)}{between}{_SECONDS[rest]}"

    def _leg(self, second: int, number: int) -> str:
        return f"{second + self._shift}.{number + self._legs}"

    def _micros(self, at: int) -> str:
        return str(at + self._shift * 1_000_000)

    def _id(self, milliseconds: int, bits: str) -> str:
        return f"{time_part(milliseconds + self._shift * 1_000)}{bits}{self._code}"

    def _phone(self, area: str, index: int) -> str:
        return e164(area, index * self._copies + self._index)

    def _one_of(self, of_each: Sequence[str]) -> str:
        return of_each[self._index]

    def _contact(self, first: int) -> str:
        return str((first - 1) * self._copies + self._index + 1)


_TIME, _LEG, _MICROS, _ID, _PHONE, _ONE_OF, _OF_CONTACT = range(7)
_Slot = tuple[int, tuple[Any, ...]]  # which of Copy.makes, and what of


class Template:
    """A row of the year, for its copies to be made from."""

    __slots__ = ("_format", "_slots", "_which")

    def __init__(self, line: str, contact: int | None, number: int | None, originals: Originals) -> None:
        """``contact``, ``number``: which of the line's values is the id of a contact, and of a number of a pool."""
        slots: dict[_Slot, int] = {}
        which: list[int] = []

        def put(slot: _Slot | None, text: str) -> str:
            if slot is None:
                return text
            which.append(slots.setdefault(slot, len(slots)))
            return "%s"

        values = line.replace("%", "%%").split(BETWEEN)
        for index, value in enumerate(values):
            if value == NOTHING:
                continue
            if index == contact:
                values[index] = put((_OF_CONTACT, (int(value),)), value)
            elif index == number:
                values[index] = put((_ONE_OF, (originals.numbers[value],)), value)
            else:
                values[index] = _VARYING.sub(lambda found: put(_slot(found, originals), found[0]), value)
        self._format = BETWEEN.join(values)
        self._slots = list(slots)
        self._which = _picked(which)

    def of(self, copy: Copy) -> str:
        """The row of a copy."""
        makes = copy.makes
        return self._format % self._which([makes[kind](*what) for kind, what in self._slots])


def _picked(which: Sequence[int]) -> Any:
    match which:
        case []:
            return tuple
        case [only]:
            return lambda values: (values[only],)
    return itemgetter(*which)


def _slot(found: re.Match[str], originals: Originals) -> _Slot | None:
    text = found[0]
    kind = (found.lastindex or 1) - 1
    match kind:
        case 0:
            at = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return _TIME, (text[10], int(at.timestamp()))
        case 1:
            second, _, number = text.partition(".")
            return _LEG, (int(second), int(number))
        case 2:
            return _MICROS, (int(text),)
        case 3:
            return _ID, (milliseconds_of(text), text[TIME_PART:-_OF_COPY])
    if (pooled := originals.pooled.get(text)) is not None:
        return _ONE_OF, (pooled,)
    if (phone := originals.phones.get(text)) is not None:
        return _PHONE, (phone.area, phone.index)
    return None  # a channel's own number


@lru_cache(maxsize=1_024)
def _day(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()
