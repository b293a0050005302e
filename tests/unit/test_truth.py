"""Whose calls were, as far as that became known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.calls.evidence import CALLER_BINDING
from pbxtrack.calls.truth import TAP_TELLS, Made, Tap, ToldBy, Truth, truths

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMBER, OTHER = "+74951230100", "+74951230101"
ANN, BOB = "+79161111111", "+79162222222"
SECOND = timedelta(seconds=1)


def call(at: datetime = NOW, caller: str | None = ANN, corrected: str | None = None, number: str = NUMBER) -> Made:
    return Made(at, number, caller, corrected)


@pytest.mark.parametrize(
    ("tapped", "told"),
    [
        ([(SECOND, "v1")], True),
        ([(TAP_TELLS - SECOND, "v1")], True),
        ([(TAP_TELLS, "v1")], False),
        ([(-SECOND, "v1")], False),
        ([(20 * SECOND, "v1"), (SECOND, "v1")], True),
        ([(20 * SECOND, "v2"), (SECOND, "v1")], False),
        ([(TAP_TELLS + SECOND, "v2"), (SECOND, "v1")], True),
        ([], False),
    ],
)
def test_a_tap_moments_before_tells(tapped: list[tuple[timedelta, str]], told: bool) -> None:
    taps = [Tap(NOW - before, visitor) for before, visitor in tapped]
    assert truths([call()], {NUMBER: taps}) == [Truth("v1", ToldBy.TAP) if told else None]
    assert truths([call(number=OTHER)], {NUMBER: taps}) == [None]


def test_what_people_say_counts_before_a_tap() -> None:
    taps = {NUMBER: [Tap(NOW - SECOND, "v1")]}
    assert truths([call(corrected="v2")], taps) == [Truth("v2", ToldBy.CORRECTED)]


def test_a_caller_is_known_from_their_later_calls() -> None:
    calls = [call(NOW - timedelta(days=1), number=OTHER), call(), call(NOW + timedelta(days=2)), call(caller=BOB)]
    taps = {NUMBER: [Tap(NOW - SECOND, "v1")]}
    by_tap = Truth("v1", ToldBy.TAP)
    assert truths(calls, taps) == [Truth("v1", ToldBy.CALLER), by_tap, None, by_tap], "later ones were attributed by it"


def test_calls_that_name_two_visitors_tell_nothing_of_a_third() -> None:
    calls = [call(NOW - SECOND), call(corrected="v1"), call(NOW + SECOND, corrected="v2")]
    assert truths(calls, {})[0] is None


def test_a_phone_is_not_one_persons_for_good() -> None:
    calls = [call(NOW - CALLER_BINDING - SECOND), call(NOW - CALLER_BINDING), call(corrected="v1")]
    assert [truth and truth.visitor for truth in truths(calls, {})] == [None, "v1", "v1"]


def test_who_hides_their_number_is_not_known_by_it() -> None:
    assert truths([call(caller=None, corrected="v1"), call(NOW + SECOND, caller=None)], {})[1] is None
