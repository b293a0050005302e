"""Which calls changed since somebody looked last, found in the database: any process may have changed them.

What was heard of a call is a row of ``call_facts``, what people changed on one a row of ``audit``; both are numbered
upwards. On PostgreSQL a transaction may commit rows with lower numbers than others have that were committed before. So
those that are known are looked through again, until every transaction that might add one among them is over.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, func, select

from pbxtrack.calls.events import call_id
from pbxtrack.calls.service import later
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.tables import audit, call_facts
from pbxtrack.storage.views import calls_of

MOST = 5_000
"""Rows that are looked through at once; who was away for longer reads the calls anew."""

_GRACE = 1.0  # s from a row's number being drawn until its transaction can be seen to be under way: far less
_PATIENCE = 15.0  # s after which a transaction that is under way is waited for no longer
_BACK = 500  # rows before the last, which are looked through for others from the start
_MOST_LATER = 200  # calls of a caller that a correction may have changed, too
_SNAPSHOT = "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() AS s"


@dataclass(frozen=True, slots=True)
class Position:
    """Rows up to these numbers are known, and no other will come among them."""

    facts: int
    edits: int

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Read what ``str`` wrote; None for anything else."""
        found = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text, re.ASCII)
        return cls(int(found[1]), int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{self.facts}-{self.edits}"


@dataclass(frozen=True, slots=True)
class Found:
    """Calls that changed, each as the call log lists it, and up to where that is known.

    ``whole`` is False where there was too much to say which: whoever wants to know reads the calls anew.
    """

    calls: Sequence[dict[str, Any]]
    position: Position
    whole: bool = True


@dataclass(frozen=True, slots=True)
class _Step:
    """What was seen at a moment (s of any steady clock): the last numbers, and the first transaction not begun yet."""

    at: float
    last: Position
    next_transaction: int


@dataclass(slots=True)
class Changes:
    """Follows what changes, from the moment of its first look on."""

    _position: Position | None = None
    _known: set[tuple[str, int]] = field(default_factory=set)  # rows after the position: (table, number)
    _steps: deque[_Step] = field(default_factory=deque)

    def look(self, connection: Connection, now: float) -> Found:
        """What changed since the last look; nothing at the first. ``now`` in seconds of a clock that goes steadily."""
        first = self._position is None
        if self._position is None:
            last = _last(connection)
            back = 0 if connection.dialect.name == "sqlite" else _BACK
            self._position = Position(max(last.facts - back, 0), max(last.edits - back, 0))
        facts, edits = _rows(connection, self._position)
        if len(facts) > MOST or len(edits) > MOST:
            self._position, self._known, self._steps = _last(connection), set(), deque()
            return Found((), self._position, whole=False)
        news = [row for row in facts if ("facts", row.id) not in self._known]
        edited = [row for row in edits if ("edits", row.id) not in self._known]
        self._known.update(("facts", row.id) for row in news)
        self._known.update(("edits", row.id) for row in edited)
        if facts or edits:
            last = Position(
                facts[-1].id if facts else self._position.facts, edits[-1].id if edits else self._position.edits
            )
            self._advance(connection, last, now)
        return Found(() if first else _changed(connection, news, edited), self._position)

    def _advance(self, connection: Connection, last: Position, now: float) -> None:
        """Go up to where no other row will come any more."""
        if connection.dialect.name == "sqlite":  # one writes at a time: what is committed later has higher numbers
            settled: Position | None = last
        else:
            oldest, following = (int(number) for number in connection.exec_driver_sql(_SNAPSHOT).one())
            self._steps.append(_Step(now, last, following))
            settled = None
            while self._steps and self._over(self._steps[0], oldest, now):
                settled = self._steps.popleft().last
        if settled is not None:
            self._position = settled
            upto = {"facts": settled.facts, "edits": settled.edits}
            self._known = {(table, number) for table, number in self._known if number > upto[table]}

    @staticmethod
    def _over(step: _Step, oldest: int, now: float) -> bool:
        """Whether every transaction that was under way then is over."""
        age = now - step.at
        return age > _PATIENCE or (age > _GRACE and oldest >= step.next_transaction)


def changed_since(connection: Connection, since: Position) -> Found:
    """What changed after a position, for who comes back; the position is the same."""
    facts, edits = _rows(connection, since)
    last = _last(connection)
    # Higher than the last: it is of another database, or of this one before it was put back to an older copy.
    if len(facts) > MOST or len(edits) > MOST or since.facts > last.facts or since.edits > last.edits:
        return Found((), since, whole=False)
    return Found(_changed(connection, facts, edits), since)


def _last(connection: Connection) -> Position:
    facts, edits = (connection.scalar(select(func.max(table.c.id))) or 0 for table in (call_facts, audit))
    return Position(facts, edits)


def _rows(connection: Connection, since: Position) -> tuple[Sequence[Any], Sequence[Any]]:
    """The facts and the edits after a position, one more than MOST of each at most."""

    def after(table: Table, number: int, *columns: str) -> Sequence[Any]:
        wanted = select(table.c.id, *(table.c[name] for name in columns)).where(table.c.id > number)
        return connection.execute(wanted.order_by(table.c.id).limit(MOST + 1)).all()

    return after(call_facts, since.facts, "node", "linkedid"), after(audit, since.edits, "call_id", "field")


def _changed(connection: Connection, facts: Iterable[Any], edits: Iterable[Any]) -> list[dict[str, Any]]:
    """The calls that these rows are about, in their order, and others that changed with them."""
    ids = [call_id(row.node, row.linkedid) for row in facts] + [row.call_id for row in edits]
    corrected = [row.call_id for row in edits if row.field == "attribution"]
    if corrected:
        ids += _told_of(connection, corrected)
    return calls_of(connection, list(dict.fromkeys(ids))) if ids else []


def _told_of(connection: Connection, corrected: Collection[str]) -> Sequence[str]:
    """The callers' later calls, which a correction has attributed once more."""
    store = SqlCalls(connection)
    return later(store, list(store.load(corrected).values()))[:_MOST_LATER]
