"""Folding: rolling up days that are over, hours of today, and whatever of them changed since.

A fold reads marks and calls in one snapshot, and in one transaction writes what they add up to and deletes the very
marks that it read: what was changed after the snapshot has a mark that was not in it. Two folds of a site at once would
write what they read out of order; so each counts ``version`` up from what it read, and the one that comes late changes
nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.reports.periods import Span, Zone, days
from pbxtrack.storage import folded, later_truth, months
from pbxtrack.storage.database import Database, in_the_way
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.rollups import known, made_for, steps
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import calls, rollup_marks, rollups, sites

_MOST = 31  # days that are folded together
_SHORT, _LONG = 0.5, 2.0  # s that a fold may take, before the next has more days; or fewer
_TRIES = 3  # of a fold that another was in the way of
_MANY = 2_000  # marks of hours that are not over, which readers have to read
_STEPS_OF = 2  # days, today one of them, of which hours are kept: most changes are of those
_DAY = timedelta(days=1)

_marks = Prepared(
    select(rollup_marks.c.id, rollup_marks.c.since, rollup_marks.c.until)
    .where(rollup_marks.c.site_id == bindparam("site"))
    .order_by(rollup_marks.c.id),
    many=True,
)
_forget = delete(rollup_marks).where(Among(rollup_marks.c.id, "ids"))
_mark = Gathered(
    rollup_marks.insert().values({name: bindparam(name) for name in ("site_id", "since", "until")}).inline()
)
_first_call = select(func.min(calls.c.started_at)).where(calls.c.site_id == bindparam("site"))
_state = select(rollups).where(rollups.c.site_id == bindparam("site"))
_count_marks = select(func.count()).select_from(rollup_marks).where(rollup_marks.c.site_id == bindparam("site"))
_last_mark = select(func.max(rollup_marks.c.id)).where(rollup_marks.c.site_id == bindparam("site"))
_next_version = (
    update(rollups)
    .where(rollups.c.site_id == bindparam("site"), rollups.c.version == bindparam("before"))
    .values(version=rollups.c.version + 1)
)


def fold_all(database: Database) -> Iterator[int]:
    """Bring every site's roll-ups up to date; after each fold, of how many days it was.

    Others may record calls meanwhile, and fold, too. Raises StorageUnavailable.
    """
    for site in database.read_now(live_sites):
        yield from fold(database, site.id)


def fold(database: Database, site_id: int) -> Iterator[int]:
    """Bring one site's roll-ups up to date."""
    return _Fold(database, site_id).run()


def due(connection: Connection, now: datetime) -> bool:
    """Whether there is something to fold: days or hours that are over, or that changed; or many marks."""
    for site in live_sites(connection):
        zone = Zone(site.timezone)
        found = known(connection, site.id, site.timezone)
        if (connection.scalar(_count_marks, {"site": site.id}) or 0) > _MANY:
            return True
        today = zone.day(now)
        oldest = _oldest(connection, site.id, zone)
        if found is None:
            if oldest is not None and oldest <= today:
                return True
            continue
        if (oldest and oldest < found.first) or found.end < today:
            return True
        if any(day for span in found.changed for day in days(span, zone, found.first, found.end)):
            return True
        hours = zone.hours(today, now)
        if any(hour not in found.steps or found.is_changed(hour) for hour in hours):
            return True
        if later_truth.due(connection, site.id, today):
            return True
    return False


def _oldest(connection: Connection, site_id: int, zone: Zone) -> date | None:
    """The day of a site's first call."""
    at = connection.scalar(_first_call, {"site": site_id})
    return zone.day(at) if at else None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is folded together: days on end, or steps of today; the marks that go with it; which days are known then."""

    first: date
    end: date
    of: Sequence[date] = ()
    steps: Sequence[Span] = ()
    marks: Sequence[int] = ()


class _Late(Exception):
    """Another process folded the site meanwhile, or its time zone is another one."""


class _Fold:
    """Of one site."""

    def __init__(self, database: Database, site_id: int) -> None:
        self._database, self._site_id = database, site_id
        self._zone = Zone("UTC")
        self._made_for = ""
        self._most = 1

    def run(self) -> Iterator[int]:
        """Fold until there is nothing more, or others are in the way again and again."""
        for _ in range(_TRIES):
            try:
                self._begin()
                while (days_folded := self._step()) is not None:
                    yield days_folded
                while self._step_of_months() or self._step_of_truth():
                    yield 0
                return
            except _Late:
                continue
            except Exception as error:
                if not in_the_way(error):
                    raise

    def _begin(self) -> None:
        """Make the site's row, anew where it is of another time zone; let each mark be of one day."""
        with self._database.transaction() as connection:
            timezone = connection.scalar(select(sites.c.timezone).where(sites.c.id == self._site_id))
            assert timezone is not None, "sites are never deleted"
            self._zone, self._made_for = Zone(timezone), made_for(timezone)
            insert = (sqlite.insert if self._database.is_sqlite else postgresql.insert)(rollups)
            new = {"site_id": self._site_id, "made_for": self._made_for, "version": 0, "seen": 0}
            connection.execute(insert.values(new).on_conflict_do_nothing())
            row = connection.execute(_state, {"site": self._site_id}).one()
            self._count_up(connection, row.version)
            if row.made_for == self._made_for:
                first, end = row.first, row.end
            else:
                first = end = None  # of what is there nothing is read until its day, or month, is written anew
                folded.forget_all(connection, self._site_id)
            self._split_marks(connection, first, end)
            seen = connection.scalar(_last_mark, {"site": self._site_id})
            seen = row.seen if seen is None else seen
            self._keep(connection, made_for=self._made_for, first=first, end=end, seen=seen)

    def _split_marks(self, connection: Connection, first: date | None, end: date | None) -> None:
        """Marks of what is not rolled up say nothing: who will roll it up sees the change as we do."""
        hours = steps(connection, self._site_id)
        gone: list[int] = []
        dirty: set[date] = set()
        for mark in _marks.all(connection, {"site": self._site_id}):
            of = [day for day in self._days(mark, first, end) if day != end or _touches(mark, hours)]
            if len(of) != 1 or not self._within(mark, of[0]):
                gone.append(mark.id)
                dirty |= set(of)
        if gone:
            connection.execute(_forget, {"ids": gone})
        spans = [self._zone.span(day, day + _DAY)._asdict() for day in sorted(dirty)]
        _mark.run(connection, [{"site_id": self._site_id, **span} for span in spans])

    def _days(self, mark: Any, first: date | None, end: date | None) -> list[date]:
        """The days of a mark that are known, and the one behind them, of which hours may be known."""
        return list(days(Span(mark.since, mark.until), self._zone, first, end + _DAY)) if first and end else []

    def _within(self, mark: Any, day: date) -> bool:
        span = self._zone.span(day, day + _DAY)
        return bool(span.since <= mark.since and mark.until <= span.until)

    def _keep(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(rollups).where(rollups.c.site_id == self._site_id).values(values))

    def _count_up(self, connection: Connection, version: int) -> None:
        if connection.execute(_next_version, {"site": self._site_id, "before": version}).rowcount != 1:
            raise _Late

    def _step(self) -> int | None:
        """Fold some days, or hours of today; how many days, None where all is folded."""
        start = time.monotonic()
        with self._database.reading() as connection:
            state = connection.execute(_state, {"site": self._site_id}).one()
            today = self._zone.day(datetime.now(UTC))
            chosen = self._choose(connection, state, today)
            if chosen is None:
                return None
            kept_from = today - (_STEPS_OF - 1) * _DAY
            found = folded.read(connection, self._site_id, self._zone, chosen.of, chosen.steps, kept_from)
        with self._database.transaction() as connection:
            self._count_up(connection, state.version)
            if chosen.of:
                months.forget(connection, self._site_id, chosen.of)
                later_truth.changed(connection, self._site_id, chosen.of, found, today)
            folded.write(connection, self._site_id, found, chosen.of, chosen.steps, self._zone.midnight(kept_from))
            connection.execute(_forget, {"ids": chosen.marks})
            self._keep(connection, first=chosen.first, end=chosen.end)
        took = time.monotonic() - start
        if took > _LONG:
            self._most = max(1, self._most // 2)
        elif took < _SHORT:
            self._most = min(_MOST, self._most * 2)
        return len(chosen.of)

    def _choose(self, connection: Connection, state: Any, today: date) -> _Chosen | None:
        """The days that ended since the last fold; else hours of today; else days that changed; else those before.

        Of days the latest are first.
        """
        if state.made_for != self._made_for:
            raise _Late
        most = self._most * _DAY
        oldest = min(_oldest(connection, self._site_id, self._zone) or today, today)
        if state.first is None:
            first = max(oldest, today - most)
            return _Chosen(first, today, _listed(first, today))
        dirty = self._dirty(connection, state)
        if state.end < today:
            of = _listed(state.end, min(today, state.end + most))
            return _Chosen(state.first, of[-1] + _DAY, of, marks=[mark for mark, _ in dirty.get(state.end, ())])
        marks = dirty.pop(today, [])
        hours = steps(connection, self._site_id)
        changed = [
            hour
            for hour in self._zone.hours(today, datetime.now(UTC))
            if hour not in hours or any(_touches(span, [hour]) for _, span in marks)
        ]
        if changed:
            return _Chosen(state.first, state.end, steps=changed, marks=[mark for mark, _ in marks])
        if dirty:
            last = first = max(dirty)
            while first - _DAY in dirty and last - first < most - _DAY:
                first -= _DAY
            of = _listed(first, last + _DAY)
            return _Chosen(state.first, state.end, of, marks=[mark for day in of for mark, _ in dirty[day]])
        if oldest < state.first:
            first = max(oldest, state.first - most)
            return _Chosen(first, state.end, _listed(first, state.first))
        return None

    def _dirty(self, connection: Connection, state: Any) -> dict[date, list[tuple[int, Any]]]:
        """The days that changed, with their marks.

        On SQLite a mark that was added since we began serves for what is changed later, too: it must stay.
        """
        dirty: defaultdict[date, list[tuple[int, Any]]] = defaultdict(list)
        for mark in _marks.all(connection, {"site": self._site_id}):
            of = self._days(mark, state.first, state.end)
            if of and mark.id <= state.seen and self._within(mark, of[0]):
                dirty[of[0]].append((mark.id, mark))
        return dirty

    def _step_of_months(self) -> bool:
        """Add up the days of a month, of one question; whether there was one."""
        with self._database.transaction() as connection:
            row = connection.execute(_state, {"site": self._site_id}).one()
            if row.made_for != self._made_for:
                raise _Late
            if row.first is None or (month := months.due(connection, self._site_id, row.first, row.end)) is None:
                return False
            self._count_up(connection, row.version)
            month.add_up(connection)
        return True

    def _step_of_truth(self) -> bool:
        """Look once more what later calls told of those of some days; whether there were any."""
        with self._database.reading() as connection:
            state = connection.execute(_state, {"site": self._site_id}).one()
            if state.made_for != self._made_for:
                raise _Late
            today = self._zone.day(datetime.now(UTC))
            found = later_truth.read(connection, self._site_id, self._zone, today, self._most)
        if not found:
            return False
        with self._database.transaction() as connection:
            self._count_up(connection, state.version)
            later_truth.write(connection, found)
        return True


def _touches(mark: Any, spans: Sequence[Span]) -> bool:
    return any(span.since < mark.until and mark.since < span.until for span in spans)


def _listed(first: date, end: date) -> list[date]:
    return [first + nth * _DAY for nth in range((end - first).days)]
