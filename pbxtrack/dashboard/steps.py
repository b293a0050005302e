"""The steps of a trend: which hours, days or weeks a page shows, and how they are named. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pbxtrack.dashboard.languages import Format
from pbxtrack.dashboard.periods import Chosen
from pbxtrack.reports.periods import Zone
from pbxtrack.reports.questions import By


def asked_by(asked: str | None, chosen: Chosen) -> By:
    """The steps that are asked for, unless there were too many of them."""
    days = (chosen.last - chosen.first).days + 1
    if asked in list(By) and not (asked == By.HOUR and days > 8) and not (asked == By.DAY and days > 400):
        return By(asked)
    return chosen.by


def begins(first: date, last: date, zone: Zone, by: By) -> list[datetime]:
    """When each step of the days begins; weeks on Mondays."""
    if by is By.HOUR:
        span = zone.span(first, last + timedelta(days=1))
        hours = int((span.until - span.since) / timedelta(hours=1))
        return [span.since + timedelta(hours=n) for n in range(hours)]
    if by is By.WEEK:
        first -= timedelta(days=first.weekday())
    step = 7 if by is By.WEEK else 1
    return [zone.midnight(first + timedelta(days=n)) for n in range(0, (last - first).days + 1, step)]


def spread(count: int, most: int) -> list[int]:
    """So many of the places from the first to the last, as even as may be."""
    if count <= most:
        return list(range(count))
    gaps = next((n for n in range(most - 1, 3, -1) if (count - 1) % n == 0), most - 1)
    return [round(n * (count - 1) / gaps) for n in range(gaps + 1)]


def step_name(f: Format, at: datetime, by: By) -> str:
    """A step in full."""
    match by:
        case By.HOUR:
            return f.when(at)
        case By.DAY:
            return f.day(at, "EEE, d MMMM y")
        case By.WEEK:
            first = at.astimezone(f.zone).date()
            return f.days(first, first + timedelta(days=6))


def step_label(f: Format, at: datetime, by: By) -> str:
    """A step in short, for the axis."""
    return f.clock(at) if by is By.HOUR else f.day(at, "d MMM")
