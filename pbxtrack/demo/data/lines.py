"""Rows as lines of text, which both databases take many of at once.

A line holds a row's values, as the product itself would write them, between separators that no text of ours contains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Table

from pbxtrack import utc
from pbxtrack.storage.gathered import dumps
from pbxtrack.storage.prepared import driver_of
from pbxtrack.storage.tables import UtcTime

Convert = Callable[[Sequence[Any]], list[str]]

BETWEEN, NOTHING, _QUOTE = "\x1f", "\x1e", "\x1d"  # no text that is kept has control characters


class LinesOf:
    """A table's rows as lines."""

    def __init__(self, table: Table, *, but: Sequence[str] = ()) -> None:
        """``but``: columns that the database fills."""
        self.table = table
        self.names = [column.name for column in table.c if column.name not in but]
        self._converts = [_converter(table.c[name].type) for name in self.names]

    def lines(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The lines of rows; a column that is not given is NULL."""
        columns = [
            _filled([row.get(name) for row in rows], convert)
            for name, convert in zip(self.names, self._converts, strict=True)
        ]
        return [BETWEEN.join(values) for values in zip(*columns, strict=True)]

    def place(self, name: str) -> int | None:
        """Which of a line's values is this column's; None if the table has no such column."""
        return self.names.index(name) if name in self.names else None

    def insert(self, connection: Connection, lines: Sequence[str]) -> None:
        """Write the rows."""
        if not lines:
            return
        columns = ", ".join(f'"{name}"' for name in self.names)
        if connection.dialect.name == "sqlite":
            # What looks like a number becomes one by the column's affinity.
            marks = ", ".join("?" * len(self.names))
            driver_of(connection).executemany(
                f"INSERT INTO {self.table.name} ({columns}) VALUES ({marks})",  # noqa: S608 (names of ours)
                ([None if value == NOTHING else value for value in line.split(BETWEEN)] for line in lines),
            )
            return
        driver: Any = connection.connection.driver_connection
        # CSV knows no escapes but a quote's, which no text has either.
        copy = (
            f"COPY {self.table.name} ({columns}) FROM STDIN WITH (FORMAT csv, DELIMITER E'\\x{ord(BETWEEN):02x}', "
            f"NULL E'\\x{ord(NOTHING):02x}', QUOTE E'\\x{ord(_QUOTE):02x}')"
        )
        with driver.cursor() as cursor, cursor.copy(copy) as target:
            target.write("\n".join(lines) + "\n")


def _filled(column: Sequence[Any], convert: Convert) -> list[str]:
    """A column's values as texts."""
    if None not in column:
        return convert(column)
    texts = iter(convert([value for value in column if value is not None]))
    return [NOTHING if value is None else next(texts) for value in column]


def _converter(kind: Any) -> Convert:
    if isinstance(kind, UtcTime):
        return utc.texts
    if isinstance(kind, JSON):
        return lambda values: [dumps(value) for value in values]
    if isinstance(kind, Boolean):
        return lambda values: ["1" if value else "0" for value in values]
    return lambda values: [str(value) for value in values]
