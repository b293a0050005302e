"""What reports ask of the rows themselves: calls divided among visits, their figures added up.

Roll-ups are made of the same, all questions at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pbxtrack.calls.models import DIRECT, WHOLE, Model, credit
from pbxtrack.reports.figures import Packed, pack
from pbxtrack.reports.periods import Span, Zone
from pbxtrack.reports.questions import QUESTIONS, Question
from pbxtrack.storage.credit import (
    BY_MODEL,
    DIMENSIONS,
    NAMES,
    calls_by_quarter,
    divided_calls,
    each_call,
    names_of,
    parts_of_call,
    undivided_calls,
    whole_calls,
)

Found = dict[tuple[Any, ...], Packed]
"""Sums by the values of the dimensions."""


def answered(connection: Connection, question: Question, model: Model, site_id: int, span: Span) -> Found:
    """The sums of a question by the values of its dimensions."""
    asked = _asked(site_id, span)
    statement = whole_calls(question, model) if question.by_model else undivided_calls(question)
    parts = parts_of_call(question)
    found: defaultdict[tuple[Any, ...], Packed] = defaultdict(int)
    for *values, flags, count, talk, waiting in connection.execute(statement, asked):
        found[tuple(values)] += pack(flags, count, int(talk), int(waiting)) * parts
    if question.by_model and model is not Model.LAST:
        rows = divided_calls(question.dimensions, model).all(connection, asked)
        for (_, *values), packed in _divide(rows, [question], [model], lambda _: None)[question, model].items():
            found[tuple(values)] += packed
    return found


def by_quarter(connection: Connection, site_id: int, span: Span) -> dict[datetime, Packed]:
    """The sums by quarters of an hour."""
    found: defaultdict[datetime, Packed] = defaultdict(int)
    for quarter, flags, count, talk, waiting in connection.execute(calls_by_quarter, _asked(site_id, span)):
        found[quarter] += pack(flags, count, int(talk), int(waiting))
    return found


def by_hour(connection: Connection, site_id: int, span: Span, zone: Zone) -> dict[datetime, Packed]:
    """The sums by the time zone's hours, by their beginnings."""
    hours: defaultdict[datetime, Packed] = defaultdict(int)
    for quarter, sums in by_quarter(connection, site_id, span).items():
        hours[zone.hour(quarter)] += sums
    return hours


class Tally(NamedTuple):
    """The sums of all questions, by each model: of the values of the dimensions behind a place in time."""

    answers: Mapping[tuple[Question, Model | None], Found]
    quarters: Mapping[datetime, Packed]


def tally(connection: Connection, site_id: int, span: Span, place: Callable[[datetime], Any]) -> Tally:
    """What :func:`answered` and :func:`by_quarter` say, all at once, each call read once.

    ``place``: where, of what the sums are told apart by, a quarter of an hour is.
    """
    asked = _asked(site_id, span)
    place = cache(place)
    quarters: defaultdict[datetime, Packed] = defaultdict(int)
    whole: dict[Question, defaultdict[tuple[Any, ...], Packed]] = {question: defaultdict(int) for question in QUESTIONS}
    lines = [(whole[question], itemgetter(0, *_places(question)), parts_of_call(question)) for question in QUESTIONS]
    of_calls = [(line, pick) for line, pick, parts in lines if parts == 1]
    of_visits = [(line, pick) for line, pick, parts in lines if parts == WHOLE]
    for quarter, divided, flags, talk, waiting, *values in each_call.all(connection, asked):
        packed = pack(flags, 1, talk, waiting)
        quarters[quarter] += packed
        row = (place(quarter), *values)
        for line, pick in of_calls:
            line[pick(row)] += packed
        if not divided:
            packed *= WHOLE
            for line, pick in of_visits:
                line[pick(row)] += packed
    divided_of = _divide(divided_calls(NAMES, None).all(connection, asked), BY_MODEL, list(Model), place)
    answers: dict[tuple[Question, Model | None], Found] = {
        (question, None): found for question, found in whole.items() if not question.by_model
    }
    for (question, model), found in divided_of.items():
        for values, packed in whole[question].items():
            found[values] += packed
        answers[question, model] = found
    return Tally(answers, quarters)


def _places(question: Question) -> list[int]:
    return [DIMENSIONS.index(name) + 1 for name in question.dimensions]


def _divide(
    rows: Sequence[Any], questions: Sequence[Question], models: Sequence[Model], place: Callable[[datetime], Any]
) -> Mapping[tuple[Question, Model], Found]:
    """Add up rows of :func:`divided_calls`: one for each visit of each call."""
    names = names_of(questions)
    picks = {question: [names.index(name) for name in question.dimensions] for question in questions}
    found: dict[tuple[Question, Model], Found] = {
        (question, model): defaultdict(int) for question in questions for model in models
    }
    into = {model: [(found[question, model], picks[question]) for question in questions] for model in models}
    by_call: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_call[row.id].append(row)
    for visited in by_call.values():
        visited.sort(key=_order)
        own = visited[0]
        brought = next((at for at in reversed(range(len(visited))) if visited[at].brought_by != DIRECT), None)
        packed, at = pack(own.flags, 1, own.talk, own.waiting), place(own.quarter)
        for model, lines in into.items():
            for nth, parts in credit(len(visited), brought, model):
                visit, sums = visited[nth], packed * parts
                for line, picked in lines:
                    line[(at, *[visit[index] for index in picked])] += sums
    return found


def _order(visit: Any) -> tuple[Any, Any]:
    return visit.visited_at, visit.visit_id


def _asked(site_id: int, span: Span) -> dict[str, Any]:
    return {"site": site_id, **span._asdict()}
