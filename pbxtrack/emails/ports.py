"""What relaying mail asks of whoever keeps it: records of messages, and of those that still wait to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pbxtrack.emails.model import Received, Resolved


@dataclass(frozen=True, slots=True)
class Spooled:
    """A message that is on this machine's disk, to be sent to ``recipient``.

    ``key`` is the same for the same message of the same sender to the same recipient; ``file`` names it in the spool;
    ``address`` is the one that the sender wrote to, while ``recipient`` is the mailbox behind it.
    ``utf8``: its envelope or headers are internationalised (RFC 6531).
    """

    key: str
    file: str
    sender: str
    recipient: str
    address: str
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is ours to send, now: no other process does. ``attempts`` were made before."""

    spooled: Spooled
    created_at: datetime
    attempts: int
    site_id: int | None


class Standing(StrEnum):
    """How a message stands as it is recorded."""

    OURS = "ours"  # to be sent, by us
    BUSY = "busy"  # another process, or session, sends the very same
    SENT = "sent"  # the very same has been sent


@dataclass(frozen=True, slots=True)
class Recorded:
    """``replaced``: the file, on this machine, in whose place the message's new one is."""

    standing: Standing
    replaced: str = ""


class Store(Protocol):
    """Everything raises StorageUnavailable where the database does not answer; what it says is done is durable."""

    async def resolve(self, address: str) -> Resolved | None:
        """Whose an address is now; None: it is not ours."""

    async def record(self, received: Received, spooled: Spooled) -> Recorded:
        """Record a message, once for its fingerprint and site; and that it waits, claimed by us."""

    async def claim(self, most: int) -> Sequence[Waiting]:
        """Messages whose time has come, on this machine's disk, claimed by us."""

    async def relayed(self, key: str) -> None:
        """The upstream has taken it."""

    async def refused(self, key: str, reply: str, notice: Spooled | None = None) -> None:
        """The upstream will never take it. ``notice`` tells the sender, and waits to be sent from now on."""

    async def later(self, key: str, at: datetime, reply: str) -> None:
        """It did not go now; try again at that time."""

    async def waiting(self) -> int:
        """How many messages wait, on any machine."""

    async def tidy(self, files: Sequence[str], before: datetime) -> Sequence[str]:
        """Forget what was settled before that time; of these files, those that nobody waits for."""
