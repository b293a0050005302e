"""Runs: parts of an index, in each of which calls stand in order of time. Read all as one, none further than needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    String,
    bindparam,
    column,
    func,
    select,
    true,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from pbxtrack.storage.prepared import Prepared
from pbxtrack.storage.tables import calls

_AT_ONCE = 31  # runs that are read together where those that follow may not be needed

Values = Mapping[str, ColumnElement[Any]]
Conditions = Sequence[ColumnElement[bool]]


def added_up(rows: Select[Any]) -> Select[Any]:
    """How many rows a statement gives, and the sum of each of its columns."""
    found = rows.subquery("found")
    return select(func.count().label("count"), *(func.coalesce(func.sum(one), 0).label(one.key) for one in found.c))


@dataclass(frozen=True, slots=True)
class Runs:
    """A run for each of the ``rows``: where ``conditions`` hold of its values, called by ``names``.

    ``source`` has the calls, and ``at``, by which the ``index`` has each run in order, is when they began.
    ``in_order``: every call of a run began before those of the runs before it.
    """

    names: Mapping[str, TypeEngine[Any]]
    rows: Sequence[Sequence[Any]]
    conditions: Callable[[Values], Conditions]
    index: str = ""
    source: FromClause = calls
    at: ColumnElement[Any] = calls.c.started_at
    in_order: bool = False

    def newest(self, connection: Connection, fits: Conditions, limit: int) -> list[str]:
        """The ids of the newest calls that fit, in order."""
        newest_first = self.at.desc(), calls.c.id.desc()
        if connection.dialect.name != "sqlite":
            run = select(self.at.label("at"), calls.c.id).order_by(*newest_first).limit(limit)
            ids: list[str] = []
            at_once = _AT_ONCE if self.in_order else len(self.rows)
            for nth in range(0, len(self.rows), at_once or 1):
                together = self._together(run, fits, self.rows[nth : nth + at_once])
                together = together.order_by(column("at").desc(), column("id").desc()).limit(limit - len(ids))
                ids += [row.id for row in connection.execute(together)]
                if len(ids) == limit:
                    break
            return ids
        at = type_coerce(self.at, String)
        # Once there are enough, older calls than the oldest of those are not wanted.
        run = self._run([at.label("at"), calls.c.id], [*fits, at >= bindparam("oldest", type_=String())])
        statement = Prepared(run.order_by(*newest_first).limit(limit))
        found: list[Any] = []
        for row in self._values():
            oldest = found[-1].at if len(found) == limit else ""
            if oldest and self.in_order:
                break
            found = nlargest(limit, [*found, *statement.all(connection, {**row, "oldest": oldest})])
        return [row.id for row in found]

    def sums(
        self, connection: Connection, figures: Sequence[ColumnElement[Any]], fits: Conditions, at_most: int
    ) -> Iterator[Sequence[Any]]:
        """How many calls fit and the sums of their figures, in some parts; of ``at_most`` of them."""
        if connection.dialect.name != "sqlite":
            run = select(*figures).limit(at_most)  # which keeps it a run: it would be joined with all calls
            yield connection.execute(added_up(self._together(run, fits, self.rows).limit(at_most))).one()
            return
        statement = Prepared(added_up(self._run(figures, fits).limit(bindparam("left", type_=Integer()))))
        left = at_most
        for row in self._values():
            if left == 0:
                return
            (sums,) = statement.all(connection, {**row, "left": left})
            left -= sums.count
            yield sums

    def _values(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.names, row, strict=True)) for row in self.rows)

    def _run(self, columns: Sequence[ColumnElement[Any]], fits: Conditions) -> Select[Any]:
        """One of the runs, its values parameters. SQLite has no LATERAL, nor a network to cross for each."""
        values = {name: bindparam(name, type_=kind) for name, kind in self.names.items()}
        run = select(*columns).select_from(self.source).where(*self.conditions(values), *fits)
        # It has no statistics, unless somebody asked for them, and takes another index for as good.
        return run.with_hint(calls, f"INDEXED BY {self.index}", "sqlite") if self.index else run

    def _together(self, run: Select[Any], fits: Conditions, rows: Sequence[Sequence[Any]]) -> Select[Any]:
        """What some of the runs give, in one statement."""
        lists = zip(*rows, strict=True) if rows else [()] * len(self.names)
        arrays = [bindparam(None, list(one), ARRAY(kind)) for one, kind in zip(lists, self.names.values(), strict=True)]
        columns = [column(name, kind) for name, kind in self.names.items()]
        values = func.unnest(*arrays).table_valued(*columns, name="of_run").render_derived()
        of_each = (
            run.select_from(self.source)
            .where(*self.conditions(dict(values.c.items())), *fits)
            .correlate(values)
            .lateral("found")
        )
        return select(*of_each.c).select_from(values.join(of_each, true()))
