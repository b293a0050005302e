"""Times as text that sorts, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

_WIDTH = len("2026-11-23 12:00:00.000000")


def texts(times: Sequence[datetime]) -> list[str]:
    """``2026-11-23 12:00:00.000000`` of each, in UTC. Raises ValueError for a time without a time zone.

    orjson writes them in a tenth of the time that ``isoformat`` takes, but leaves out a fraction that is nought.
    """
    if not times:
        return []
    found = orjson.dumps(times, option=orjson.OPT_UTC_Z).decode().replace("T", " ")[2:-3].split('Z","')
    return [
        text if len(text) == _WIDTH and text[19] == "." else _text(at) for text, at in zip(found, times, strict=True)
    ] if len(found) == len(times) else [_text(at) for at in times]  # fmt: skip


def _text(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("a time without a time zone cannot be stored")
    return at.astimezone(UTC).isoformat(" ", "microseconds")[:_WIDTH]
