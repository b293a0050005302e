"""What leasing asks of a store. Implemented by :mod:`pbxtrack.storage` and, in memory, by :mod:`pbxtrack.testing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pbxtrack.pool.model import Lease, NumberOwner, Resolution, SiteSettings, Visit


@dataclass(frozen=True, slots=True)
class FreeNumber:
    """A number taken out of a pool: nobody else gets it. ``seq`` is the new lease's."""

    id: int
    e164: str
    seq: int


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool of a site and the regions whose visitors are shown its numbers; none: anyone's."""

    id: int
    regions: Sequence[str]


class LeaseStore(Protocol):
    """Sites, visits and leases within one transaction."""

    def site(self, key: str) -> SiteSettings | None:
        """The site, unless it does not exist or was removed."""

    def pools(self, site_id: int) -> Sequence[PoolInfo]:
        """The site's pools, in its own order."""

    def latest_visit(self, site_id: int, visitor: str) -> tuple[Visit, Lease | None] | None:
        """The visitor's last visit and that visit's last lease."""

    def add_visit(self, visit: Visit, client_ids: Mapping[str, str]) -> None:
        """Keep a new visit, and its visitor if that is new."""

    def see_visit(self, visit_id: str, now: datetime) -> None:
        """Note a sign of life of a visit."""

    def take(self, pool_id: int, now: datetime) -> FreeNumber | None:
        """Take the number that has been free for longest, else the one whose visitor has been gone for longest.

        The second only from the end of its lease's guaranteed time on; that lease ends now.
        """

    def add_lease(self, lease: Lease) -> None:
        """Keep a new lease of a number that was taken, or of the overflow number."""

    def lease(self, lease_id: str) -> tuple[Lease, Visit, SiteSettings] | None:
        """The lease, its visit and its site."""

    def extend(self, lease: Lease) -> bool:
        """Keep the lease's new times; False if its number has gone to somebody else meanwhile."""


class Directory(Protocol):
    """What is known of a dialled number."""

    def resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        """Whose the number (E.164) was at that moment, and who had been shown it."""

    def owner(self, number: str) -> NumberOwner | None:
        """Whose the number (E.164) is."""
