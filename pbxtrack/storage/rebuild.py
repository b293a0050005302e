"""Rebuilding calls, in SQL: batch after batch by time, each read from a snapshot, and written only where it must be."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, String, bindparam, func, select, tuple_

from pbxtrack.calls.events import call_id, restore
from pbxtrack.calls.lifecycle import outcome, project
from pbxtrack.calls.ports import Caller, CallRecord
from pbxtrack.calls.rebuild import DIGITS, Batch, Changes, Key, Told, as_kept, gather, put_right
from pbxtrack.storage.calls import WRITTEN, SqlCalls, load_rows, record_of, values_of
from pbxtrack.storage.database import Database, in_the_way
from pbxtrack.storage.kept import KeptCalls
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.prepared import Among, AmongPairs, Prepared
from pbxtrack.storage.standing import misplaced, stand
from pbxtrack.storage.tables import UtcTime, call_facts, calls

T = TypeVar("T")

_BATCH = 500  # calls that are looked at together
_START, _LEAST = 100, 10  # calls of a transaction
_LONG, _SHORT = 0.12, 0.08  # s that a transaction may take, before the next is smaller; or larger
_PAUSE = 0.03  # s between two, at least; whoever waits to write to SQLite looks at least as often, at first
_NAMES = 2_000  # of calls, looked at together for one that is missing
_MOST_PASSES = 5
_TRIES = 3
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_pairs = AmongPairs(call_facts.c.node, call_facts.c.linkedid, "pairs")
_told = Prepared(
    select(
        call_facts.c.node,
        call_facts.c.linkedid,
        call_facts.c.id,
        call_facts.c.kind,
        call_facts.c.at,
        call_facts.c.leg,
        call_facts.c.data,
    ).where(_pairs),
    many=True,
)
_last = Prepared(
    select(call_facts.c.node, call_facts.c.linkedid, func.max(call_facts.c.id).label("last"))
    .where(_pairs)
    .group_by(call_facts.c.node, call_facts.c.linkedid),
    many=True,
)
_COMPARED = WRITTEN - {"first", "tags", "state", "held", "candidates"}  # compared elsewhere, as what they are made into
_there = Prepared(select(calls.c.id).where(Among(calls.c.id, "ids")), many=True)
_next = (
    select(calls.c.node, calls.c.linkedid, calls.c.started_at, calls.c.id)
    .where(
        tuple_(calls.c.started_at, calls.c.id) > tuple_(bindparam("at", type_=UtcTime), bindparam("id", type_=String))
    )
    .order_by(calls.c.started_at, calls.c.id)
    .limit(bindparam("count"))
)
_names = (
    select(call_facts.c.node, call_facts.c.linkedid)
    .distinct()
    .where(
        tuple_(call_facts.c.node, call_facts.c.linkedid)
        > tuple_(bindparam("node", type_=String), bindparam("linkedid", type_=String))
    )
    .order_by(call_facts.c.node, call_facts.c.linkedid)
    .limit(_NAMES)
)


class SqlRebuild(SqlCalls):
    """:class:`~pbxtrack.calls.rebuild.RebuildStore` on a connection; ``reading``: one that must not write."""

    def __init__(self, connection: Connection, known: KnownSites, kept: KeptCalls, *, reading: bool = False) -> None:
        super().__init__(connection, known, kept)
        self._reading = reading
        self._rows: dict[str, Any] = {}

    def contacts(self, callers: Sequence[Caller]) -> list[tuple[int, bool]]:
        """Which call is a contact's first is not told here but by how calls stand."""
        if not self._reading:
            return super().contacts(callers)
        known = self._contacts({(one.site_id, one.number) for one in callers})
        return [(row.id if (row := known.get((one.site_id, one.number))) else 0, False) for one in callers]

    def told(self, keys: Collection[Key]) -> Mapping[str, Told]:
        facts: dict[str, list[Any]] = {call_id(*key): [] for key in keys}
        last = dict.fromkeys(facts, 0)
        strange = set()
        for row in _told.all(self._connection, {"pairs": keys}):
            name = call_id(row.node, row.linkedid)
            last[name] = max(last[name], row.id)
            try:
                fact = restore(row.kind, node=row.node, linkedid=row.linkedid, at=row.at, leg=row.leg, data=row.data)
                facts[name].append(fact)
            except (KeyError, TypeError):  # a kind, or a word of one, that a newer version writes
                strange.add(name)
        return {name: Told(last[name], [] if name in strange else found) for name, found in facts.items()}

    def last_facts(self, keys: Collection[Key]) -> Mapping[str, int]:
        rows = _last.all(self._connection, {"pairs": keys})
        return {call_id(row.node, row.linkedid): row.last for row in rows}

    def load(self, call_ids: Collection[str]) -> Mapping[str, CallRecord]:
        rows = load_rows(self._connection, call_ids)
        self._rows |= {row.id: row for row in rows}
        return {row.id: record_of(row) for row in rows}

    def written(self, record: CallRecord) -> bool:
        row = self._rows[record.call.id]
        values = values_of(record)
        return all(_same(getattr(row, name), values[name]) for name in _COMPARED)

    def misplaced(self, call_ids: Collection[str]) -> Collection[str]:
        return misplaced(self._connection, call_ids)

    def stand(self, call_ids: Collection[str]) -> Collection[str]:
        return stand(self._connection, call_ids)


def _same(kept: Any, value: Any) -> bool:
    if isinstance(value, float):
        kept, value = round(kept, DIGITS), round(value, DIGITS)
    same: bool = kept == value
    return same


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild did, so far. ``strange`` calls have facts of a newer version, and stay as they are."""

    looked_at: int = 0
    changed: set[str] = field(default_factory=set)
    attributions: int = 0
    restored: int = 0  # calls of which only the facts were left
    strange: int = 0


def count(database: Database, since: datetime | None) -> int:
    """How many calls there are to look at."""
    counted = select(func.count()).select_from(calls).where(calls.c.started_at >= (since or _EVER))
    return database.read_now(lambda connection: connection.scalar(counted) or 0)


def rebuild(database: Database, since: datetime | None, region: str) -> Iterator[Rebuilt]:
    """Rebuild the calls that began since then, all unless it is given; what was done, after each batch.

    Others may record calls meanwhile. Raises StorageUnavailable.
    """
    return _Rebuild(database, since or _EVER, region).run()


def _missing(connection: Connection, keys: Sequence[Key]) -> list[Key]:
    there = {row.id for row in _there.all(connection, {"ids": [call_id(*key) for key in keys]})}
    return [key for key in keys if call_id(*key) not in there]


class _Rebuild:
    def __init__(self, database: Database, since: datetime, region: str) -> None:
        self._database, self._since, self._region = database, since, region
        self._sites = KnownSites()
        self._seen, self._kept = KeptCalls(), KeptCalls()  # by those who look, and by those who write
        self._size = _START
        self._written = 0.0  # when the last transaction ended
        self._trusting = True  # that most is as it is kept: so it was with the last batch
        self._done = Rebuilt()

    def run(self) -> Iterator[Rebuilt]:
        self._restore()
        again: datetime | None = self._since
        for number in range(_MOST_PASSES):
            begin, again = again, None
            if begin is None:
                break
            # A call that moved in time, or to another caller, may have misled those that were looked at before it.
            for moved in self._pass(begin, first=number == 0):
                if moved is not None:
                    again = min(again or moved, moved)
                yield self._done

    def _pass(self, since: datetime, *, first: bool) -> Iterator[datetime | None]:
        """From this time on; after each batch, from when on another pass is needed, if it is."""
        at, after = since, ""
        while True:
            rows = self._read(_next, at=at, id=after, count=_BATCH)
            if not rows:
                return
            changes = self._batch([Key(row.node, row.linkedid) for row in rows], first=first)
            yield min((record.call.started_at for record in changes.moved), default=None)
            # Calls that came meanwhile went by what was kept of those before them: they are looked at, too, until a
            # short batch has nothing new to say of any.
            if len(rows) < _BATCH and not changes.calls:
                return
            at, after = rows[-1].started_at, rows[-1].id

    def _batch(self, keys: Sequence[Key], *, first: bool) -> Changes:
        if first:
            self._done.looked_at += len(keys)
        if self._trusting and self._as_kept(keys, first=first):
            return Changes()
        moved: list[CallRecord] = []
        changed: set[str] = set()
        while keys:
            some, keys = keys[: self._size], keys[self._size :]
            changes = self._put_right(self._gathered(some, first=first))
            changed |= set(changes.calls)
            moved += changes.moved
            self._done.attributions += changes.attributions
        self._done.changed |= changed
        self._trusting = not changed
        return Changes(changed, moved=moved)

    def _as_kept(self, keys: Sequence[Key], *, first: bool) -> bool:
        """Whether the calls are kept as they are to be; where much is to be put right, nobody asks."""

        def look(connection: Connection) -> tuple[Batch, bool]:
            store = SqlRebuild(connection, self._sites, self._seen, reading=True)
            found = gather(store, keys, self._region)
            return found, as_kept(store, found, self._region)

        found, right = self._database.read_now(look)
        if first and right:
            self._done.strange += found.strange
        return right

    def _gathered(self, keys: Sequence[Key], *, first: bool) -> Batch:
        """The calls, read while others may write."""
        found = self._database.read_now(
            lambda connection: gather(SqlRebuild(connection, self._sites, self._seen, reading=True), keys, self._region)
        )
        if first:
            self._done.strange += found.strange
        return found

    def _put_right(self, found: Batch) -> Changes:
        def work(connection: Connection) -> Changes:
            return put_right(SqlRebuild(connection, self._sites, self._kept), found, self._region)

        if self._database.is_sqlite:
            time.sleep(max(0.0, self._written + _PAUSE - time.monotonic()))
        start = time.monotonic()
        changes = self._write(work)
        self._written = time.monotonic()
        took = self._written - start
        if not self._database.is_sqlite:  # there, others wait for nothing but the calls themselves
            self._size = _BATCH
            return changes
        if took > _LONG:
            self._size = max(_LEAST, self._size // 2)
        elif took < _SHORT:
            self._size = min(_BATCH, self._size + _LEAST)
        return changes

    def _restore(self) -> None:
        """Make the calls of which there are facts alone, to be attributed in their turn."""
        key = Key("", "")
        while True:
            rows = self._read(_names, **key._asdict())
            if not rows:
                return
            keys = [Key(row.node, row.linkedid) for row in rows]
            key = keys[-1]
            gone = self._database.read_now(partial(_missing, keys=keys))
            for start in range(0, len(gone), _START):
                self._restore_some(gone[start : start + _START])

    def _restore_some(self, gone: Sequence[Key]) -> None:
        def work(connection: Connection) -> list[CallRecord]:
            store = SqlRebuild(connection, self._sites, self._kept)
            store.lock([call_id(*key) for key in gone])
            made = [project(one.facts) for one in store.told(_missing(connection, gone)).values() if one.facts]
            records = [CallRecord(call, outcome(call)) for call in made if call.started_at >= self._since]
            store.save(records)
            return records

        records = self._write(work)
        self._done.restored += len(records)
        self._done.changed |= {record.call.id for record in records}

    def _read(self, query: Executable, **parameters: Any) -> Sequence[Any]:
        return self._database.read_now(lambda connection: connection.execute(query, parameters).all())

    def _write(self, work: Callable[[Connection], T]) -> T:
        for _ in range(_TRIES - 1):
            try:
                with self._database.transaction() as connection:
                    return work(connection)
            except Exception as error:
                if not in_the_way(error):
                    raise
                self._kept = KeptCalls()
        with self._database.transaction() as connection:
            return work(connection)
