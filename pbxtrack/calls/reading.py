"""How Asterisk writes ids, times and callers, in its events and its files. Everything from outside is bounded here."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from pbxtrack.calls.events import MAX_TEXT

MAX_ID = 150  # characters; Asterisk's own limit for a uniqueid
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"([0-9]{9,11})(?:\.([0-9]{1,9}))?")
_CREATED = re.compile(r"(?:.*-)?([0-9]{9,11})\.[0-9]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_NOBODY = frozenset({"", "<unknown>", "unknown"})
_WITHHELD = frozenset({"anonymous", "restricted", "private", "withheld"})


def is_id(value: str) -> bool:
    """Whether this can be an Asterisk channel's uniqueid."""
    return 0 < len(value) <= MAX_ID and value.isprintable() and " " not in value


def read_epoch(value: str) -> datetime | None:
    """Seconds since 1970, to the microsecond; None for a text that is no such time."""
    found = _TIME.fullmatch(value)
    if not found:
        return None
    second, fraction = found.groups("0")
    return EPOCH + timedelta(0, int(second), int(fraction.ljust(6, "0")[:6]))


def created_by(linkedid: str, at: datetime) -> datetime:
    """The latest moment, not after ``at``, at which a leg with this id can have come into being.

    Asterisk's ids begin with the whole second of their making; other ids give ``at``.
    """
    found = _CREATED.fullmatch(linkedid)
    return min(at, EPOCH + timedelta(seconds=int(found[1]), microseconds=999_999)) if found else at


def clean(value: str, length: int = MAX_TEXT) -> str:
    """A text without control and formatting characters, at most ``length`` characters."""
    if len(value) <= length and value.isprintable():
        return value.strip()
    value = value[: 4 * length]
    if not value.isprintable():
        value = "".join(sign for sign in value if not unicodedata.category(sign).startswith("C"))
    return value[:length].strip()


def read_name(value: str) -> str | None:
    """A caller's name; AMI writes it as a C string, SIP may have quoted it once more."""
    if "\\" in value:
        value = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), value[: 4 * MAX_TEXT])
        value = value.replace('\\"', '"')
    name = clean(value)
    # Asterisk puts U+FFFD for bytes that are not UTF-8; a name of nothing else is none.
    return None if name.lower() in _NOBODY or not name.strip("\ufffd ?") else name


def read_number(value: str) -> tuple[str | None, bool]:
    """(a caller's number as Asterisk has it, whether its words say that it is withheld)."""
    number = clean(value)
    if number.lower() in _WITHHELD:
        return None, True
    return (None if number.lower() in _NOBODY else number), False
