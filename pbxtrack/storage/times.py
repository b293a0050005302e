"""Times as the API and the command line write them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=1_024)  # of the leases of one transaction they are the same
def rfc3339(at: datetime | None) -> str | None:
    """A time as the API writes it: UTC, to the millisecond, and without a fraction that is nought."""
    if at is None:
        return None
    at = at.astimezone(UTC)
    text = at.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text.removesuffix(".000") + "Z"
