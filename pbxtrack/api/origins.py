"""Which websites may ask for which site's numbers (CORS)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import sites

KEEP_SECONDS = 3.0
"""How long a site that was removed, or an origin, may still be answered."""

_select_origins = select(sites.c.key, sites.c.origins).where(sites.c.removed_at.is_(None))


class Origins:
    """The origins of every site, read again when they are a few seconds old.

    While the database is gone the last known ones serve, so that a page can read in the answer that it is.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._by_site: Mapping[str, frozenset[str]] = {}
        self._every: frozenset[str] = frozenset()
        self._until = float("-inf")
        self._known = False
        self._reading = asyncio.Lock()

    async def anywhere(self, origin: str) -> bool:
        """Whether the origin is one of any site."""
        await self._refresh()
        return normal_origin(origin) in self._every

    async def of_site(self, origin: str, site: str) -> bool:
        """Whether the origin is one of this site. True for a site that does not exist: that is another error."""
        await self._refresh()
        own = self._by_site.get(site)
        return own is None or normal_origin(origin) in own

    async def _refresh(self) -> None:
        if self._clock() < self._until:
            return
        async with self._reading:
            if self._clock() < self._until:
                return
            try:
                self._by_site = await self._database.read(_read)
            except StorageUnavailable:
                if not self._known:
                    raise
            else:
                self._every = frozenset().union(*self._by_site.values())
                self._known = True
            self._until = self._clock() + KEEP_SECONDS


def normal_origin(origin: str) -> str:
    """An origin as browsers write it: scheme, host and a port that is not the scheme's own, in lower case."""
    scheme, _, rest = origin.strip().rstrip("/").lower().partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme)
    return f"{scheme}://{rest.removesuffix(default) if default else rest}"


def _read(connection: Connection) -> dict[str, frozenset[str]]:
    return {row.key: frozenset(map(normal_origin, row.origins)) for row in connection.execute(_select_origins)}
