"""A day's files, invented: every call is added once, whatever is imported again, and however the file is read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from pbxtrack.calls.reconcile import reconcile
from pbxtrack.errors import PbxtrackError
from pbxtrack.ledger import apart
from pbxtrack.ledger.apart import read_parts
from pbxtrack.ledger.files import parts
from pbxtrack.storage import migrate
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.kept import KeptCalls
from pbxtrack.storage.tables import call_facts, calls, contacts
from tests import ledger_day
from tests.contract.site import a_site
from tests.contract.test_recording import an_answered_call, visit, write

DAY, NOW = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
POOL, STATIC = "+74951230100", "+74951230001"
CALLS = 3_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return ledger_day.write(tmp_path_factory.mktemp("day"), DAY, CALLS, [POOL, STATIC])


def imported(database: Database, path: Path, *, alone: bool = True) -> tuple[int, int, int]:
    added = mended = known = 0
    for part in read_parts(path, "pbx1", UTC, NOW, 500):
        with database.transaction() as connection:
            store = SqlCalls(connection.execution_options(pbxtrack_alone=alone))
            found = reconcile(store, part.calls, NOW, "RU", exact=part.exact)
        added, mended, known = added + len(found.added), mended + len(found.mended), known + found.agreed
    return added, mended, known


def attributed(database: Database, path: Path, kept: KeptCalls | None) -> Mapping[str, Any]:
    """How the file's calls are attributed, where somebody else records calls to the same number between its batches."""
    elsewhere = Database(str(database.url))
    for index, part in enumerate(read_parts(path, "pbx1", UTC, NOW, 100)):
        with database.transaction() as connection:
            store = SqlCalls(connection.execution_options(pbxtrack_alone=True), None, kept)
            reconcile(store, part.calls, NOW, "RU", exact=part.exact)
        if index % 10 == 9:
            at = max(fact.at for call in part.calls for fact in call.facts)
            write(elsewhere, *an_answered_call(POOL, "+79990000001", at, f"{index}.0"))
    elsewhere.close()
    with database.transaction() as connection:
        found = connection.execute(select(calls.c.id, calls.c.method, calls.c.confidence, calls.c.candidates)).all()
    database.close()
    return {row.id: row[1:] for row in found}


def counted(database: Database) -> Sequence[int | None]:
    with database.transaction() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) for table in (calls, call_facts, contacts)]


def test_a_day_imported_twice_is_there_once(database: Database, day: tuple[Path, Path]) -> None:
    with database.transaction() as connection:
        a_site(connection, pool=[POOL], static=[STATIC])
    cel, cdr = day
    assert imported(database, cel) == (CALLS, 0, 0)
    before = counted(database)
    assert imported(database, cel) == (0, 0, CALLS)
    added, mended, known = imported(database, cdr, alone=False)
    assert (added, mended) == (0, 0)
    assert 0.9 * CALLS < known <= CALLS
    assert counted(database) == before


def test_each_contact_has_one_first_call_which_is_its_earliest(database: Database, day: tuple[Path, Path]) -> None:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC, POOL])
    imported(database, day[0], alone=False)
    with database.transaction() as connection:
        contact = {row.id: row.first_at for row in connection.execute(select(contacts))}
        found = connection.execute(select(calls).where(calls.c.contact_id.is_not(None))).all()
    assert sorted(row.contact_id for row in found if row.first) == sorted(contact)
    for row in found:
        assert row.first == (row.started_at == contact[row.contact_id])
        assert row.started_at >= contact[row.contact_id]


def test_a_process_of_its_own_reads_the_same(day: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_SMALL", 0)
    for path in day:
        given = [call.make() for part in parts(path, "pbx1", UTC, NOW, 400) for call in part.calls]
        read = list(read_parts(path, "pbx1", UTC, NOW, 400))
        assert [call.make() for part in read for call in part.calls] == given
        assert read[-1].malformed == 0


def test_what_that_process_cannot_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_SMALL", 0)
    path = tmp_path / "file"
    path.write_text("a,b\n")
    with pytest.raises(PbxtrackError, match="not one of Asterisk's"):
        list(read_parts(path, "pbx1", UTC, NOW, 400))
    with pytest.raises(PbxtrackError, match="cannot be read"):
        list(read_parts(tmp_path / "none", "pbx1", UTC, NOW, 400))


def test_who_stops_reading_in_the_middle_leaves_no_process_behind(day: tuple[Path, Path]) -> None:
    reading = read_parts(day[0], "pbx1", UTC, NOW, 100)
    assert len(next(reading).calls) == 100
    reading.close()  # type: ignore[attr-defined]


def test_calls_that_are_kept_between_batches_change_no_attribution(tmp_path: Path, day: tuple[Path, Path]) -> None:
    databases = [Database(f"sqlite:///{tmp_path}/{name}.db") for name in ("read", "kept")]
    read = databases[0]
    migrate.upgrade(read)
    with read.transaction() as connection:
        a_site(connection, pool=[POOL], static=[STATIC])
    for hour in range(8, 20):
        visit(read, DAY + timedelta(hours=hour))
    read.close()
    shutil.copy(tmp_path / "read.db", tmp_path / "kept.db")
    expected, found = (
        attributed(database, day[0], kept) for database, kept in zip(databases, (None, KeptCalls()), strict=True)
    )
    assert any(candidates for _, _, candidates in expected.values())
    assert found == expected
