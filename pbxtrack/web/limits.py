"""Rate limits in memory: a bucket of tokens for each address, site or lease; the least recently used goes first."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` requests in ``seconds``; that many may also come at once."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and the headers that say so."""

    allowed: bool
    headers: Mapping[str, str]


class Limiter:
    """Token buckets: each fills steadily up to the rate's count, and a request takes one token out."""

    def __init__(
        self, rate: Rate | None, *, buckets: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._size = buckets
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, when

    def take(self, key: str) -> Verdict:
        """Count one request of ``key``."""
        if self._rate is None:
            return Verdict(True, {})
        now, per_second = self._clock(), self._rate.count / self._rate.seconds
        left, since = self._buckets.pop(key, (float(self._rate.count), now))
        left = min(left + (now - since) * per_second, float(self._rate.count))
        allowed = left >= 1
        left -= allowed
        self._buckets[key] = (left, now)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        headers = {
            "RateLimit-Policy": f"{self._rate.count};w={math.ceil(self._rate.seconds)}",
            "RateLimit-Limit": str(self._rate.count),
            "RateLimit-Remaining": str(int(left)),
            "RateLimit-Reset": str(math.ceil((self._rate.count - left) / per_second)),
        }
        if not allowed:
            headers["Retry-After"] = str(max(1, math.ceil((1 - left) / per_second)))
        return Verdict(allowed, headers)
