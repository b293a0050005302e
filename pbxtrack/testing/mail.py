"""What the mail relay keeps, in memory: for unit tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pbxtrack.emails.model import Received, Resolved, telling
from pbxtrack.emails.ports import Recorded, Spooled, Standing, Waiting
from pbxtrack.errors import StorageUnavailable


@dataclass(slots=True)
class _Row:
    spooled: Spooled
    site_id: int | None
    created_at: datetime
    next_at: datetime
    attempts: int = 0
    held: bool = False
    done: bool = False
    sent: bool = False
    reply: str = ""


class MemoryMail:
    """A store of messages. ``away`` makes it a database that does not answer; ``now`` is its clock."""

    def __init__(self, known: Mapping[str, Resolved], now: datetime) -> None:
        self.known = known
        self.now = now
        self.away = False
        self.received: dict[tuple[int, str], Received] = {}
        self.rows: dict[str, _Row] = {}

    async def resolve(self, address: str) -> Resolved | None:
        """Whose an address is."""
        self._look()
        return self.known.get(address.lower())

    async def record(self, received: Received, spooled: Spooled) -> Recorded:
        """Record a message."""
        self._look()
        site_id = telling(received.to).site_id
        self.received.setdefault((site_id, received.fingerprint), received)
        row = self.rows.setdefault(spooled.key, _Row(spooled, site_id, self.now, self.now))
        if row.sent or (row.held and not row.done):
            return Recorded(Standing.SENT if row.sent else Standing.BUSY)
        replaced = "" if row.spooled is spooled else row.spooled.file
        row.spooled, row.held, row.done = spooled, True, False
        return Recorded(Standing.OURS, replaced)

    async def claim(self, most: int) -> Sequence[Waiting]:
        """Messages whose time has come."""
        self._look()
        rows = [row for row in self.rows.values() if not (row.held or row.done) and row.next_at <= self.now][:most]
        for row in rows:
            row.held = True
        return [Waiting(row.spooled, row.created_at, row.attempts, row.site_id) for row in rows]

    async def relayed(self, key: str) -> None:
        """The upstream has taken it."""
        self._look()
        row = self.rows[key]
        row.sent, row.done, row.held = True, True, False

    async def refused(self, key: str, reply: str, notice: Spooled | None = None) -> None:
        """The upstream will never take it."""
        self._look()
        row = self.rows[key]
        row.done, row.held, row.reply = True, False, reply
        if notice is not None:
            self.rows[notice.key] = _Row(notice, None, self.now, self.now)

    async def later(self, key: str, at: datetime, reply: str) -> None:
        """It did not go now."""
        self._look()
        row = self.rows[key]
        row.held, row.next_at, row.reply, row.attempts = False, at, reply, row.attempts + 1

    async def waiting(self) -> int:
        """How many messages wait."""
        self._look()
        return sum(not row.done for row in self.rows.values())

    async def tidy(self, files: Sequence[str], before: datetime) -> Sequence[str]:
        """The files that nobody waits for."""
        self._look()
        wanted = {row.spooled.file for row in self.rows.values() if not row.done}
        return [name for name in files if name not in wanted]

    def _look(self) -> None:
        if self.away:
            raise StorageUnavailable("the database is away")
