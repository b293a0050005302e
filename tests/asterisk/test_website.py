"""From the page to the line: a number that a browser shows is dialled, and the call tells the pages seen before it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pbxtrack.demo.run import WEBSITE_KEY
from pbxtrack.lab import Lab
from tests.asterisk.service import Pbxtrack
from tests.asterisk.shop import shop
from tests.browser.conftest import AGENT, ARTEFACTS, launched

AD = "/?utm_source=yandex&utm_medium=cpc&utm_campaign=sofas&utm_term=oak+sofa&yclid=42"
COMPANY = "1234567"


@pytest.fixture(scope="module")
def website(asterisk: Lab, service: Pbxtrack) -> Iterator[str]:
    """The demonstration's website, with its site in force."""
    address = f"http://{asterisk.addresses.website}"
    text = files("pbxtrack.demo").joinpath("site.toml").read_text("utf-8")
    site = asterisk.root / "demo.toml"
    site.write_text(text.replace("http://127.0.0.1:8000", address), "utf-8")
    service.command("apply", "--force", str(site))
    with shop(asterisk, service.url, WEBSITE_KEY) as website:
        yield website


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A new visitor's tab, in whose console nothing may stand."""
    context = chromium.new_context(user_agent=AGENT, viewport={"width": 1100, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def leased(page: Page) -> str:
    page.wait_for_function("() => window.pbxtrack?.lease?.number")
    number: str = page.evaluate("() => pbxtrack.lease.number")
    return number


def keep(page: Page, name: str) -> Path:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    path = ARTEFACTS / f"website.{name}.png"
    page.screenshot(path=path, full_page=True)
    return path


def test_the_number_on_the_page_is_dialled_and_attributed(website: str, page: Page, pbxtrack: Pbxtrack) -> None:
    page.goto(website + AD, referer="https://yandex.ru/")
    number = leased(page)
    shown = f"({number[2:5]}) {number[5:8]}-{number[8:10]}-{number[10:12]}"
    assert page.locator(".hero p").inner_text().endswith(f"8 {shown}, any day.")
    assert page.locator("header .phone").get_attribute("href") == f"tel:{number}"
    keep(page, "home")
    page.goto(f"{website}/contacts")
    page.wait_for_function("() => window.pbxtrack?.lease?.number")
    keep(page, "contacts")
    _, logged = pbxtrack.place(to=number)
    _, call = pbxtrack.get(f"/api/v1/calls/{logged['id']}")
    assert call["attribution"]["method"] == "lease"
    assert (call["attribution"]["campaign"], call["attribution"]["term"]) == ("sofas", "oak sofa")
    assert call["visit"]["click_ids"] == {"yclid": "42"}
    assert [event["page"] for event in call["visit"]["events"] if event["event"] == "view"] == [
        website + AD,
        f"{website}/contacts",
    ]


def test_the_catalogue_swaps_what_comes_late_and_tells_where_the_visitor_went(website: str, page: Page) -> None:
    page.goto(f"{website}/catalogue")
    number = leased(page)
    for kind in ("sofas", "tables"):
        page.click(f'a[href="/catalogue/{kind}"]')
        page.wait_for_function("kind => location.pathname.endsWith(kind)", arg=kind)
        page.locator("#offers p").first.wait_for()
        page.wait_for_function(
            f"() => !document.getElementById('offers').innerText.replace(/\\D/g, '').includes('{COMPANY}')"
        )
        assert all(number[5:8] in text for text in page.locator("#offers p").all_inner_texts())
    keep(page, "catalogue")


def test_what_is_no_number_of_the_shop_stays(website: str, page: Page) -> None:
    page.goto(f"{website}/contacts")
    leased(page)
    rows = page.locator("tr").all_inner_texts()
    assert [row.split("\t")[-1] for row in rows[-2:]] == ["+7 495 123-45-67", "1749512345678"]
    assert not any(COMPANY in "".join(filter(str.isdigit, row)) for row in rows[:-3])
    assert "+7 495 123-45-67" in page.locator('script[type="application/ld+json"]').inner_text()
