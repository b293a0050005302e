"""Times in UTC: as text that sorts, many at once; and moved, as far as there are times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import orjson

_WIDTH = len("2026-11-23 12:00:00.000000")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def texts(times: Sequence[datetime]) -> list[str]:
    """``2026-11-23 12:00:00.000000`` of each, in UTC. Raises ValueError for a time without a time zone.

    orjson writes them in a tenth of the time that ``isoformat`` takes, but leaves out a fraction that is nought.
    """
    if not times:
        return []
    found = orjson.dumps(times, option=orjson.OPT_UTC_Z).decode().replace("T", " ")[2:-3].split('Z","')
    if len(found) != len(times):
        return [text(at) for at in times]
    return [
        written if len(written) == _WIDTH and written[19] == "." else text(at)
        for written, at in zip(found, times, strict=True)
    ]


def text(at: datetime) -> str:
    """``2026-11-23 12:00:00.000000``, in UTC. Raises ValueError for a time without a time zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a time zone cannot be stored")
    return at.astimezone(UTC).isoformat(" ", "microseconds")[:_WIDTH]


def moved(at: datetime, by: timedelta) -> datetime:
    """The time so much later, or earlier; the last or the first that there is, where it would be beyond.

    For times from outside: nobody means the year 1, but whoever asks for it means all that there is.
    """
    try:
        return at + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST
