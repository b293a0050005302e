"""How many numbers the visitors of each address hold: one address is not to use up a pool."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class _Share:
    asking: int = 0
    ends: OrderedDict[str, datetime] = field(default_factory=OrderedDict)  # by lease, the first to end first


class Shares:
    """What this process gave out by site and address, in memory; the address that asked longest ago goes first."""

    def __init__(self, addresses: int = 20_000) -> None:
        self._most = addresses
        self._shares: OrderedDict[tuple[str, str], _Share] = OrderedDict()

    @contextmanager
    def asking(self, site: str, address: str, now: datetime) -> Iterator[int]:
        """How many the address holds, or is about to be given; while the block lasts it is about to have one more."""
        share = self._share(site, address)
        while share.ends and next(iter(share.ends.values())) <= now:
            share.ends.popitem(last=False)
        held = len(share.ends) + share.asking
        share.asking += 1
        try:
            yield held
        finally:
            share.asking -= 1

    def holds(self, site: str, address: str, lease: str, until: datetime) -> None:
        """Note that a lease is held for the address until then."""
        ends = self._share(site, address).ends
        ends[lease] = until
        ends.move_to_end(lease)

    def _share(self, site: str, address: str) -> _Share:
        key = (site, address)
        share = self._shares.setdefault(key, _Share())
        self._shares.move_to_end(key)
        if len(self._shares) > self._most:
            self._shares.popitem(last=False)
        return share
