"""What brought a call is put right by clicks; its page, its history and the report of channels follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.desk.conftest import Open
from tests.browser.desk.reader import Reader
from tests.browser.desk.service import NAME, SITE

CALLS = f"/sites/{SITE}/calls"
REPORT = f"/sites/{SITE}/reports/channels?period=all&model=last"


@dataclass(frozen=True)
class Words:
    """What the desk says in a language."""

    brought: str
    correct: str
    this_one: str
    chosen: str
    take_back: str
    field: str
    computed: str
    found: str


WORDS = {
    "en-GB": Words(
        "What brought the call", "Correct", "It was this one", "✓ people say", "Take the correction back",
        "Attribution", "as computed", "Calls",
    ),
    "ru-RU": Words(
        "Что привело звонок", "Исправить", "Это он", "✓ указано вручную", "Отменить исправление",
        "Атрибуция", "по расчёту", "Звонки",
    ),
}  # fmt: skip


def reported(tab: Reader) -> Mapping[str, int]:
    """The report's calls, by channel. By the model in which a call counts for the visit that it is tied to."""
    tab.go(REPORT)
    rows = tab.page.locator("main table.rows tbody tr")
    pairs: list[list[str]] = rows.evaluate_all(
        "rows => rows.map(row => [row.querySelector('th').innerText, row.querySelector('td').innerText])"
    )
    return {name.strip(): int("".join(filter(str.isdecimal, count))) for name, count in pairs}


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> Mapping[str, int]:
    """By how many calls channels differ."""
    differ = {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}
    return {name: count for name, count in differ.items() if count}


def history(tab: Reader) -> list[list[str]]:
    """Who changed what, before, after; in the order of the page."""
    rows: list[list[str]] = tab.page.locator("[aria-labelledby=history] tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].map(cell => cell.innerText.trim()))"
    )
    return rows


def verdict(tab: Reader) -> Locator:
    return tab.page.locator(".verdict")


@pytest.mark.parametrize("language", list(WORDS))
def test_a_call_is_given_to_another_channel_and_back(open_desk: Open, picture: Path, language: str) -> None:
    words = WORDS[language]
    with open_desk(locale=language) as tab:
        page, before = tab.page, reported(tab)
        page.get_by_role("link", name="Billboard M4", exact=True).click()
        untouched = page.locator("#calls tbody tr").filter(has_not_text="✓")  # the demonstration has corrected calls
        untouched.first.locator("th a").click()
        expect(verdict(tab)).to_have_text("Billboard M4")
        there = page.url
        changes = len(history(tab))

        page.get_by_label(words.brought).fill("Avito")
        page.get_by_role("button", name=words.correct, exact=True).click()
        expect(page.get_by_role("status").first).to_be_visible()
        expect(verdict(tab)).to_have_text("Avito")
        expect(page.locator("[aria-labelledby=origin] .sure")).to_contain_text(words.chosen)
        assert [NAME, words.field, words.computed, "Avito"] in history(tab)
        assert tab.faults() == []
        page.screenshot(path=picture, full_page=True)
        assert moved(before, reported(tab)) == {"Billboard M4": -1, "Avito": 1}

        tab.page.goto(there)
        page.get_by_role("button", name=words.take_back).click()
        expect(verdict(tab)).to_have_text("Billboard M4")
        assert [NAME, words.field, "Avito", words.computed] in history(tab)
        assert len(history(tab)) == changes + 2
        assert reported(tab) == before


@pytest.mark.parametrize("language", list(WORDS))
def test_a_call_is_given_to_another_of_the_visits_before_it(open_desk: Open, picture: Path, language: str) -> None:
    words = WORDS[language]
    with open_desk(locale=language) as tab:
        page, before = tab.page, reported(tab)
        other = doubtful(tab, words)
        there, computed, channel = page.url, verdict(tab).inner_text(), other.locator("th > bdi").inner_text()

        other.get_by_role("button", name=words.this_one).click()
        expect(verdict(tab)).to_have_text(channel)
        chosen = page.locator("[aria-labelledby=candidates] tbody tr", has_text=words.chosen)
        expect(chosen.locator("th > bdi")).to_have_text(channel)
        ((who, what, was, became),) = [row for row in history(tab) if row[3].startswith(channel)][:1]
        assert (who, what, was) == (NAME, words.field, words.computed)
        begun = chosen.locator("td").first.inner_text().rpartition(",")[0]
        assert begun.rpartition(",")[2].strip() in became.removeprefix(channel)
        assert tab.faults() == []
        page.screenshot(path=picture, full_page=True)
        assert moved(before, reported(tab)) == {computed: -1, channel: 1}

        page.goto(there)
        page.get_by_role("button", name=words.take_back).click()
        expect(verdict(tab)).to_have_text(computed)
        assert reported(tab) == before


def doubtful(tab: Reader, words: Words) -> Locator:
    """Opens a call that is not surely of its channel; another channel's visit among those it may be of."""
    tab.go(f"{CALLS}?period=all")
    page, seen = tab.page, 0
    while True:
        log = page.url
        links: list[str] = page.locator("#calls tbody tr:has(.probable, .ambiguous) th a").evaluate_all(
            "links => links.map(link => link.getAttribute('href'))"
        )
        for link in links:
            tab.go(link)
            rows = page.locator("[aria-labelledby=candidates] tbody tr", has=page.get_by_role("button"))
            now = verdict(tab).inner_text()
            for index in range(rows.count()):
                if rows.nth(index).locator("th > bdi").inner_text() != now:
                    return rows.nth(index)
        page.goto(log)
        assert (seen := seen + 1) < 10, "a doubtful call is among the newest hundreds"
        page.locator("a[rel=next]").click()
