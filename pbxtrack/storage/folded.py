"""What a fold keeps: of whole days a row for each value, of hours a document for each question."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete

from pbxtrack.calls.models import Model
from pbxtrack.reports.figures import Packed, unpack
from pbxtrack.reports.goodness import Goodness
from pbxtrack.reports.periods import NEVER, Span, Zone
from pbxtrack.reports.questions import QUESTIONS
from pbxtrack.storage import dialling
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.judging import judged
from pbxtrack.storage.rollups import ACCURACY, HOURS, NUMBERS, rollup
from pbxtrack.storage.tables import (
    rollup_accuracy,
    rollup_hours,
    rollup_months,
    rollup_numbers,
    rollup_steps,
)
from pbxtrack.storage.tally import tally

_BY_DAY = (*(rollup(question) for question in QUESTIONS), rollup_hours)
_WRITE = {table: Gathered(table.insert()) for table in (*_BY_DAY, rollup_numbers, rollup_steps)}
_DAY = timedelta(days=1)

Place = date | Span
"""A day, or one of the hours that are kept of it."""


@dataclass(slots=True)
class Folded:
    """Rows by their tables; of each day how good its attributions were."""

    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    goodness: dict[date, Goodness] = field(default_factory=lambda: defaultdict(Goodness))


def read(
    connection: Connection, site_id: int, zone: Zone, of: Sequence[date], hours: Sequence[Span], steps_from: date
) -> Folded:
    """Read calls: of days on end, from ``steps_from`` on their hours, too; or of hours of one day, in order."""
    steps = [hour for day in of if day >= steps_from for hour in zone.hours(day, NEVER)] or list(hours)
    reader = _Reader(connection, site_id, zone, of, steps)
    for span in [zone.span(of[0], of[-1] + _DAY)] if of else _runs(hours):
        reader.read(span)
    return reader.found


def _runs(hours: Sequence[Span]) -> Iterator[Span]:
    """Those that follow each other in one."""
    run: Span | None = None
    for hour in hours:
        if run is not None and run.until == hour.since:
            run = Span(run.since, hour.until)
            continue
        if run is not None:
            yield run
        run = hour
    if run is not None:
        yield run


class _Reader:
    def __init__(
        self, connection: Connection, site_id: int, zone: Zone, of: Sequence[date], steps: Sequence[Span]
    ) -> None:
        self._connection, self._site_id, self._zone = connection, site_id, zone
        self._days, self._steps = frozenset(of), steps
        self._begins = [step.since for step in steps]
        self.found = Folded()

    def read(self, span: Span) -> None:
        """Read all questions' answers of some time."""
        self._tally(span)
        self._judge(span)
        self._numbers(span)

    def _place(self, at: datetime) -> Place:
        nth = bisect_right(self._begins, at) - 1
        return self._steps[nth] if nth >= 0 and at < self._steps[nth].until else self._zone.day(at)

    def _day(self, place: Place) -> date:
        return self._zone.day(place.since) if isinstance(place, Span) else place

    def _own(self, day: date) -> dict[str, Any]:
        return {"site_id": self._site_id, "day": day}

    def _keep(self, step: Span, question: str, model: Model | None, document: Any) -> None:
        own = {"site_id": self._site_id, "question": question, "model": model or "", **step._asdict()}
        self.found.rows[rollup_steps].append(own | {"found": orjson.dumps(document).decode()})

    def _tally(self, span: Span) -> None:
        tallied = tally(self._connection, self._site_id, span, self._place)
        for (question, model), sums in tallied.answers.items():
            by_day: defaultdict[tuple[date, tuple[Any, ...]], Packed] = defaultdict(int)
            by_step: defaultdict[Span, list[Any]] = defaultdict(list)
            for (place, *values), packed in sums.items():
                by_day[self._day(place), tuple(values)] += packed
                if isinstance(place, Span):
                    by_step[place].append([values, [*unpack(packed)]])
            for step, document in by_step.items():
                self._keep(step, question.name, model, document)
            more = {"model": model.value, "of_month": False} if model else {}
            self._write(
                rollup(question),
                (
                    (day, {**more, **dict(zip(question.dimensions, values, strict=True)), **unpack(packed)._asdict()})
                    for (day, values), packed in by_day.items()
                ),
            )
        self._hours(tallied.quarters, self._steps_in(span))

    def _steps_in(self, span: Span) -> list[Span]:
        return [step for step in self._steps if span.since <= step.since and step.until <= span.until]

    def _write(self, table: Table, rows: Iterator[tuple[date, dict[str, Any]]]) -> None:
        self.found.rows[table] += [self._own(day) | values for day, values in rows if day in self._days]

    def _hours(self, quarters: Mapping[datetime, Packed], steps: Sequence[Span]) -> None:
        by_hour: defaultdict[datetime, Packed] = defaultdict(int)
        by_step: dict[Span, defaultdict[datetime, Packed]] = {step: defaultdict(int) for step in steps}
        for quarter, packed in quarters.items():
            hour, place = self._zone.hour(quarter), self._place(quarter)
            by_hour[hour] += packed
            if isinstance(place, Span):
                by_step[place][hour] += packed
        self._write(rollup_hours, (self._hour(hour, packed) for hour, packed in by_hour.items()))
        for step, of_step in by_step.items():
            self._keep(step, HOURS, None, [[hour, [*unpack(packed)]] for hour, packed in of_step.items()])

    def _hour(self, hour: datetime, packed: Packed) -> tuple[date, dict[str, Any]]:
        local = self._zone.local(hour)
        own = {"begins": hour, "weekday": local.isoweekday(), "hour": local.hour}
        return self._zone.day(hour), own | unpack(packed)._asdict()

    def _judge(self, span: Span) -> None:
        for place, goodness in judged(self._connection, self._site_id, span, self._place).items():
            self.found.goodness[self._day(place)].add(goodness)
            if isinstance(place, Span):
                self._keep(place, ACCURACY, None, goodness.numbers)

    def _numbers(self, span: Span) -> None:
        by_day: defaultdict[date, list[dialling.ByNumber]] = defaultdict(list)
        steps = self._steps_in(span)
        stepped = {self._day(step) for step in steps}
        for step in steps:
            for day, numbers in dialling.heard(self._connection, self._site_id, step, self._zone).items():
                by_day[day].append(numbers)
                self._keep(step, NUMBERS, None, dialling.document(numbers))
        for day in self._days - stepped:
            of_day = self._zone.span(day, day + _DAY)
            by_day[day] += dialling.heard(self._connection, self._site_id, of_day, self._zone).values()
        for day in by_day.keys() & self._days:
            own = self._own(day) | {"of_month": False}
            self.found.rows[rollup_numbers] += dialling.rows_of(dialling.of_one_day(by_day[day]), **own)


def write(
    connection: Connection,
    site_id: int,
    found: Folded,
    of: Sequence[date],
    hours: Sequence[Span],
    steps_since: datetime,
) -> None:
    """Write what was read of days, or of hours, over what there is; hours of before ``steps_since`` are forgotten."""
    for table in (*_BY_DAY, rollup_numbers) if of else ():
        statement = delete(table).where(table.c.site_id == site_id, table.c.day.in_(of))
        if "model" in table.c:  # so that the index finds them
            statement = statement.where(table.c.model.in_([*Model]))
        if "of_month" in table.c:
            statement = statement.where(table.c.of_month.is_(False))
        connection.execute(statement)
    kept = rollup_steps.c
    rewritten = sorted({row["since"] for row in found.rows[rollup_steps]})
    for which in (kept.since < steps_since, kept.since.in_(rewritten)):
        connection.execute(delete(rollup_steps).where(kept.site_id == site_id, which))
    for table, rows in found.rows.items():
        _WRITE[table].run(connection, rows)


def forget_all(connection: Connection, site_id: int) -> None:
    """Forget what would be read though its days are not known. Days' sums stay: they are written anew first."""
    for table in (rollup_months, rollup_steps, rollup_numbers, rollup_accuracy):
        connection.execute(delete(table).where(table.c.site_id == site_id))
