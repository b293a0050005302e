"""Queries that somebody waits for: compiled once, and on SQLite run without SQLAlchemy's execution around them.

That takes half the time or less of what SQLAlchemy's execution takes.
"""

from __future__ import annotations

import json
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import orjson
from sqlalchemy import ARRAY, BigInteger, BindParameter, ColumnElement, Connection, Dialect, Executable, String, exc
from sqlalchemy.dialects.sqlite import dialect as SQLiteDialect  # noqa: N812
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import Text, TypeDecorator, TypeEngine

Reader = Connection | sqlite3.Connection
"""What a prepared query runs on: in a transaction, which is the caller's to begin and end."""

Convert = Callable[[Any], Any]
Row = Mapping[str, Any]


class Prepared:
    """A query compiled once."""

    def __init__(self, statement: Executable, *, many: bool = False) -> None:
        """``many`` rows are read at once: on SQLite, SQLAlchemy's connection gives them as one JSON document.

        The driver gives up the interpreter's lock for each row, and beside a busy event loop waits for it each time.
        """
        self._statement = statement
        self._many = many
        self._sqlite: _OnSqlite | None = None
        self._elsewhere: _Elsewhere | None = None

    def all(self, reader: Reader, parameters: Row) -> Sequence[Any]:
        """Every row. Raises what SQLAlchemy raises, or on a driver's connection what the driver does."""
        if isinstance(reader, sqlite3.Connection):
            return self._on_sqlite().rows(reader, parameters)
        if reader.dialect.name != "sqlite":
            if self._elsewhere is None:
                self._elsewhere = _Elsewhere(self._statement, reader.dialect)
            return self._elsewhere.rows(reader, parameters)
        statement = self._on_sqlite()
        with translated(statement.text, reader.dialect):
            return statement.rows(driver_of(reader), parameters, gathered=self._many)

    def one_or_none(self, reader: Reader, parameters: Row) -> Any:
        """The row of a statement that gives one at most."""
        rows = self.all(reader, parameters)
        assert len(rows) <= 1
        return rows[0] if rows else None

    def _on_sqlite(self) -> _OnSqlite:
        if self._sqlite is None:
            self._sqlite = _OnSqlite(self._statement, SQLiteDialect(json_deserializer=orjson.loads))
        return self._sqlite


class Among(ColumnElement[bool]):
    """Whether a column is one of many values, which are a single parameter: one statement for however many."""

    __visit_name__ = "among"
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012 (SQLAlchemy's, of which a copy of the statement is made)
        ("column", InternalTraversal.dp_clauseelement),
        ("values", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        kind = _Texts() if isinstance(column.type, String) else _Integers()
        self.values: BindParameter[Any] = BindParameter(name, type_=kind)


class AmongPairs(ColumnElement[bool]):
    """Whether two text columns are one of many pairs of values, which are a single parameter."""

    __visit_name__ = "among_pairs"
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012 (SQLAlchemy's, of which a copy of the statement is made)
        ("one", InternalTraversal.dp_clauseelement),
        ("other", InternalTraversal.dp_clauseelement),
        ("values", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, one: ColumnElement[Any], other: ColumnElement[Any], name: str) -> None:
        self.one, self.other = one, other
        self.values: BindParameter[Any] = BindParameter(name, type_=_Pairs())


class _Pairs(TypeDecorator[Collection[Any]]):
    """JSON: an array of arrays."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        return json.dumps(list(value or ()))


class _Many(TypeDecorator[Collection[Any]]):
    """An array on PostgreSQL, JSON on SQLite."""

    impl = Text
    item: ClassVar[type[TypeEngine[Any]]]

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if dialect.name == "sqlite" else ARRAY(self.item())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        listed = list(value or ())
        return json.dumps(listed) if dialect.name == "sqlite" else listed


class _Texts(_Many):
    cache_ok = True
    item = String


class _Integers(_Many):
    cache_ok = True
    item = BigInteger


@compiles(Among, "sqlite")
def _on_sqlite(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in (element.column, element.values))
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 (compiled expressions, no text)


@compiles(Among)
def _elsewhere(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in (element.column, element.values))
    return f"{column} = ANY({values})"


@compiles(AmongPairs)
def _pairs(element: AmongPairs, compiler: SQLCompiler, **options: Any) -> str:
    one, other, values = (compiler.process(part, **options) for part in (element.one, element.other, element.values))
    each = f"json_each({values})" if compiler.dialect.name == "sqlite" else f"json_array_elements({values}::json)"
    return f"({one}, {other}) IN (SELECT value ->> 0, value ->> 1 FROM {each})"  # noqa: S608 (compiled expressions)


@contextmanager
def translated(statement: str, dialect: Dialect) -> Iterator[None]:
    """Raise SQLite's own errors of a statement as SQLAlchemy would."""
    try:
        yield
    except sqlite3.Error as error:
        raise exc.DBAPIError.instance(
            statement, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect
        ) from error


def driver_of(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, in a transaction."""
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy would: all that is read is of one moment
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


class _OnSqlite:
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
        listed = ", ".join(f"found.{name}" for name in names)
        self._gathered = f"SELECT json_group_array(json_array({listed})) FROM ({self.text}) AS found"  # noqa: S608
        self._converts: list[tuple[int, Convert]] = []
        for index, column in enumerate(columns):
            found = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if found:
                self._converts.append((index, found))

    def rows(self, driver: sqlite3.Connection, parameters: Row, *, gathered: bool = False) -> list[Any]:
        values = self._values(parameters)
        if gathered:
            ((document,),) = driver.execute(self._gathered, values).fetchall()
            read = orjson.loads(document)
        else:
            read = driver.execute(self.text, values).fetchall()
        rows = []
        for found in read:
            row = list(found)
            for index, convert in self._converts:
                row[index] = convert(row[index])
            rows.append(self._row(row))
        return rows

    def _values(self, parameters: Row) -> list[Any]:
        """The parameters in the statement's order, as the driver takes them."""
        given = {**self._defaults, **parameters}
        values = [given[name] for name in self._names]
        for index, convert in self._binds:
            values[index] = convert(values[index])
        return values


class _Elsewhere:
    """On PostgreSQL the driver makes of columns what SQLAlchemy would; so only the parameters are converted."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self._text = str(compiled)
        self._defaults = compiled.params
        self._binds = {
            name: convert
            for name, bind in compiled.binds.items()
            if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }

    def rows(self, connection: Connection, parameters: Row) -> Sequence[Any]:
        given = {**self._defaults, **parameters}
        for name, convert in self._binds.items():
            given[name] = convert(given[name])
        return connection.exec_driver_sql(self._text, given).all()
