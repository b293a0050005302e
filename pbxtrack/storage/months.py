"""Whole months of roll-ups, which are sums of their days: of what has thousands of rows a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, delete, func, literal, select, true

from pbxtrack.calls.models import Model
from pbxtrack.reports.figures import Sums
from pbxtrack.reports.periods import month_after
from pbxtrack.reports.questions import Question
from pbxtrack.storage import dialling
from pbxtrack.storage.credit import BY_MODEL
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.rollups import NUMBERS, rollup
from pbxtrack.storage.tables import rollup_months, rollup_numbers

_write_numbers = Gathered(rollup_numbers.insert())
_KEPT: Sequence[tuple[Question | None, Model | None]] = (
    *((question, model) for question in BY_MODEL for model in Model),
    (None, None),
)
"""What months are kept of; None: numbers."""


@dataclass(frozen=True, slots=True)
class Month:
    """One that is not added up yet, of one question by one model."""

    site_id: int
    question: Question | None
    model: Model | None
    month: date

    def add_up(self, connection: Connection) -> None:
        """Write what its days, which are all known, add up to."""
        if self.question is None or self.model is None:
            self._numbers(connection)
        else:
            self._question(connection, self.question, self.model)
        connection.execute(
            rollup_months.insert().values(
                site_id=self.site_id, question=_name(self.question), model=self.model or "", month=self.month
            )
        )

    def _question(self, connection: Connection, question: Question, model: Model) -> None:
        table = rollup(question)
        own = {"site_id": self.site_id, "model": model.value}
        dimensions = [table.c[name] for name in question.dimensions]
        added = select(
            *(literal(value) for value in own.values()),
            literal(self.month),
            true(),
            *dimensions,
            *(func.sum(table.c[name]) for name in Sums._fields),
        )
        added = added.where(
            *(table.c[name] == value for name, value in own.items()),
            table.c.of_month.is_(False),
            table.c.day >= self.month,
            table.c.day < month_after(self.month),
        ).group_by(*dimensions)
        old = delete(table).where(*(table.c[name] == value for name, value in own.items()))
        connection.execute(old.where(table.c.of_month.is_(True), table.c.day == self.month))
        names = [*own, "day", "of_month", *question.dimensions, *Sums._fields]
        connection.execute(table.insert().from_select(names, added))

    def _numbers(self, connection: Connection) -> None:
        kept = rollup_numbers.c
        old = delete(rollup_numbers).where(kept.site_id == self.site_id, kept.of_month.is_(True))
        connection.execute(old.where(kept.day == self.month))
        found = dialling.kept(connection, self.site_id, self.month, month_after(self.month))
        own = {"site_id": self.site_id, "of_month": True, "day": self.month}
        _write_numbers.run(connection, dialling.rows_of(found, **own))


def due(connection: Connection, site_id: int, first: date, end: date) -> Month | None:
    """A month that is to be added up, the latest; None where there is none. Days before ``end`` are known."""
    kept = {
        tuple(row)
        for row in connection.execute(
            select(rollup_months.c.question, rollup_months.c.model, rollup_months.c.month).where(
                rollup_months.c.site_id == site_id
            )
        )
    }
    month = end.replace(day=1)
    while (month := (month - timedelta(days=1)).replace(day=1)) >= first:
        for question, model in _KEPT:
            if (_name(question), model or "", month) not in kept:
                return Month(site_id, question, model, month)
    return None


def forget(connection: Connection, site_id: int, days: Sequence[date]) -> None:
    """Of these days something is written anew: their months are no more what they add up to."""
    months = sorted({day.replace(day=1) for day in days})
    of_site = rollup_months.c.site_id == site_id
    connection.execute(delete(rollup_months).where(of_site, rollup_months.c.month.in_(months)))


def _name(question: Question | None) -> str:
    return question.name if question else NUMBERS
