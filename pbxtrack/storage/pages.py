"""Ids of rows as addresses have them, and cursors: where a page ended, by what it is ordered by and the id."""

from __future__ import annotations

import base64
import binascii

from pbxtrack.storage.views import InvalidCursor

__all__ = ["MAX_ID", "InvalidCursor", "cursor_of", "read_cursor", "read_id"]

MAX_ID = 2**63 - 1


def read_id(text: str, most: int = MAX_ID) -> int | None:
    """The id of a row that a text names, from 1 to ``most``; None where it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))) or text.startswith("0"):
        return None
    found = int(text)
    return found if 0 < found <= most else None


def cursor_of(place: str, row_id: int) -> str:
    """The cursor behind a row; ``place`` has no blanks."""
    return base64.urlsafe_b64encode(f"{place} {row_id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, int]:
    """The place and the id of a cursor; InvalidCursor where it is none of ours."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        place, _, row_id = text.partition(" ")
        found = int(row_id)
        if not 0 < found <= MAX_ID:
            raise ValueError
    except (binascii.Error, ValueError):
        raise InvalidCursor("the cursor is not one of ours; begin again without it") from None
    return place, found
