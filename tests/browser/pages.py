"""A visitor's tab on a page with the snippet: what it shows, what it asked for, what went wrong."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import ConsoleMessage, Page

from tests.browser.website import Website


class Tab:
    """A tab in a browser. ``complaints`` is what stands in its console and what nothing caught."""

    def __init__(self, page: Page, site: Website) -> None:
        self.page = page
        self.site = site
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def visit(self, address: str, **options: Any) -> str:
        """Open a page and wait for its number; the number, in E.164."""
        self.page.goto(address, **options)
        return self.leased()

    def leased(self) -> str:
        """The number that this visitor was leased, once it is on the page."""
        self.page.wait_for_function("() => window.pbxtrack && pbxtrack.lease && pbxtrack.lease.number", timeout=5_000)
        number: str = self.page.evaluate("() => pbxtrack.lease.number")
        return number

    def text(self, selector: str) -> str:
        """An element's text, as it is in the document."""
        found: str | None = self.page.locator(selector).first.text_content()
        return found or ""

    def html(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_html()

    def attribute(self, selector: str, name: str) -> str | None:
        return self.page.locator(selector).first.get_attribute(name)

    def settled(self) -> None:
        """Let the page do what it has to do."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")

    def _heard(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")


def national(number: str) -> str:
    """The last ten digits of a Russian number, in the groups 3-3-2-2."""
    digits = number[-10:]
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}"
