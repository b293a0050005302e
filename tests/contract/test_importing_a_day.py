"""A day's files, invented: every call is added once, whatever is imported again, and however the file is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pbxtrack.calls.reconcile import reconcile
from pbxtrack.errors import PbxtrackError
from pbxtrack.ledger import apart
from pbxtrack.ledger.apart import read_parts
from pbxtrack.ledger.files import parts
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import call_facts, calls, contacts
from tests import ledger_day
from tests.contract.site import a_site

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
