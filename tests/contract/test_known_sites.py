"""What a process keeps of the sites is what the database says, from one call to the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pbxtrack.storage import directory
from pbxtrack.storage.database import Database
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.known import KnownSites
from tests.contract.test_apply import BOARD, POOL, SITE, apply

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def line(database: Database, known: KnownSites, number: str = "+74951230001") -> str | None:
    with database.transaction() as connection:
        reader = SqlDirectory(connection, known)
        owner = reader.resolve(number, NOW, None).owner
        return reader.channel_line(owner.site.id, owner.channel or "") if owner else None


def test_a_change_of_the_site_file_is_in_force_at_once(database: Database) -> None:
    known = KnownSites()
    apply(database, [SITE])
    assert line(database, known) == "PJSIP/support"
    apply(database, [replace(SITE, channels=(replace(BOARD, line="PJSIP/night"),))])
    assert line(database, known) == "PJSIP/night"
    apply(database, [replace(SITE, channels=(), pools=(POOL,))])
    assert line(database, known) is None


def test_the_same_number_is_read_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownSites()
    apply(database, [SITE])
    line(database, known)

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(directory._owner, "one_or_none", refuse)
    monkeypatch.setattr(directory._channel_line, "one_or_none", refuse)
    assert line(database, known) == "PJSIP/support"


def test_numbers_that_are_not_ours_are_not_kept(database: Database) -> None:
    known = KnownSites()
    apply(database, [SITE])
    for index in range(50):
        assert line(database, known, f"+74990000{index:03}") is None
    assert known.at(known._revision) == {}


def test_no_more_is_kept_than_allowed_and_an_older_look_spoils_nothing() -> None:
    known = KnownSites(most=2)
    known.at(5).update({"a": 1, "b": 2, "c": 3})
    assert known.at(4) == {}, "a reader that began before the change"
    known.at(4)["a"] = "old"
    assert known.at(5) == {}, "too many: begun anew"
    known.at(5)["a"] = 1
    assert known.at(5) == {"a": 1}
    assert known.at(6) == {}
