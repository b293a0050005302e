"""Erlang's B formula, against tables of it and against itself; `pbxtrack pool size` as its user meets it."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from math import factorial, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.__main__ import run
from pbxtrack.pool.sizing import MAX_LOAD, blocking, numbers_needed, offered_load

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("visits", "visit", "hold", "numbers"),
    [(100, 3 * MINUTE, 30 * MINUTE, 69), (500, 3 * MINUTE, 30 * MINUTE, 298), (20, 3 * MINUTE, 2.5 * MINUTE, 6)],
)
def test_pools_of_common_sites(visits: float, visit: timedelta, hold: timedelta, numbers: int) -> None:
    assert numbers_needed(offered_load(visits, visit, hold), 0.01) == numbers


@pytest.mark.parametrize(  # from printed tables of Erlang B: the load that so many trunks carry with so much blocking
    ("numbers", "part", "load"),
    [(1, 0.01, 0.0101), (5, 0.01, 1.36), (10, 0.01, 4.46), (20, 0.02, 13.2), (50, 0.01, 37.9), (100, 0.05, 95.2)],
)
def test_agrees_with_printed_tables(numbers: int, part: float, load: float) -> None:
    assert blocking(numbers, load) == pytest.approx(part, rel=0.02)


@given(st.integers(0, 60), st.integers(1, 400))
def test_the_recursion_is_the_formula(numbers: int, tenths: int) -> None:
    load = Fraction(tenths, 10)
    terms = [load**n / factorial(n) for n in range(numbers + 1)]
    assert blocking(numbers, float(load)) == pytest.approx(float(terms[-1] / sum(terms)), rel=1e-12)


@given(st.floats(0.01, 2_000), st.floats(1e-6, 0.9))
def test_what_is_needed_is_enough_and_one_less_is_not(load: float, part: float) -> None:
    needed = numbers_needed(load, part)
    assert blocking(needed, load) <= part < blocking(needed - 1, load)


def test_a_million_erlangs() -> None:
    needed = numbers_needed(MAX_LOAD, 0.01)
    # Of so large a pool nearly every number is taken always: the load that is carried is the numbers themselves.
    assert needed == pytest.approx(0.99 * MAX_LOAD, rel=0.001)
    assert blocking(needed, MAX_LOAD) == pytest.approx(0.01, rel=0.001)
    assert 0 <= blocking(2 * int(MAX_LOAD), MAX_LOAD) < 1e-300


def test_what_cannot_be_reckoned_is_refused() -> None:
    for load in (0.0, -1.0, inf, nan, 2 * MAX_LOAD):
        with pytest.raises(ValueError, match="erlangs cannot be reckoned with"):
            blocking(1, load)
    for part in (0.0, 1.0, nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            numbers_needed(1, part)
    with pytest.raises(ValueError, match="fewer than no numbers"):
        blocking(-1, 1)


def size(*arguments: str) -> list[str]:
    return ["pool", "size", "--visits-per-hour", "100", "--visit", "3m", "--hold", "30m", *arguments]


def test_people_are_told_the_number_and_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(size("--price", "150")) == 0
    told, load, empty, headings, _, *rows = capsys.readouterr().out.splitlines()
    assert told == "69 numbers, 10,350.00 a month: at most 1 % of visitors find none free"
    assert load.startswith("offered load: 55.00 erlangs")
    assert (empty, headings.split()) == ("", ["Numbers", "Find", "none", "free", "A", "month"])
    assert [row.split()[-4] for row in rows] == ["63", "66", "69", "72", "75"]
    assert rows[2].split() == ["→", "69", "0.95", "%", "10,350.00"]


def test_a_small_pool_has_no_sizes_below_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(size("--blocking", "0.99")) == 0
    assert capsys.readouterr().out.startswith("1 number: at most 99 % of visitors")


def test_programs_are_told_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(size("--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["numbers"], found["load"], found["hold_seconds"], found["cost"]) == (69, 55.0, 1800, None)
    assert [one["numbers"] for one in found["sizes"]] == [63, 66, 69, 72, 75]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--visits-per-hour", "inf"], "Invalid value for --visits-per-hour: must be a number above 0"),
        (["--visits-per-hour", "1e9"], "a load of 5.5e+08 erlangs cannot be reckoned with"),
        (["--visit", "2.55m5"], "Invalid value for '--visit': '2.55m5' is not a duration; write 90s, 30m, 1h30m or 2d"),
        (["--visit", "0s", "--hold", "0s"], "a load of 0 erlangs cannot be reckoned with"),
        (["--blocking", "1"], "Invalid value for --blocking: must be between 0 and 1; write 0.01 for one"),
        (["--blocking", "nan"], "Invalid value for --blocking: must be between 0 and 1"),
        (["--visit", "999999999d", "--hold", "999999999d"], "a load of 4.8e+12 erlangs cannot be reckoned with"),
        (["--price", "1e307", "--json"], "Invalid value for --price: must be a price, 0 or more"),
        (["--price", "nan"], "Invalid value for --price: must be a price"),
        (["--price", "-1"], "Invalid value for --price: must be a price, 0 or more"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(size(*arguments)) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"pbxtrack pool size: {expected}")
    assert told.count("\n") == 1
