"""Somebody who reads the desk in a browser; and what is wrong with a page that they see."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response

from tests.browser.desk.service import NAME, PASSWORD

MOST_SCRIPT = 150 * 1024  # bytes of a page's scripts, compressed
_AXE = Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"


@dataclass
class Reader:
    """A tab. ``complaints`` are the console's: errors of scripts, and what the content security policy refused.

    Without slots: Playwright writes on whoever listens to it.
    """

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    scripts: dict[str, int] = field(default_factory=dict)  # bytes, compressed, by address

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._came)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.text} {message.location.get('url', '')}".strip())

    def _came(self, response: Response) -> None:
        if response.request.resource_type == "script":
            self.scripts[response.url] = len(gzip.compress(response.body()))

    def go(self, path: str) -> Response:
        """Open a page."""
        response = self.page.goto(self.address + path, wait_until="load")
        assert response is not None
        return response

    def log_in(self, password: str = PASSWORD) -> None:
        """By the form that is open."""
        self.page.fill("[name=name]", NAME)
        self.page.fill("[name=password]", password)
        self.page.click("form[action='/login'] button")
        self.page.wait_for_load_state()

    def faults(self) -> list[str]:
        """What axe finds wrong with the page, and what sticks out of it."""
        self.page.evaluate(_axe())
        found: Sequence[dict[str, Any]] = self.page.evaluate("async () => (await axe.run(document)).violations")
        told = [
            f"{one['id']}: {one['help']}: {', '.join(node['html'][:200] for node in one['nodes'][:3])}" for one in found
        ]
        over = self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return [*told, *([f"{over} px wider than the window"] if over > 0 else [])]


def reader(context: BrowserContext, address: str) -> Reader:
    """A new tab."""
    return Reader(context.new_page(), address)


@cache
def _axe() -> str:
    return _AXE.read_text(encoding="utf-8")
