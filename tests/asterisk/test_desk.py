"""A manager at the desk while the telephone rings: real calls, in a real browser, as they happen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.asterisk.service import Pbxtrack
from tests.asterisk.shop import shop
from tests.browser.conftest import AGENT, ARTEFACTS, launched
from tests.sound import SILENT, loudness

SITE = "/sites/recorded"
NUMBER = "+74951230006"
SOON = 1.0  # s from ringing until the page shows it

# Notes when each status of a call is first seen, by the browser's clock, which is the machine's.
_WATCH = """() => {
  window.seen = {};
  const look = () => {
    for (const sign of document.querySelectorAll("#calls .status"))
      for (const name of sign.classList) window.seen[name] ??= Date.now() / 1000;
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""

_AUDIO = "document.querySelector('audio')"
# How high each line of the waveform is, of 100; without sound they are 2.
_HEIGHTS = """() => [...document.querySelector(".wave path.rest").getAttribute("d").matchAll(/h0.7v([\\d.]+)/g)]
  .map(found => Number(found[1]))"""
_DRAWN = f"() => document.querySelector('.wave path.rest') && Math.max(...({_HEIGHTS})()) > 2"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def password(service: Pbxtrack) -> str:
    made = json.loads(service.command("user", "add", "ann", "--generate", "--json"))
    return str(made["password"])


OpenDesk = Callable[[str], Page]


@pytest.fixture
def open_desk(chromium: Browser, pbxtrack: Pbxtrack, password: str) -> Iterator[OpenDesk]:
    """Opens the desk in a language, logged in by the form. At the end no console may hold a complaint."""
    contexts, complaints = [], []

    def opened(language: str) -> Page:
        context = chromium.new_context(
            base_url=pbxtrack.url, locale=language, viewport={"width": 1280, "height": 900}, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/login")
        page.fill("[name=name]", "ann")
        page.fill("[name=password]", password)
        page.click("button.main")
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def keep(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"desk.{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("Ringing", "Talking", "Answered")), ("ru", ("Звонит", "Разговор", "Отвечен"))],
)
def test_a_call_is_seen_as_it_rings_is_answered_and_ends(
    pbxtrack: Pbxtrack, open_desk: OpenDesk, language: str, words: tuple[str, str, str]
) -> None:
    page = open_desk(language)
    page.goto(f"{SITE}/calls?period=today")
    expect(page.locator(".live")).to_be_visible()
    page.evaluate(_WATCH)
    with ThreadPoolExecutor() as beside:
        call = beside.submit(pbxtrack.lab.call, from_=pbxtrack.caller, to=NUMBER, ring=2.0, talk=3.0)
        first = page.locator("#calls tbody tr").first
        expect(first.locator(".status")).to_have_text(words[0], timeout=10_000)
        keep(page, f"ringing.{language}")
        expect(first.locator(".status")).to_have_text(words[1], timeout=10_000)
        keep(page, f"talking.{language}")
        expect(first.locator(".status")).to_have_text(words[2], timeout=10_000)
        seen: dict[str, Any] = page.evaluate("() => window.seen")
        result = call.result(30)
    assert result.ringing_at is not None
    assert result.answered_at is not None
    assert result.ended_at is not None
    late = {
        "ringing": seen["ringing"] - result.ringing_at,
        "talking": seen["talking"] - result.answered_at,
        "answered": seen["answered"] - result.ended_at,
    }
    assert max(late.values()) < SOON, late
    assert re.sub(r"\D", "", first.inner_text()).find(pbxtrack.caller[-7:]) >= 0


def test_what_was_said_is_seen_heard_sought_in_and_kept(
    pbxtrack: Pbxtrack, open_desk: OpenDesk, tmp_path: Path
) -> None:
    seen, call = pbxtrack.place(to=NUMBER, talk=6.5, audio=True)
    for language, position, play, pause, download in (
        ("en", "Position", "Play", "Pause", "Download"),
        ("ru", "Место записи", "Слушать", "Пауза", "Скачать"),
    ):
        page = open_desk(language)
        page.goto(f"{SITE}/calls?period=today")
        page.locator(f"#calls [data-call='{call['id']}'] a").first.click()
        wave = page.get_by_role("slider", name=position)
        page.wait_for_function(_DRAWN)
        high: list[float] = page.evaluate(_HEIGHTS)
        assert max(high) > 20
        assert sum(height > 5 for height in high) > len(high) / 2
        expect(wave).to_have_attribute("aria-valuetext", re.compile(r"^0:00 / 0:0[67]$"))  # six seconds and a half
        page.get_by_role("button", name=play, exact=True).click()
        expect(page.get_by_role("button", name=pause, exact=True)).to_be_visible()
        page.wait_for_function(f"() => {_AUDIO}.currentTime > 0.3")
        box = wave.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
        # Played are the beginning and, after a gap, what is behind the click.
        page.wait_for_function(f"() => {_AUDIO}.played.length === 2 && {_AUDIO}.played.end(1) > 5.0")
        assert page.evaluate(f"() => {_AUDIO}.played.start(1)") == pytest.approx(0.75 * seen.talk_seconds, abs=0.5)
        keep(page, f"heard.{language}")
        page.wait_for_function(f"() => {_AUDIO}.ended")
        with page.expect_download() as taken:
            page.get_by_role("link", name=download, exact=True).click()
        kept = tmp_path / taken.value.suggested_filename
        taken.value.save_as(kept)
        assert kept.suffix == ".wav"
        loud = loudness(kept.read_bytes())
        assert len(loud) * 0.2 == pytest.approx(seen.talk_seconds, abs=0.5)
        # The line alone talks for 4.1 of these seconds.
        assert sum(part > SILENT for part in loud) > 0.75 * len(loud), loud


def test_a_site_made_at_the_desk_swaps_its_number_and_its_calls_are_told(
    pbxtrack: Pbxtrack, open_desk: OpenDesk, chromium: Browser
) -> None:
    page = open_desk("en")
    page.goto("/new-site")
    for field, value in (
        ("name", "Oak & Sons"),
        ("key", "oaks"),
        ("line", "PJSIP/sales"),
        ("timezone", "Europe/Moscow"),
        ("origins", f"http://{pbxtrack.lab.addresses.website}"),
        ("replace", "8 (495) 123-45-67"),
        ("numbers", "8 495 900-01-00..+74959000109"),
    ):
        page.fill(f"[name={field}]", value)
    keep(page, "new-site")
    page.click("main button.main")
    expect(page.locator("code, pre").filter(has_text="/s/oaks.js").first).to_be_visible()
    keep(page, "script")
    with shop(pbxtrack.lab, pbxtrack.url, "oaks") as website:
        visitor = chromium.new_context(user_agent=AGENT).new_page()
        visitor.goto(f"{website}/?utm_source=yandex&utm_medium=cpc&utm_campaign=oaks")
        visitor.wait_for_function("() => window.pbxtrack?.lease?.number")
        number: str = visitor.evaluate("() => pbxtrack.lease.number")
        assert number.startswith("+7495900010")
        assert number[8:10] + "-" + number[10:] in visitor.locator("header .phone").inner_text()
        visitor.context.close()
    pbxtrack.place(to=number)
    page.goto("/sites/oaks/calls?period=today")
    row = page.locator("#calls tbody tr").first
    expect(row).to_contain_text("oaks")
    keep(page, "calls-of-a-new-site")
