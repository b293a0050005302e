"""Text from outside, as it may stand on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime


def visible(text: str) -> str:
    r"""The text with whatever a terminal might obey (control and formatting characters) written as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def second(at: datetime | None) -> str:
    """``2026-11-23 12:00:00``, in UTC; ``never`` for None."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else "never"


def count(number: int, noun: str) -> str:
    """``1 number``, ``50 numbers``, ``2 addresses``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"
