"""The call log under somebody's hands: keys, filters, and rows that come while it is open.

The stream of calls is played here, so that it can break; tests/asterisk/test_desk.py hears the real one.
"""

from __future__ import annotations

import re

from playwright.sync_api import Page, Request, expect

from tests.browser.desk.conftest import Open
from tests.browser.desk.service import SITE

CALLS = f"/sites/{SITE}/calls"
_PLAYED = """
window.streams = [];
window.EventSource = class extends EventTarget {
  static CLOSED = 2;
  constructor(url) { super(); this.url = url; this.readyState = 1; window.streams.push(this); }
  close() { this.readyState = 2; }
};
window.say = (type, data) => streams.at(-1).dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data ?? {}) }));
Object.defineProperty(document, "hidden", { get: () => Boolean(window.away) });
window.leave = (away) => { window.away = away; document.dispatchEvent(new Event("visibilitychange")); };
"""
_CHOSEN = (
    "() => [...document.querySelectorAll('#calls tbody tr')].findIndex(row => row.contains(document.activeElement))"
)


def ids(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all("#calls tbody tr", "rows => rows.map(row => row.dataset.call)")
    return found


def test_rows_come_change_and_go_in_their_places(open_desk: Open) -> None:
    with open_desk() as tab:
        page = tab.page
        page.add_init_script(_PLAYED)
        asked: list[str] = []

        def note(request: Request) -> None:
            if "/calls.rows" in request.url:
                asked.append(request.url.partition("calls.rows")[2])

        page.on("request", note)
        tab.go(f"{CALLS}?period=all&target=true")
        before, sign = ids(page), page.locator(".live")
        expect(sign).to_be_hidden()
        page.evaluate("say('open')")
        expect(sign).to_have_text("live")

        page.evaluate("document.querySelectorAll('#calls tbody tr')[3].remove()")  # one that is not shown yet
        page.evaluate("id => [1, 2, 3].forEach(() => say('call', { id }))", before[3])
        expect(page.locator("#calls tbody tr")).to_have_count(len(before))
        assert ids(page) == before
        assert len(asked) == 1
        expect(page.locator("#announced")).to_have_text(re.compile(r"^Answered: .+"))

        # What it says fits no more: a target that is none now.
        page.evaluate(
            "document.querySelectorAll('#calls tbody tr')[1].dataset.call = 'gone'; say('call', {id: 'gone'})"
        )
        expect(page.locator("[data-call=gone]")).to_have_count(0)

        page.keyboard.press("j")
        page.evaluate("() => say('reload')")
        expect(page.locator("#calls tbody tr")).to_have_count(len(before))
        assert ids(page) == before
        assert page.evaluate(_CHOSEN) == 0
        assert [("id=" in query, "target=true" in query) for query in asked] == [
            (True, True),
            (True, True),
            (False, True),
        ]


def test_a_lost_connection_is_told_and_a_page_in_the_background_holds_none(open_desk: Open) -> None:
    with open_desk() as tab:
        page = tab.page
        page.add_init_script(_PLAYED)
        tab.go(f"{CALLS}?period=all")
        whole, sign = ids(page), page.locator(".live")
        page.evaluate("say('open')")
        page.evaluate("say('error')")
        expect(sign).to_have_text("not live: connecting again")
        page.evaluate("say('open')")
        expect(sign).to_have_text("live")
        page.evaluate("leave(true)")
        assert page.evaluate("streams.map(stream => stream.readyState)") == [2]
        page.evaluate("document.querySelector('#calls tbody tr').remove()")  # it came meanwhile
        page.evaluate("leave(false)")
        expect(page.locator("#calls tbody tr")).to_have_count(len(whole))
        assert ids(page) == whole
        assert page.evaluate("streams.map(stream => stream.readyState)") == [2, 1]

        tab.go(f"{CALLS}?from=2020-01-01&to=2020-01-02")  # over: nothing will come
        assert page.evaluate("streams.length") == 0


def test_keys_move_open_and_search_and_leave_fields_alone(open_desk: Open) -> None:
    with open_desk() as tab:
        page = tab.page
        tab.go(f"{CALLS}?period=all")
        chosen = []
        for key in ("ArrowDown", "j", "j", "ArrowDown", "k", "ArrowUp", "k"):
            page.keyboard.press(key)
            chosen.append(page.evaluate(_CHOSEN))
        assert chosen == [-1, 0, 1, 2, 1, 0, 0]  # arrows scroll until a call is chosen
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_be_hidden()
        page.keyboard.press("/")
        page.keyboard.type("j?/k")
        expect(page.get_by_role("searchbox")).to_have_value("j?/k")
        page.get_by_role("searchbox").fill("")
        page.locator("h1").click()
        page.keyboard.press("j")
        first = ids(page)[0]
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(re.escape(f"{CALLS}/{first}")))


def test_filters_are_chosen_kept_by_a_name_and_taken_away(open_desk: Open) -> None:
    with open_desk() as tab:
        page = tab.page
        tab.go(f"{CALLS}?period=all")
        page.locator("summary", has_text="Status").click()
        page.get_by_label("Busy").check()
        page.locator("details[open] button").click()
        page.wait_for_url("**/calls?period=all&status=busy")
        page.locator("summary", has_text="More filters").click()
        page.get_by_label("Missed calls").select_option(label="Not called back")
        page.locator("details[open] button").click()
        page.wait_for_url("**/calls?period=all&status=busy&unsettled=true")  # without the fields left empty
        expect(page.locator(".chip")).to_have_count(2)
        page.locator("summary", has_text="Views").click()
        page.get_by_label("Name").fill("Engaged")
        page.get_by_role("button", name="Save this view").click()
        page.locator("summary", has_text="Views").click()
        expect(page.get_by_role("link", name="Engaged")).to_have_attribute("aria-current", "true")
        page.keyboard.press("Escape")
        page.locator(".chip", has_text="Busy").click()
        page.wait_for_url("**/calls?period=all&unsettled=true")
        page.locator("#calls tbody tr").nth(1).locator("td").nth(2).click()
        page.wait_for_url(re.compile(rf"{CALLS}/.+"))


def test_on_a_phone_a_call_is_seen_whole_and_filters_are_behind_a_button(open_desk: Open) -> None:
    with open_desk(viewport={"width": 390, "height": 844}) as tab:
        page = tab.page
        tab.go(f"{CALLS}?period=all&unsettled=true")
        log = page.locator(".calls .scroll")
        assert log.evaluate("box => box.scrollWidth <= box.clientWidth")
        row = page.get_by_role("row").nth(1)  # after the heads
        expect(row.get_by_role("rowheader")).to_be_visible()
        expect(row.get_by_role("cell", name="not called back")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("columnheader", name="Status")).to_have_count(1)
        status = page.locator("summary", has_text="Status")
        expect(status).to_be_hidden()
        page.locator("summary", has_text=re.compile("^Filters$")).click()
        status.click()
        page.get_by_label("Busy").check()
        assert tab.faults() == []
