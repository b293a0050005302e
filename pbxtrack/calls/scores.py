"""How good attributions are, where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

BANDS = 10
"""Bands of confidence of equal width, in which what was said is compared with what was so."""


class Scored(NamedTuple):
    """An attribution to a visit, or to none, with its confidence in the visit, and whether it was right."""

    named: bool
    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Band:
    """The calls of a band: how many, how sure of them on average, and the share that was right."""

    calls: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Scores:
    """``coverage``: share of the calls that were tied to a visit; ``precision``: of those, the share that is right;
    ``accuracy``: the share of all; ``brier``: the mean square of confidence less truth (G. Brier, "Verification of
    forecasts expressed in terms of probability", 1950); ``calibration_error``: by how much confidence and truth differ,
    averaged over the bands by their calls (the expected calibration error).
    """

    calls: int
    coverage: float
    precision: float
    accuracy: float
    brier: float
    calibration_error: float
    bands: Sequence[Band | None]


def score(calls: Sequence[Scored]) -> Scores:
    """The scores of calls whose truth is known; zeros where there are none."""
    count = len(calls) or 1
    named = sum(call.named for call in calls)
    right = sum(call.right for call in calls)
    bands: list[list[Scored]] = [[] for _ in range(BANDS)]
    for call in calls:
        bands[min(int(call.confidence * BANDS), BANDS - 1)].append(call)
    return Scores(
        calls=len(calls),
        coverage=named / count,
        precision=right / (named or 1),
        accuracy=right / count,
        brier=sum((call.confidence - call.right) ** 2 for call in calls) / count,
        calibration_error=sum(abs(sum(c.confidence - c.right for c in band)) for band in bands) / count,
        bands=[_band(band) if band else None for band in bands],
    )


def _band(calls: Sequence[Scored]) -> Band:
    count = len(calls)
    return Band(count, sum(c.confidence for c in calls) / count, sum(c.right for c in calls) / count)
