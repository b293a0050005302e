"""Tables on a terminal. What stands in them comes from outside: nothing of it is taken for markup or for control."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from rich.cells import cell_len, set_cell_size

from pbxtrack.cli.text import visible

_Kept = list[tuple["Column", Sequence[str]]]  # columns with the texts in them, the heading first


@dataclass(frozen=True, slots=True)
class Column:
    """A column. What stands in it is never cut, unless it is free text: that has a ``least`` width.

    Where the terminal is too narrow, the ``short`` texts (the heading first) are taken where there are some; then
    columns with a ``drop`` go, the lowest first.
    """

    heading: str
    right: bool = False
    least: int | None = None
    drop: int | None = None
    short: Sequence[str] | None = None


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal, if there is one; in a file or a pipe it is as wide as it must be."""
    for line in lay_out(columns, rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else None):
        click.echo(line)


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The table's lines: headings, a rule, the rows. ``width`` None is no limit."""
    for kept, gap in _choices(columns, rows):
        widths = [max(map(cell_len, texts)) for _, texts in kept]
        least = [
            min(wide, max(column.least, cell_len(column.heading))) if column.least else wide
            for wide, (column, _) in zip(widths, kept, strict=True)
        ]
        gaps = gap * (len(kept) - 1)
        if width is None or sum(least) + gaps <= width:
            break
    if width is not None:
        spare = max(0, width - sum(least) - gaps)
        for at, wide in enumerate(widths):
            widths[at] = min(wide, least[at] + spare)
            spare -= widths[at] - least[at]
    lines = [
        (" " * gap)
        .join(_fit(texts[at], wide, right=column.right) for (column, texts), wide in zip(kept, widths, strict=True))
        .rstrip()
        for at in range(len(rows) + 1)
    ]
    return [lines[0], "─" * (sum(widths) + gaps), *lines[1:]]


def _choices(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[tuple[_Kept, int]]:
    """What could be shown, and the gap between columns: the fullest first."""
    full = [[column.heading, *(visible(row[at]) for row in rows)] for at, column in enumerate(columns)]
    yield list(zip(columns, full, strict=True)), 2
    kept: _Kept = [(column, column.short or texts) for column, texts in zip(columns, full, strict=True)]
    yield kept, 2
    for rank in sorted({column.drop for column in columns if column.drop is not None}):
        kept = [(column, texts) for column, texts in kept if column.drop is None or column.drop > rank]
        yield kept, 2
    yield kept, 1


def _fit(text: str, width: int, *, right: bool) -> str:
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)
    return " " * missing + text if right else text + " " * missing
