"""Statements that somebody waits for: compiled once, and on SQLite run without SQLAlchemy's execution around them.

That takes half the time or less of what SQLAlchemy's execution takes. PostgreSQL goes the ordinary way.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, ColumnElement, Connection, Dialect, Executable, String, exc
from sqlalchemy.dialects.sqlite import dialect as SQLiteDialect  # noqa: N812
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Text, TypeDecorator, TypeEngine

Reader = Connection | sqlite3.Connection
"""What a prepared query runs on: in a transaction, which is the caller's to begin and end."""

Convert = Callable[[Any], Any]
Row = Mapping[str, Any]


class Prepared:
    """A statement compiled once."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._sqlite: _Compiled | None = None

    def all(self, reader: Reader, parameters: Row) -> Sequence[Any]:
        """Every row. Raises what SQLAlchemy raises, or on a driver's connection what the driver does."""
        if isinstance(reader, sqlite3.Connection):
            return self._on_sqlite().rows(reader, parameters)
        if reader.dialect.name != "sqlite":
            return reader.execute(self._statement, parameters).all()
        try:
            return self._on_sqlite().rows(_driver(reader), parameters)
        except sqlite3.Error as error:
            raise self._translated(error, reader.dialect) from error

    def one_or_none(self, reader: Reader, parameters: Row) -> Any:
        """The row of a statement that gives one at most."""
        rows = self.all(reader, parameters)
        assert len(rows) <= 1
        return rows[0] if rows else None

    def many(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run the statement, an INSERT or an UPDATE, for each of these parameters. Raises what SQLAlchemy raises.

        An UPDATE changes a row of the table once: no two of ``rows`` may be for the same one.
        """
        if not rows:
            return
        if connection.dialect.name != "sqlite":
            connection.execute(self._statement, rows)
            return
        try:
            self._on_sqlite().many(_driver(connection), rows)
        except sqlite3.Error as error:
            raise self._translated(error, connection.dialect) from error

    def _on_sqlite(self) -> _Compiled:
        if self._sqlite is None:
            self._sqlite = _Compiled(self._statement, SQLiteDialect())
        return self._sqlite

    def _translated(self, error: sqlite3.Error, dialect: Dialect) -> BaseException:
        text = self._on_sqlite().text
        return exc.DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect)


class Among(ColumnElement[bool]):
    """Whether a column is one of many values, which are a single parameter: one statement for however many."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = BindParameter(name, type_=_Values(column.type))


class _Values(TypeDecorator[Collection[Any]]):
    """An array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = String() if isinstance(item, String) else BigInteger()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if dialect.name == "sqlite" else ARRAY(self.item)

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        listed = list(value or ())
        return json.dumps(listed) if dialect.name == "sqlite" else listed


@compiles(Among, "sqlite")
def _on_sqlite(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in (element.column, element.values))
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 (compiled expressions, no text)


@compiles(Among)
def _elsewhere(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in (element.column, element.values))
    return f"{column} = ANY({values})"


def _driver(connection: Connection) -> sqlite3.Connection:
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy would: all that is read is of one moment
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


_VALUES = re.compile(r"(INSERT INTO .*? )VALUES \((.*?)\)( ON CONFLICT .*)?", re.DOTALL)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class _Compiled:
    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.text = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._defaults: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        self._binds: list[tuple[int, Convert]] = []
        for index, name in enumerate(self._names):
            convert = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
            if convert:
                self._binds.append((index, convert))
        columns = list(getattr(statement, "selected_columns", ()))
        names = [str(column.key) for column in columns]
        self._row: Callable[[list[Any]], Any] = namedtuple("Row", names)._make  # type: ignore[attr-defined]
        self._converts: list[tuple[int, Convert]] = []
        for index, column in enumerate(columns):
            found = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if found:
                self._converts.append((index, found))

    def rows(self, driver: sqlite3.Connection, parameters: Row) -> list[Any]:
        values = self._values([{**self._defaults, **parameters}])[0]
        rows = []
        for found in driver.execute(self.text, values).fetchall():
            row = list(found)
            for index, convert in self._converts:
                row[index] = convert(row[index])
            rows.append(self._row(row))
        return rows

    def many(self, driver: sqlite3.Connection, rows: Sequence[Row]) -> None:
        driver.execute(self._gathered, [_encode(self._values(rows))])

    @cached_property
    def _gathered(self) -> str:
        """The statement for many rows, which are one JSON parameter.

        The driver gives up the interpreter's lock for every row of ``executemany``, and waits for it again: beside a
        busy event loop that costs more than all else.
        """
        begin, *rest = self.text.split("?")
        text = begin + "".join(f"given.value ->> {index}{part}" for index, part in enumerate(rest))
        source = " FROM json_each(?) AS given WHERE "
        if text.startswith("UPDATE "):
            return text.replace(" WHERE ", source, 1)
        before, values, after = _VALUES.fullmatch(text).groups()  # type: ignore[union-attr]
        return f"{before}SELECT {values}{source}true{after or ''}"

    def _values(self, rows: Sequence[Row]) -> list[list[Any]]:
        """The parameters in the statement's order, as the driver takes them."""
        names = self._names
        times: dict[datetime, Any] = {}  # one transaction's times are mostly the same
        converted = []
        for row in rows:
            values = [row[name] for name in names]
            for index, convert in self._binds:
                value = values[index]
                if type(value) is datetime:
                    values[index] = times.get(value) or times.setdefault(value, convert(value))
                else:
                    values[index] = convert(value)
            converted.append(values)
        return converted
