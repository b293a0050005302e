"""Pool numbers that got around."""

from __future__ import annotations

import math
from random import Random

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
        ([(12, 12, 9)], 1, [0]),  # of two, one and not the other
        ([(10, 10, 9)], 1, []),  # which happens to one such pool in five hundred
        ([(40, 30, 20)], 0, []),  # a number that can be compared with none
        ([], 0, []),
    ],
)
def test_a_number_that_many_strangers_call_steadily_has_leaked(
    strange: list[tuple[int, int, int]], quiet: int, found: list[int]
) -> None:
    numbers = pool(*strange, quiet=quiet)
    assert leaked(numbers) == [numbers[index].number for index in found]


def test_a_lone_number_is_compared_with_those_of_the_sites_other_pools() -> None:
    lone, others = pool((30, 25, 20)), pool((3, 3, 3), (2, 1, 1), (5, 4, 4))
    assert leaked(lone, others) == [lone[0].number]
    assert leaked(pool((5, 5, 4)), others) == []
    assert leaked(pool(*[(5, 5, 4)] * 2), pool((0, 0, 0), quiet=49)) == [], "two are compared with each other"


@pytest.mark.parametrize(("numbers", "others"), [(1, 0), (1, 1), (1, 20), (2, 0), (3, 0), (5, 0), (50, 0)])
def test_of_pools_that_strangers_call_at_random_next_to_none_leaked(numbers: int, others: int) -> None:
    """Each number is called by five strangers on average, each on a day of their own."""
    chance = Random(f"{numbers} {others}")
    pools = max(100_000 // (numbers + others), 5_000)

    def called() -> StrangersCalls:
        count, left = 0, chance.expovariate(1)
        while left < 5:
            count, left = count + 1, left + chance.expovariate(1)
        return StrangersCalls("", count, count, count)

    found = sum(
        bool(leaked([called() for _ in range(numbers)], [called() for _ in range(others)])) for _ in range(pools)
    )
    assert found <= CHANCE * pools


@pytest.mark.parametrize(("count", "total", "share"), [(1, 1, 0.5), (4, 9, 0.2), (9, 9, 0.5), (30, 90, 0.25)])
def test_how_probable_such_a_share_is(count: int, total: int, share: float) -> None:
    told = sum(math.comb(total, n) * share**n * (1 - share) ** (total - n) for n in range(count, total + 1))
    assert at_least(count, total, share) == pytest.approx(told)


def test_a_share_that_is_expected_is_sure() -> None:
    assert at_least(10, 50, 0.2) == 1.0
    assert at_least(3, 3, 1.0) == 1.0
    assert 0 < at_least(51_200, 1_000_000, 0.05) < 1e-6
