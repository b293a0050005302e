"""Copies of the year, side by side: for benchmarks of more calls than can be lived through one by one.

Each copy has numbers, visitors and callers of its own, so that no call of one says anything of another's; all happens
some seconds or minutes earlier than in the year that was lived. A row of it is made by writing other times, ids and
numbers into the row that it is a copy of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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
        # By the kinds of slots.
        self.makes = (
            self._time, self._leg, self._micros, self._id, self._mark, self._phone, self._one_of, self._contact
        )  # fmt: skip

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

    def _id(self, milliseconds: int) -> str:
        return time_part(milliseconds + self._shift * 1_000)  # what is behind it stays, but for the copy's own mark

    def _mark(self) -> str:
        return self._code

    def _phone(self, area: str, index: int) -> str:
        return e164(area, index * self._copies + self._index)

    def _one_of(self, of_each: Sequence[str]) -> str:
        return of_each[self._index]

    def _contact(self, first: int) -> str:
        return str((first - 1) * self._copies + self._index + 1)


_TIME, _LEG, _MICROS, _ID, _MARK, _PHONE, _ONE_OF, _OF_CONTACT = range(8)
_Slot = tuple[int, tuple[Any, ...]]  # which of Copy.makes, and what of


class Template:
    """A row of the year, for its copies to be made from."""

    __slots__ = ("_format", "_slots", "_which")

    def __init__(self, line: str, contact: int | None, number: int | None, originals: Originals) -> None:
        """``contact``, ``number``: which of the line's values is the id of a contact, and of a number of a pool."""
        slots = _Slots(originals)
        values = line.replace("%", "%%").split(BETWEEN)
        for index, value in enumerate(values):
            if value == NOTHING:
                continue
            if index == contact:
                values[index] = slots.put(_OF_CONTACT, value, int(value))
            elif index == number:
                values[index] = slots.put(_ONE_OF, value, originals.numbers[value])
            else:
                values[index] = _VARYING.sub(slots.of, value)
        self._format = BETWEEN.join(values)
        self._slots = slots.slots
        self._which = _picked(slots.which)

    def of(self, copy: Copy) -> str:
        """The row of a copy."""
        makes = copy.makes
        made = [makes[kind](*what) for kind, what in self._slots]
        return self._format % tuple(self._which(made))


class _Slots:
    """What varies in a row: each thing once (``slots``), and in which order they come (``which``)."""

    def __init__(self, originals: Originals) -> None:
        self._originals = originals
        self._known: dict[tuple[int, object], int] = {}
        self.slots: list[_Slot] = []
        self.which: list[int] = []

    def put(self, kind: int, name: object, *what: Any) -> str:
        """A place in the row for something of this name."""
        key = kind, name
        if key not in self._known:
            self._known[key] = len(self.slots)
            self.slots.append((kind, what))
        self.which.append(self._known[key])
        return "%s"

    def of(self, found: re.Match[str]) -> str:
        """What stands in the row's format for something that _VARYING found."""
        text = found[0]
        match found.lastindex:
            case 1:
                second = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
                return self.put(_TIME, text, text[10], second)
            case 2:
                at, _, leg = text.partition(".")
                return self.put(_LEG, text, int(at), int(leg))
            case 3:
                return self.put(_MICROS, text, int(text))
            case 4:
                made = milliseconds_of(text)
                return f"{self.put(_ID, made, made)}{text[TIME_PART:-_OF_COPY]}{self.put(_MARK, '')}"
        if (pooled := self._originals.pooled.get(text)) is not None:
            return self.put(_ONE_OF, text, pooled)
        if (phone := self._originals.phones.get(text)) is not None:
            return self.put(_PHONE, text, phone.area, phone.index)
        return text  # a channel's own number


def _picked(which: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """Puts what varies into the order in which it comes."""
    return itemgetter(*which) if len(which) > 1 else lambda values: [values[index] for index in which]


@lru_cache(maxsize=1_024)
def _day(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()
