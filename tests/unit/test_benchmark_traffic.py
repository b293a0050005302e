"""The traffic that attribution is measured with: it has the habits that it says, and tells nothing it should not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from benchmarks.traffic import DAYTIME, HOUR, PRESETS, SOURCES, UNEVEN, Habits, Traffic, generate
from pbxtrack.pool.policy import VISIT_GAP
from pbxtrack.sources.touch import channel_of, read_touch

NUMBERS = [f"+7000000{index:04d}" for index in range(1, 70)]
KEYS = {
    "visit": {"t", "type", "visit", "visitor", "page", "referrer", "region"},
    "call": {"t", "type", "call", "from", "dials"},
}


def made(habits: Habits, hours: float = 96, seed: int = 1) -> Traffic:
    return generate(habits, hours=hours, numbers=NUMBERS, seed=seed)


@pytest.fixture(scope="module")
def ordinary() -> Traffic:
    return made(Habits())


def of(traffic: Traffic, kind: str) -> list[Mapping[str, Any]]:
    return [line for line in traffic.lines if line["type"] == kind]


def test_the_same_seed_makes_the_same(ordinary: Traffic) -> None:
    assert made(Habits()) == ordinary
    assert made(Habits(), seed=2).lines != ordinary.lines


@pytest.mark.parametrize("preset", PRESETS)
def test_a_trace_is_what_could_have_been_told(preset: str) -> None:
    traffic = made(PRESETS[preset], hours=24)
    assert all(one["t"] <= other["t"] for one, other in pairwise(traffic.lines))
    begun: set[str] = set()
    for line in traffic.lines:
        assert 0 <= line["t"] < 24 * HOUR
        if line["type"] == "renew":
            assert set(line) - {"event"} == {"t", "type", "visit"}
            assert line.get("event", "tap") in {"view", "tap", "copy", "leave"}
            assert line["visit"] in begun
        else:
            assert set(line) == KEYS[line["type"]]
        if line["type"] == "visit":
            assert line["visit"] not in begun
            begun.add(line["visit"])
        elif line["type"] == "call":
            caller = traffic.truth[line["call"]]
            if caller is None:
                assert line["dials"]["number"] in NUMBERS
            else:
                assert line["dials"] == {"visit": caller.visit}
                assert caller.visit in begun
                assert traffic.visitors[caller.visit] == caller.visitor
    assert begun == set(traffic.visitors)
    assert {line["call"] for line in of(traffic, "call")} == set(traffic.truth)


def test_who_comes_back_begins_a_new_visit(ordinary: Traffic) -> None:
    seen: dict[str, float] = {}
    returned = 0
    for line in ordinary.lines:
        if line["type"] == "call":
            continue
        visitor = ordinary.visitors[line["visit"]]
        if line["type"] == "visit" and visitor in seen:
            assert line["t"] - seen[visitor] > VISIT_GAP.total_seconds()
            returned += 1
        seen[visitor] = line["t"]
    assert 0.1 < returned / len(ordinary.visitors) < 0.2  # less than one in five: nobody was there before the start


def test_shares_are_those_of_the_habits(ordinary: Traffic) -> None:
    visits, callers = of(ordinary, "visit"), [caller for caller in ordinary.truth.values() if caller]
    assert len(visits) == pytest.approx(96 * 100, rel=0.05)
    assert len({caller.visit for caller in callers}) / len(visits) == pytest.approx(0.06, rel=0.15)
    assert len(ordinary.truth) - len(callers) == round(len(callers) * 0.02 / 0.98)
    again = len(callers) - len({caller.visit for caller in callers})
    assert again / len(callers) == pytest.approx(0.19, abs=0.05)  # a quarter, less those after the end
    last = {line["visit"]: line["t"] for line in ordinary.lines if line["type"] != "call"}
    assert fmean(last[line["visit"]] - line["t"] for line in visits) == pytest.approx(180, rel=0.1)


def test_when_people_call(ordinary: Traffic) -> None:
    begun = {line["visit"]: line["t"] for line in of(ordinary, "visit")}
    gone = {line["visit"]: line["t"] for line in ordinary.lines if line["type"] != "call"}
    first: dict[str, float] = {}
    for line in of(ordinary, "call"):
        if visit := line["dials"].get("visit"):
            first.setdefault(visit, line["t"])
    late = [visit for visit, at in first.items() if at - gone[visit] > HOUR]
    assert len(late) / len(first) == pytest.approx(1 / 7, abs=0.04)
    assert max(at - begun[visit] for visit, at in first.items()) > 24 * HOUR
    tapped = {line["visit"] for line in ordinary.lines if line.get("event") == "tap"}
    assert len(tapped & first.keys()) / len(first) == pytest.approx(0.45 * 0.55, abs=0.05)
    assert len(tapped - first.keys()) / (len(begun) - len(first)) == pytest.approx(0.02, abs=0.005)


def test_callers_keep_their_telephones() -> None:
    traffic = made(Habits(withheld=0.3, shared=0.1))
    phones: dict[str, str | None] = {}
    for line in of(traffic, "call"):
        if caller := traffic.truth[line["call"]]:
            assert phones.setdefault(caller.visitor, line["from"]) == line["from"]
    assert 0.2 < sum(phone is None for phone in phones.values()) / len(phones) < 0.4
    of_several = sum(count - 1 for phone, count in Counter(phones.values()).items() if phone)
    assert 0.03 < of_several / len(phones) < 0.15


def test_some_sources_call_more_than_others() -> None:
    shares: dict[bool, dict[str, float]] = {}
    for uneven, sources in ((False, SOURCES), (True, UNEVEN)):
        traffic = made(Habits(sources=sources, returns=0), hours=240)
        callers = Counter(caller.channel for caller in {c.visit: c for c in traffic.truth.values() if c}.values())
        shares[uneven] = {channel: count / callers.total() for channel, count in callers.items()}
    assert shares[False]["Paid: yandex"] == pytest.approx(0.5, abs=0.05)
    assert shares[True]["Organic search"] > 1.15 * shares[False]["Organic search"]
    assert shares[True]["Social"] < 0.6 * shares[False]["Social"]


def test_by_day_people_come_and_call() -> None:
    traffic = made(Habits(by_hour=DAYTIME))
    assert fmean(DAYTIME) == pytest.approx(1, abs=0.01)
    assert len(traffic.visitors) == pytest.approx(9_600, rel=0.06)
    for kind in ("visit", "call"):
        hours = Counter(int(line["t"] % (24 * HOUR) // HOUR) for line in of(traffic, kind))
        assert sum(hours[hour] for hour in range(7)) < 0.05 * hours.total()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.channel)
def test_each_source_is_its_channel(source: Any) -> None:
    touch = read_touch(f"https://shop.example{source.page}", source.referrer, own_hosts=["shop.example"])
    assert channel_of(touch) == source.channel


def test_presets_differ_in_what_they_are_named_for() -> None:
    base = Habits()
    assert PRESETS["ordinary"] == base
    assert PRESETS["strangers"] == replace(base, strangers=0.1)
    strange = made(PRESETS["strangers"]).truth
    assert sum(caller is None for caller in strange.values()) / len(strange) == pytest.approx(0.1, abs=0.01)


def test_written(tmp_path: Path) -> None:
    traffic = made(PRESETS["strangers"], hours=6)
    trace, truth = traffic.write(tmp_path, "some")
    assert [json.loads(line) for line in trace.read_text().splitlines()] == list(traffic.lines)
    for line in map(json.loads, truth.read_text().splitlines()):
        caller = traffic.truth[line["call"]]
        assert line["visitor"] == (caller.visitor if caller else None)
        assert line["channel"] == (caller.channel if caller else None)
