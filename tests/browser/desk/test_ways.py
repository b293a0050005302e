"""The ways that people go through the desk."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.desk.conftest import Open
from tests.browser.desk.reader import Reader
from tests.browser.desk.service import NAME, SITE

OVERVIEW, NUMBERS = f"/sites/{SITE}", f"/sites/{SITE}/numbers"
TEXTS = {
    "en-GB": ("Name or password is wrong.", "Calls", "Log out"),
    "ru-RU": ("Неверное имя или пароль.", "Звонки", "Выйти"),
}


@pytest.mark.parametrize("language", list(TEXTS))
def test_somebody_logs_in_reads_and_logs_out(open_desk: Open, language: str) -> None:
    wrong, calls, log_out = TEXTS[language]
    with open_desk(known=False, locale=language) as tab:
        tab.go(OVERVIEW)
        tab.log_in("not the password")
        expect(tab.page.get_by_role("alert")).to_have_text(wrong)
        assert len(tab.complaints) == 1, "the browser tells of the answer 401"
        tab.complaints.clear()
        tab.log_in()
        assert tab.page.url.endswith(OVERVIEW)
        expect(tab.page.get_by_role("link", name=calls, exact=True).first).to_be_visible()
        tab.page.get_by_text(NAME, exact=True).click()
        tab.page.get_by_role("button", name=log_out).click()
        expect(tab.page.locator("[name=password]")).to_be_visible()
        assert "/login" in tab.go(OVERVIEW).url


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_figure_leads_to_its_calls(open_desk: Open, script: bool) -> None:
    with open_desk(java_script_enabled=script) as tab:
        tab.go(OVERVIEW)
        channel = tab.page.locator("[aria-labelledby=channels] tbody tr").first
        name, count = channel.locator("th").inner_text(), channel.locator("td").first.inner_text()
        channel.get_by_role("link").click()
        expect(tab.page.get_by_role("heading", name="Calls")).to_be_visible()
        expect(tab.page.locator("main")).to_contain_text(name)
        rows = tab.page.locator("main table tbody tr")
        assert 0 < rows.count() <= int(count.replace(",", ""))
        for shown in rows.all_inner_texts():
            assert name in shown


def test_menus_are_opened_and_closed_by_keys(open_desk: Open) -> None:
    with open_desk() as tab:
        tab.go(OVERVIEW)
        tab.page.keyboard.press("Tab")
        expect(tab.page.get_by_role("link", name="Skip to the content")).to_be_focused()
        menu = tab.page.locator(".menu.period")
        menu.locator("summary").focus()
        tab.page.keyboard.press("Enter")
        expect(menu).to_have_attribute("open", "")
        tab.page.keyboard.press("Escape")
        expect(menu).not_to_have_attribute("open", "")
        expect(menu.locator("summary")).to_be_focused()


def test_a_number_is_found_and_leads_to_its_calls(open_desk: Open) -> None:
    with open_desk(java_script_enabled=False) as tab:
        tab.go(f"{NUMBERS}?period=12m")
        rows = tab.page.locator("[aria-labelledby=numbers] tbody tr")
        whole = rows.count()
        number = rows.first.locator("th").inner_text()
        tab.page.fill("[name=q]", number)
        tab.page.locator(".filter button").click()
        expect(rows).to_have_count(1)
        assert whole > 1
        assert "period=12m" in tab.page.url, "the days stay"
        expect(rows.locator("th")).to_have_text(number)
        rows.locator("td.n a").click()
        expect(tab.page.get_by_role("heading", name="Calls")).to_be_visible()


def _reckon(tab: Reader) -> None:
    tab.go(f"{NUMBERS}/size")
    tab.page.select_option("[name=days]", "30")
    tab.page.fill("[name=price]", "150")
    tab.page.get_by_role("button", name="Reckon").click()


def test_how_many_numbers_are_needed_comes_by_itself(open_desk: Open) -> None:
    with open_desk() as tab:
        _reckon(tab)
        expect(tab.page.get_by_role("status")).to_contain_text("is being replayed")
        assert tab.faults() == []
        table = tab.page.locator("[aria-labelledby=sizes] tbody tr")
        expect(table.filter(has_text="as now")).to_have_count(1, timeout=120_000)
        assert tab.faults() == []
        shown = table.filter(has_text="as now").inner_text()
        have = re.match(r"\d+", shown)
        assert have
        assert f"{int(have[0]) * 150:,}" in shown
