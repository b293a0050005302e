"""A site in the database, for tests that are about something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from pbxtrack.storage import tables

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def a_site(
    connection: Connection,
    *,
    key: str = "demo",
    pool: Sequence[str] = (),
    regions: Mapping[str, Sequence[str]] | None = None,
    static: Sequence[str] = (),
    emails: Sequence[str] = (),
    static_emails: Sequence[str] = (),
    **values: Any,
) -> int:
    """Put a site in, with pool numbers for anyone and by regions, and static ones of a channel "Billboard"; its id.

    ``emails`` are the addresses of the pool for anyone, ``static_emails`` the channel's.
    """
    site = {
        "key": key,
        "name": "Demo shop",
        "line": "PJSIP/sales",
        "origins": ["https://shop.example"],
        "replace": ["+74951234567"],
        "record": False,
        "whisper": False,
        "timezone": "Europe/Moscow",
        "hold_seconds": 1800,
        "guaranteed_seconds": 180,
        "target_seconds": 60,
        "unique_days": None,
        "overflow_number": "+74950000000",
        "email": None,
        "email_separator": "+",
        "position": 0,
    }
    site_id = _insert(connection, tables.sites, site | values)
    pool_id = _insert(connection, tables.pools, {"site_id": site_id, "name": "main", "regions": [], "position": 0})
    channel_id = _insert(
        connection, tables.channels, {"site_id": site_id, "name": "Billboard", "position": 0, "match": {}}
    )
    for number in pool:
        _number(connection, number, site_id, kind="pool", pool_id=pool_id)
    for address in emails:
        own = {"address": address, "site_id": site_id, "kind": "pool", "pool_id": pool_id}
        _insert(connection, tables.addresses, own)
    for address in static_emails:
        own = {"address": address, "site_id": site_id, "channel_id": channel_id}
        _insert(connection, tables.addresses, own)
    for position, (region, numbers) in enumerate((regions or {}).items(), 1):
        regional = {"site_id": site_id, "name": region, "regions": [region], "position": position}
        pool_id = _insert(connection, tables.pools, regional)
        for number in numbers:
            _number(connection, number, site_id, kind="pool", pool_id=pool_id)
    for number in static:
        _number(connection, number, site_id, kind="static", channel_id=channel_id)
    return site_id


def _number(connection: Connection, e164: str, site_id: int, **values: Any) -> None:
    _insert(
        connection,
        tables.numbers,
        {
            "e164": e164,
            "site_id": site_id,
            "free_at": LONG_AGO,
            "rests_until": LONG_AGO,
            "guaranteed_until": LONG_AGO,
            "seq": 0,
            **values,
        },
    )


def _insert(connection: Connection, table: Any, values: dict[str, Any]) -> int:
    key = connection.execute(table.insert().values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])
