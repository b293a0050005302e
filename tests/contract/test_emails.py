"""Messages and the spool in SQL: recorded once, sent by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from pbxtrack.emails.model import Received, Recipient, Resolved
from pbxtrack.emails.ports import Spooled, Standing
from pbxtrack.emails.reading import received
from pbxtrack.sources.touch import Touch
from pbxtrack.storage import emails as store
from pbxtrack.storage.clock import now
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import emails, spool
from tests.contract.site import a_site

PLACE, OTHER = "p" * 26, "q" * 26
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def nobody(_: str) -> bool:
    return False


def a_message(site_id: int, number: int = 1) -> Received:
    touch = Touch(source="yandex", medium="cpc", campaign="окна")
    to = [
        Resolved("sales@shop.example", site_id, "demo", "sales@shop.example", Recipient.MAILBOX),
        Resolved(
            "sales+a@shop.example",
            site_id,
            "demo",
            "sales@shop.example",
            Recipient.MADE,
            "Ads",
            touch,
            "v",
            "l",
            1.0,
            "why",
        ),
    ]
    content = b"From: a@b\r\nSubject: \x00\xff\r\nMessage-ID: <%d@b>\r\n\r\nx\r\n" % number
    return received(content, sender="a@b", at=AT, to=to, keep_body=True)


def spooled(number: int = 1, file: str = "f") -> Spooled:
    return Spooled(f"{number:064}", file, "a@b", "sales@shop.example", "sales+a@shop.example")


def record(connection: Connection, number: int = 1, me: str = "me", place: str = PLACE) -> tuple[Standing, str]:
    site_id = connection.scalar(select(spool.c.site_id)) or a_site(connection)
    own = replace(spooled(number), file=me)
    found = store.record(connection, a_message(site_id, number), own, place, me, nobody)
    return found.standing, found.replaced


def test_a_message_is_recorded_once_and_sent_once(database: Database) -> None:
    with database.transaction() as connection:
        assert record(connection) == (Standing.OURS, "")
    with database.transaction() as connection:
        assert record(connection, me="other") == (Standing.BUSY, "")
        assert store.claim(connection, PLACE, "other", 10, nobody) == []
    with database.transaction() as connection:
        store.relayed(connection, spooled().key)
    with database.transaction() as connection:
        assert record(connection, me="other") == (Standing.SENT, "")
        assert store.waiting(connection) == 0
        (row,) = connection.execute(select(emails)).all()
    assert (row.recipient, row.kind, row.channel, row.campaign, row.visit_id, row.lease_id) == (
        "sales+a@shop.example", "made", "Ads", "окна", "v", "l",
    )  # fmt: skip
    assert (row.at, row.body, row.refused, row.relayed_at is None) == (AT, "x", None, False)


def test_a_claim_is_over_when_its_process_is_or_its_time(database: Database) -> None:
    with database.transaction() as connection:
        record(connection)
    with database.transaction() as connection:
        (one,) = store.claim(connection, PLACE, "second", 10, lambda holder: holder == "me")
        assert (one.spooled.file, one.attempts) == ("me", 0)
        connection.execute(spool.update().values(held_until=now(connection) - timedelta(seconds=1)))
    with database.transaction() as connection:
        assert store.claim(connection, OTHER, "third", 10, nobody) == []  # its file is on another machine
        assert record(connection, me="third", place=OTHER) == (Standing.OURS, "")  # which the message comes to, too
        assert store.claim(connection, PLACE, "second", 10, nobody) == []


def test_what_is_put_off_waits_for_its_time(database: Database) -> None:
    with database.transaction() as connection:
        record(connection)
        store.later(connection, spooled().key, "me", now(connection) + timedelta(hours=1), "451 later")
        assert store.claim(connection, PLACE, "me", 10, nobody) == []
        assert record(connection, me="other") == (Standing.OURS, "me")  # unless it comes again
        store.later(connection, spooled().key, "other", now(connection), "451 later")
        (one,) = store.claim(connection, PLACE, "me", 10, nobody)
        assert one.attempts == 2


def test_a_refusal_is_kept_with_the_message_and_told_once(database: Database) -> None:
    notice = Spooled("n" * 64, "notice", "", "a@b", "a@b")
    with database.transaction() as connection:
        record(connection)
        store.refused(connection, spooled().key, "550 no", "another", notice, PLACE)  # who does not hold it
        assert store.waiting(connection) == 1
        store.refused(connection, spooled().key, "550 no", "me", notice, PLACE)
        assert connection.scalar(select(emails.c.refused)) == "550 no"
        (one,) = store.claim(connection, PLACE, "me", 10, nobody)
        assert (one.spooled, one.site_id) == (notice, None)
        store.relayed(connection, notice.key)
        assert record(connection) == (Standing.OURS, "me")  # the client may try once more
        store.relayed(connection, spooled().key)
        assert connection.scalar(select(emails.c.refused)) is None


def test_files_that_nobody_waits_for(database: Database) -> None:
    with database.transaction() as connection:
        record(connection, 1, "one")
        record(connection, 2, "two")
        store.relayed(connection, spooled(1).key)
        assert store.unwanted(connection, PLACE, ["one", "two", "three"]) == ["one", "three"]
        store.forget(connection, now(connection) + timedelta(seconds=1))
        assert connection.scalars(select(spool.c.file)).all() == ["two"]
        assert len(connection.execute(select(emails)).all()) == 2


@pytest.mark.parametrize("writers", [4])
def test_several_processes_never_claim_the_same(database: Database, writers: int) -> None:
    with database.transaction() as connection:
        for number in range(40):
            record(connection, number)
            store.later(connection, spooled(number).key, "me", AT, "")

    def claim(name: str) -> list[str]:
        found: list[str] = []
        while True:
            with database.transaction() as connection:
                batch = store.claim(connection, PLACE, name, 3, nobody)
            if not batch:
                return found
            found += [one.spooled.key for one in batch]

    with ThreadPoolExecutor(writers) as threads:
        claimed = [key for keys in threads.map(claim, [f"w{number}" for number in range(writers)]) for key in keys]
    assert sorted(claimed) == sorted(set(claimed))
    with database.transaction() as connection:  # some may have been skipped while another looked at them
        rest = store.claim(connection, PLACE, "last", 40, nobody)
    assert len(claimed) + len(rest) == 40
