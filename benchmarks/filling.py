"""A call log of any size, written straight into the tables: for what is measured of reading it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, func, select

from pbxtrack import utc
from pbxtrack.ids import new_id
from pbxtrack.storage.database import Database
from pbxtrack.storage.marks import unmarked
from pbxtrack.storage.prepared import driver_of
from pbxtrack.storage.tables import UtcTime, calls, contacts, costs, deals, sites, visits

_BATCH = 20_000
_WITHHELD = 0.02  # of the callers
_TRACKED = 0.6  # of the calls are tied to a visit
_SOURCES = ("yandex", "google", "vk", "bing", "partner")
_MANY = 1_000_000
_IDS = ("id", "linkedid", "visitor_id", "visit_id")  # each begins with a nought
CHANNEL, CAMPAIGN, CALLER = "Billboard 7", "campaign-73", "+79160000000"  # which are among them
RARE_TAG = "complaint"
_TAGS = ("lead", "spam", "repair", "wrong number")
_STATE = json.dumps({"legs": {}, "caller_leg": None, "filler": "x" * 300})  # of a call's usual width


def fill(database: Database, count: int, since: datetime, until: datetime) -> None:
    """Write that many calls of the only site, evenly from ``since`` to ``until``, and their visitors' visits.

    Of very many the calls of the first tenth of the time are made, and the database copies them into the others.
    """
    parts = 10 if count >= _MANY else 1
    part = (until - since) / parts
    with database.transaction() as connection:
        site_id = connection.scalar(select(sites.c.id))
        indexes = sorted((*calls.indexes, *visits.indexes), key=lambda index: str(index.name))
        for index in indexes:
            index.drop(connection)
        people = [_contact(site_id, number, since) for number in range(_contacts(count // parts))]
        _write(connection, contacts, people)  # their ids are counted from 1
    rows = _rows(site_id, count // parts, since, since + part)
    while batch := list(islice(rows, _BATCH)):
        with database.transaction() as connection, unmarked(connection):
            _write(connection, visits, [visit for _, of_call in batch for visit in of_call])
            _write(connection, calls, [call for call, _ in batch])
    for table in (visits, calls):
        with database.transaction() as connection, unmarked(connection):
            for nth in range(1, parts):
                _copy(connection, table, nth, part * nth)
    with database.transaction() as connection:
        for index in indexes:
            index.create(connection)
        connection.exec_driver_sql("ANALYZE")


def fill_money(database: Database, count: int, since: datetime, until: datetime) -> None:
    """Write what each channel cost each day, and so many deals with people who called."""
    chance = random.Random(2)
    days = (until - since).days
    with database.transaction() as connection:
        site_id = connection.scalar(select(sites.c.id))
        first = since.date()
        told = [
            {
                "site_id": site_id, "first": str(day), "last": str(day), "channel": f"Paid: {source} {nth}",
                "source": source, "medium": "cpc", "campaign": "", "term": "", "amount": chance.randrange(100_000),
                "key": f"{day} {source} {nth}",
            }
            for day in (first + timedelta(days=number) for number in range(days))
            for source in _SOURCES
            for nth in range(4)
        ]  # fmt: skip
        _write(connection, costs, told)
        people = connection.scalar(select(func.count()).select_from(contacts)) or 0
        _write(
            connection,
            deals,
            [_deal(site_id, chance.randrange(people) + 1, since, until, chance) for _ in range(count)],
        )
        connection.exec_driver_sql("ANALYZE")


def _deal(site_id: Any, contact: int, since: datetime, until: datetime, chance: random.Random) -> dict[str, Any]:
    at = since + chance.random() * (until - since)
    won = utc.text(at) if chance.random() < 0.4 else None
    return {
        "site_id": site_id, "contact_id": contact, "status": "won" if won else "lost",
        "amount": chance.randrange(10**7),
        "opened_at": utc.text(at), "won_at": won, "closed_at": utc.text(at), "at": utc.text(at),
    }  # fmt: skip


def _copy(connection: Connection, table: Table, nth: int, later: timedelta) -> None:
    """Add the rows of the first part once more, so much later; their ids sort behind those that are there."""
    if connection.dialect.name == "sqlite":
        moved = f"strftime('%Y-%m-%d %H:%M:%f000', {{}}, '{later.total_seconds()} seconds')"
    else:
        moved = f"{{}} + interval '{later.total_seconds()} seconds'"
    values = {column.name: column.name for column in table.c}
    for column in table.c:
        if isinstance(column.type, UtcTime):
            values[column.name] = moved.format(column.name)
        elif column.name in _IDS:
            values[column.name] = f"'{nth}' || substr({column.name}, 2)"
    first = f"SELECT {', '.join(values.values())} FROM {table.name} WHERE id < '1'"
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(values)}) {first}")


def _rows(site_id: Any, count: int, since: datetime, until: datetime) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Calls, each with its visitor's visits."""
    chance = random.Random(1)
    step = (until - since) / count
    for index in range(count):
        at = since + index * step
        of_call: list[dict[str, Any]] = []
        if chance.random() < _TRACKED:
            visitor = f"0-{index}"
            begun = at - timedelta(minutes=chance.randrange(1, 30))
            ago = sorted((chance.uniform(0, 100) for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 3)))), reverse=True)
            times = [*(begun - timedelta(days=days) for days in ago), begun]
            of_call = [_visit(chance, site_id, visitor, one) for one in times]
        person = None if chance.random() < _WITHHELD else chance.randrange(_contacts(count))
        yield _call(chance, site_id, index, at, person, of_call[-1] if of_call else None), of_call


def _contacts(calls: int) -> int:
    """How many people call."""
    return calls // 4 + 1


def _contact(site_id: Any, number: int, since: datetime) -> dict[str, Any]:
    return {"site_id": site_id, "caller": _caller(number), "first_at": utc.text(since)}


def _caller(number: int) -> str:
    return f"+79{160_000_000 + number:09d}"


def _visit(chance: random.Random, site_id: Any, visitor: str, at: datetime) -> dict[str, Any]:
    direct = chance.random() < 0.3
    term = min(int(chance.paretovariate(0.5)), 2_000)  # a keyword is one campaign's, and that is one source's
    source = "" if direct else _SOURCES[term % 5]
    campaign = "" if direct else f"campaign-{term % 100}"
    goods = min(int(chance.paretovariate(0.7)), 300)
    return {
        "id": new_id(at),
        "site_id": site_id,
        "visitor_id": visitor,
        "started_at": utc.text(at),
        "seen_at": utc.text(at + timedelta(minutes=3)),
        "events": 0,
        "region": str(400 + chance.randrange(80)),
        "page": f"https://shop.example/goods/{goods}?utm_source={source}&n={chance.random()}",
        "referrer": "",
        "source": source,
        "medium": "(none)" if direct else "cpc",
        "campaign": campaign,
        "term": "" if direct else f"keyword {term}",
        "content": "",
        "click_ids": "{}",
        "client_ids": "{}",
        "channel": "Direct" if direct else f"Paid: {source} {campaign[-1]}",
    }


def _call(
    chance: random.Random, site_id: Any, index: int, at: datetime, person: int | None, visit: Any
) -> dict[str, Any]:
    failed = index % 2_000 == 1
    answered = not failed and chance.random() < 0.8
    tags = [RARE_TAG] if index % 100_000 == 2 else [chance.choice(_TAGS)] if chance.random() < 0.02 else []
    rang, talked = chance.uniform(2, 30), chance.uniform(1, 600) if answered else 0.0
    static = visit is None and chance.random() < 0.8
    touch = {name: visit[name] if visit else None for name in ("source", "medium", "campaign", "term", "content")}
    return {
        "id": f"0-{index}",
        "node": "pbx1",
        "linkedid": f"0.{index}",
        "site_id": site_id,
        "started_at": utc.text(at),
        "answered_at": utc.text(at + timedelta(seconds=rang)) if answered else None,
        "ended_at": utc.text(at + timedelta(seconds=rang + talked)),
        "dialled": f"+7495123{chance.randrange(1000):04d}",
        "caller": None if person is None else _caller(person),
        "contact_id": None if person is None else person + 1,
        "status": "failed" if failed else "answered" if answered else chance.choice(("missed", "busy", "abandoned")),
        "ringing_seconds": rang,
        "talk_seconds": talked,
        "answered_by": f"PJSIP/{100 + chance.randrange(30)}" if answered else None,
        "first": chance.random() < 0.7,
        "target": talked >= 60,
        "is_unique": chance.random() < 0.7,
        "settled_by": None if answered or chance.random() < 0.5 else "0-0",
        "method": "lease" if visit else "static" if static else "none",
        "channel": visit["channel"] if visit else f"Billboard {chance.randrange(10)}" if static else None,
        **touch,
        "visit_id": visit["id"] if visit else None,
        "confidence": round(1 - chance.random() ** 2, 3) if visit else 1.0 if static else 0.0,
        "recording": f"{at:%Y-%m-%d}/{index}.wav" if chance.random() < 0.7 else None,
        "candidates": "[]",
        "tags": json.dumps(tags),
        "state": _STATE,
    }


def _write(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    values = [tuple(row.values()) for row in rows]
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        driver_of(connection).executemany(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})",
            values,
        )
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for row in values:
            copy.write_row(row)


def now() -> datetime:
    """The time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
