"""The figures of a report's row, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Sums(NamedTuple):
    """What is added up of calls: whole numbers all, in parts of calls where a model divides them."""

    calls: int = 0
    unique: int = 0
    target: int = 0
    answered: int = 0
    missed: int = 0  # missed, abandoned, busy, failed
    unsettled: int = 0  # those of them that nobody has called back, or spoken with, since
    talk: int = 0  # milliseconds
    waiting: int = 0  # milliseconds that answered calls rang


Packed = int
"""Sums in one number, side by side: adding it, or multiplying it by parts, does so to all of them at once.

That takes an eighth of the time, and millions of calls are added up so.
"""

_BITS = 80  # of each sum: more than the milliseconds of any number of calls need
_ONE_OF = [1 << _BITS * place for place in range(len(Sums._fields))]
_SHIFTS = [_BITS * place for place in range(len(Sums._fields))]
_MASK = _ONE_OF[1] - 1
FLAGS = ("unique", "target", "answered", "missed", "unsettled")
"""What a call is or is not, as the bits of one number."""

assert Sums._fields == ("calls", *FLAGS, "talk", "waiting")
_OF_FLAGS = [
    _ONE_OF[0] + sum(_ONE_OF[1 + bit] for bit in range(len(FLAGS)) if flags >> bit & 1)
    for flags in range(1 << len(FLAGS))
]


def pack(flags: int, calls: int, talk: int, waiting: int) -> Packed:
    """The sums of so many calls that are all ``flags``, with their milliseconds together."""
    return _OF_FLAGS[flags] * calls + (talk << _BITS * 6) + (waiting << _BITS * 7)


def unpack(packed: Packed) -> Sums:
    """The sums."""
    return Sums._make([packed >> shift & _MASK for shift in _SHIFTS])


def repack(numbers: Iterable[int]) -> Packed:
    """Sums, in their order, in one number."""
    return sum(number << shift for number, shift in zip(numbers, _SHIFTS, strict=True))


FIGURES = ("calls", "answered", "unique", "target", "missed", "unsettled", "talk_seconds", "answer_seconds", "share")
"""The names of :func:`figures`, in order."""


def figures(sums: Sums, whole: int, total: int) -> dict[str, Any]:
    """The figures as they are told. ``whole``: the parts of a call; ``total``: those of all calls that it is one of.

    ``talk_seconds`` are all calls' together; ``answer_seconds`` are the mean that an answered call rang, None where
    none was answered; ``share`` is of all calls, None where there are none.
    """
    return {
        **{name: parts_told(getattr(sums, name), whole) for name in FIGURES[:6]},
        "talk_seconds": round(sums.talk / whole / 1000, 1),
        "answer_seconds": round(sums.waiting / sums.answered / 1000, 1) if sums.answered else None,
        "share": round(sums.calls / total, 4) if total else None,
    }


def parts_told(number: int, whole: int) -> float | int:
    """A number of parts, ``whole`` of which are one."""
    return number if whole == 1 else round(number / whole, 2)
