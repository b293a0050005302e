"""The headers that the relay puts before a message. The message itself is not touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from pbxtrack.emails.model import Resolved
from pbxtrack.emails.reading import clean

_WIDTH = 76
_LIMIT = 400  # characters of a value
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_BLOCK = re.compile(
    rb"Received:[^\r]*\r\n(?:\t[^\r]*\r\n)*Delivered-To:[^\r]*\r\n(?:X-Pbxtrack-[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)*"
)
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")


@dataclass(frozen=True, slots=True)
class Client:
    """Who handed a message in: the address, what it called itself, and how it spoke (SMTP, ESMTP, ESMTPS…)."""

    address: str
    helo: str
    protocol: str


def mark(site: str, hostname: str) -> str:
    """What Delivered-To says of a message that came to a site through this relay, in lower case.

    Not the address: a mailbox's own server takes that for its own mark, and the message for one that goes in circles.
    """
    return f"pbxtrack-{site}@{hostname}".lower()


def header_block(told: Resolved, *, client: Client, hostname: str, message: str, at: datetime, nature: str) -> bytes:
    """The lines before the message, each ended. ``told`` is the recipient at the site, ``message`` the spool's file."""
    helo = client.helo if _HOST.fullmatch(client.helo) else "unknown"
    address = client.address if _HOST.fullmatch(client.address) else "unknown"
    lines = [
        f"Received: from {helo} ([{address}])",
        f"\tby {hostname} (pbxtrack) with {client.protocol} id {message};",
        f"\t{format_datetime(at)}",
        f"Delivered-To: {mark(told.site, hostname)}",
    ]
    touch = told.touch
    for name, value in (
        ("Site", told.site),
        ("Recipient", told.address),
        ("Kind", told.kind.value),
        ("Nature", nature),
        ("Channel", told.channel),
        ("Source", touch.source if touch else None),
        ("Medium", touch.medium if touch else None),
        ("Campaign", touch.campaign if touch else None),
        ("Term", touch.term if touch else None),
        ("Content", touch.content if touch else None),
        ("Visit", told.visit_id),
        ("Confidence", f"{told.confidence:.3f}"),
    ):
        if value:
            lines += _header(f"X-Pbxtrack-{name}", value)
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def without_block(message: bytes) -> bytes:
    """The message as it came: what was found out about a visitor is not for the sender."""
    found = _BLOCK.match(message)
    return message[found.end() :] if found else message


def _header(name: str, value: str) -> Sequence[str]:
    """A header's lines, in ASCII whatever the value: it comes from a page's address, that is, from anybody."""
    value = clean(value, _LIMIT)
    if _PLAIN.fullmatch(value) and len(name) + 2 + len(value) <= _WIDTH and "=?" not in value:
        return [f"{name}: {value}"]
    encoded = Header(value, "utf-8", maxlinelen=_WIDTH, header_name=name).encode(linesep="\r\n")
    return f"{name}: {encoded}".split("\r\n")
