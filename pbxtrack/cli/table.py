"""Tables on a terminal. What stands in them comes from outside: nothing of it is taken for markup or for control."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pbxtrack.cli.text import visible

_UNBOUNDED = 10_000  # columns of a "terminal" that is a file or a pipe: nothing is cut


def print_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> None:
    """Print a table. Columns named in ``right`` hold figures; those in ``whole`` are never wrapped."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(
            Text(heading),
            justify="right" if heading in right else "left",
            no_wrap=heading in whole or heading in right,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _UNBOUNDED
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)
