"""What an AMI event says: its time, its legs, its texts. Pure; everything from outside is bounded here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pbxtrack.ami.messages import Message, text
from pbxtrack.calls.reading import clean, is_id, read_epoch


class MalformedEvent(ValueError):
    """An event without what an event of its kind must have."""


@dataclass(frozen=True, slots=True)
class EventLeg:
    """An Asterisk channel as an event shows it."""

    uniqueid: str
    linkedid: str
    name: str
    variables: dict[str, str]


def read_leg(event: Message, prefix: str = "") -> EventLeg | None:
    """The leg whose headers begin with ``prefix`` (``Dest``, ``Transferer``…); None if the event has none of them."""
    uniqueid, linkedid = text(event, prefix + "Uniqueid"), text(event, prefix + "Linkedid")
    if not uniqueid and not linkedid:
        return None
    if not (is_id(uniqueid) and is_id(linkedid)):
        raise MalformedEvent("ids")
    given = event.get(prefix + "ChanVariable", ())
    pairs = [item.partition("=") for item in ([given] if isinstance(given, str) else given) if isinstance(item, str)]
    return EventLeg(uniqueid, linkedid, clean(text(event, prefix + "Channel")), {name: v for name, _, v in pairs if v})


def read_time(event: Message) -> datetime | None:
    """When it happened, to the microsecond, by Asterisk's clock; None without ``timestampevents=yes``."""
    return read_epoch(text(event, "Timestamp"))


def read_cause(event: Message) -> int | None:
    """The Q.850 cause, if there is one."""
    cause = text(event, "Cause")
    return int(cause) if cause.isdecimal() and cause.isascii() and len(cause) <= 3 else None
