"""The demonstration's shop, under its strict policy, as visitors go through it."""

from __future__ import annotations

import pytest

from pbxtrack.demo.website import create_app
from tests.browser.pages import Tab, national
from tests.browser.test_situations import SHIFTS
from tests.browser.website import KEY, Website


@pytest.fixture(scope="module")
def shop(served: Website) -> str:
    return served.serve(create_app(served.api, KEY))


def test_the_first_page(tab: Tab, shop: str) -> None:
    tab.page.add_init_script(SHIFTS)
    number = tab.visit(shop)
    tab.settled()
    text = tab.page.locator("body").inner_text()
    assert f"8 {national(number)}" in text
    assert f"+7 {national(number)}" in text.replace("\u00a0", " ")
    assert text.count("123-45-67") == 1, "only the office's own, which is marked"
    assert "123 45 67" not in text.replace("\u00a0", " ")
    assert national(number) in (tab.attribute(".hero img", "alt") or "")
    assert tab.attribute(".call", "aria-label") == f"Call us: 8 {national(number)}"
    assert tab.page.evaluate("() => window.shifts") == 0


def test_the_contacts_keep_what_is_not_for_calls(tab: Tab, shop: str) -> None:
    number = tab.visit(f"{shop}/contacts")
    rows = tab.page.locator("td").all_inner_texts()
    assert rows == [
        f"+7 {number[2:5]} {national(number)[6:]}",
        f"{national(number)} ext. 12",
        number,
        "sales@shop.example",
        "WhatsApp +7 495 123-45-67",
        "St Petersburg, 8 (812) 555-01-23",
    ]
    assert '"telephone": "+7 495 123-45-67"' in tab.html("body")
    assert tab.attribute(".bottom a", "href") == f"tel:8-{number[2:5]}-{national(number)[6:]}"


def test_the_catalogue_comes_late_and_its_items_are_pages(tab: Tab, site: Website, shop: str) -> None:
    number = tab.visit(f"{shop}/catalogue")
    tab.page.click("text=Smoked tea, 100 g")
    assert tab.text(".order") == f"To order it, call 8 {national(number)} or write to sales@shop.example."
    told = site.until(lambda: site.signs("view"))
    assert told[0].body["page"] == f"{shop}/catalogue?item=tea-smoke"
    tab.page.click("text=Back to the catalogue")
    site.until(lambda: len(site.signs("view")) == 2)
    tab.page.go_back()
    assert tab.page.locator("#item h2").inner_text() == "Smoked tea, 100 g"
