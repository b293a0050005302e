"""A report's table: which rows, in which order, compared with what; as it is asked for in an address. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pbxtrack.dashboard.languages import Format
from pbxtrack.dashboard.reports.columns import Column, Kind, Row, sorted_by
from pbxtrack.reports.figures import Sums, figures

FEW = 50
"""Rows that are shown unless all are asked for."""
MOST = 10_000
"""Rows that are looked at: those with most calls."""
_MAX_WORDS = 200  # characters
_NOTHING: Mapping[str, Any] = figures(Sums(), 1, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: rows that hold these words, by the column of this name, all of them or few."""

    words: str
    sort: str
    descending: bool
    everything: bool

    @property
    def order(self) -> str:
        """As it stands in an address."""
        return ("-" if self.descending else "") + self.sort

    def other_way(self, name: str, *, text: bool) -> str:
        """What the head of a column leads to: texts begin with the first, figures with the most."""
        if name == self.sort:
            return name if self.descending else f"-{name}"
        return name if text else f"-{name}"


def wanted(query: Mapping[str, str], names: Sequence[str]) -> Wanted:
    """What an address asks for; by calls, unless it names one of these columns."""
    order = query.get("sort", "")
    name = order.removeprefix("-")
    if name not in names:
        name, order = "calls", "-calls"
    words = query.get("q", "")[:_MAX_WORDS].strip()
    return Wanted(words, name, order.startswith("-"), query.get("rows") == "all")


class Compared(NamedTuple):
    """A row, and what it was in the time before; None where that is not known, or not asked for."""

    row: Row
    before: Row | None


def compared(rows: Sequence[Row], before: Sequence[Row] | None, dimensions: Sequence[str]) -> list[Compared]:
    """The rows of two times side by side, those that are in one of them only, too.

    Where one of the times has more rows than are looked at, what is not among them may be there all the same.
    """
    if before is None:
        return [Compared(row, None) for row in rows]

    def values(row: Row) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in dimensions)

    nothing = None if len(before) >= MOST else _NOTHING
    earlier = {values(row): row for row in before}
    both = [Compared(row, earlier.pop(values(row), nothing)) for row in rows]
    if len(rows) < MOST:
        both += [Compared({**_NOTHING, **dict(zip(dimensions, key, strict=True))}, row) for key, row in earlier.items()]
    return both


def chosen(
    rows: Sequence[Compared],
    asked: Wanted,
    dimensions: Sequence[str],
    shown: Callable[[str, str | None], str | None] = lambda _, value: value,
) -> list[Compared]:
    """The rows that are asked for, in their order. ``shown``: what words are looked for in."""
    words = asked.words.casefold().split()

    def fits(row: Row) -> bool:
        text = "\n".join(str(shown(name, row.get(name)) or "") for name in dimensions).casefold()
        return all(word in text for word in words)

    found = [one for one in rows if fits(one.row)] if words else rows
    before = {id(one.row): one.before for one in found}
    ordered = sorted_by([one.row for one in found], asked.sort, descending=asked.descending)
    return [Compared(row, before[id(row)]) for row in ordered]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is shown; what it was ``before``, the ``change``, and whether that is ``good`` or ``bad``."""

    text: str
    before: str = ""
    change: str = ""
    judged: str = ""
    href: str | None = None


def cells(f: Format, columns: Sequence[Column], one: Compared, currency: str, href: str | None = None) -> list[Cell]:
    """A row's figures; ``href``: where the calls of the row are listed."""
    row, before = one
    made = []
    for column in columns:
        now = row.get(column.name)
        link = None
        if href is not None and column.opens is not None and now:
            link = _narrowed(href, column.opens)
        past = before.get(column.name) if before else None
        change, judged = _change(f, column, now, past)
        was = column.told(f, past, currency) if change else ""
        made.append(Cell(column.told(f, now, currency), was, change, judged, link))
    return made


def _change(f: Format, column: Column, now: float | None, past: float | None) -> tuple[str, str]:
    if now is None or past is None:
        return "", ""
    judged = ""
    if column.good is not None and now != past:
        judged = "good" if (now > past) == column.good else "bad"
    if column.kind in (Kind.SHARE, Kind.RATIO):
        return f.points(now, past), judged
    return f.change(now, past), judged


def _narrowed(href: str, more: str) -> str:
    if not more:
        return href
    return href + ("&" if "?" in href else "?") + more


def lines(
    columns: Sequence[Column], rows: Sequence[Compared], dimensions: Sequence[str], *, with_before: bool
) -> list[list[object]]:
    """The rows as CSV has them: names, then each figure, with that of the time before where it is compared."""
    made = []
    for row, before in rows:
        line: list[object] = [row.get(name) for name in dimensions]
        for column in columns:
            line.append(row.get(column.name))
            if with_before:
                line.append(before.get(column.name) if before else None)
        made.append(line)
    return made
