"""Scoring attribution: by hand on a few calls, and on traffic whose answers are all known."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import attribution
from benchmarks.attribution import CASES, Case, calibration_error, last_holders, pool, score
from benchmarks.traffic import DAY, Caller, Habits, Traffic
from pbxtrack.errors import PbxtrackError

ONE, TWO = pool(2)
ANNA, BORIS = Caller("s1", "anna", "Direct"), Caller("s2", "boris", "Social")


def visit(at: float, name: str, visitor: str) -> dict[str, Any]:
    return {"t": at, "type": "visit", "visit": name, "visitor": visitor, "page": "", "referrer": "", "region": ""}


def beat(at: float, name: str) -> dict[str, Any]:
    return {"t": at, "type": "renew", "visit": name}


def call(at: float, name: str, **dials: str) -> dict[str, Any]:
    return {"t": at, "type": "call", "call": name, "from": None, "dials": dials}


def traffic(*lines: Mapping[str, Any], truth: Mapping[str, Caller | None] | None = None) -> Traffic:
    return Traffic(lines, truth or {}, {line["visit"]: line["visitor"] for line in lines if line["type"] == "visit"})


def told(name: str, of: str | None, channel: str | None, confidence: float, *others: str) -> dict[str, Any]:
    candidates = [{"visit": other, "confidence": 0.1} for other in others]
    return {
        "call": name, "number": ONE, "visit": of, "channel": channel, "confidence": confidence, "method": "lease",
        "candidates": candidates,
    }  # fmt: skip


def test_the_pool_is_that_of_a_replay() -> None:
    assert pool(2) == ["+70000000001", "+70000000002"]


def test_the_number_left_for_longest_is_given_next() -> None:
    some = traffic(
        visit(0, "s1", "anna"), visit(10, "s2", "boris"), beat(60, "s1"),
        visit(300, "s3", "clara"),  # the second number, since Anna's page was seen later
        call(310, "c1", visit="s2"), call(311, "c2", visit="s1"), call(312, "c3", number=TWO),
    )  # fmt: skip
    assert last_holders(some, 2) == {"c1": "s3", "c2": "s1", "c3": "s3"}


def test_nobodys_number_is_taken_before_it_may_be() -> None:
    some = traffic(
        visit(0, "s1", "anna"), visit(100, "s2", "boris"), call(101, "c1", visit="s2"),
        visit(179, "s3", "clara"), visit(180, "s4", "dora"), call(181, "c2", visit="s1"), call(182, "c3", visit="s3"),
    )  # fmt: skip
    assert last_holders(some, 1) == {"c1": None, "c2": "s4", "c3": None}


def test_who_comes_back_has_the_same_number_if_nobody_had_it() -> None:
    some = traffic(
        visit(0, "s1", "anna"), visit(1, "s2", "boris"),
        visit(DAY, "s3", "boris"), call(DAY + 1, "c1", visit="s2"),
        visit(DAY + 2, "s4", "clara"), visit(DAY + 3_600, "s5", "anna"), call(DAY + 3_601, "c2", visit="s5"),
        call(DAY + 3_602, "c3", visit="s1"),
    )  # fmt: skip
    assert last_holders(some, 2) == {"c1": "s3", "c2": "s5", "c3": "s4"}


def test_signs_of_life_after_the_hold_are_for_nothing() -> None:
    some = traffic(
        visit(0, "s1", "anna"), visit(600, "s2", "boris"), beat(1_800, "s1"),
        visit(2_700, "s3", "clara"), call(2_701, "c1", visit="s1"),
    )  # fmt: skip
    assert last_holders(some, 2) == {"c1": "s3"}


def test_calibration_error_is_the_mean_distance_in_each_bin() -> None:
    assert calibration_error([]) == 0
    assert calibration_error([(1.0, True), (0.95, True)]) == pytest.approx(0.025)
    assert calibration_error([(0.5, True), (0.55, False), (0.9, False), (0.99, False)]) == pytest.approx(
        (2 * 0.025 + 2 * 0.945) / 4
    )


def test_scored_by_hand() -> None:
    lines = [visit(0, "s1", "anna"), visit(DAY, "s2", "boris"), visit(DAY + 1, "s3", "anna")]
    lines += [call(10, "c0", visit="s1")]  # before scoring begins
    lines += [call(DAY + 10 + at, f"c{at}", visit="s1") for at in (1, 2, 3, 5)] + [call(DAY + 14, "c4", number=ONE)]
    lines.sort(key=lambda line: line["t"])
    some = traffic(*lines, truth={"c0": ANNA, "c1": ANNA, "c2": BORIS, "c3": BORIS, "c4": None, "c5": ANNA})
    out = [
        told("c1", "s3", "Direct", 0.95),  # another visit of the same visitor
        told("c2", "s1", "Social", 0.9, "s2"),
        told("c3", None, None, 0.0),
        told("c4", None, None, 0.0),  # a stranger's right answer
        {**told("c5", None, None, 0.0), "method": "overflow"},
    ]
    found = score(some, out, 2)
    assert (found.calls, found.dynamic, found.accuracy, found.channel) == (5, 0.8, 0.5, 0.75)
    assert (found.named, found.among_candidates, found.sure, found.sure_right) == (0.5, 0.75, 0.5, 0.5)
    assert found.brier == pytest.approx((0.05**2 + 0.9**2) / 2)
    assert found.calibration_error == pytest.approx(abs(0.925 - 0.5))
    # Anna came back to the first number, which she had alone: she is the last holder of all five calls.
    assert found.last_holder == pytest.approx(2 / 5)
    assert found.error_ratio == pytest.approx(0.5 / 0.6)


def test_a_replay_must_answer_every_call() -> None:
    some = traffic(visit(DAY, "s1", "anna"), call(DAY + 1, "c1", visit="s1"), truth={"c1": ANNA})
    with pytest.raises(PbxtrackError, match="said nothing of 1 calls, such as c1"):
        score(some, [], 1)


def test_an_answer_that_knows_the_truth_is_perfect() -> None:
    case = Case("some", Habits())
    some = case.traffic(seed=3, calls=300)
    out = [
        told(name, caller.visit, caller.channel, 1.0) if caller else told(name, None, None, 0.0)
        for name, caller in some.truth.items()
    ]
    found = score(some, out, case.numbers)
    assert (found.accuracy, found.channel, found.error_ratio, found.calibration_error, found.brier) == (1, 1, 0, 0, 0)
    assert 200 < found.calls < 400
    assert 0.5 < found.last_holder < 0.8


def test_cases_have_the_numbers_of_the_formula() -> None:
    assert [CASES[f"ordinary, {rate} visits/h"].numbers for rate in (20, 100, 500)] == [19, 69, 298]
    assert (CASES["twice the numbers"].numbers, CASES["half the numbers"].numbers) == (138, 34)


REPLAY = """
import json, sys
trace, out = sys.argv[1], sys.argv[sys.argv.index("--out") + 1]
assert sys.argv[2:8] == ["--numbers", "69", "--hold", "30m", "--hold-guaranteed", "3m"], sys.argv
answer = {"number": "+70000000001", "visit": "s1", "channel": "Direct", "confidence": 0.1, "method": "lease"}
with open(out, "w") as file:
    for line in map(json.loads, open(trace)):
        if line["type"] == "call":
            print(json.dumps({"call": line["call"], **answer, "candidates": []}), file=file)
"""


def test_a_replay_is_run_and_scored(tmp_path: Path) -> None:
    program = tmp_path / "replay.py"
    program.write_text(REPLAY)
    arguments = ["--quick", "--case", "ordinary, 100 visits/h", "--replay", f"{sys.executable} {program}"]
    done = CliRunner().invoke(attribution.main, arguments)
    assert done.exit_code == 0, done.output
    found, _ = json.JSONDecoder().raw_decode(done.stdout)
    case = found["cases"]["ordinary, 100 visits/h"]
    assert case["accuracy"] < 0.05
    assert case["sure"] == 0
    program.write_text("import sys; sys.exit('no such trace')")
    done = CliRunner().invoke(attribution.main, arguments)
    assert done.exit_code == 1
    assert done.stderr == "attribution: the replay of 'ordinary, 100 visits/h' failed: no such trace\n"


def test_traces_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        attribution.main, ["--quick", "--case", "half the numbers", "--trace-only", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert {file.name for file in tmp_path.iterdir()} == {"half-the-numbers.jsonl", "half-the-numbers.truth.jsonl"}
    assert "half-the-numbers.jsonl --numbers 34 --hold 30m --hold-guaranteed 3m" in done.stdout
