"""Pool numbers that got around."""

from __future__ import annotations

import math

import pytest

from pbxtrack.pool.leaks import CHANCE, StrangersCalls, at_least, leaked


def pool(*strange: tuple[int, int, int], quiet: int = 0) -> list[StrangersCalls]:
    """Numbers by (calls, callers, days) of strangers, and so many that had none."""
    return [StrangersCalls(f"+7{index:010}", *one) for index, one in enumerate([*strange, *[(0, 0, 0)] * quiet])]


@pytest.mark.parametrize(
    ("strange", "quiet", "found"),
    [
        ([(30, 25, 20)], 49, [0]),
        ([(30, 25, 20), (28, 20, 20)], 48, [0, 1]),
        ([(30, 1, 20)], 49, []),  # one person, every day
        ([(30, 25, 1)], 49, []),  # one evening
        ([(3, 3, 3)], 49, []),
        ([(2, 2, 2)] * 50, 0, []),
        ([(12, 11, 9)] * 50, 0, []),  # all alike: a site that many strangers call
        ([(60, 50, 25), *[(12, 11, 9)] * 49], 0, [0]),
        ([(40, 30, 20)], 0, [0]),  # a pool of one
        ([], 0, []),
    ],
)
def test_a_number_that_many_strangers_call_steadily_has_leaked(
    strange: list[tuple[int, int, int]], quiet: int, found: list[int]
) -> None:
    numbers = pool(*strange, quiet=quiet)
    assert leaked(numbers) == [numbers[index].number for index in found]


def test_a_pool_in_which_all_is_chance_has_no_leak() -> None:
    """Of many pools that strangers call at random, next to none has a number that is said to have leaked."""
    counts = [n for n in range(12) for _ in range(round(10_000 * math.exp(-1) / math.factorial(n)))]
    assert sum(at_least(n, 1.0) < CHANCE / 50 for n in counts) <= len(counts) * CHANCE / 50 * 2


def test_how_probable_so_many_are() -> None:
    assert at_least(0, 2.0) == 1.0
    assert at_least(1, 2.0) == pytest.approx(1 - math.exp(-2))
    assert at_least(3, 1.0) == pytest.approx(1 - 2.5 * math.exp(-1))
    assert at_least(400, 300.0) < 1e-6
