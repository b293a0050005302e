"""A real Chromium, and a website with the snippet on its pages, for every test that asks."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from pbxtrack.storage.database import Database
from tests.browser.pages import Tab
from tests.browser.website import Website, website

OpenTab = Callable[..., AbstractContextManager[Tab]]

ARTEFACTS = Path(__file__).parents[1] / "artefacts/browser"
_CHROMIUM = os.environ.get("PBXTRACK_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
_FLAGS = [
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Headless Chromium names itself in its user agent.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium that runs while the block does."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    path = tmp_path_factory.mktemp("website") / "pbxtrack.db"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    with website(database) as site:
        yield site
    database.close()


@pytest.fixture
def site(served: Website) -> Website:
    """The website, without pages."""
    served.reset()
    return served


@pytest.fixture(scope="module")
def open_tab(chromium: Browser, served: Website) -> OpenTab:
    """Opens a visitor's tab. At the end its console must be clean."""

    @contextlib.contextmanager
    def opened(**options: Any) -> Iterator[Tab]:
        context = chromium.new_context(**{"user_agent": AGENT, "viewport": {"width": 1000, "height": 700}, **options})
        tab = Tab(context.new_page(), served)
        yield tab
        # What a closing tab tells would arrive in the next test.
        tab.page.evaluate("() => { window.fetch = async () => new Response() }")
        context.close()
        assert tab.complaints == []

    return opened


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Path:
    """Where this test's picture is kept."""
    name = f"{request.node.module.__name__.rpartition('.')[2]}.{request.node.name}"
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS / (re.sub(r"[^\w.=+-]+", "_", name)[:150] + ".png")


@pytest.fixture
def tab(open_tab: OpenTab, site: Website, picture: Path, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """A visitor's tab, photographed at the end."""
    with open_tab(**getattr(request, "param", {})) as tab:
        yield tab
        tab.page.screenshot(path=picture, full_page=True, caret="initial")
