"""Writes of many rows in one statement: they are its parameters, an array for each column or JSON for all of them.

A driver's ``executemany`` is a statement for each row: PostgreSQL runs each, and on SQLite the driver gives up the
interpreter's lock for each and waits for it again, which beside a busy event loop costs more than all else.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import JSON, Connection, Dialect, Executable
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite import dialect as SQLiteDialect  # noqa: N812
from sqlalchemy.types import TypeEngine

from pbxtrack import utc
from pbxtrack.storage.prepared import driver_of, translated
from pbxtrack.storage.tables import UtcTime

Row = Mapping[str, Any]

_VALUES = re.compile(r"(INSERT INTO .*? )VALUES \((.*?)\)( ON CONFLICT .*)?", re.DOTALL)


def dumps(value: Any) -> str:
    """JSON of what it has no words for, too: dataclasses, times in UTC, and sets, which are arrays in order."""
    return orjson.dumps(value, default=sorted, option=orjson.OPT_UTC_Z).decode()


class Gathered:
    """An INSERT ... VALUES of one row, or an UPDATE of one row with a WHERE, to be run for many."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run it for each of these parameters. Raises what SQLAlchemy raises.

        An UPDATE changes a row of the table once: no two of ``rows`` may be for the same one.
        """
        if rows:
            on_sqlite = connection.dialect.name == "sqlite"
            text = (self._sqlite if on_sqlite else self._postgresql).statement
            self.run_written(connection, list(zip(*text.columns(rows), strict=True)))

    def run_written(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """:meth:`run`, of the statement's parameters in their order, where times and JSON are texts already."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            with translated(self._sqlite.text, connection.dialect):
                alone = connection.get_execution_options().get("pbxtrack_alone", False)
                self._sqlite.run(driver_of(connection), rows, alone=alone)
        else:
            self._postgresql.run(connection, rows)

    @cached_property
    def _sqlite(self) -> _OnSqlite:
        return _OnSqlite(self._statement)

    @cached_property
    def _postgresql(self) -> _OnPostgresql:
        return _OnPostgresql(self._statement)


class _Text:
    """A statement whose parameters are named ``:name``, and what turns values into what the driver takes."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.names: list[str] = []
        self.binds: dict[str, Any] = compiled.binds
        self.text = re.sub(r"(?<!:):(\w+)", self._mark, str(compiled))
        self.converts = [_converter(self.binds[name].type, dialect) for name in self.names]

    def _mark(self, found: re.Match[str]) -> str:
        self.names.append(found[1])
        return f"?{len(self.names) - 1}?"

    def given(self, parameter: Callable[[int], str], source: str) -> str:
        """The statement with each parameter as ``parameter(index)`` of the rows of ``source``."""
        text = re.sub(r"\?(\d+)\?", lambda found: parameter(int(found[1])), self.text)
        if text.startswith("UPDATE "):
            return text.replace(" WHERE ", f" FROM {source} WHERE ", 1)
        insert = _VALUES.fullmatch(text)
        assert insert is not None
        return f"{insert[1]}SELECT {insert[2]} FROM {source} WHERE true{insert[3] or ''}"  # noqa: S608 (compiled)

    def columns(self, rows: Sequence[Row]) -> list[list[Any]]:
        """The parameters, column by column, converted."""
        columns = []
        for name, convert in zip(self.names, self.converts, strict=True):
            column = [row[name] for row in rows]
            columns.append(convert(column) if convert else column)
        return columns


def _converter(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[list[Any]], list[Any]] | None:
    """What turns a column of values into what the driver takes; None where it takes them as they are."""
    convert = kind.dialect_impl(dialect).bind_processor(dialect)
    if convert is None:
        return None
    if isinstance(kind, UtcTime) and dialect.name == "sqlite":
        return _texts
    return lambda column: [convert(value) for value in column]


def _texts(times: list[datetime | None]) -> list[str | None]:
    texts = iter(utc.texts([at for at in times if at is not None]))
    return [None if at is None else next(texts) for at in times]


class _OnSqlite:
    def __init__(self, statement: Executable) -> None:
        self.statement = _Text(statement, SQLiteDialect(paramstyle="named", json_serializer=dumps))
        self.text = self.statement.given(lambda index: f"(given.value ->> {index})", "json_each(?) AS given")
        self._of_one = re.sub(r"\?\d+\?", "?", self.statement.text)

    def run(self, driver: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], *, alone: bool) -> None:
        """Where the process is ``alone``, nobody beside wants the interpreter: a statement for each row is quicker."""
        if alone:
            driver.executemany(self._of_one, rows)
        else:
            driver.execute(self.text, [dumps(rows)])


class _OnPostgresql:
    def __init__(self, statement: Executable) -> None:
        dialect = PGDialect(paramstyle="named", json_serializer=dumps)  # type: ignore[no-untyped-call]
        self.statement = _Text(statement, dialect)
        types = [self.statement.binds[name].type for name in self.statement.names]
        self._is_json = [isinstance(kind, JSON) for kind in types]
        arrays = ", ".join(
            f"%(p{index})s::{'TEXT' if is_json else kind.compile(dialect)}[]"
            for index, (kind, is_json) in enumerate(zip(types, self._is_json, strict=True))
        )
        columns = ", ".join(f"p{index}" for index in range(len(types)))
        self._text = self.statement.given(
            lambda index: f"given.p{index}::JSON" if self._is_json[index] else f"given.p{index}",
            f"unnest({arrays}) AS given ({columns})",
        )

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = zip(*rows, strict=True)
        connection.exec_driver_sql(self._text, {f"p{index}": list(column) for index, column in enumerate(columns)})
