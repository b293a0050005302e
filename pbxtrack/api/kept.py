"""What is read from the database once for many requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage.database import Database

T = TypeVar("T")

KEEP_SECONDS = 3.0
"""How old it may be: so long a change of the sites may take to show."""


class Kept(Generic[T]):
    """Something that is read again when it is a few seconds old. While the database is gone, the last known serves."""

    def __init__(
        self, database: Database, read: Callable[[Connection], T], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._read = read
        self._clock = clock
        self._until = float("-inf")
        self._known: tuple[T] | None = None
        self._reading = asyncio.Lock()

    async def get(self) -> T:
        """It; StorageUnavailable where it was never read."""
        if self._known is None or self._clock() >= self._until:
            async with self._reading:
                if self._known is None or self._clock() >= self._until:
                    await self._refresh()
        assert self._known is not None
        return self._known[0]

    async def _refresh(self) -> None:
        try:
            self._known = (await self._database.read(self._read),)
        except StorageUnavailable:
            if self._known is None:
                raise
        self._until = self._clock() + KEEP_SECONDS
