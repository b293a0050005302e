"""Whose calls were, as far as that became known beside the attribution: to compare with what was said of them.

Three things tell: people who corrected the call; a tap on the number moments before it; and another call of the same
caller, a later one, of which one of these tells. What an earlier one tells does not count: attribution went by it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pbxtrack.calls.evidence import CALLER_BINDING

TAP_TELLS = timedelta(seconds=30)
"""A call to a number within this time after a tap on it is of whoever tapped, unless several did."""


class ToldBy(StrEnum):
    """What tells whose a call was."""

    CORRECTED = "corrected"
    TAP = "tap"
    CALLER = "caller"


class Tap(NamedTuple):
    """A visitor tapped the number, or copied it."""

    at: datetime
    visitor: str


class Made(NamedTuple):
    """A call: ``corrected`` is the visitor whom people named, None where nobody did."""

    at: datetime
    number: str
    caller: str | None
    corrected: str | None


class Truth(NamedTuple):
    """Whose a call was, and how that is known."""

    visitor: str
    by: ToldBy


def truths(calls: Sequence[Made], taps: Mapping[str, Sequence[Tap]]) -> list[Truth | None]:
    """Of each call of a site, in their order, whose it was; None where that is not known.

    ``taps``: by number, the earliest first.
    """
    found = [_of_itself(call, taps.get(call.number, ())) for call in calls]
    told: defaultdict[str, list[tuple[datetime, Truth]]] = defaultdict(list)
    for call, truth in zip(calls, found, strict=True):
        if call.caller and truth:
            told[call.caller].append((call.at, truth))
    return [
        truth or _of_caller(call, told.get(call.caller or "", ())) for call, truth in zip(calls, found, strict=True)
    ]


def _of_itself(call: Made, taps: Sequence[Tap]) -> Truth | None:
    if call.corrected:
        return Truth(call.corrected, ToldBy.CORRECTED)
    end = bisect_right(taps, call.at, key=lambda tap: tap.at)
    begin = bisect_right(taps, call.at - TAP_TELLS, key=lambda tap: tap.at)
    return _only({tap.visitor for tap in taps[begin:end]}, ToldBy.TAP)


def _of_caller(call: Made, told: Iterable[tuple[datetime, Truth]]) -> Truth | None:
    return _only(
        {truth.visitor for at, truth in told if call.at < at <= call.at + CALLER_BINDING},
        ToldBy.CALLER,
    )


def _only(visitors: set[str], by: ToldBy) -> Truth | None:
    """The visitor, if all that was told names one."""
    return Truth(next(iter(visitors)), by) if len(visitors) == 1 else None
