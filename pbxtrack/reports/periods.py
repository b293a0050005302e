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

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_QUARTER = timedelta(minutes=15)  # clocks are changed at one


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

    def hours(self, day: date, until: datetime) -> list[Span]:
        """The hours of a day, by time that passes, from its midnight on: those that end by ``until``."""
        begins, end = self.span(day, day + _DAY)
        since = [begins + nth * _HOUR for nth in range(-(-(end - begins) // _HOUR))]
        hours = [Span(at, min(at + _HOUR, end)) for at in since]
        return [hour for hour in hours if hour.until <= until]

    def when(self, day: date, hour: int) -> list[Span]:
        """When clocks showed that hour on that day, the latest first: an hour, or quarters where they are changed."""
        begins, end = self.span(day, day + _DAY)
        if end - begins == _DAY and self.local(begins).utcoffset() == self.local(end).utcoffset():
            return [Span(begins + hour * _HOUR, begins + (hour + 1) * _HOUR)]
        quarters = [end - nth * _QUARTER for nth in range(1, (end - begins) // _QUARTER + 1)]
        return [Span(at, at + _QUARTER) for at in quarters if self.local(at).hour == hour]

    def whole_hours(self, span: Span) -> Span | None:
        """What of a part of a day are whole hours by the clocks; None where there are none, or clocks were put on."""
        begins = self.midnight(self.day(span.since))
        offsets = {self.local(begins + nth * _HOUR).utcoffset() for nth in range(25)}
        if len(offsets) > 1:
            return None
        whole = Span(begins - (begins - span.since) // _HOUR * _HOUR, begins + (span.until - begins) // _HOUR * _HOUR)
        return whole if whole.since < whole.until else None

    def hour(self, at: datetime) -> datetime:
        """The beginning of the hour that clocks showed; of a time of a whole minute."""
        return at - timedelta(minutes=self.local(at).minute)

    def local(self, at: datetime) -> datetime:
        """What clocks showed."""
        return at.astimezone(self._zone)


@dataclass(frozen=True, slots=True)
class Parts:
    """A period: days that a roll-up knows, from ``first`` on and before ``end`` but those ``without``; and the rest.

    The rest has ``steps`` that are known, too; and ``partly``, which is of days of which the hours are known.
    """

    first: date
    end: date
    without: Collection[date]
    rest: Collection[Span]
    steps: Sequence[Span] = ()
    partly: Collection[Span] = ()

    @property
    def unknown(self) -> Iterator[Span]:
        """What must be read from the rows where only whole days, and steps, are known."""
        yield from self.rest
        yield from self.partly

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
    """What was rolled up: whole days, from ``first`` on and before ``end``; and ``steps``, in order, of the last ones.

    ``changed``: the times that changed since.
    """

    first: date
    end: date
    changed: Collection[Span]
    steps: Sequence[Span] = ()

    def parts(self, period: Span, zone: Zone) -> Parts:
        """Take a period apart."""
        begins = zone.day(period.since)
        first = max(self.first, begins if zone.midnight(begins) >= period.since else begins + _DAY)
        end = min(self.end, zone.day(period.until))
        if first >= end:
            first = end = zone.day(period.until)
            dirty: set[date] = set()
            cut = max(period.since, zone.midnight(end))
            in_days = any(self.first <= day < self.end for day in (begins, end))
            rest = [Span(period.since, cut), Span(cut, period.until)] if in_days else [period]
        else:
            dirty = {day for span in self.changed for day in days(span, zone, first, end)}
            rest = [
                Span(period.since, zone.midnight(first)),
                *runs(dirty, zone),
                Span(zone.midnight(end), period.until),
            ]
        steps = [step for step in self.steps if any(_holds(span, step) for span in rest) and not self.is_changed(step)]
        rest = [left for span in rest if span.since < span.until for left in _without(span, steps)]
        partly = [span for span in rest if self._is_partly(span, zone)]
        return Parts(first, end, dirty, [span for span in rest if span not in partly], steps, partly)

    def is_changed(self, span: Span) -> bool:
        """Whether some of it changed."""
        return any(one.since < span.until and span.since < one.until for one in self.changed)

    def _is_partly(self, span: Span, zone: Zone) -> bool:
        """Whether it is of one day that was rolled up."""
        day = zone.day(span.since)
        whole = zone.span(day, day + _DAY)
        return self.first <= day < self.end and _holds(whole, span) and not self.is_changed(whole)


def _holds(span: Span, other: Span) -> bool:
    return span.since <= other.since and other.until <= span.until


def _without(span: Span, others: Sequence[Span]) -> Iterator[Span]:
    """What is left of some time without those parts of it, which are in order."""
    since = span.since
    for other in others:
        if _holds(span, other):
            if since < other.since:
                yield Span(since, other.since)
            since = other.until
    if since < span.until:
        yield Span(since, span.until)


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
