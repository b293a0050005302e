"""How many numbers the visitors of each address hold: one address is not to use up a pool."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pbxtrack.pool.model import Others


@dataclass(slots=True)
class _Share:
    asking: int = 0
    held: OrderedDict[str, tuple[datetime, int]] = field(default_factory=OrderedDict)
    """Until when a number of which pool is held, by visitor; the first to end first."""


class Shares:
    """What this process gave out by site and address, in memory; the address that asked longest ago goes first.

    Other processes count for themselves, and a restart forgets: see docs/architecture.md.
    """

    def __init__(self, addresses: int = 20_000) -> None:
        self._most = addresses
        self._shares: OrderedDict[tuple[str, str], _Share] = OrderedDict()

    @contextmanager
    def asking(self, site: str, address: str, now: datetime) -> Iterator[Others]:
        """What the address holds, or is about to be given; while the block lasts it is about to have one more."""
        share = self._share(site, address)
        while share.held and next(iter(share.held.values()))[0] <= now:
            share.held.popitem(last=False)
        others = Others(len(share.held) + share.asking, Counter(pool for _, pool in share.held.values()))
        share.asking += 1
        try:
            yield others
        finally:
            share.asking -= 1

    def holds(self, site: str, address: str, visitor: str, pool: int, until: datetime) -> None:
        """Note that a number of the pool is held for a visitor of the address until then: one for each visitor."""
        held = self._share(site, address).held
        held[visitor] = until, pool
        held.move_to_end(visitor)

    def _share(self, site: str, address: str) -> _Share:
        key = (site, address)
        share = self._shares.setdefault(key, _Share())
        self._shares.move_to_end(key)
        if len(self._shares) > self._most:
            self._shares.popitem(last=False)
        return share
