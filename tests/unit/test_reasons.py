"""Why a call is attributed as it is, read back from what is kept, and said in another language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from markupsafe import escape

from pbxtrack.calls import reasons
from pbxtrack.calls.attribution import attribute
from pbxtrack.calls.evidence import Resolution
from pbxtrack.calls.reasons import TEMPLATES, Said, read
from pbxtrack.dashboard.languages import Format, translations
from pbxtrack.dashboard.templates import environment
from pbxtrack.dashboard.why import why
from pbxtrack.pool.model import NumberKind, NumberOwner
from tests.unit.test_attribution import CALLER, DAY, HOUR, MINUTE, NOW, NUMBER, SITE, earlier, holder, known

STATIC = NumberOwner(NUMBER, 2, NumberKind.STATIC, SITE, channel="Щит, M4: (5%) – \n next")
OVERFLOW = NumberOwner(NUMBER, 3, NumberKind.OVERFLOW, SITE)
LATIN = re.compile(r"[A-Za-z]{2,}")


def decisions() -> Iterator[tuple[str, Resolution]]:
    """A call of each kind that is decided in a way of its own, with the template that says so."""
    keen = holder("keen", 3 * HOUR, taps=(NOW - 3 * HOUR + MINUTE,))
    left = holder("left", 5 * MINUTE, 2 * MINUTE, left_at=NOW - MINUTE)
    yield reasons.NOT_OURS, replace(known(), owner=None)
    yield reasons.STATIC, replace(known(), owner=STATIC)
    yield reasons.HELD, known(holder("open", 2 * MINUTE, -MINUTE))
    yield reasons.HELD, known(left)
    yield reasons.HELD, known(holder("one", MINUTE, MINUTE / 60), holder("two", 10 * MINUTE))
    yield reasons.HELD, known(*(holder(name, 3 * MINUTE) for name in ("one", "two", "three")))
    yield reasons.HELD_LAST, known(holder("gone", HOUR, HOUR, taps=(NOW - HOUR,)))
    yield reasons.LIKELIEST, known(holder("later", 2 * HOUR), keen)
    yield reasons.OVERFLOW, replace(known(holder("keen", 10 * MINUTE, taps=(NOW - MINUTE / 6,))), owner=OVERFLOW)
    again = [earlier(DAY, CALLER, ("first", 0.99))]
    yield reasons.AGAIN, known(holder("first", 2 * DAY), calls=again)
    doubtful = [earlier(DAY, CALLER, ("first", 0.7), ("second", 0.2))]
    yield reasons.AGAIN_LIKELIEST, known(holder("first", 2 * DAY), holder("second", 3 * DAY), calls=doubtful)
    told = [replace(earlier(DAY, CALLER, ("first", 1.0)), told="Радио <b>")]
    yield reasons.AGAIN_TOLD, known(holder("first", 2 * DAY), calls=told)
    yield reasons.AGAIN_NOBODY, known(holder("present", 5 * HOUR), calls=[earlier(DAY, CALLER)])
    yield reasons.NEVER_SHOWN, known()
    yield reasons.OVERFLOW_UNKNOWN, replace(known(holder("before", 60 * DAY)), owner=OVERFLOW)
    yield reasons.NOBODY, known(holder("before", 60 * DAY))


DECISIONS = list(decisions())
STORED = [
    (reasons.NOT_YET, reasons.NOT_YET),
    (reasons.OUTBOUND, reasons.OUTBOUND),
    (reasons.CORRECTED, reasons.CORRECTED % {"by": "Анна", "channel": "Радио"}),
    (reasons.CORRECTED_UNKNOWN, reasons.CORRECTED_UNKNOWN % {"by": "Анна", "channel": "Радио"}),
    (reasons.CORRECTED_FROM, reasons.CORRECTED_FROM % {"by": "Анна", "channel": "Радио", "instead": "Щит"}),
    (reasons.ADDRESS_STATIC, reasons.ADDRESS_STATIC % {"channel": "Щит"}),
    (reasons.ADDRESS_MADE_OLD, reasons.ADDRESS_MADE_OLD % {"ago": "91 days"}),
    (reasons.ADDRESS_HELD_LAST, reasons.ADDRESS_HELD_LAST % {"ago": "1 hour"}),
    *(
        (one, one)
        for one in (
            reasons.ADDRESS_MADE,
            reasons.ADDRESS_HELD,
            reasons.ADDRESS_NEVER_SHOWN,
            reasons.ADDRESS_MAILBOX,
            reasons.ADDRESS_UNKNOWN,
        )
    ),
]


def plain(said: Said) -> str:
    """The English sentence, made of what was read of it."""
    values = {
        name: plain(value) if isinstance(value, Said) else f"{value}%" if name == "share" else value or ""
        for name, value in said.values.items()
    }
    if isinstance(said.template, str):
        return said.template % values
    one = said.values["n"] == 1 and said.template is not reasons.SECONDS
    return (said.template.one if one else said.template.many) % said.values


def test_a_call_of_every_kind_is_here() -> None:
    made = {template for template, _ in DECISIONS} | {template for template, _ in STORED}
    assert made == set(TEMPLATES)
    signs = "".join(attribute(resolution).why for _, resolution in DECISIONS)
    for sign in ("tapped or copied", "was closed", "was open during", "last sign of life", "1 other may", "2 others"):
        assert sign in signs


@pytest.mark.parametrize(
    ("template", "sentence"), [*((one, attribute(known).why) for one, known in DECISIONS), *STORED]
)
def test_what_is_kept_is_read_back_and_said_in_russian(template: str, sentence: str) -> None:
    said = read(sentence)
    assert said is not None
    assert (said.template, plain(said)) == (template, sentence)
    shown = why(sentence, translations("ru"), Format("ru", "Europe/Moscow", "RU"))
    text = shown.striptags().replace("Asterisk", "").replace("next", "")
    assert not LATIN.search(text), text
    assert "<b>" not in shown


def test_lengths_of_time_are_said_in_their_greatest_unit() -> None:
    spans = [timedelta(seconds=n) for n in (-5, 0, 1, 59, 60, 119, 120, 3_600, 7_200, 86_400, 200_000)]
    assert [reasons.ago(span) for span in spans] == [
        "0 seconds", "0 seconds", "1 seconds", "59 seconds", "1 minute", "1 minute", "2 minutes", "1 hour", "2 hours",
        "1 day", "2 days",
    ]  # fmt: skip
    russian = Format("ru", "UTC", "RU")
    sentence = f"The number was held for this visit; {reasons.LAST_SIGN % {'ago': '21 seconds'}}."
    told = why(sentence, translations("ru"), russian)
    assert "за 21 секунду до звонка" in told


def test_how_sure_is_told_in_percents_that_are_reached() -> None:
    shares = (0, 0.4999, 0.5, 0.8999, 0.9, 0.9999, 1)
    assert [reasons.percents(share) for share in shares] == [0, 49, 50, 89, 90, 99, 100]
    assert [reasons.percents(whole / 100) for whole in range(101)] == [*range(101)]
    assert Format("en", "UTC", "RU").sure(0.8999) == "89%"


@pytest.mark.parametrize("seconds", [0.4, 5.7, 59.9, 119.9])
def test_the_table_of_candidates_tells_the_same_time_as_the_reason(seconds: float) -> None:
    last: Any = environment("en").get_template("call_parts.html").module
    told = last.last(Format("en", "UTC", "RU"), {"kind": "tap", "seconds": seconds})
    number = reasons.ago(timedelta(seconds=seconds)).split()[0]
    assert told.startswith(f"tapped the number {number}\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "Somebody knew better in a version to come.",
        "The number was held for this visit; the moon was full.",
        "The number was held for this visit; the page was closed 99999999999 seconds before the call.",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_what_is_of_no_template_is_shown_as_it_is(sentence: str) -> None:
    assert read(sentence) is None
    shown = why(sentence, translations("ru"), Format("ru", "UTC", "RU"))
    assert shown == f"<bdi>{escape(sentence)}</bdi>"
