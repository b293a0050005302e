"""Which of a person's visits a call is credited to: the models of web analytics. Pure.

A model is chosen when a report is read; what is kept of calls and visits is the same for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

LOOKBACK = timedelta(days=90)
"""How long before a call visits are credited with it."""

_ENDS = 0.4  # of a call, by position, to the first and to the last visit each


class Model(StrEnum):
    """How a call is divided among the visits before it."""

    LAST_NON_DIRECT = "last_non_direct"  # the last that something brought; the last where nothing did
    LAST = "last"
    FIRST = "first"
    LINEAR = "linear"  # all alike
    POSITION = "position"  # 40 % each to the first and the last, the rest to those between alike


class Touchpoint(NamedTuple):
    """A visit: its advertising channel, and whether nothing brought it (somebody typed the address)."""

    channel: str
    direct: bool = False


def credit(visits: Sequence[Touchpoint], model: Model) -> Mapping[str, float]:
    """The parts of one call that each channel is credited with, adding up to 1; nothing without visits.

    ``visits``: of whoever called, by time; the last is the one in which they were shown the number.
    """
    credited: defaultdict[str, float] = defaultdict(float)
    for visit, part in zip(visits, _parts(visits, model), strict=True):
        if part:
            credited[visit.channel] += part
    return credited


def _parts(visits: Sequence[Touchpoint], model: Model) -> list[float]:
    count = len(visits)
    match model:
        case Model.LINEAR:
            return [1 / max(count, 1)] * count
        case Model.POSITION if count > 2:
            return [_ENDS, *[(1 - 2 * _ENDS) / (count - 2)] * (count - 2), _ENDS]
        case Model.POSITION:
            return [1 / max(count, 1)] * count
        case Model.FIRST:
            chosen = 0
        case Model.LAST:
            chosen = count - 1
        case Model.LAST_NON_DIRECT:
            chosen = next((index for index in reversed(range(count)) if not visits[index].direct), count - 1)
    return [float(index == chosen) for index in range(count)]
