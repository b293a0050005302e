"""What leasing asks of a store. Implemented by :mod:`pbxtrack.storage` and, in memory, by :mod:`pbxtrack.testing`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from pbxtrack.pool.model import Hold, Lease, PoolAddress, SiteSettings, Visit, VisitEvent


class FreeNumber(NamedTuple):
    """A number taken out of a pool: nobody else gets it. ``seq`` is the new lease's."""

    id: int
    e164: str
    seq: int
    pool: int


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool of a site, how many numbers it has, and whose they are: visitors' of these regions; none: anyone's.

    ``addresses``: how many e-mail addresses.
    """

    id: int
    regions: Sequence[str]
    size: int = 0
    addresses: int = 0


class Known(NamedTuple):
    """A visit and its visitor's latest lease. ``pool``: its number's, if nobody had it since and it is the site's.

    The lease has no ``address`` where somebody had that since, or it is none of the site's pools any more.
    """

    visit: Visit
    lease: Lease | None
    pool: int | None


@dataclass(slots=True)
class Changes:
    """What a transaction of leasing changes beside the numbers that it took.

    ``visits``: new ones, with the ids in other systems that the website told; ``seen``: signs of life of others,
    and ``events`` what happened then. ``leases``: new ones of numbers that were taken, or of none; ``kept``: new ones
    of the numbers that their visitors had before; ``ended``: leases that ``kept`` ones follow while they were live;
    ``renewed``: leases with new times, of which ``told`` are those that tell something new of their visitor: that they
    tapped the number, left, came back, or called.
    """

    visits: list[tuple[Visit, Mapping[str, str]]] = field(default_factory=list)
    seen: dict[str, datetime] = field(default_factory=dict)
    events: list[VisitEvent] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    kept: list[Lease] = field(default_factory=list)
    renewed: list[Lease] = field(default_factory=list)
    told: list[Lease] = field(default_factory=list)
    ended: list[Lease] = field(default_factory=list)


class LeaseStore(Protocol):
    """Sites, visits and leases within one transaction."""

    def site(self, key: str) -> SiteSettings | None:
        """The site, unless it does not exist or was removed."""

    def pools(self, site_id: int) -> Sequence[PoolInfo]:
        """The site's pools, in its own order."""

    def site_by_id(self, site_id: int) -> SiteSettings | None:
        """The same by its id."""

    def visitors(self, wanted: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], Known]:
        """The latest visit and lease of visitors, by site and visitor; those that are known.

        Nobody else changes these visitors, or leases or renews their numbers, until the transaction ends.
        """

    def leases(self, ids: Collection[str]) -> Mapping[str, Known]:
        """Leases with their visits; those that exist. Nobody else leases or renews their numbers meanwhile."""

    def take(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[FreeNumber]:
        """Take up to so many numbers out of a pool, those first that have been free, and rested, for longest.

        ``deserted``: rather numbers whose visitors have been gone for longest, from the end of their leases'
        guaranteed times on, those that rest included; leases that are live end now.
        """

    def take_addresses(self, pool_id: int, count: int, hold: Hold, *, deserted: bool) -> Sequence[PoolAddress]:
        """Take up to so many e-mail addresses out of a pool, in the order of numbers.

        Whoever had a deserted one has it no more; their leases go on.
        """

    def add_addresses(self, leases: Sequence[Lease]) -> None:
        """Keep the addresses that were taken for leases that are saved already."""

    def save(self, changes: Changes) -> None:
        """Keep all of it."""
