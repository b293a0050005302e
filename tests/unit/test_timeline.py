"""A call's line of time: what is told of a visit and of Asterisk's facts, in the language asked for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pbxtrack.calls.events import FALLBACK_REASONS
from pbxtrack.dashboard.causes import cause
from pbxtrack.dashboard.languages import Format, translations
from pbxtrack.dashboard.timeline import ENDS, MOST, Step, folded, line_name, page_name, timeline
from pbxtrack.pool.model import EventKind
from pbxtrack.storage.times import rfc3339

T0 = datetime(2026, 3, 1, 20, 59, 58, tzinfo=UTC)  # two seconds before midnight in Moscow
HOSTILE = '"><img src=x onerror=alert(1)>\u202e'


def at(seconds: float) -> str:
    return rfc3339(T0 + timedelta(seconds=seconds)) or ""


def fact(seconds: float, kind: str, leg: str = "b", **data: Any) -> dict[str, Any]:
    return {"at": at(seconds), "kind": kind, "leg": leg, "data": data}


def a_call(ended: float | None = 300, **changes: Any) -> dict[str, Any]:
    given = {
        "dialled": "+74951230001",
        "ended_at": None if ended is None else at(ended),
        "hung_up_by": "caller",
        "pbx": {"end_seen": True},
        "visit": None,
    }
    return given | changes


def a_visit(*events: tuple[float, str, str]) -> dict[str, Any]:
    return {"events": [{"at": at(seconds), "event": event, "page": page} for seconds, event, page in events]}


def told(call: dict[str, Any], facts: list[dict[str, Any]], leases: Any = (), language: str = "en") -> list[Step]:
    return timeline(call, leases, facts, translations(language), Format(language, "Europe/Moscow", "RU"))


def texts(steps: list[Step]) -> list[str]:
    return [step.text.striptags() for step in steps]


def test_a_visit_its_number_and_the_call_are_one_line_of_time() -> None:
    visit = a_visit((0, "view", "https://shop.example/a?utm_source=x"), (60, "tap", ""), (500, "view", "late"))
    facts = [
        fact(62, "arrived", "a", dialled="1", caller="2", heard="agi"),
        fact(62.2, "arrived", "a", dialled="1", caller="2", heard="ami"),
        fact(63, "rang", "b", name="PJSIP/one-0000001f"),
        fact(63.1, "rang", "c", name="PJSIP/two-00000020"),
        fact(63.2, "rang", "d", name="Local/1@office-0001;1"),
        fact(70, "answered", "c", name="PJSIP/two-00000020"),
        fact(70.1, "failed", "b", name="PJSIP/one-0000001f", status="CANCEL"),
        fact(90, "transferred", "a", how="blind", target="700"),
    ]
    steps = told(a_call(visit=visit), facts, [{"at": at(1), "number": "+74951230001"}])
    assert texts(steps) == [
        "The visit began on shop.example/a",
        "The website showed 8 (495) 123-00-01",
        "Tapped the number",
        "Call to 8 (495) 123-00-01",
        "Rings: PJSIP/one, PJSIP/two",
        "Answered: PJSIP/two",
        "PJSIP/one: called off while ringing",
        "Transferred to 700",
        "The caller hung up",
    ]
    assert [step.gap for step in steps[:4]] == [None, 1, 59, 2]
    assert [step.day for step in steps] == [True, False, True, *[False] * 6], "midnight in the site's zone"


@pytest.mark.parametrize("how", ["blind", "attended"])
def test_everything_that_can_happen_is_told_in_russian(how: str) -> None:
    visit = a_visit(*((n, kind, page) for n, kind in enumerate(EventKind) for page in ("", "https://пример.рф/")))
    names = {"name": ""}
    facts = [
        fact(20, "arrived", "a", dialled="1"),
        fact(21, "queued", "a"),
        fact(22, "rang", **names),
        *(fact(23 + n * 9, "failed", status=status, **names) for n, status in enumerate(
            ["BUSY", "NOANSWER", "CANCEL", "CHANUNAVAIL", "CONGESTION", "NEW"])),
        *(fact(90, "fallback", "a", reason=reason) for reason in (*FALLBACK_REASONS, "mine")),
        fact(91, "answered", **names),
        fact(92, "transferred", how=how, target="7"),
        fact(93, "recording", file="x"),
    ]  # fmt: skip
    leases = [{"at": at(1), "number": None}, {"at": at(2), "number": "+74951230001"}]
    for ended_by in ("caller", "line", None):
        for seen in (True, False):
            call = a_call(visit=visit, hung_up_by=ended_by, pbx={"end_seen": seen})
            steps = told(call, facts, leases, "ru")
            assert len(steps) > 25
            for text in texts(steps):
                assert not re.search("[A-Za-z]{2,}", re.sub("Asterisk|pbxtrack", "", text)), text


def test_names_from_outside_are_escaped_and_apart() -> None:
    facts = [fact(1, "answered", name=HOSTILE), fact(2, "transferred", how="blind", target=HOSTILE * 100)]
    steps = told(a_call(visit=a_visit((0, "view", HOSTILE * 300))), facts)
    for step in steps[:3]:
        assert "<img" not in step.text
        assert "<bdi>" in step.text
        assert len(step.text) < 1_500


def test_a_long_line_of_time_is_folded_before_the_call_and_within() -> None:
    before = [Step(T0, "x") for _ in range(MOST + 4)]  # type: ignore[arg-type]
    call = [Step(T0, "x", "call")] * MOST  # type: ignore[arg-type]
    parts = folded([*before, *call])
    assert [(hidden, len(part)) for hidden, part in parts] == [
        (False, ENDS), (True, MOST + 4 - 2 * ENDS), (False, ENDS), (False, MOST),
    ]  # fmt: skip
    assert folded([]) == []


def test_addresses_lines_and_causes_are_short() -> None:
    assert page_name("https://shop.example/a/b?x=1#y") == "shop.example/a/b"
    assert page_name("http://[") == "http://["
    assert page_name("javascript:alert(1)") == "javascript:alert(1)"
    assert len(page_name("https://shop.example/" + "я" * 9_000)) <= 90
    assert [line_name(name) for name in ("PJSIP/sales-0000001f", "SIP/x", "")] == ["PJSIP/sales", "SIP/x", ""]
    russian = translations("ru")
    assert [cause(number, russian) for number in (17, 99, None)] == ["17, занято", "99", ""]
