"""Every page of the desk: whoever reads it, in whatever light, on whatever screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from pbxtrack.dashboard.app import PAGES
from tests.browser.conftest import ARTEFACTS
from tests.browser.desk.conftest import Open
from tests.browser.desk.reader import MOST_SCRIPT, Reader
from tests.browser.desk.service import SITE

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light-wide": {"color_scheme": "light", "viewport": WIDE},
    "dark-phone": {"color_scheme": "dark", "viewport": PHONE},
}
FILES = (".csv", ".toml", ".xlsx")
PATHS = sorted({page.path for page in PAGES if page.method == "GET" and not page.path.endswith(FILES)})


@pytest.fixture(scope="module")
def tabs(open_desk: Open) -> Iterator[dict[str, Reader]]:
    """A tab for each of LOOKS."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_desk(**look)) for name, look in LOOKS.items()}


@pytest.fixture(scope="module")
def places(tabs: dict[str, Reader]) -> dict[str, str]:
    """What stands in the paths: a site; the first call in its log, and who called; the first of the people."""
    tab = tabs["light-wide"]
    found = {"site": SITE}
    for name, page, path in (
        ("call", "/sites/{site}/calls", r"/sites/[^/]+/calls/([^?/]+)"),
        ("contact", "/sites/{site}/calls/{call}", r"/sites/[^/]+/contacts/(\d+)"),
        ("person", "/people", r"/people/(\d+)"),
    ):
        tab.go(page.format(**found))
        links = tab.page.eval_on_selector_all("main a[href]", "found => found.map(one => one.getAttribute('href'))")
        found[name] = next(match[1] for link in links if (match := re.match(path, link)))
    return found


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_and_open_to_everybody(tabs: dict[str, Reader], places: dict[str, str], path: str) -> None:
    wrong = []
    for look, tab in tabs.items():
        tab.complaints.clear()
        tab.scripts.clear()
        response = tab.go(path.format(**places))
        assert response.status == 200
        if "text/html" not in response.headers["content-type"] or not tab.page.locator("main").count():
            return  # rows, for a script
        wrong += [f"{look}: {fault}" for fault in [*tab.faults(), *tab.complaints]]
        assert sum(tab.scripts.values()) <= MOST_SCRIPT
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w]+", "-", path).strip("-") or "start"
        tab.page.screenshot(path=ARTEFACTS / f"desk.{name}.{look}.png", full_page=True)
        tab.complaints.clear()
    assert wrong == []


@pytest.mark.parametrize("language", ["en-GB", "ru-RU"])
def test_the_log_in_is_open_to_everybody(open_desk: Open, language: str) -> None:
    for look, options in LOOKS.items():
        with open_desk(known=False, locale=language, **options) as tab:
            tab.go("/login")
            assert tab.faults() == []
            tab.page.screenshot(path=ARTEFACTS / f"desk.log-in.{language}.{look}.png")
