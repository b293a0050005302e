"""What browsers were told: which number and e-mail address are theirs, from when until when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Told:
    """An answer that reached its browser at ``at``. ``number`` is None where the overflow number is shown."""

    lease: str
    visit: str
    visitor: str
    number: str | None
    email: str
    at: datetime
    guaranteed_until: datetime
    expires_at: datetime


@dataclass
class Ledger:
    """``gone``: leases that could not be renewed, and when that was told."""

    leases: list[Told] = field(default_factory=list)
    renewals: list[Told] = field(default_factory=list)
    gone: list[tuple[str, datetime]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    kills: int = 0

    def summary(self) -> str:
        overflows = sum(told.number is None for told in self.leases)
        errors = ", ".join(f"{count} {kind}" for kind, count in self.errors.most_common())
        return (
            f"{self.kills} kills, {len(self.leases)} leases ({overflows} overflows), {len(self.renewals)} renewals, "
            f"{len(self.gone)} gone; errors: {errors or 'none'}"
        )


def told(answer: Mapping[str, Any], at: datetime) -> Told:
    """An answer of the API, as it came."""
    return Told(
        lease=answer["lease"],
        visit=answer["visit"],
        visitor=answer["visitor"],
        number=None if answer["overflow"] else answer["number"],
        email=answer["email"],
        at=at,
        guaranteed_until=datetime.fromisoformat(answer["guaranteed_until"]),
        expires_at=datetime.fromisoformat(answer["expires_at"]),
    )
