"""What reports ask of the rows themselves: calls divided among visits, their figures added up.

Roll-ups are made by the same functions, so that they say the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from pbxtrack.calls.models import DIRECT, LOOKBACK, WHOLE, Model, credit
from pbxtrack.reports.figures import FLAGS, Packed, pack
from pbxtrack.reports.periods import Span
from pbxtrack.reports.questions import MAX_PAGE, OPERATORS, REGIONS, Question
from pbxtrack.storage.prepared import Prepared
from pbxtrack.storage.tables import UtcTime, calls, visits
from pbxtrack.storage.views import channel_told, is_corrected, is_lost, is_target, is_unsettled

Found = dict[tuple[Any, ...], Packed]
"""Sums by the values of the dimensions."""

_own = visits.alias("own")  # the visit that a call is tied to; what people say outranks what was computed
_visit = visits.alias("visit")  # one that it may be credited to
_own_id = case((is_corrected, calls.c.corrected_visit_id), else_=calls.c.visit_id)


class _LookedBack(FunctionElement[Any]):
    """The time as long before another one as visits are credited."""

    type = UtcTime()
    inherit_cache = True


class _Quarter(FunctionElement[Any]):
    """The quarter of an hour that a time is in, by its beginning: every time zone's hours are made of those."""

    type = UtcTime()
    inherit_cache = True


class _Landing(FunctionElement[Any]):
    """A page's address without what follows ``?`` or ``#``, and no longer than tells it from others."""

    type = String()
    inherit_cache = True


@compiles(_LookedBack, "sqlite")
def _looked_back_on_sqlite(element: _LookedBack, compiler: SQLCompiler, **options: Any) -> str:
    (at,) = (compiler.process(part, **options) for part in element.clauses)
    return f"(date({at}, '-{LOOKBACK.days} days') || substr({at}, 11))"


@compiles(_LookedBack)
def _looked_back(element: _LookedBack, compiler: SQLCompiler, **options: Any) -> str:
    (at,) = (compiler.process(part, **options) for part in element.clauses)
    return f"({at} - interval '{LOOKBACK.days * 24} hours')"


@compiles(_Quarter, "sqlite")
def _quarter_on_sqlite(element: _Quarter, compiler: SQLCompiler, **options: Any) -> str:
    (at,) = (compiler.process(part, **options) for part in element.clauses)
    return f"(substr({at}, 1, 14) || printf('%02d', substr({at}, 15, 2) / 15 * 15) || ':00.000000')"


@compiles(_Quarter)
def _quarter(element: _Quarter, compiler: SQLCompiler, **options: Any) -> str:
    (at,) = (compiler.process(part, **options) for part in element.clauses)
    return f"date_bin('15 minutes', {at}, TIMESTAMPTZ '2000-01-01 00:00:00+00')"


@compiles(_Landing, "sqlite")
def _landing_on_sqlite(element: _Landing, compiler: SQLCompiler, **options: Any) -> str:
    (page,) = (compiler.process(part, **options) for part in element.clauses)
    for mark in "?#":
        page = f"substr({page}, 1, instr({page} || '{mark}', '{mark}') - 1)"
    return f"substr({page}, 1, {MAX_PAGE})"


@compiles(_Landing)
def _landing(element: _Landing, compiler: SQLCompiler, **options: Any) -> str:
    (page,) = (compiler.process(part, **options) for part in element.clauses)
    return f"left(split_part(split_part({page}, '?', 1), '#', 1), {MAX_PAGE})"


def _milliseconds(seconds: ColumnElement[float]) -> ColumnElement[int]:
    return cast(func.round(seconds * 1000), BigInteger)


_answered = calls.c.answered_at.is_not(None)
_is: dict[str, ColumnElement[Any]] = {
    "unique": calls.c.is_unique,
    "target": is_target,
    "answered": _answered,
    "missed": is_lost,
    "unsettled": is_unsettled,
}
_flags = sum((case((_is[flag], 1 << bit), else_=0) for bit, flag in enumerate(FLAGS)), literal(0)).label("flags")
_talk = _milliseconds(calls.c.talk_seconds)
_waiting = case((_answered, _milliseconds(calls.c.ringing_seconds)), else_=0)
_by_call: dict[Question, ColumnElement[Any]] = {
    REGIONS: func.nullif(_own.c.region, ""),
    OPERATORS: calls.c.answered_by,
}
_without_visit: dict[str, ColumnElement[Any]] = {
    "channel": channel_told,
    **{name: case((is_corrected, null()), else_=calls.c[name]) for name in ("source", "medium", "campaign", "term")},
    "page": null(),
}
_period = (
    calls.c.site_id == bindparam("site"),
    calls.c.outbound.is_(None),
    calls.c.started_at >= bindparam("since", type_=UtcTime),
    calls.c.started_at < bindparam("until", type_=UtcTime),
)
_earlier = and_(
    tuple_(_visit.c.started_at, _visit.c.id) < tuple_(_own.c.started_at, _own.c.id),
    _visit.c.started_at >= _LookedBack(calls.c.started_at),
    _visit.c.started_at <= calls.c.started_at,
)
_credited = and_(
    _visit.c.visitor_id == _own.c.visitor_id,
    _visit.c.site_id == _own.c.site_id,
    _visit.c.started_at <= _own.c.started_at,  # follows from the order, but the index knows only this
    or_(_visit.c.id == _own.c.id, _earlier),
)


def _of_visit(name: str, visit: Any) -> ColumnElement[Any]:
    """A dimension of a visit that a call is credited to, or of the call where it has none."""
    value = _Landing(visit.c.page) if name == "page" else visit.c[name]
    return func.nullif(case((_own.c.id.is_not(None), value), else_=_without_visit[name]), "").label(name)


def _is_whole(model: Model) -> ColumnElement[bool]:
    """Whether a call is credited to its own visit, or to none, whatever other visits there were."""
    match model:
        case Model.LAST:
            return true()
        case Model.LAST_NON_DIRECT:
            return or_(_own.c.id.is_(None), _own.c.medium != DIRECT)
    return _own.c.id.is_(None)


def answered(connection: Connection, question: Question, model: Model, site_id: int, span: Span) -> Found:
    """The sums of a question by the values of its dimensions: what the functions below find, without days."""
    if not question.by_model:
        return {tuple(values): sums for (_, *values), sums in undivided(connection, question, site_id, span).items()}
    found: defaultdict[tuple[Any, ...], Packed] = defaultdict(int)
    for *values, flags, count, talk, waiting in connection.execute(_whole(question, model), _asked(site_id, span)):
        found[tuple(values)] += pack(flags, count, int(talk), int(waiting)) * WHOLE
    if model is not Model.LAST:
        rest = _divided(question.dimensions, 0, but=model)
        ((_, sums),) = _divide(rest.all(connection, _asked(site_id, span)), [question], {model}).items()
        for (_, *values), packed in sums.items():
            found[tuple(values)] += packed
    return found


def undivided(
    connection: Connection, question: Question, site_id: int, span: Span, midnights: Sequence[datetime] = ()
) -> Found:
    """The sums of a question that no model divides calls for, by days and the values of its dimension.

    A day is how many of the ``midnights``, which are in order, its calls are not before.
    """
    found: Found = defaultdict(int)
    rows = connection.execute(_undivided(question, len(midnights)), _asked(site_id, span, midnights))
    for nth, value, flags, count, talk, waiting in rows:
        found[nth, value] += pack(flags, count, int(talk), int(waiting))
    return found


def by_quarter(connection: Connection, site_id: int, span: Span) -> dict[datetime, Packed]:
    """The sums by quarters of an hour."""
    found: defaultdict[datetime, Packed] = defaultdict(int)
    for quarter, flags, count, talk, waiting in connection.execute(_quarters, _asked(site_id, span)):
        found[quarter] += pack(flags, count, int(talk), int(waiting))
    return found


def divided(
    connection: Connection,
    questions: Sequence[Question],
    site_id: int,
    span: Span,
    midnights: Sequence[datetime] = (),
) -> Mapping[tuple[Question, Model], Found]:
    """The sums of questions by each model, by days, as :func:`undivided`, and the values of the dimensions."""
    rows = _divided(_names(questions), len(midnights)).all(connection, _asked(site_id, span, midnights))
    return _divide(rows, questions, set(Model))


def _names(questions: Sequence[Question]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for question in questions for name in question.dimensions))


def _divide(
    rows: Sequence[Any], questions: Sequence[Question], models: Collection[Model]
) -> Mapping[tuple[Question, Model], Found]:
    """Add up rows of :func:`_divided`: one for each visit of each call."""
    names = _names(questions)
    places = {question: [names.index(name) + 1 for name in question.dimensions] for question in questions}
    found: dict[tuple[Question, Model], Found] = {
        (question, model): defaultdict(int) for question in questions for model in models
    }
    into = {model: [(found[question, model], places[question]) for question in questions] for model in models}
    by_call: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_call[row[0]].append(row[1:])
    for visited in by_call.values():
        count, brought = len(visited), None
        if count > 1:
            visited.sort(key=_order)
            brought = next((at for at in reversed(range(count)) if visited[at][-4] != DIRECT), None)
        flags, talk, waiting = visited[0][-3:]
        packed = pack(flags, 1, talk, waiting)
        for model, lines in into.items():
            for at, parts in credit(count, brought, model):
                visit, sums = visited[at], packed * parts
                for line, places_of in lines:
                    line[(visit[0], *[visit[place] for place in places_of])] += sums
    return found


def _order(visit: Sequence[Any]) -> tuple[Any, Any]:
    return visit[-6], visit[-5]


def _asked(site_id: int, span: Span, midnights: Sequence[datetime] = ()) -> dict[str, Any]:
    return {"site": site_id, **span._asdict(), **{f"midnight{nth}": at for nth, at in enumerate(midnights)}}


def _nth(midnights: int) -> ColumnElement[int]:
    later = [(calls.c.started_at < bindparam(f"midnight{nth}", type_=UtcTime), nth) for nth in range(midnights)]
    return (case(*later, else_=midnights) if later else literal(0)).label("nth")


@cache
def _undivided(question: Question, midnights: int) -> Select[Any]:
    nth, value = _nth(midnights), _by_call[question].label("value")
    statement = select(nth, value, *_added()).select_from(calls).where(*_period).group_by(nth, value, _flags)
    return statement.outerjoin(_own, _own.c.id == _own_id) if question is REGIONS else statement


def _added() -> list[ColumnElement[Any]]:
    return [_flags, func.count(), func.sum(_talk), func.sum(_waiting)]


_quarter_of = _Quarter(calls.c.started_at).label("quarter")
_quarters = select(_quarter_of, *_added()).where(*_period).group_by(_quarter_of, _flags)


@cache
def _whole(question: Question, model: Model) -> Select[Any]:
    """The calls that are credited whole, those alike together."""
    dimensions = [_of_visit(name, _own) for name in question.dimensions]
    return (
        select(*dimensions, *_added())
        .select_from(calls)
        .outerjoin(_own, _own.c.id == _own_id)
        .where(*_period, _is_whole(model))
        .group_by(*dimensions, _flags)
    )


@cache
def _divided(names: tuple[str, ...], midnights: int, but: Model | None = None) -> Prepared:
    """A row for each visit of each call, for one that has none, too; ``but`` those credited whole by that model."""
    statement = (
        select(
            calls.c.id,
            _nth(midnights),
            *(_of_visit(name, _visit) for name in names),
            type_coerce(_visit.c.started_at, String).label("visited_at"),
            _visit.c.id.label("visit_id"),
            _visit.c.medium.label("brought_by"),
            _flags,
            _talk.label("talk"),
            _waiting.label("waiting"),
        )
        .select_from(calls)
        .outerjoin(_own, _own.c.id == _own_id)
        .outerjoin(_visit, _credited)
        .where(*_period)
    )
    return Prepared(statement.where(not_(_is_whole(but))) if but else statement, many=True)


def whole_of(question: Question, model: Model, source: FromClause, sums: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Sums by a question's dimensions of what is credited as a call is, one for each row of ``source``, with calls.

    Of calls that are credited whole, and of what has no call.
    """
    dimensions = [_of_visit(name, _own) for name in question.dimensions]
    joined = source.outerjoin(_own, _own.c.id == _own_id)
    return select(*dimensions, *sums).select_from(joined).where(_is_whole(model)).group_by(*dimensions)


def divided_of(
    question: Question, but: Model, source: FromClause, columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    """A row for each visit of what is credited as a call is: the columns, the dimensions, and for :func:`in_order`.

    ``but`` those credited whole by that model.
    """
    dimensions = [_of_visit(name, _visit) for name in question.dimensions]
    joined = source.outerjoin(_own, _own.c.id == _own_id).outerjoin(_visit, _credited)
    visited = (
        type_coerce(_visit.c.started_at, String).label("visited_at"),
        _visit.c.id.label("visit_id"),
        _visit.c.medium.label("brought_by"),
    )
    return select(*columns, *dimensions, *visited).select_from(joined).where(not_(_is_whole(but)))


def in_order(visited: Sequence[Sequence[Any]]) -> tuple[list[Sequence[Any]], int | None]:
    """Rows of :func:`divided_of` of one thing by their visits' beginning; which is the last that something brought."""
    rows = sorted(visited, key=lambda row: (row[-3], row[-2]))
    return rows, next((at for at in reversed(range(len(rows))) if rows[at][-1] != DIRECT), None)
