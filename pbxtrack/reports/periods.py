"""Days of a time zone, and which of a period's days roll-ups know."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

EVER = datetime(1970, 1, 2, tzinfo=UTC)
NEVER = datetime(2999, 12, 30, tzinfo=UTC)
"""No call is before the one or after the other; there are days around both in every time zone."""

_DAY = timedelta(days=1)


def month_after(month: date) -> date:
    """The first day of the next month; of a month's first day."""
    return (month + 31 * _DAY).replace(day=1)


class Span(NamedTuple):
    """From ``since`` on, and before ``until``."""

    since: datetime
    until: datetime


class Zone:
    """A time zone's days. One lasts from its midnight to the next day's, whatever clocks do in between."""

    def __init__(self, name: str) -> None:
        self._zone = ZoneInfo(name)

    def midnight(self, day: date) -> datetime:
        """When a day begins: as clocks are put forward where that leaves no midnight, the first one of two."""
        return datetime.combine(day, time(), self._zone).astimezone(UTC)

    def span(self, first: date, end: date) -> Span:
        """The days from the first on, before ``end``."""
        return Span(self.midnight(first), self.midnight(end))

    def day(self, at: datetime) -> date:
        """The day that a time belongs to."""
        day = self.local(min(max(at, EVER), NEVER)).date()
        if at < self.midnight(day):
            return day - _DAY
        return day + _DAY if at >= self.midnight(day + _DAY) else day

    def local(self, at: datetime) -> datetime:
        """What clocks showed."""
        return at.astimezone(self._zone)


@dataclass(frozen=True, slots=True)
class Parts:
    """A period: days that a roll-up knows, from ``first`` on and before ``end`` but those ``without``; and the rest."""

    first: date
    end: date
    without: Collection[date]
    rest: Collection[Span]

    def months(self, kept: Collection[date]) -> list[date]:
        """Those of the months, by their first days, that all of is known of."""
        changed = {day.replace(day=1) for day in self.without}
        return sorted(
            month for month in kept if self.first <= month and month_after(month) <= self.end and month not in changed
        )

    def between(self, months: Sequence[date]) -> Iterator[tuple[date, date]]:
        """The days that are in none of these months, which are in order: from one on, and before another."""
        first = self.first
        for month in months:
            if first < month:
                yield first, month
            first = month_after(month)
        if first < self.end:
            yield first, self.end


@dataclass(frozen=True, slots=True)
class Known:
    """Whole days that were rolled up, from ``first`` on and before ``end``, and the times that changed since."""

    first: date
    end: date
    changed: Collection[Span]

    def parts(self, period: Span, zone: Zone) -> Parts:
        """Take a period apart."""
        begins = zone.day(period.since)
        first = max(self.first, begins if zone.midnight(begins) >= period.since else begins + _DAY)
        end = min(self.end, zone.day(period.until))
        if first >= end:
            return Parts(first, first, (), (period,))
        dirty = {day for span in self.changed for day in days(span, zone, first, end)}
        rest = [Span(period.since, zone.midnight(first)), *runs(dirty, zone), Span(zone.midnight(end), period.until)]
        return Parts(first, end, dirty, [span for span in rest if span.since < span.until])


def days(span: Span, zone: Zone, first: date, end: date) -> Iterator[date]:
    """The days that some of a time is in, of those from ``first`` on and before ``end``."""
    day = max(first, zone.day(span.since))
    end = min(end, zone.day(span.until - timedelta(microseconds=1)) + _DAY)
    while day < end:
        yield day
        day += _DAY


def runs(of: Collection[date], zone: Zone) -> Iterator[Span]:
    """The times of days, those that follow each other in one."""
    for _, together in groupby(enumerate(sorted(of)), lambda entry: entry[1].toordinal() - entry[0]):
        run = [day for _, day in together]
        yield zone.span(run[0], run[-1] + _DAY)
