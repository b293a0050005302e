"""Roll-ups: what the calls of whole days, and of the last hours, add up to; which of them a report may go by.

They are made by :mod:`pbxtrack.storage.fold`. Whatever changes a figure marks when, in its own transaction; the
database sees to that (migrations 0009, 0014). What no mark touches is as it was when it was rolled up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Table, bindparam, select

from pbxtrack.calls.models import Model
from pbxtrack.reports.periods import Known, Parts, Span, Zone
from pbxtrack.reports.questions import QUESTIONS, Question
from pbxtrack.storage.tables import metadata, rollup_marks, rollup_months, rollup_steps, rollups

MEANING = 2
"""Which definition of the figures roll-ups are made by: another number, and they are made anew."""

HOURS, NUMBERS, ACCURACY = "hours", "numbers", "accuracy"
"""What is kept of steps beside questions' answers. Whatever step is known has a document of its hours."""

_ROLLUPS: Mapping[Question, Table] = {question: metadata.tables[f"rollup_{question.name}"] for question in QUESTIONS}
_state = select(rollups).where(rollups.c.site_id == bindparam("site"))
_changed = select(rollup_marks.c.since, rollup_marks.c.until).distinct().where(
    rollup_marks.c.site_id == bindparam("site")
)  # fmt: skip
_steps = (
    select(rollup_steps.c.since, rollup_steps.c.until)
    .where(rollup_steps.c.site_id == bindparam("site"), rollup_steps.c.question == HOURS)
    .order_by(rollup_steps.c.since)
)
_documents = select(rollup_steps.c.since, rollup_steps.c.found).where(
    rollup_steps.c.site_id == bindparam("site"),
    rollup_steps.c.question == bindparam("question"),
    rollup_steps.c.model == bindparam("model"),
    rollup_steps.c.since.in_(bindparam("steps", expanding=True)),
)


def rollup(question: Question) -> Table:
    """The table that a question's sums are kept in."""
    return _ROLLUPS[question]


def made_for(timezone: str) -> str:
    """What the roll-ups of a site in this time zone are made for."""
    return f"{timezone} {MEANING}"


def known(connection: Connection, site_id: int, timezone: str) -> Known | None:
    """What is rolled up of a site; None where nothing is, or nothing of this time zone."""
    row = connection.execute(_state, {"site": site_id}).one_or_none()
    if row is None or row.first is None or row.made_for != made_for(timezone):
        return None
    changed = [Span(*row) for row in connection.execute(_changed, {"site": site_id})]
    return Known(row.first, row.end, changed, steps(connection, site_id))


def parts_of(connection: Connection, site_id: int, timezone: str, span: Span) -> Parts | None:
    """The parts of a period, by what is known; None where nothing is."""
    found = known(connection, site_id, timezone)
    return found.parts(span, Zone(timezone)) if found else None


def steps(connection: Connection, site_id: int) -> list[Span]:
    """The hours that are rolled up, in order."""
    return [Span(*row) for row in connection.execute(_steps, {"site": site_id})]


def documents(
    connection: Connection, site_id: int, question: str, of: Sequence[Span], model: Model | None = None
) -> Iterator[tuple[datetime, Any]]:
    """What is kept of a question of each of these steps, by their beginnings."""
    if of:
        asked = {"site": site_id, "question": question, "model": model or "", "steps": [step.since for step in of]}
        for since, found in connection.execute(_documents, asked):
            yield since, orjson.loads(found)


def months_kept(connection: Connection, site_id: int, question: str, model: Model | None = None) -> list[date]:
    """The months, by their first days, that are kept of a question."""
    kept = rollup_months.c
    statement = select(kept.month).where(
        kept.site_id == site_id, kept.question == question, kept.model == (model or "")
    )
    return list(connection.scalars(statement))
