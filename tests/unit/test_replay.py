"""Traces, and what `pbxtrack replay` says of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pbxtrack.calls.scores import Scored, score
from pbxtrack.cli.replay import replay
from pbxtrack.replay.trace import Called, InvalidTrace, Renewed, Visited, read

AD = "https://shop.example/?utm_source=yandex&utm_medium=cpc"
SITE = """
[[site]]
key = "shop"
name = "Shop"
origins = ["https://shop.example"]
line = "PJSIP/sales"
  [[site.pool]]
  name = "moscow"
  numbers = ["+74951230100..+74951230101"]
  [[site.channel]]
  name = "Yandex Direct"
  match = { source = "yandex" }
  [[site.channel]]
  name = "Billboard"
  numbers = ["+74951230001"]
"""


def visit(at: float, name: str, page: str = AD) -> dict[str, Any]:
    return {"t": at, "type": "visit", "visit": name, "visitor": f"v-{name}", "page": page, "referrer": "", "region": ""}


def call(at: float, name: str, caller: str | None, **dials: str) -> dict[str, Any]:
    return {"t": at, "type": "call", "call": name, "from": caller, "dials": dials}


def lines(events: Iterable[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def run(tmp_path: Path, events: Iterable[dict[str, Any]], *options: str) -> tuple[Result, list[dict[str, Any]]]:
    trace, out = tmp_path / "trace.jsonl", tmp_path / "out.jsonl"
    trace.write_bytes(b"\n".join(lines(events)) + b"\n")
    result = CliRunner().invoke(replay, [str(trace), "--out", str(out), *options])
    return result, [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


DAY = [
    visit(0, "s1"),
    visit(10, "s2", "https://shop.example/"),
    {"t": 30, "type": "renew", "visit": "s1", "event": "tap"},
    {"t": 31, "type": "renew", "visit": "s2"},
    call(40, "c1", "+79161234567", visit="s1"),
    call(50, "c2", None, visit="s2"),
    call(9_000, "c3", "+79161234567", visit="s1"),
    call(9_001, "c4", "+79160000000", number="8 (495) 123-00-01"),
    call(9_002, "c5", "+79160000000", number="not a number"),
]


def test_calls_are_attributed_as_they_come(tmp_path: Path) -> None:
    result, calls = run(tmp_path, DAY, "--numbers", "5", "--hold", "30m")
    assert result.exit_code == 0, result.output
    assert [(one["call"], one["visit"], one["method"]) for one in calls] == [
        ("c1", "s1", "lease"),
        ("c2", "s2", "lease"),
        ("c3", "s1", "caller"),
        ("c4", None, "none"),
        ("c5", None, "none"),
    ]
    assert calls[0]["channel"] == "Paid: yandex"
    assert calls[0]["number"] == "+70000000001"
    assert calls[0]["candidates"][0] == {"visit": "s1", "confidence": calls[0]["confidence"]}
    assert "accuracy" in result.output


def test_the_same_trace_gives_the_same_bytes(tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path, DAY, "--numbers", "5")
        (tmp_path / "out.jsonl").rename(tmp_path / f"out{len(list(tmp_path.glob('out*')))}.jsonl")
    first, second = (path.read_bytes() for path in tmp_path.glob("out*.jsonl"))
    assert first == second


def test_a_site_file_has_channels_and_static_numbers(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    result, calls = run(tmp_path, DAY, "--site", str(site), "--json")
    assert result.exit_code == 0, result.output
    assert calls[0]["channel"] == "Yandex Direct"
    assert (calls[3]["method"], calls[3]["channel"], calls[3]["confidence"]) == ("static", "Billboard", 1.0)
    summary = json.loads(result.output)
    assert (summary["calls"], summary["dynamic_calls"], summary["accuracy"]) == (5, 3, 1.0)
    assert summary["numbers_at_peak"] == 2
    too_many, _ = run(tmp_path, DAY, "--site", str(site), "--numbers", "3")
    assert too_many.exit_code == 1
    assert "has 2 numbers in its pools, not 3" in str(too_many.exception)


def test_who_finds_no_number_dials_the_overflow_number(tmp_path: Path) -> None:
    events = [visit(0, "s1"), visit(1, "s2"), call(20, "c1", "+79161234567", visit="s2")]
    result, calls = run(tmp_path, events, "--numbers", "1", "--json")
    assert (calls[0]["number"], calls[0]["method"], calls[0]["visit"]) == ("+70000000000", "overflow", "s2")
    assert json.loads(result.output)["blocking"] == 0.5


def test_a_visit_that_was_silent_for_too_long_is_leased_a_number_again(tmp_path: Path) -> None:
    events = [
        visit(0, "s1"),
        {"t": 7_200, "type": "renew", "visit": "s1", "event": "view"},
        call(7_201, "c1", "+79161234567", visit="s1"),
    ]
    _, calls = run(tmp_path, events, "--numbers", "2")
    assert (calls[0]["visit"], calls[0]["method"]) == ("s1", "lease")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"rubbish", "line 2 is none of a trace: it is no JSON object"),
        (b"[]", "it is no JSON object"),
        (b"{}", "'t' is missing"),
        (b'{"t": "now", "type": "visit"}', "`t` must be seconds"),
        (b'{"t": 1e300, "type": "visit"}', "`t` must be seconds"),
        (b'{"t": 1, "type": "dance"}', "`type` must be visit, renew or call, not 'dance'"),
        (b'{"t": 1, "type": "visit"}', "'visit' is missing"),
        (b'{"t": 1, "type": "visit", "visit": 7}', "`visit` must be a text"),
        (b'{"t": 1, "type": "renew", "visit": "s1", "event": "jump"}', "`event` must be one of view, tap, copy, leave"),
        (b'{"t": 1, "type": "call", "call": "c1", "from": null, "dials": {}}', "`dials` must name a visit or a number"),
        (
            b'{"t": 1, "type": "call", "call": "c1", "from": null, "dials": 5}',
            "`dials` must name a visit or a number",
        ),
        (b'{"t": 1, "type": "call", "call": "c1", "dials": "x"}', "`dials` must name a visit or a number"),
        (b'{"t": 1, "type": "call", "call": "c1", "dials": {"visit": []}}', "`dials` must name a visit or a number"),
        (b'{"t": 1, "type": "call", "call": "", "dials": {"visit": "s1"}}', "`call` must not be empty"),
        (b'{"t": 1, "type": "renew", "visit": "s1", "event": []}', "`event` must be one of view, tap, copy, leave"),
        (b'{"t": 1, "type": "renew", "visit": ""}', "`visit` must not be empty"),
        (b'{"t": 1, "type": "visit", "visit": ""}', "`visit` must not be empty"),
        (b'{"t": 1, "type": "visit", "visit": "s2", "visitor": 7}', "`visitor` must be a text"),
        (b'{"t": 1, "type": ' + b"[" * 1_020 + b"]" * 1_020 + b"}", "`type` must be visit, renew or call"),
        (b'{"t": 1, "type": "visit", "visit": "s1", "visitor": "v"}', "the visit 's1' is of another visitor"),
        (b'{"t": 1, "type": "visit", "visit": "' + b"x" * 65 + b'"}', "`visit` is longer than 64 characters"),
        (b'{"t": 1, "x": "' + b"x" * 70_000 + b'"}', "it is longer than 65536 bytes"),
        (b'{"t": -1, "type": "visit"}', "`t` must be seconds"),
    ],
)
def test_what_is_none_of_a_trace_is_said_with_its_line(line: bytes, reason: str) -> None:
    with pytest.raises(InvalidTrace, match=r"^line 2 ") as raised:
        list(read([*lines([visit(0, "s1")]), line]))
    assert reason in str(raised.value)


def test_a_call_comes_once() -> None:
    with pytest.raises(InvalidTrace, match="line 3 has the call 'c1' a second time"):
        list(read(lines([visit(0, "s1"), call(1, "c1", None, visit="s1"), call(2, "c1", None, number="1")])))


@pytest.mark.parametrize("visitor", [{"visitor": ""}, {"visitor": None}, {}])
def test_a_visit_without_a_visitor_is_its_own(visitor: dict[str, Any]) -> None:
    (found,) = read(lines([{"t": 0, "type": "visit", "visit": "s1", **visitor}]))
    assert isinstance(found, Visited)
    assert found.visitor == "s1"


def test_a_trace_is_ordered_by_time() -> None:
    with pytest.raises(InvalidTrace, match="line 2 is earlier"):
        list(read(lines([visit(5, "s1"), visit(4, "s2")])))


def test_a_sign_of_life_and_a_call_need_their_visit(tmp_path: Path) -> None:
    silent, _ = run(tmp_path, [{"t": 0, "type": "renew", "visit": "s9"}, visit(1, "s1")], "--numbers", "1")
    assert "no visit 's9' began before its sign of life" in str(silent.exception)
    last, _ = run(tmp_path, [visit(0, "s1"), {"t": 1, "type": "renew", "visit": "s9"}], "--numbers", "1")
    assert "no visit 's9' began before its sign of life" in str(last.exception)
    called, _ = run(tmp_path, [call(0, "c1", None, visit="s9")], "--numbers", "1")
    assert "no visit 's9' began before the call 'c1'" in str(called.exception)


@pytest.mark.parametrize("name", ["trace.jsonl", "link.jsonl", "site.toml"])
def test_what_is_read_is_not_written_over(tmp_path: Path, name: str) -> None:
    trace, site = tmp_path / "trace.jsonl", tmp_path / "site.toml"
    trace.write_bytes(b"\n".join(lines(DAY)))
    site.write_text(SITE)
    (tmp_path / "link.jsonl").symlink_to(trace)
    before = trace.read_bytes(), site.read_text()
    result = CliRunner().invoke(replay, [str(trace), "--site", str(site), "--out", str(tmp_path / name)])
    assert result.exit_code == 2
    assert "would be emptied" in result.output
    assert (trace.read_bytes(), site.read_text()) == before
    nowhere = CliRunner().invoke(replay, ["/dev/null", "--numbers", "5", "--out", "/dev/null"])
    assert nowhere.exit_code == 0, nowhere.output


def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(b"no trace")
    for out, reason in ((tmp_path / "none" / "x", "there is no folder"), (tmp_path, "is a directory")):
        result = CliRunner().invoke(replay, [str(trace), "--numbers", "5", "--out", str(out)])
        assert result.exit_code == 2
        assert reason in result.output
    trace.write_bytes(b"\n".join(lines(DAY)))
    named = CliRunner().invoke(replay, [str(trace), "--numbers", "5", "--out", str(tmp_path / ("x" * 300))])
    assert "x cannot be written: File name too long" in str(named.exception)
    full = CliRunner().invoke(replay, [str(trace), "--numbers", "5", "--out", "/dev/full"])
    assert "/dev/full cannot be written: No space left on device" in str(full.exception)


def test_a_file_that_cannot_be_read_is_told_in_a_line() -> None:
    result = CliRunner().invoke(replay, ["/proc/self/mem", "--numbers", "5"])
    assert "/proc/self/mem cannot be read: Input/output error" in str(result.exception)
    endless = CliRunner().invoke(replay, ["/dev/zero", "--numbers", "5"])
    assert "line 1 is none of a trace: it is longer than 65536 bytes" in str(endless.exception)


def test_reading_makes_typed_events() -> None:
    visited, renewed, called = read(lines([DAY[0], DAY[3], DAY[5]]))
    assert isinstance(visited, Visited)
    assert isinstance(renewed, Renewed)
    assert isinstance(called, Called)
    assert (visited.visitor, renewed.event, called.caller) == ("v-s1", None, None)


def test_scores_are_what_their_names_say() -> None:
    scores = score([Scored(True, 0.95, True), Scored(True, 0.65, False), Scored(False, 0.0, False)])
    assert (scores.calls, scores.precision) == (3, 0.5)
    assert scores.coverage == pytest.approx(2 / 3)
    assert scores.accuracy == pytest.approx(1 / 3)
    assert scores.brier == pytest.approx((0.05**2 + 0.65**2) / 3)
    assert scores.calibration_error == pytest.approx((0.05 + 0.65) / 3)
    assert score([]).calls == 0
