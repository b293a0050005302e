"""Times as the API and the command line write them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=1_024)  # of the leases of one transaction they are the same
def rfc3339(at: datetime | None) -> str | None:
    """A time as the API writes it: UTC, and always to the millisecond, so that texts sort as their times do."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
