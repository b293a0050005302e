"""Conditions on calls that SQLite and PostgreSQL write differently."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Boolean, Integer, String, and_, cast, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

INDEXED_DIGITS = 4
"""So many last digits of a caller's number are in an index; of fewer, a page of calls is soon found without one."""


class _HasTag(FunctionElement[bool]):
    """Whether one of the tags (the first argument, a JSON array) is one of the others."""

    type = Boolean()
    inherit_cache = True


@compiles(_HasTag, "sqlite")
def _has_tag_sqlite(element: _HasTag, compiler: SQLCompiler, **options: Any) -> str:
    return _exists(element, compiler, "json_each({}) AS tag", options)


@compiles(_HasTag, "postgresql")
def _has_tag_postgresql(element: _HasTag, compiler: SQLCompiler, **options: Any) -> str:
    return _exists(element, compiler, "json_array_elements_text({}) AS tag(value)", options)


def _exists(element: _HasTag, compiler: SQLCompiler, rows: str, options: dict[str, Any]) -> str:
    tags, *wanted = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM {rows.format(tags)} WHERE tag.value IN ({', '.join(wanted)}))"  # noqa: S608 - compiled clauses


class _LocalHour(FunctionElement[int]):
    """The hour of the day at a time (the first argument) by the clocks of a time zone (the second)."""

    type = Integer()
    inherit_cache = True


@compiles(_LocalHour, "sqlite")
def _local_hour_sqlite(element: _LocalHour, compiler: SQLCompiler, **options: Any) -> str:
    return f"local_hour({compiler.process(element.clauses, **options)})"


@compiles(_LocalHour, "postgresql")
def _local_hour_postgresql(element: _LocalHour, compiler: SQLCompiler, **options: Any) -> str:
    at, zone = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXTRACT(hour FROM timezone({zone}, {at}))::int"


def has_tag(tags: ColumnElement[Any], wanted: Sequence[str]) -> ColumnElement[bool]:
    """Whether one of the tags is among those wanted. Most calls have none, which is seen at once."""
    texts = [cast(tag, String) for tag in wanted]
    return and_(cast(tags, String) != literal_column("'[]'"), _HasTag(tags, *texts))


def in_hour(at: ColumnElement[Any], zone: ColumnElement[Any], hour: int) -> ColumnElement[bool]:
    """Whether clocks of the time zone showed that hour of the day (0–23)."""
    return _LocalHour(at, zone) == hour


def last_digits(number: ColumnElement[Any]) -> ColumnElement[str]:
    """The last INDEXED_DIGITS characters of a number, as the index has them."""
    before: ColumnElement[int] = literal_column(str(INDEXED_DIGITS - 1))
    return func.substr(number, func.length(number) - before)


def ends_with(number: ColumnElement[Any], digits: str) -> ColumnElement[bool]:
    """Whether a number ends with these digits (nothing else)."""
    ends: ColumnElement[bool] = number.like(f"%{digits}")
    if len(digits) < INDEXED_DIGITS:
        return ends
    return and_(number.is_not(None), last_digits(number) == digits[-INDEXED_DIGITS:], ends)


def add_functions(connection: sqlite3.Connection) -> None:
    """Teach a connection to SQLite what it does not know of itself."""
    connection.create_function("local_hour", 2, _local_hour, deterministic=True)


def _local_hour(at: str | None, zone: str | None) -> int | None:
    """``at`` as SQLite has it: ``2026-03-01 09:00:00.250000``, UTC."""
    if at is None or zone is None:
        return None
    offset = _offset(at[:13], zone)
    if offset is None:
        offset = _offset_at(datetime.fromisoformat(f"{at[:16]}+00:00"), zone)
    return (int(at[11:13]) * 60 + int(at[14:16]) + offset) // 60 % 24


@lru_cache(maxsize=20_000)
def _offset(hour: str, zone: str) -> int | None:
    """Minutes that the clocks of a zone were ahead of UTC; None where they were changed in that hour."""
    begins = datetime.fromisoformat(f"{hour}:00+00:00")
    offset = _offset_at(begins, zone)
    return offset if _offset_at(begins + timedelta(minutes=59), zone) == offset else None


def _offset_at(at: datetime, zone: str) -> int:
    return (at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()) // timedelta(minutes=1)
