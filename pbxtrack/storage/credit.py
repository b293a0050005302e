"""What reports ask of the rows themselves, in SQL: figures of calls, and the visits that calls are credited to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    exists,
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

from pbxtrack.calls.models import DIRECT, LOOKBACK, WHOLE, Model
from pbxtrack.reports.figures import FLAGS
from pbxtrack.reports.questions import MAX_PAGE, OPERATORS, QUESTIONS, REGIONS, Question
from pbxtrack.storage.prepared import Prepared
from pbxtrack.storage.tables import UtcTime, calls, visits
from pbxtrack.storage.told import channel_told, is_corrected, is_lost, is_target, is_unsettled

_own = visits.alias("own")  # the visit that a call is tied to; what people say outranks what was computed
_visit = visits.alias("visit")  # one that it may be credited to
_other = visits.alias("other")  # one that it may be credited to as well
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


def _earlier(visit: Any) -> ColumnElement[bool]:
    """Whether a visit is credited beside the call's own."""
    return and_(
        tuple_(visit.c.started_at, visit.c.id) < tuple_(_own.c.started_at, _own.c.id),
        visit.c.started_at >= _LookedBack(calls.c.started_at),
        visit.c.started_at <= calls.c.started_at,
    )


def _of_visitor(visit: Any) -> ColumnElement[bool]:
    return and_(
        visit.c.visitor_id == _own.c.visitor_id,
        visit.c.site_id == _own.c.site_id,
        visit.c.started_at <= _own.c.started_at,  # follows from the order, but the index knows only this
    )


_credited = and_(_of_visitor(_visit), or_(_visit.c.id == _own.c.id, _earlier(_visit)))
_is_divided = exists().where(_of_visitor(_other), _earlier(_other))  # among several visits


def _of_visit(name: str, visit: Any) -> ColumnElement[Any]:
    """A dimension of a visit that a call is credited to, or of the call where it has none."""
    value = _Landing(visit.c.page) if name == "page" else visit.c[name]
    return func.nullif(case((_own.c.id.is_not(None), value), else_=_without_visit[name]), "").label(name)


def _is_whole(model: Model) -> ColumnElement[bool]:
    """Whether a call is credited to its own visit, or to none."""
    match model:
        case Model.LAST:
            return true()
        case Model.LAST_NON_DIRECT:
            return or_(_own.c.id.is_(None), _own.c.medium != DIRECT, not_(_is_divided))
    return or_(_own.c.id.is_(None), not_(_is_divided))


def names_of(questions: Sequence[Question]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for question in questions for name in question.dimensions))


def _added() -> list[ColumnElement[Any]]:
    return [_flags, func.count(), func.sum(_talk), func.sum(_waiting)]


def parts_of_call(question: Question) -> int:
    """How many parts a call is counted as in a question's sums."""
    return WHOLE if question.by_model else 1


BY_MODEL = [question for question in QUESTIONS if question.by_model]
NAMES = names_of(BY_MODEL)
DIMENSIONS = names_of(QUESTIONS)
_quarter_of = _Quarter(calls.c.started_at).label("quarter")
calls_by_quarter = select(_quarter_of, *_added()).where(*_period).group_by(_quarter_of, _flags)
_of_call = {name: value.label(name) for question, value in _by_call.items() for name in question.dimensions}
each_call = Prepared(
    select(
        _quarter_of,
        _is_divided.label("divided"),
        _flags,
        _talk.label("talk"),
        _waiting.label("waiting"),
        *(_of_visit(name, _own) if name in NAMES else _of_call[name] for name in DIMENSIONS),
    )
    .select_from(calls)
    .outerjoin(_own, _own.c.id == _own_id)
    .where(*_period),
    many=True,
)


@cache
def undivided_calls(question: Question) -> Select[Any]:
    value = _by_call[question].label("value")
    statement = select(value, *_added()).select_from(calls).where(*_period).group_by(value, _flags)
    return statement.outerjoin(_own, _own.c.id == _own_id) if question is REGIONS else statement


@cache
def whole_calls(question: Question, model: Model) -> Select[Any]:
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
def divided_calls(names: tuple[str, ...], by: Model | None) -> Prepared:
    """A row for each visit of each call that is credited to several; but those credited whole ``by`` a model."""
    direct = [_own.c.medium == DIRECT] if by is Model.LAST_NON_DIRECT else []
    return Prepared(
        select(
            *(_of_visit(name, _visit) for name in names),
            calls.c.id,
            _quarter_of,
            type_coerce(_visit.c.started_at, String).label("visited_at"),
            _visit.c.id.label("visit_id"),
            _visit.c.medium.label("brought_by"),
            _flags,
            _talk.label("talk"),
            _waiting.label("waiting"),
        )
        .select_from(calls)
        .join(_own, _own.c.id == _own_id)
        .join(_visit, _credited)
        .where(*_period, _is_divided, *direct),
        many=True,
    )


def whole_of(question: Question, model: Model, which: ColumnElement[bool]) -> Select[Any]:
    """Of those of the calls that are credited whole the id and the values of a question's dimensions."""
    dimensions = [_of_visit(name, _own) for name in question.dimensions]
    joined = calls.outerjoin(_own, _own.c.id == _own_id)
    return select(calls.c.id, *dimensions).select_from(joined).where(which, _is_whole(model))


def divided_of(question: Question, but: Model, which: ColumnElement[bool]) -> Select[Any]:
    """Of the others a row for each of their visits: the id, the dimensions, and what :func:`in_order` goes by.

    ``but`` those credited whole by that model.
    """
    dimensions = [_of_visit(name, _visit) for name in question.dimensions]
    joined = calls.outerjoin(_own, _own.c.id == _own_id).outerjoin(_visit, _credited)
    visited = (
        type_coerce(_visit.c.started_at, String).label("visited_at"),
        _visit.c.id.label("visit_id"),
        _visit.c.medium.label("brought_by"),
    )
    return select(calls.c.id, *dimensions, *visited).select_from(joined).where(which, not_(_is_whole(but)))


def in_order(visited: Sequence[Sequence[Any]]) -> tuple[list[Sequence[Any]], int | None]:
    """Rows of :func:`divided_of` of one thing by their visits' beginning; which is the last that something brought."""
    rows = sorted(visited, key=lambda row: (row[-3], row[-2]))
    return rows, next((at for at in reversed(range(len(rows))) if rows[at][-1] != DIRECT), None)
