"""How good attributions were, as whole numbers that can be added up over days."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pbxtrack.calls.scores import BANDS
from pbxtrack.calls.truth import ToldBy

_UNIT = 10_000  # a probability of one: they are kept to four digits
_TOLD = tuple(ToldBy)
_KNOWN = 3  # where the counts of each ToldBy begin: known, right
_CHECKED = _KNOWN + 2 * len(_TOLD)
_SQUARES = _CHECKED + 1
_BAND = _SQUARES + 1  # where the bands' begin: calls, confidence, right
_LENGTH = _BAND + 3 * BANDS


class Judged(NamedTuple):
    """An attribution to a visit (``named``), or to none, and its confidence in the visit.

    ``by``: what tells whose the call was, None where nothing does; ``right``: whether it was that visitor's.
    """

    named: bool
    confidence: float
    by: ToldBy | None = None
    right: bool = False


class Goodness:
    """The sums of attributions."""

    __slots__ = ("numbers", "tells")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        """``numbers``: those of another one. ``tells``: a sum over the calls of what they may tell of earlier ones."""
        self.numbers = list(numbers) or [0] * _LENGTH
        self.tells = 0

    def judge(self, one: Judged) -> None:
        """Add an attribution."""
        numbers, confidence = self.numbers, round(one.confidence * _UNIT)
        numbers[0] += 1
        if one.named:
            numbers[1] += 1
            numbers[2] += confidence
        if one.by is None:
            return
        place = _KNOWN + 2 * _TOLD.index(one.by)
        numbers[place] += 1
        numbers[place + 1] += one.right
        numbers[_CHECKED] += one.named
        numbers[_SQUARES] += (confidence - one.right * _UNIT) ** 2
        place = _BAND + 3 * min(int(one.confidence * BANDS), BANDS - 1)
        numbers[place] += 1
        numbers[place + 1] += confidence
        numbers[place + 2] += one.right

    def add(self, other: Goodness) -> None:
        """Add another one's attributions."""
        self.numbers = [one + more for one, more in zip(self.numbers, other.numbers, strict=True)]
        self.tells += other.tells

    @property
    def calls(self) -> int:
        return self.numbers[0]

    def told(self) -> dict[str, Any]:
        """The figures; shares and scores are None where there is nothing that they would be of.

        What they mean is in :class:`pbxtrack.calls.scores.Scores`.
        """
        calls, named, confidence = self.numbers[:_KNOWN]
        known, right = self.numbers[_KNOWN:_CHECKED:2], self.numbers[_KNOWN + 1 : _CHECKED : 2]
        checked, all_right = sum(known), sum(right)
        bands = [self.numbers[place : place + 3] for place in range(_BAND, _LENGTH, 3)]
        off = sum(abs(sure - so * _UNIT) for _, sure, so in bands)
        return {
            "calls": calls,
            "attributed": named,
            "coverage": _share(named, calls),
            "expected_precision": _share(confidence, named * _UNIT),
            "known": {by.value: count for by, count in zip(_TOLD, known, strict=True)},
            "right": {by.value: _share(so, count) for by, so, count in zip(_TOLD, right, known, strict=True)},
            "precision": _share(all_right, self.numbers[_CHECKED]),
            "accuracy": _share(all_right, checked),
            "brier": _share(self.numbers[_SQUARES], checked * _UNIT**2),
            "calibration_error": _share(off, checked * _UNIT),
            "bands": [
                {
                    "from": index / BANDS,
                    "to": (index + 1) / BANDS,
                    "calls": count,
                    "said": _share(sure, count * _UNIT),
                    "right": _share(so, count),
                }
                for index, (count, sure, so) in enumerate(bands)
            ],
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
