"""However the number is written on the page, the leased one is written so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import OpenTab
from tests.browser.pages import Tab
from tests.browser.website import ODD_EMAIL, Website

NBSP = "\u00a0"

# What stands on the page, and what is to stand there, with {nn} for the last two digits of the leased number: it is one
# of +7 495 123-01-00 to 123-01-99, the company's is +7 495 123-45-67.
SAME_FORMAT = {
    "national": ("8 (495) 123-45-67", "8 (495) 123-01-{nn}"),
    "international": ("+7 (495) 123-45-67", "+7 (495) 123-01-{nn}"),
    "spaces": ("+7 495 123 45 67", "+7 495 123 01 {nn}"),
    "dashes": ("8-495-123-45-67", "8-495-123-01-{nn}"),
    "dots": ("+7.495.123.45.67", "+7.495.123.01.{nn}"),
    "compact": ("84951234567", "849512301{nn}"),
    "E.164": ("+74951234567", "+749512301{nn}"),
    "no plus": ("7 495 123-45-67", "7 495 123-01-{nn}"),
    "area code only": ("(495) 123-45-67", "(495) 123-01-{nn}"),
    "bare": ("4951234567", "49512301{nn}"),
    "NBSP": (f"8{NBSP}(495){NBSP}123-45-67", f"8{NBSP}(495){NBSP}123-01-{{nn}}"),
    "no-break hyphens": ("8 (495) 123‑45‑67", "8 (495) 123‑01‑{nn}"),
    "en dashes": ("8 (495) 123–45–67", "8 (495) 123–01–{nn}"),
    "thin spaces": ("+7\u2009495\u2009123\u200945\u200967", "+7\u2009495\u2009123\u200901\u2009{nn}"),
    "two groups": ("8 (495) 1234567", "8 (495) 12301{nn}"),
    "00": ("007 495 123-45-67", "007 495 123-01-{nn}"),
    "in a sentence": ("Звоните: 8 (495) 123-45-67, ежедневно.", "Звоните: 8 (495) 123-01-{nn}, ежедневно."),
    "after a word": ("тел.8(495)123-45-67", "тел.8(495)123-01-{nn}"),
    "with hours": ("с 9 до 21, 8 (495) 123-45-67 10:00–20:00", "с 9 до 21, 8 (495) 123-01-{nn} 10:00–20:00"),
    "with an extension": ("+7 (495) 123-45-67 доб. 12", "+7 (495) 123-01-{nn} доб. 12"),
    "twice": ("8 (495) 123-45-67, +74951234567", "8 (495) 123-01-{nn}, +749512301{nn}"),
    "after another number": ("8 812 555-00-00 8 495 123-45-67", "8 812 555-00-00 8 495 123-01-{nn}"),
    "beside another number": ("8-495-123-45-67/8-812-555-00-00", "8-495-123-01-{nn}/8-812-555-00-00"),
    "bold part": ("<b>+7 (495)</b> 123-45-67", "<b>+7 (495)</b> 123-01-{nn}"),
    "a tag a group": (
        "<span>8</span><span>495</span><span>123</span><i>45</i><em>67</em>",
        "<span>8</span><span>495</span><span>123</span><i>01</i><em>{nn}</em>",
    ),
    "tags in tags": (
        "<span>+7 <small>(<b>495</b>)</small></span>\n  <strong>123-<u>45</u>-67</strong>",
        "<span>+7 <small>(<b>495</b>)</small></span>\n  <strong>123-<u>01</u>-{nn}</strong>",
    ),
    "comments between": ("8 (495) <!-- -->123-<!-- -->45-67", "8 (495) <!-- -->123-<!-- -->01-{nn}"),
    "beside a badge": ("<b>3</b><a>8 (495) 123-45-67</a><b>5</b>", "<b>3</b><a>8 (495) 123-01-{nn}</a><b>5</b>"),
    "the second number": ("8 (800) 555-35-35", "8 (495) 123-01-{nn}"),
    "tel:": ('<a href="tel:+74951234567">call</a>', '<a href="tel:+749512301{nn}">call</a>'),
    "tel: as written": ('<a href="tel:8(495)123-45-67">call</a>', '<a href="tel:8(495)123-01-{nn}">call</a>'),
    "tel: encoded": ('<a href="tel:+7%20(495)%20123-45-67">call</a>', '<a href="tel:+7 (495) 123-01-{nn}">call</a>'),
    "TEL:": ('<a href="TEL:84951234567">call</a>', '<a href="TEL:849512301{nn}">call</a>'),
    "aria-label": (
        '<a aria-label="Позвонить 8 (495) 123-45-67">✆</a>',
        '<a aria-label="Позвонить 8 (495) 123-01-{nn}">✆</a>',
    ),
    "title": ('<i title="+7 495 123-45-67">?</i>', '<i title="+7 495 123-01-{nn}">?</i>'),
    "alt": ('<img alt="8 495 123 45 67">', '<img alt="8 495 123 01 {nn}">'),
    "hidden": ('<span hidden="">8 (495) 123-45-67</span>', '<span hidden="">8 (495) 123-01-{nn}</span>'),
    "a list": ("<ul><li>8 (495) 123-45-67</li></ul>", "<ul><li>8 (495) 123-01-{nn}</li></ul>"),
    "React's root": (
        '<div id="root"><div><p>8 (495) 123-45-67</p></div></div>',
        '<div id="root"><div><p>8 (495) 123-01-{nn}</p></div></div>',
    ),
}

LEFT_ALONE = {
    "a longer number": "1749512345678",
    "a longer number's end": "174951234567",
    "a longer number's beginning": "849512345678",
    "a longer grouped number": "8-495-123-45-67-89",
    "another country's number": "+1 (495) 123-45-67",
    "another country's number in full": "+84951234567",
    "another country's number in tags": "<b>+1</b> <span>(495) 123-45-67</span>",
    "a number of an order": "№84951234567, order=84951234567, A84951234567",
    "another country's number with a trunk prefix": "+44 8 495 123 45 67",
    "a number of a list": "№ 8 495 123-45-67 12",
    "an order with a dash": "order-84951234567",
    "two numbers' ends": "8 (495) 123-45-67/68",
    "an address": "https://wa.me/74951234567",
    "a mail address": "84951234567@mail.example",
    "half in one block": "<p>8 (495)</p><p>123-45-67</p>",
    "cells of a table": "<table><tbody><tr><td>8495</td><td>1234567</td></tr></tbody></table>",
    "two lines": "8495<br>1234567",
    "noswap": '<p noswap="">8 (495) 123-45-67 <a href="tel:+74951234567">call</a></p>',
    "JSON-LD": '<script type="application/ld+json">{"telephone": "+7 495 123-45-67"}</script>',
    "a text field": '<textarea>8 (495) 123-45-67</textarea><input value="8 (495) 123-45-67">',
    "a field's title": '<input title="8 (495) 123-45-67" alt="8 (495) 123-45-67">',
    "a result": "<output>8 (495) 123-45-67</output>",
    "choices": "<datalist><option>8 (495) 123-45-67</option></datalist>",
    "an editor": '<div contenteditable="">8 (495) 123-45-67</div>',
    "noscript": "<noscript>8 (495) 123-45-67</noscript>",
    "a style": "<style>a::after { content: '8 (495) 123-45-67' }</style>",
    "WhatsApp": '<a href="https://wa.me/74951234567">+7 495 123-45-67</a>',
    "a message": '<a href="sms:+74951234567">8 (495) 123-45-67</a>',
    "Telegram": '<a href="https://t.me/+74951234567">write</a>',
    "a data attribute": '<a data-phone="+74951234567">call</a>',
    "somebody else's number": "8 (495) 123-45-68, +7 (812) 123-45-67",
}

MAIL = {
    "text": ("Write to sales@shop.example.", "Write to sales+x@shop.example."),
    "mailto:": ('<a href="mailto:sales@shop.example">write</a>', '<a href="mailto:sales+x@shop.example">write</a>'),
    "with a subject": (
        '<a href="mailto:Sales@Shop.example?subject=%D0%97%D0%B0">write</a>',
        '<a href="mailto:sales+x@shop.example?subject=%D0%97%D0%B0">write</a>',
    ),
    "another's": ("presales@shop.example sales@shop.example.org", "presales@shop.example sales@shop.example.org"),
}


@pytest.fixture(scope="module")
def page(open_tab: OpenTab, served: Website) -> Iterator[Tab]:
    """One page with all of it, each in a section of its own."""
    sections = [
        *(f"<section>{written}</section>" for written, _ in SAME_FORMAT.values()),
        *(f"<section>{written}</section>" for written in LEFT_ALONE.values()),
    ]
    served.reset()  # the tests come in any order, and the one before may have amended the answers
    with open_tab() as tab:
        tab.visit(served.put("".join(sections), path="/formats"))
        tab.settled()
        yield tab


def section(page: Tab, index: int, picture: Path) -> str:
    """The HTML of a section, which is photographed."""
    element = page.page.locator("section").nth(index)
    element.evaluate("(element) => element.style.minHeight = '2rem'")
    element.screenshot(path=picture, caret="initial")
    return element.inner_html()


@pytest.mark.parametrize(("index", "name"), list(enumerate(SAME_FORMAT)), ids=SAME_FORMAT)
def test_the_number_is_swapped_in_its_own_format(page: Tab, picture: Path, index: int, name: str) -> None:
    _, expected = SAME_FORMAT[name]
    assert section(page, index, picture) == expected.replace("{nn}", page.leased()[-2:]).replace(NBSP, "&nbsp;")


@pytest.mark.parametrize(("index", "name"), list(enumerate(LEFT_ALONE, len(SAME_FORMAT))), ids=LEFT_ALONE)
def test_what_is_not_the_number_or_takes_no_call_is_left_alone(page: Tab, picture: Path, index: int, name: str) -> None:
    assert section(page, index, picture) == LEFT_ALONE[name]


@pytest.mark.parametrize(("written", "expected"), MAIL.values(), ids=MAIL)
def test_mail_addresses_are_swapped(tab: Tab, site: Website, written: str, expected: str) -> None:
    site.amended = {"email": "sales+x@shop.example"}
    tab.visit(site.put(f"<main>{written}</main>"))
    assert tab.html("main") == expected


def test_an_address_is_meant_letter_by_letter(tab: Tab, site: Website) -> None:
    site.amended = {"email": "new@shop.example"}
    tab.visit(site.put(f"<p>{ODD_EMAIL}</p><i>aab.c@shop.example xa+b.c@shop.example</i>", head=site.tag(key="odd")))
    assert tab.text("p") == "new@shop.example"
    assert tab.text("i") == "aab.c@shop.example xa+b.c@shop.example"


@pytest.mark.parametrize(
    ("number", "display", "written", "expected"),
    [
        pytest.param("+78005550199", "8 (800) 555-01-99", "+7 (495) 123-45-67", "+7 (800) 555-01-99", id="same split"),
        pytest.param(
            "+74832550199", "8 (4832) 55-01-99", "8 (495) 123-45-67", "8 (4832) 55-01-99", id="another area code length"
        ),
        pytest.param("+74832550199", "8 (4832) 55-01-99", "84951234567", "84832550199", id="compact"),
        pytest.param(
            "+442079460958", "+44 20 7946 0958", "<b>8</b> (495) 123-45-67", "<b>+44 20 7946 0958</b>", id="abroad"
        ),
        pytest.param("+442079460958", "+44 20 7946 0958", "(495) 123-45-67!", "+44 20 7946 0958!", id="in brackets"),
    ],
)
def test_a_number_that_does_not_fit_the_format_is_shown_in_its_own(
    tab: Tab, site: Website, number: str, display: str, written: str, expected: str
) -> None:
    site.amended = {"number": number, "display": display}
    tab.visit(site.put(f"<main>{written}</main>"))
    assert tab.html("main") == expected
