"""The times that a page is about: chosen by name or by days, by the site's clocks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pbxtrack.reports.periods import Span, Zone, month_after
from pbxtrack.reports.questions import By

DEFAULT = "30d"
FIRST = date(2000, 1, 1)
LAST = date(2199, 12, 31)
"""Days that can be asked for."""

_DAY = timedelta(days=1)
_Days = tuple[date, date]  # the first and the last

_NAMED: Mapping[str, Callable[[date], _Days]] = {
    "today": lambda today: (today, today),
    "yesterday": lambda today: (today - _DAY, today - _DAY),
    "7d": lambda today: (today - 6 * _DAY, today),
    "30d": lambda today: (today - 29 * _DAY, today),
    "month": lambda today: (today.replace(day=1), today),
    "last_month": lambda today: ((today.replace(day=1) - _DAY).replace(day=1), today.replace(day=1) - _DAY),
    "12m": lambda today: (
        month_after(today.replace(day=1)).replace(year=month_after(today.replace(day=1)).year - 1),
        today,
    ),
    "all": lambda today: (FIRST, today),
}
NAMES = tuple(_NAMED)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Days, the first and the last among them. ``name``: one of :data:`NAMES`, or ``days``."""

    name: str
    first: date
    last: date
    zone: Zone
    now: datetime

    @property
    def span(self) -> Span:
        return self.zone.span(self.first, self.last + _DAY)

    @property
    def since(self) -> datetime | None:
        """None: from the beginning."""
        return None if self.name == "all" else self.span.since

    @property
    def until(self) -> datetime:
        """The end of the last day, or now where that is yet to come: so that as long a time before is comparable."""
        return min(self.span.until, max(self.now, self.span.since))

    @property
    def comparable(self) -> bool:
        """Whether there is a time before it to compare with."""
        return self.name != "all"

    @property
    def by(self) -> By:
        """The steps in which it is best seen."""
        days = (self.last - self.first).days + 1
        return By.HOUR if days <= 2 else By.DAY if days <= 92 else By.WEEK

    @property
    def query(self) -> dict[str, str]:
        """What stands in an address for it."""
        if self.name == "days":
            return {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return {} if self.name == DEFAULT else {"period": self.name}


def choose(query: Mapping[str, str], zone: Zone, now: datetime) -> Chosen:
    """What an address asks for; what cannot be read is the default."""
    today = zone.day(now)
    first, last = _day(query.get("from")), _day(query.get("to"))
    if first or last:
        first, last = first or last or today, last or first or today
        return Chosen("days", min(first, last), max(first, last), zone, now)
    name = query.get("period", DEFAULT)
    if name not in _NAMED:
        name = DEFAULT
    return Chosen(name, *_NAMED[name](today), zone, now)


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return min(max(day, FIRST), LAST)
