"""Roll-ups: what the calls of whole days add up to, and how it is kept in step with them.

Whatever changes a figure marks when, in its own transaction; the database sees to that (migration 0009). A fold reads
marks and calls in one snapshot, and in one transaction writes what the days add up to and deletes the very marks that
it read: what was changed after the snapshot has a mark that was not in it. Two folds of a site at once would write what
they read out of order; so each counts ``version`` up from what it read, and the one that comes late changes nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, literal, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from pbxtrack.calls.models import WHOLE, Model
from pbxtrack.reports.figures import Packed, Sums, unpack
from pbxtrack.reports.periods import Known, Span, Zone, days, month_after
from pbxtrack.reports.questions import QUESTIONS, Question
from pbxtrack.storage.credit import Found, by_quarter, divided, undivided
from pbxtrack.storage.database import Database, in_the_way
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import calls, metadata, rollup_hours, rollup_marks, rollup_months, rollups, sites

MEANING = 1
"""Which definition of the figures roll-ups are made by: another number, and they are made anew."""

_ROLLUPS: Mapping[Question, Table] = {question: metadata.tables[f"rollup_{question.name}"] for question in QUESTIONS}
_TABLES = (*_ROLLUPS.values(), rollup_hours)
_BY_MODEL = [question for question in QUESTIONS if question.by_model]
_WRITE = {table: Gathered(table.insert()) for table in _TABLES}
_MOST = 31  # days that are folded together
_SHORT, _LONG = 0.5, 2.0  # s that a fold may take, before the next has more days; or fewer
_TRIES = 3  # of a fold that another was in the way of
_MANY = 2_000  # marks of today that readers have to read
_DAY = timedelta(days=1)

_marks = Prepared(
    select(rollup_marks.c.id, rollup_marks.c.since, rollup_marks.c.until)
    .where(rollup_marks.c.site_id == bindparam("site"))
    .order_by(rollup_marks.c.id),
    many=True,
)
_changed = select(rollup_marks.c.since, rollup_marks.c.until).distinct().where(
    rollup_marks.c.site_id == bindparam("site")
)  # fmt: skip
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


def rollup(question: Question) -> Table:
    """The table that a question's sums are kept in."""
    return _ROLLUPS[question]


def parts_of_call(question: Question) -> int:
    """How many parts a call is counted as in a question's sums."""
    return WHOLE if question.by_model else 1


def known(connection: Connection, site_id: int, timezone: str) -> Known | None:
    """The days of a site that its roll-ups know; None where there are none, or none of this time zone."""
    row = connection.execute(_state, {"site": site_id}).one_or_none()
    if row is None or row.first is None or row.made_for != _made_for(timezone):
        return None
    changed = connection.execute(_changed, {"site": site_id})
    return Known(row.first, row.end, [Span(since, until) for since, until in changed])


def by_hour(connection: Connection, site_id: int, span: Span, zone: Zone) -> dict[datetime, Packed]:
    """The sums of the rows themselves by the time zone's hours, by their beginnings."""
    hours: defaultdict[datetime, Packed] = defaultdict(int)
    for quarter, sums in by_quarter(connection, site_id, span).items():
        hours[quarter - timedelta(minutes=zone.local(quarter).minute)] += sums
    return hours


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
    """Whether there is something to fold: days that are over and not rolled up, days that changed, many marks."""
    for site in live_sites(connection):
        zone = Zone(site.timezone)
        rolled_up = known(connection, site.id, site.timezone)
        today = zone.day(now)
        oldest = _oldest(connection, site.id, zone) or today
        if rolled_up is None:
            found = oldest < today
        else:
            first, end, changed = rolled_up.first, rolled_up.end, rolled_up.changed
            found = oldest < first or end < today
            found = found or any(day for span in changed for day in days(span, zone, first, end))
        if found or (connection.scalar(_count_marks, {"site": site.id}) or 0) > _MANY:
            return True
    return False


def _made_for(timezone: str) -> str:
    return f"{timezone} {MEANING}"


def _oldest(connection: Connection, site_id: int, zone: Zone) -> date | None:
    """The day of a site's first call."""
    at = connection.scalar(_first_call, {"site": site_id})
    return zone.day(at) if at else None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Days on end that are folded together, the marks that go with it, and which days are rolled up from then on."""

    of: Sequence[date]
    first: date
    end: date
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
                while folded := self._step():
                    yield folded
                while self._step_of_months():
                    yield 0
                return
            except _Late:
                continue
            except Exception as error:
                if not in_the_way(error):
                    raise

    def _begin(self) -> None:
        """Make the site's row, anew where it is of another time zone; let each mark be of one day that is rolled up."""
        with self._database.transaction() as connection:
            timezone = connection.scalar(select(sites.c.timezone).where(sites.c.id == self._site_id))
            assert timezone is not None, "sites are never deleted"
            self._zone, self._made_for = Zone(timezone), _made_for(timezone)
            insert = (sqlite.insert if self._database.is_sqlite else postgresql.insert)(rollups)
            new = {"site_id": self._site_id, "made_for": self._made_for, "version": 0, "seen": 0}
            connection.execute(insert.values(new).on_conflict_do_nothing())
            row = connection.execute(_state, {"site": self._site_id}).one()
            self._count_up(connection, row.version)
            if row.made_for == self._made_for:
                first, end = row.first, row.end
            else:
                first = end = None  # of what is there nothing is read until its day, or month, is written anew
                connection.execute(delete(rollup_months).where(rollup_months.c.site_id == self._site_id))
            self._split_marks(connection, first, end)
            seen = connection.scalar(_last_mark, {"site": self._site_id})
            seen = row.seen if seen is None else seen
            self._keep(connection, made_for=self._made_for, first=first, end=end, seen=seen)

    def _split_marks(self, connection: Connection, first: date | None, end: date | None) -> None:
        """Marks of days that are not rolled up say nothing: who will roll them up sees the change as we do."""
        gone: list[int] = []
        dirty: set[date] = set()
        for mark in _marks.all(connection, {"site": self._site_id}):
            of = self._days(mark, first, end)
            if len(of) != 1 or not self._within(mark, of[0]):
                gone.append(mark.id)
                dirty |= set(of)
        if gone:
            connection.execute(_forget, {"ids": gone})
        spans = [self._zone.span(day, day + _DAY)._asdict() for day in sorted(dirty)]
        _mark.run(connection, [{"site_id": self._site_id, **span} for span in spans])

    def _days(self, mark: Any, first: date | None, end: date | None) -> list[date]:
        return list(days(Span(mark.since, mark.until), self._zone, first, end)) if first and end else []

    def _within(self, mark: Any, day: date) -> bool:
        span = self._zone.span(day, day + _DAY)
        return bool(span.since <= mark.since and mark.until <= span.until)

    def _keep(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(rollups).where(rollups.c.site_id == self._site_id).values(values))

    def _count_up(self, connection: Connection, version: int) -> None:
        if connection.execute(_next_version, {"site": self._site_id, "before": version}).rowcount != 1:
            raise _Late

    def _step(self) -> int:
        """Fold some days; how many, 0 where all are folded."""
        start = time.monotonic()
        with self._database.reading() as connection:
            state = connection.execute(_state, {"site": self._site_id}).one()
            chosen = self._choose(connection, state)
            if chosen is None:
                return 0
            found = self._read(connection, chosen.of)
        with self._database.transaction() as connection:
            self._count_up(connection, state.version)
            months = sorted({day.replace(day=1) for day in chosen.of})
            of_site = rollup_months.c.site_id == self._site_id
            connection.execute(delete(rollup_months).where(of_site, rollup_months.c.month.in_(months)))
            for table in _TABLES:
                self._forget(connection, table, chosen.of)
                _WRITE[table].run(connection, found[table])
            connection.execute(_forget, {"ids": chosen.marks})
            self._keep(connection, first=chosen.first, end=chosen.end)
        took = time.monotonic() - start
        if took > _LONG:
            self._most = max(1, self._most // 2)
        elif took < _SHORT:
            self._most = min(_MOST, self._most * 2)
        return len(chosen.of)

    def _forget(self, connection: Connection, table: Table, of: Sequence[date]) -> None:
        statement = delete(table).where(table.c.site_id == self._site_id, table.c.day.in_(of))
        if "model" in table.c:  # so that the index finds them
            statement = statement.where(table.c.of_month.is_(False), table.c.model.in_([*Model]))
        connection.execute(statement)

    def _step_of_months(self) -> bool:
        """Add up the days of a month, of one question and one model; whether there was one."""
        with self._database.transaction() as connection:
            row = connection.execute(_state, {"site": self._site_id}).one()
            if row.made_for != self._made_for:
                raise _Late
            if row.first is None or (due := self._month_due(connection, row.first, row.end)) is None:
                return False
            self._count_up(connection, row.version)
            question, model, month = due
            table = _ROLLUPS[question]
            own = {"site_id": self._site_id, "model": model.value}
            dimensions = [table.c[name] for name in question.dimensions]
            added = select(
                *(literal(value) for value in own.values()),
                literal(month),
                true(),
                *dimensions,
                *(func.sum(table.c[name]) for name in Sums._fields),
            )
            added = added.where(
                *(table.c[name] == value for name, value in own.items()),
                table.c.of_month.is_(False),
                table.c.day >= month,
                table.c.day < month_after(month),
            ).group_by(*dimensions)
            old = delete(table).where(*(table.c[name] == value for name, value in own.items()))
            connection.execute(old.where(table.c.of_month.is_(True), table.c.day == month))
            names = [*own, "day", "of_month", *question.dimensions, *Sums._fields]
            connection.execute(table.insert().from_select(names, added))
            connection.execute(rollup_months.insert().values(**own, question=question.name, month=month))
        return True

    def _month_due(self, connection: Connection, first: date, end: date) -> tuple[Question, Model, date] | None:
        kept = {
            tuple(row)
            for row in connection.execute(
                select(rollup_months.c.question, rollup_months.c.model, rollup_months.c.month).where(
                    rollup_months.c.site_id == self._site_id
                )
            )
        }
        month = end.replace(day=1)
        while (month := (month - _DAY).replace(day=1)) >= first:
            for question in _BY_MODEL:
                for model in Model:
                    if (question.name, model.value, month) not in kept:
                        return question, model, month
        return None

    def _choose(self, connection: Connection, state: Any) -> _Chosen | None:
        """The days that ended since the last fold; else those that changed; else those before: the latest first."""
        if state.made_for != self._made_for:
            raise _Late
        most = self._most * _DAY
        today = self._zone.day(datetime.now(UTC))
        oldest = _oldest(connection, self._site_id, self._zone) or today
        if state.first is None:
            first = max(oldest, today - most)
            return _Chosen(_listed(first, today), first, today) if first < today else None
        if state.end < today:
            end = min(today, state.end + most)
            return _Chosen(_listed(state.end, end), state.first, end)
        if dirty := self._dirty(connection, state):
            last = first = max(dirty)
            while first - _DAY in dirty and last - first < most - _DAY:
                first -= _DAY
            of = _listed(first, last + _DAY)
            return _Chosen(of, state.first, state.end, [mark for day in of for mark in dirty[day]])
        if oldest < state.first:
            first = max(oldest, state.first - most)
            return _Chosen(_listed(first, state.first), first, state.end)
        return None

    def _dirty(self, connection: Connection, state: Any) -> dict[date, list[int]]:
        """The days that changed, with their marks.

        On SQLite a mark that was added since we began serves for what is changed later, too: it must stay.
        """
        dirty: defaultdict[date, list[int]] = defaultdict(list)
        for mark in _marks.all(connection, {"site": self._site_id}):
            of = self._days(mark, state.first, state.end)
            if of and mark.id <= state.seen and self._within(mark, of[0]):
                dirty[of[0]].append(mark.id)
        return dirty

    def _read(self, connection: Connection, of: Sequence[date]) -> dict[Table, list[dict[str, Any]]]:
        midnights = [self._zone.midnight(day) for day in of[1:]]
        span = self._zone.span(of[0], of[-1] + _DAY)
        found: dict[Table, list[dict[str, Any]]] = defaultdict(list)

        def add(question: Question, sums: Found, **own: Any) -> None:
            rows = found[_ROLLUPS[question]]
            for (nth, *values), packed in sums.items():
                dimensions = dict(zip(question.dimensions, values, strict=True))
                rows.append({"site_id": self._site_id, "day": of[nth], **own, **dimensions, **unpack(packed)._asdict()})

        for (question, model), sums in divided(connection, _BY_MODEL, self._site_id, span, midnights).items():
            add(question, sums, model=model.value, of_month=False)
        for question in QUESTIONS:
            if not question.by_model:
                add(question, undivided(connection, question, self._site_id, span, midnights))
        for begins, packed in by_hour(connection, self._site_id, span, self._zone).items():
            local = self._zone.local(begins)
            found[rollup_hours].append(
                {
                    "site_id": self._site_id,
                    "day": self._zone.day(begins),
                    "begins": begins,
                    "weekday": local.isoweekday(),
                    "hour": local.hour,
                    **unpack(packed)._asdict(),
                }
            )
        return found


def _listed(first: date, end: date) -> list[date]:
    return [first + nth * _DAY for nth in range((end - first).days)]
