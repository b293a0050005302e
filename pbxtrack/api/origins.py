"""Which websites may ask for which site's numbers (CORS)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from pbxtrack.api.kept import Kept
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import sites

_select_origins = select(sites.c.key, sites.c.origins).where(sites.c.removed_at.is_(None))


@dataclass(frozen=True, slots=True)
class _Known:
    by_site: Mapping[str, frozenset[str]]
    by_origin: Mapping[str, frozenset[str]]  # keys of sites


class Origins:
    """The origins of every site, read again when they are a few seconds old.

    While the database is gone the last known ones serve, so that a page can read in the answer that it is.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._known = Kept(database, _read, clock=clock)

    async def anywhere(self, origin: str) -> bool:
        """Whether the origin is one of any site."""
        return normal_origin(origin) in (await self._known.get()).by_origin

    async def of_site(self, origin: str, site: str) -> bool:
        """Whether the origin is one of this site. True for a site that does not exist: that is another error."""
        own = (await self._known.get()).by_site.get(site)
        return own is None or normal_origin(origin) in own

    async def sites_of(self, origin: str) -> frozenset[str]:
        """The keys of the sites that the origin is one of."""
        return (await self._known.get()).by_origin.get(normal_origin(origin), frozenset())


def normal_origin(origin: str) -> str:
    """An origin as browsers write it: scheme, host and a port that is not the scheme's own, in lower case."""
    scheme, _, rest = origin.strip().rstrip("/").lower().partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme)
    return f"{scheme}://{rest.removesuffix(default) if default else rest}"


def _read(connection: Connection) -> _Known:
    by_site = {row.key: frozenset(map(normal_origin, row.origins)) for row in connection.execute(_select_origins)}
    by_origin: dict[str, set[str]] = {}
    for key, own in by_site.items():
        for origin in own:
            by_origin.setdefault(origin, set()).add(key)
    return _Known(by_site, {origin: frozenset(keys) for origin, keys in by_origin.items()})
