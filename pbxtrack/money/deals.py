"""Deals: what a contact bought, or may buy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DealStatus(StrEnum):
    """How a deal stands."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Times:
    """When a deal was won and closed, and ``at``: the moment that reports count it at."""

    won_at: datetime | None
    closed_at: datetime | None
    at: datetime


def times(
    status: DealStatus, opened_at: datetime, won_at: datetime | None, closed_at: datetime | None, now: datetime
) -> Times:
    """The times of a deal of which these are known. It is counted when it was won or closed; while open, when opened.

    ValueError, which says what is wrong, where they do not fit the status.
    """
    if won_at and status is not DealStatus.WON:
        raise ValueError(f"a deal that is {status.value} has no won_at")
    match status:
        case DealStatus.OPEN:
            if closed_at:
                raise ValueError("a deal that is open has no closed_at")
            return Times(None, None, opened_at)
        case DealStatus.WON:
            won = won_at or closed_at or now
            return Times(won, closed_at or won, won)
        case DealStatus.LOST:
            closed = closed_at or now
            return Times(None, closed, closed)
