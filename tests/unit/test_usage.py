"""Numbers held over time; and numbers as people type them."""

from __future__ import annotations

import pytest

from pbxtrack.dashboard.numbers import searched_digits
from pbxtrack.pool.usage import Held, held_by_steps


def test_steps_have_the_most_and_the_mean() -> None:
    changes = {-5: 1, 0: 2, 3: -1, 4: 1, 5: -3}
    assert held_by_steps(changes, [0, 4, 6], 8) == [Held(3, 2.75), Held(3, 1.5), Held(0, 0)]


def test_a_step_yet_to_come_has_none() -> None:
    assert held_by_steps({0: 1}, [0, 4, 8], 6) == [Held(1, 1), Held(1, 1), None]
    assert held_by_steps({}, [], 0) == []


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("8 (495) 123", "495123"),
        ("+7 495", "7495"),
        ("495-12", "49512"),
        ("0100", "0100"),
        ("800", "800"),
        ("billboard 4", ""),
        ("", ""),
    ],
)
def test_a_number_is_searched_as_people_type_it(text: str, digits: str) -> None:
    assert searched_digits(text) == digits
