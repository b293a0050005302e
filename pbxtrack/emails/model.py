"""What e-mail tracking is about: recipients of an envelope, and the messages that came to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pbxtrack.sources.touch import Touch


class Recipient(StrEnum):
    """What an address of ours is."""

    STATIC = "static"  # a channel's own
    MADE = "made"  # made for one visit, and never used again
    POOL = "pool"  # the site's own, leased as numbers are
    MAILBOX = "mailbox"  # the site's real mailbox
    UNRESOLVED = "unresolved"  # ours, but nobody knows whose: delivered, attributed to none


class Nature(StrEnum):
    """What kind of message it is; only those of people are contacts."""

    PERSONAL = "personal"
    AUTO_REPLY = "auto-reply"
    BOUNCE = "bounce"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Whose an address was at a moment. ``mailbox`` is where its mail goes; ``confidence`` from 0 to 1."""

    address: str
    site_id: int
    site: str
    mailbox: str
    kind: Recipient
    channel: str | None = None
    touch: Touch | None = None
    visit_id: str | None = None
    lease_id: str | None = None
    confidence: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message, as its envelope and headers tell it; texts are bounded, decoded, free of control characters.

    ``sender`` is the envelope's (empty: a bounce's), ``author`` the address in From. ``size`` in bytes. ``fingerprint``
    is the same for a message that is sent once more because its answer was lost.
    """

    at: datetime
    sender: str
    author: str
    author_name: str
    subject: str
    message_id: str
    in_reply_to: str
    size: int
    nature: Nature
    fingerprint: str
    to: Sequence[Resolved]
    body: str | None = None


_TELLING = (Recipient.MADE, Recipient.POOL, Recipient.STATIC, Recipient.MAILBOX, Recipient.UNRESOLVED)


def telling(to: Sequence[Resolved]) -> Resolved:
    """Of a message's recipients at a site the one that tells most of where it came from."""
    return min(to, key=lambda resolved: (_TELLING.index(resolved.kind), -resolved.confidence))
