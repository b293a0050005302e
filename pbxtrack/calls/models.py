"""Which of a person's visits a call is credited to: the models of web analytics.

A model is chosen when a report is read; what is kept of calls and visits is the same for all. A call's visits are the
one that it is tied to and those of the same visitor before it, by their beginning, at most :data:`LOOKBACK` before the
call. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

LOOKBACK = timedelta(days=90)
"""How long before a call visits are credited with it."""

DIRECT = "(none)"
"""The medium of a visit that nothing brought: somebody typed the address."""

WHOLE = 277_200
"""A call, in the parts that it is divided into.

Parts are whole numbers, so that their sums are the same in whatever order they are added up. This one can be divided
by every number up to 12, and so can a fifth of it: nearly all shares are exact. Where one is not, the first visits have
one part more.
"""

_END = WHOLE * 2 // 5  # to the first and to the last visit each, by position


class Model(StrEnum):
    """How a call is divided among the visits before it."""

    LAST_NON_DIRECT = "last_non_direct"  # the last that something brought; its own where nothing did
    LAST = "last"
    FIRST = "first"
    LINEAR = "linear"  # all alike
    POSITION = "position"  # 40 % each to the first and the last, the rest to those between alike


class Share(NamedTuple):
    """What one of a call's visits, by its place among them, is credited with: so many of :data:`WHOLE`."""

    place: int
    parts: int


@lru_cache(maxsize=4_096)
def credit(count: int, brought: int | None, model: Model) -> Sequence[Share]:
    """How a call is divided among ``count`` visits, of which the one at ``brought`` is the last that something brought.

    Only those visits that are credited with something; together they are credited with the whole call.
    """
    match model:
        case Model.LINEAR:
            parts = _dealt(WHOLE, count)
        case Model.POSITION if count > 2:
            parts = [_END, *_dealt(WHOLE - 2 * _END, count - 2), _END]
        case Model.POSITION:
            parts = _dealt(WHOLE, count)
        case Model.FIRST:
            return [Share(0, WHOLE)]
        case Model.LAST:
            return [Share(count - 1, WHOLE)]
        case Model.LAST_NON_DIRECT:
            return [Share(count - 1 if brought is None else brought, WHOLE)]
    return [Share(place, part) for place, part in enumerate(parts)]


def _dealt(parts: int, count: int) -> list[int]:
    each, over = divmod(parts, count)
    return [each + (place < over) for place in range(count)]
