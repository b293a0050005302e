"""What the relay keeps, in the database: writes gather in common transactions, as those of leases do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection

from pbxtrack.duty import is_gone
from pbxtrack.emails.model import Received, Resolved
from pbxtrack.emails.ports import Recorded, Spooled, Waiting
from pbxtrack.storage import emails
from pbxtrack.storage.addresses import resolve_recipients
from pbxtrack.storage.clock import now
from pbxtrack.storage.database import Database
from pbxtrack.storage.group_commit import GroupCommit

T = TypeVar("T")

_PATIENCE = 5.0  # s


class SqlStore:
    """:class:`~pbxtrack.emails.ports.Store` for one process, ``me``, and its folder of messages, ``place``."""

    def __init__(self, database: Database, place: str, me: str) -> None:
        self._database, self._place, self._me = database, place, me
        self._writes: GroupCommit[Callable[[Connection], Any], Any] = GroupCommit(database, _do, patience=_PATIENCE)

    async def resolve(self, address: str) -> Resolved | None:
        """Whose an address is now."""

        def look(connection: Connection) -> Resolved | None:
            return resolve_recipients(connection, [address], now(connection)).get(address)

        return await self._database.read(look)

    async def record(self, received: Received, spooled: Spooled) -> Recorded:
        """Record a message, and that it waits, claimed by us."""
        return await self._write(lambda c: emails.record(c, received, spooled, self._place, self._me, is_gone))

    async def claim(self, most: int) -> Sequence[Waiting]:
        """Messages whose time has come, claimed by us."""
        return await self._write(lambda c: emails.claim(c, self._place, self._me, most, is_gone))

    async def relayed(self, key: str) -> None:
        """The upstream has taken it."""
        await self._write(lambda c: emails.relayed(c, key))

    async def refused(self, key: str, reply: str, notice: Spooled | None = None) -> None:
        """The upstream will never take it."""
        await self._write(lambda c: emails.refused(c, key, reply, self._me, notice, self._place))

    async def later(self, key: str, at: datetime, reply: str) -> None:
        """It did not go now."""
        await self._write(lambda c: emails.later(c, key, self._me, at, reply))

    async def waiting(self) -> int:
        """How many messages wait."""
        return await self._database.read(emails.waiting)

    async def tidy(self, files: Sequence[str], before: datetime) -> Sequence[str]:
        """Forget what is settled; the files that nobody waits for."""

        def work(connection: Connection) -> Sequence[str]:
            emails.forget(connection, before)
            return emails.unwanted(connection, self._place, files)

        return await self._write(work)

    async def close(self) -> None:
        """Wait for the writes that are under way."""
        await self._writes.close()

    async def _write(self, work: Callable[[Connection], T]) -> T:
        done: T = await self._writes.submit(work)
        return done


def _do(connection: Connection, requests: Sequence[Callable[[Connection], Any]]) -> Sequence[Any]:
    return [work(connection) for work in requests]
