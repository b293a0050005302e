"""A recording is heard and seen on its call's page."""

from __future__ import annotations

import array
import math
import re
import wave
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.desk.conftest import Open
from tests.browser.desk.reader import Reader
from tests.browser.desk.service import RECORDINGS

SITE = "demo-clinic"  # the demonstration's site that records
SECONDS, RATE = 60, 8_000


def _recorded(tab: Reader) -> str:
    """A call that was recorded, the path of its page."""
    tab.go(f"/sites/{SITE}/calls?period=all&recording=true&status=answered")
    links: list[str] = tab.page.eval_on_selector_all(
        "main a[href]", "found => found.map(one => one.getAttribute('href'))"
    )
    return next(link for link in links if re.match(rf"/sites/{SITE}/calls/[^?/]+", link))


def _write(path: Path) -> None:
    """A tone that is silent in its first half."""
    path.parent.mkdir(parents=True)
    samples = array.array(
        "h", (int(12_000 * math.sin(n / 3)) if n > SECONDS * RATE / 2 else 0 for n in range(SECONDS * RATE))
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def test_a_recording_is_drawn_played_and_sought_in_by_clicks_and_keys(open_desk: Open, folder: Path) -> None:
    with open_desk() as tab:
        there, page = _recorded(tab), tab.page
        call = re.findall("/calls/([^?/]+)", there)[0]
        tab.go(there)
        expect(page.locator(".player")).to_have_text("The call was recorded, but the file is not here.")
        assert [one for one in tab.complaints if "404" not in one] == []
        tab.complaints.clear()  # the console tells of the file that is missing

        _write(folder / RECORDINGS / "pbxtrack" / f"{call}.wav")
        tab.go(there)
        wave_form = page.get_by_role("slider", name="Position")
        expect(wave_form).to_have_attribute("aria-valuetext", "0:00 / 1:00")
        assert page.locator(".wave path.rest").get_attribute("d")
        box = wave_form.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(wave_form).to_have_attribute("aria-valuenow", "30")
        wave_form.press("ArrowRight")
        expect(wave_form).to_have_attribute("aria-valuenow", "35")
        wave_form.press("Home")
        expect(wave_form).to_have_attribute("aria-valuenow", "0")
        page.get_by_role("button", name="2×").click()
        page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.wait_for_function("() => document.querySelector('audio').currentTime > 0.5")
        assert page.evaluate("() => document.querySelector('audio').playbackRate") == 2
        assert tab.faults() == []


def test_without_script_there_are_the_browsers_own_controls(open_desk: Open) -> None:
    with open_desk() as tab:
        there = _recorded(tab)
    with open_desk(java_script_enabled=False) as tab:
        tab.go(there)
        expect(tab.page.locator("audio[controls]")).to_have_count(1)
