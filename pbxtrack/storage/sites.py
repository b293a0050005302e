"""Sites, pools, channels, numbers and e-mail addresses, in SQL: read whole, and made to be as a site file says.

Nothing is deleted, since calls refer to it: what goes is marked with ``removed_at``, and revived if it comes back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Row, Table, bindparam, case, func, select, text, update

from pbxtrack.numbers import Number
from pbxtrack.pool.model import NumberKind
from pbxtrack.sitefile.diff import Change, diff
from pbxtrack.sitefile.model import Channel, Place, Pool, Site, address_places, ascending, places
from pbxtrack.storage.known import NEXT_REVISION
from pbxtrack.storage.tables import addresses, channels, leases, numbers, pools, sites

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # a new number has been free for longer than any other
_CHUNK = 5_000

_line_directory = (
    select(numbers.c.e164, func.coalesce(channels.c.line, sites.c.line).label("line"))
    .join_from(numbers, sites, sites.c.id == numbers.c.site_id)
    .outerjoin(channels, channels.c.id == numbers.c.channel_id)
    .where(numbers.c.removed_at.is_(None), sites.c.removed_at.is_(None))
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a site file changes. ``held``: numbers and e-mail addresses that visitors are shown now."""

    changes: Sequence[Change]
    held: Sequence[str]
    removes_all: bool = False


class LiveSite(NamedTuple):
    """A site that is not removed."""

    id: int
    key: str
    name: str
    timezone: str
    currency: str


def line_directory(connection: Connection) -> dict[str, str]:
    """The line, as Dial() takes it, of each number in use, by the number's digits."""
    return {Number(row.e164).digits: row.line for row in connection.execute(_line_directory)}


def time_zones(connection: Connection) -> dict[str, str]:
    """The time zone of each site, removed ones too, by key."""
    return {row.key: row.timezone for row in connection.execute(select(sites.c.key, sites.c.timezone))}


def live_sites(connection: Connection, keys: Sequence[str] = ()) -> list[LiveSite]:
    """The sites that are not removed, by key; ``keys``: of these only."""
    columns = (sites.c.id, sites.c.key, sites.c.name, sites.c.timezone, sites.c.currency)
    wanted = select(*columns).where(sites.c.removed_at.is_(None)).order_by(sites.c.key)
    if keys:
        wanted = wanted.where(sites.c.key.in_(list(keys)))
    return [LiveSite._make(row) for row in connection.execute(wanted)]


def site_key(connection: Connection, site_id: int | None) -> str | None:
    """The key of a site, removed ones too; None for none."""
    return connection.scalar(select(sites.c.key).where(sites.c.id == site_id)) if site_id is not None else None


def channel_names(connection: Connection, site_id: int) -> list[str]:
    """The site's own advertising channels, in their order."""
    own = channels.c.site_id == site_id, channels.c.removed_at.is_(None)
    return list(connection.scalars(select(channels.c.name).where(*own).order_by(channels.c.position, channels.c.id)))


def read_sites(connection: Connection) -> list[Site]:
    """Every site that was not removed, whole, in order."""
    pool_numbers = _grouped(connection, numbers, numbers.c.e164, numbers.c.pool_id)
    channel_numbers = _grouped(connection, numbers, numbers.c.e164, numbers.c.channel_id)
    pool_emails = _grouped(connection, addresses, addresses.c.address, addresses.c.pool_id)
    emails = _grouped(connection, addresses, addresses.c.address, addresses.c.channel_id)
    site_pools: dict[int, list[Pool]] = defaultdict(list)
    for row in _live(connection, pools):
        own = ascending(pool_numbers[row.id]), tuple(row.regions), tuple(sorted(pool_emails[row.id]))
        site_pools[row.site_id].append(Pool(row.name, *own))
    site_channels: dict[int, list[Channel]] = defaultdict(list)
    for row in _live(connection, channels):
        static = ascending(channel_numbers[row.id]), tuple(sorted(emails[row.id]))
        site_channels[row.site_id].append(Channel(row.name, row.match, *static, row.line))
    return [_site(row, site_pools[row.id], site_channels[row.id]) for row in _live(connection, sites)]


def plan(connection: Connection, wanted: Sequence[Site], now: datetime) -> Plan:
    """What :func:`apply` would change."""
    before = read_sites(connection)
    changes = diff(before, wanted)
    held = _held(connection, numbers, numbers.c.e164, _leaving(places(before), places(wanted)), now)
    gone = _leaving(address_places(before), address_places(wanted))
    held += _held(connection, addresses, addresses.c.address, gone, now)
    return Plan(changes, held, removes_all=bool(before) and not wanted)


def _leaving(old: Mapping[str, Place], new: Mapping[str, Place]) -> list[str]:
    """What is in a pool and shall not be in it any more."""
    return [one for one, place in old.items() if place.kind is NumberKind.POOL and new.get(one) != place]


def lock(connection: Connection) -> None:
    """Let nobody else change sites until this transaction ends. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE sites IN SHARE ROW EXCLUSIVE MODE"))


def apply(connection: Connection, wanted: Sequence[Site], taken: Collection[str], now: datetime) -> None:
    """Make the sites be as wanted. The leases of numbers that are ``taken`` end now; who had an address has another."""
    _end_leases(connection, taken, now)
    site_ids = _save(
        connection, sites, ("key",), {(site.key,): _site_values(site, at) for at, site in enumerate(wanted)}, now
    )
    pool_rows = {
        (site_ids[site.key,], pool.name): {"regions": list(pool.regions), "position": at}
        for site in wanted
        for at, pool in enumerate(site.pools)
    }
    pool_ids = _save(connection, pools, ("site_id", "name"), pool_rows, now)
    channel_rows = {
        (site_ids[site.key,], channel.name): {"match": dict(channel.match), "line": channel.line, "position": at}
        for site in wanted
        for at, channel in enumerate(site.channels)
    }
    channel_ids = _save(connection, channels, ("site_id", "name"), channel_rows, now)
    number_rows = {
        (number,): _owner(place, site_ids[place.site,], pool_ids, channel_ids)
        for number, place in places(wanted).items()
    }
    fresh = {"free_at": _LONG_AGO, "rests_until": _LONG_AGO, "guaranteed_until": _LONG_AGO, "seq": 0}
    _save(connection, numbers, ("e164",), number_rows, now, fresh)
    address_rows = {
        (address,): _owner(place, site_ids[place.site,], pool_ids, channel_ids)
        for address, place in address_places(wanted).items()
    }
    _save(connection, addresses, ("address",), address_rows, now, fresh)
    connection.execute(NEXT_REVISION)


def _owner(
    place: Place,
    site_id: int,
    pool_ids: Mapping[tuple[Any, ...], int],
    channel_ids: Mapping[tuple[Any, ...], int],
) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "kind": place.kind.value,
        "pool_id": pool_ids[site_id, place.name] if place.kind is NumberKind.POOL else None,
        "channel_id": channel_ids[site_id, place.name] if place.kind is NumberKind.STATIC else None,
    }


def _save(
    connection: Connection,
    table: Table,
    key: Sequence[str],
    wanted: Mapping[tuple[Any, ...], Mapping[str, Any]],
    now: datetime,
    fresh: Mapping[str, Any] | None = None,
) -> dict[tuple[Any, ...], int]:
    """Make a table's live rows be the wanted ones, by key; the id of each. ``fresh`` are further values of new rows."""
    known = {tuple(row._mapping[name] for name in key): row for row in connection.execute(select(table))}
    changed, gone, new = [], [], []
    for identity, values in wanted.items():
        row = known.get(identity)
        if row is None:
            new.append({**dict(zip(key, identity, strict=True)), **values, **(fresh or {})})
        elif row.removed_at is not None or any(row._mapping[name] != value for name, value in values.items()):
            changed.append({"row_id": row.id, **values, "removed_at": None})
    gone = [
        {"row_id": row.id, "removed_at": now}
        for identity, row in known.items()
        if row.removed_at is None and identity not in wanted
    ]
    _update(connection, table, changed)
    _update(connection, table, gone)
    if new:
        connection.execute(table.insert(), new)
    ids = {identity: row.id for identity, row in known.items()}
    if new:
        columns = [table.c[name] for name in key]
        found = connection.execute(select(table.c.id, *columns))
        ids = {tuple(row._mapping[name] for name in key): row.id for row in found}
    return ids


def _update(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        names = [name for name in rows[0] if name != "row_id"]
        statement = update(table).where(table.c.id == bindparam("row_id"))
        connection.execute(statement.values({name: bindparam(name) for name in names}), list(rows))


def _held(
    connection: Connection, table: Table, name: Column[str], candidates: Sequence[str], now: datetime
) -> list[str]:
    """Those of the numbers that a live lease holds; their rows stay locked, so that no lease can begin meanwhile.

    ``table`` and ``name`` say what is looked at: numbers, or addresses.
    """
    held: list[str] = []
    for chunk in _chunks(sorted(candidates)):
        found = connection.execute(
            select(name, table.c.free_at)
            .where(name.in_(chunk), table.c.removed_at.is_(None))
            .order_by(table.c.id)
            .with_for_update()
        )
        held += [shown for shown, free_at in found if free_at > now]
    return held


def _end_leases(connection: Connection, taken: Collection[str], now: datetime) -> None:
    """End the leases of these numbers. A new ``seq`` keeps their visitors from renewing them, or these addresses."""
    for chunk in _chunks(sorted(taken)):
        ids = list(connection.scalars(select(numbers.c.id).where(numbers.c.e164.in_(chunk))))
        end = case((leases.c.started_at > now, leases.c.started_at), else_=now)
        connection.execute(
            update(leases).where(leases.c.number_id.in_(ids), leases.c.ends_at > now).values(ends_at=end)
        )
        connection.execute(
            update(numbers)
            .where(numbers.c.id.in_(ids))
            .values(free_at=now, rests_until=now, guaranteed_until=now, seq=numbers.c.seq + 1)
        )
        connection.execute(
            update(addresses)
            .where(addresses.c.address.in_(chunk))
            .values(free_at=now, rests_until=now, guaranteed_until=now, seq=addresses.c.seq + 1)
        )


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _live(connection: Connection, table: Table) -> Sequence[Row[Any]]:
    return connection.execute(
        select(table).where(table.c.removed_at.is_(None)).order_by(table.c.position, table.c.id)
    ).all()


def _grouped(connection: Connection, table: Table, value: Any, owner: Any) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for name, owner_id in connection.execute(
        select(value, owner).where(table.c.removed_at.is_(None), owner.is_not(None))
    ):
        groups[owner_id].append(name)
    return groups


def _site(row: Row[Any], own_pools: Sequence[Pool], own_channels: Sequence[Channel]) -> Site:
    return Site(
        key=row.key,
        name=row.name,
        line=row.line,
        origins=tuple(row.origins),
        replace=tuple(row.replace),
        record=row.record,
        whisper=row.whisper,
        timezone=row.timezone,
        currency=row.currency,
        hold=timedelta(seconds=row.hold_seconds),
        hold_guaranteed=timedelta(seconds=row.guaranteed_seconds),
        target_talk=timedelta(seconds=row.target_seconds),
        unique_days=row.unique_days,
        overflow_number=row.overflow_number,
        email=row.email,
        email_separator=row.email_separator,
        pools=tuple(own_pools),
        channels=tuple(own_channels),
    )


def _site_values(site: Site, position: int) -> dict[str, Any]:
    return {
        "name": site.name,
        "line": site.line,
        "origins": list(site.origins),
        "replace": list(site.replace),
        "record": site.record,
        "whisper": site.whisper,
        "timezone": site.timezone,
        "currency": site.currency,
        "hold_seconds": int(site.hold.total_seconds()),
        "guaranteed_seconds": int(site.hold_guaranteed.total_seconds()),
        "target_seconds": int(site.target_talk.total_seconds()),
        "unique_days": site.unique_days,
        "overflow_number": site.overflow_number,
        "email": site.email,
        "email_separator": site.email_separator,
        "position": position,
    }
