"""Whatever is looked for, runs of indexes find the calls that looking at each call finds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, update

from pbxtrack.storage import call_search, tables
from pbxtrack.storage.call_search import NO_CHANNEL, CallFilter, add_up, search
from pbxtrack.storage.database import Database
from pbxtrack.storage.export import portion
from pbxtrack.storage.told import is_target, is_unsettled
from pbxtrack.storage.traits import STATUSES
from tests.contract.site import a_site

START = datetime(2026, 3, 20, tzinfo=UTC)  # the clocks of New York and of Moscow: some days of two offsets
DAYS = 240
CHANNELS = ("Ads", "Brand", "Наружная реклама", "Direct")
CAMPAIGNS = ("", "spring", "sale")
TAGS = ("lead", "spam", "не туда")
SITES = ("shop", "garage")
EVERY = 10_000


@pytest.fixture
def calls(database: Database) -> Iterator[Database]:
    chance = random.Random(6)
    with database.transaction() as connection:
        ids = [
            a_site(connection, key="shop", timezone="America/New_York"),
            a_site(connection, key="garage", timezone="Asia/Kathmandu"),
        ]
        rows = [a_call(chance, number, chance.choice([*ids, None])) for number in range(600)]
        connection.execute(insert(tables.calls), rows)
        settled = tables.calls.c.id.in_([row["id"] for row in rows if chance.random() < 0.2])
        connection.execute(update(tables.calls).where(settled).values(settled_by="p-0"))
    yield database
    with database.transaction() as connection:
        connection.execute(delete(tables.calls))


def a_call(chance: random.Random, number: int, site: int | None) -> dict[str, Any]:
    at = START + timedelta(minutes=chance.randrange(DAYS * 24 * 60))
    answered = chance.random() < 0.5
    return {
        "id": f"p-{number}", "node": "p", "linkedid": str(number), "site_id": site, "started_at": at,
        "answered_at": at if answered else None, "caller": chance.choice([None, "+79161234567", f"+7916{number:07}"]),
        "dialled": chance.choice(["+74990000000", "+74990000001"]),
        "status": "answered" if answered else chance.choice(STATUSES), "ringing_seconds": 4.25,
        "talk_seconds": float(number), "first": chance.random() < 0.5, "target": chance.random() < 0.3,
        "contact_id": None, "is_unique": chance.random() < 0.5, "qualified": chance.choice([None, None, True, False]),
        "method": "none", "channel": chance.choice([None, *CHANNELS]), "campaign": chance.choice([None, *CAMPAIGNS]),
        "corrected_channel": chance.choice([None, None, None, *CHANNELS]),
        "recording": chance.choice([None, "a.wav"]),
        "confidence": chance.choice([0.0, 0.1, 0.31, 0.85, 0.9, 0.93, 1.0]),
        "outbound": chance.choice([None] * 9 + ["+79160000000"]), "candidates": [], "state": {},
        "tags": chance.sample(TAGS, chance.choice([0, 0, 0, 1, 2])),
    }  # fmt: skip


answers = st.sampled_from([None, None, None, True, False])


def some_of(*values: str) -> st.SearchStrategy[list[str]]:
    return st.one_of(st.just([]), st.lists(st.sampled_from(values), max_size=2))


times = st.one_of(st.none(), st.integers(0, DAYS * 24).map(lambda hours: START + timedelta(hours=hours)))
filters = st.builds(
    CallFilter,
    since=times,
    until=times,
    sites=some_of(*SITES, "nowhere"),
    channels=some_of(*CHANNELS, NO_CHANNEL, "nothing"),
    campaigns=some_of(*CAMPAIGNS, "nothing"),
    statuses=some_of(*STATUSES),
    tags=some_of(*TAGS, "nothing"),
    ids=some_of("p-1", "p-2"),
    hour=st.one_of(st.none(), st.none(), st.integers(0, 23)),
    caller=st.sampled_from([None, None, "+79161234567"]),
    caller_ends=st.sampled_from([None, None, "67", "234567"]),
    withheld=st.sampled_from([False, False, True]),
    dialled=st.sampled_from([None, None, "+74990000001"]),
    repeat=answers,
    unique=answers,
    target=answers,
    unsettled=answers,
    min_confidence=st.sampled_from([None, None, 0, 0.1, 0.2, 0.9, 0.92, 0.99, 1]),
    recording=answers,
)


@settings(
    max_examples=120,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(which=filters, limit=st.sampled_from([1, 7, EVERY]), latest=st.sampled_from([0, 40]))
def test_runs_find_what_looking_at_each_call_finds(calls: Database, which: CallFilter, limit: int, latest: int) -> None:
    with calls.reading() as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_search, "_LATEST", EVERY)
        expected = search(connection, which, EVERY)
        looked_at = select(
            tables.calls.c.id, is_target.label("target"), is_unsettled.label("waits"), tables.calls.c.talk_seconds
        ).where(tables.calls.c.id.in_(expected))
        figures = [(bool(row.target), bool(row.waits), row.talk_seconds) for row in connection.execute(looked_at)]
        patch.setattr(call_search, "_LATEST", latest)
        assert search(connection, which, limit) == expected[:limit]
        assert (
            add_up(connection, which, EVERY) == (len(figures), *map(sum, zip(*figures, strict=True)))
            if figures
            else True
        )
        assert add_up(connection, which, 5).calls == min(5, len(expected))
        assert exported(connection, which, max(limit, 7)) == expected
        if expected:
            last = expected[len(expected) // 2]
            at = connection.scalar(select(tables.calls.c.started_at).where(tables.calls.c.id == last))
            assert at is not None
            following = expected[len(expected) // 2 + 1 :][:limit]
            assert search(connection, which, limit, (at, last)) == following


def test_calls_of_no_channel_are_found(calls: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_search, "_LATEST", 0)
    with calls.reading() as connection:
        rows = connection.execute(select(tables.calls).where(tables.calls.c.outbound.is_(None))).all()
        for channels in ([NO_CHANNEL], [NO_CHANNEL, "Ads"], ["Ads"]):
            expected = {row.id for row in rows if (row.corrected_channel or row.channel or NO_CHANNEL) in channels}
            assert set(search(connection, CallFilter(channels=channels), EVERY)) == expected != set()


def exported(connection: Connection, which: CallFilter, limit: int) -> list[str]:
    """The ids of an export's rows, portion by portion."""
    ids: list[str] = []
    found = portion(connection, which, limit=limit)
    while True:
        ids += [row[-1] for row in found.rows]
        if found.following is None:
            return ids
        found = portion(connection, which, found.following, limit)


@pytest.mark.parametrize(
    ("which", "index"),
    [
        (CallFilter(sites=["shop"], statuses=["failed"]), "ix_calls_traits"),
        (CallFilter(sites=["shop"], channels=["Ads"], unique=True), "ix_calls_channel"),
        (CallFilter(sites=["shop"], channels=[NO_CHANNEL], target=True), "ix_calls_channel"),
        (CallFilter(sites=["shop"], campaigns=["sale"]), "ix_calls_campaign"),
        (CallFilter(sites=["shop"], tags=["lead"]), "call_tags"),
        (CallFilter(sites=["shop"], hour=3), "ix_calls_site_started"),
    ],
)
def test_runs_are_parts_of_an_index(sqlite_database: Database, which: CallFilter, index: str, monkeypatch: Any) -> None:
    """Or nothing would be gained by them. PostgreSQL goes by statistics: see `make bench ARGS=desk`."""
    monkeypatch.setattr(call_search, "_LATEST", 0)
    with sqlite_database.transaction() as connection:
        site = a_site(connection, key="shop")
        chance = random.Random(6)
        rows = [a_call(chance, number, site) | {"tags": ["lead"], "outbound": None} for number in range(3)]
        channel = None if NO_CHANNEL in which.channels else "Ads"
        rows = [row | {"channel": channel, "corrected_channel": None, "campaign": "sale"} for row in rows]
        connection.execute(
            insert(tables.calls), [row | {"status": "failed", "is_unique": True, "target": True} for row in rows]
        )
    with sqlite_database.reading() as connection:
        driver: Any = connection.connection.driver_connection
        asked: list[str] = []
        driver.set_trace_callback(asked.append)
        search(connection, which, 5)
        driver.set_trace_callback(None)
        last = next(one for one in reversed(asked) if "SELECT" in one)
        plan = str(driver.execute(f"EXPLAIN QUERY PLAN {last}").fetchall())
    assert index in plan, plan


def test_tags_are_kept_as_calls_have_them(calls: Database) -> None:
    def kept() -> set[tuple[Any, ...]]:
        with calls.reading() as connection:
            return {tuple(row) for row in connection.execute(select(tables.call_tags))}

    def had() -> set[tuple[Any, ...]]:
        with calls.reading() as connection:
            rows = connection.execute(select(tables.calls)).all()
            return {(row.site_id or 0, tag, row.started_at, row.id) for row in rows for tag in row.tags}

    assert kept() == had() != set()
    one = tables.calls.c.id
    for change in (
        update(tables.calls).where(one == "p-1").values(tags=["lead", "spam", "lead"]),
        update(tables.calls).where(one == "p-2").values(tags=["x"], started_at=START),
        update(tables.calls).where(one == "p-2").values(site_id=None, started_at=START + timedelta(hours=1)),
        update(tables.calls).where(one == "p-1").values(tags=[]),
        delete(tables.calls).where(one == "p-2"),
    ):
        with calls.transaction() as connection:
            connection.execute(change)
        assert kept() == had()
