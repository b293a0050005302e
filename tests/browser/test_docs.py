"""What docs/websites.md tells web developers to write does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.pages import Tab, national
from tests.browser.website import Website

DOCUMENT = (Path(__file__).parents[2] / "docs/websites.md").read_text("utf-8")
OWN = "8 (495) 123-45-67"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def here(text: str, site: Website) -> str:
    """The document's text, for this website."""
    return text.replace("https://calls.example", site.api).replace("KEY", "demo")


def test_the_one_line(tab: Tab, site: Website) -> None:
    line = here(blocks("html")[0], site)
    number = tab.visit(site.put(f"<p>{OWN}</p>", head=line))
    assert tab.text("p") == f"8 {national(number)}"


def test_calls_before_the_script_is_there(tab: Tab, site: Website) -> None:
    line, listen, consent = blocks("html")
    tag = here(line, site).replace("async", 'async data-consent="wait"')
    tab.visit(site.put("<p id='phone'>…</p>", head=listen + consent + tag))
    tab.settled()
    assert tab.text("#phone") == site.leases()[0].answer["display"]


def test_the_policy(tab: Tab, site: Website) -> None:
    [policy] = blocks("text")
    number = tab.visit(site.put(f"<p>{OWN}</p>", Content_Security_Policy=here(policy.strip(), site)))
    assert tab.text("p") == f"8 {national(number)}"


def test_asking_without_the_script(tab: Tab, site: Website) -> None:
    [code] = blocks("js")
    show = "document.querySelector('p').textContent = lease.number;"
    tab.page.goto(site.put(f"<p>…</p><script type='module'>{here(code, site)}{show}</script>", head=""))
    tab.page.wait_for_function("() => document.querySelector('p').textContent.startsWith('+7')")
    tab.page.reload()
    site.until(lambda: len(site.leases()) == 2)
    assert site.leases()[1].body["visitor"] == site.leases()[0].answer["visitor"]


def test_every_option_and_function_that_is_described_is_there() -> None:
    source = "".join(
        file.read_text("utf-8") for file in (Path(__file__).parents[2] / "pbxtrack/api/snippet/src").glob("*.ts")
    )
    used = set(re.findall(r"options\.(\w+)", source))
    assert used == set(re.findall(r"`data-(\w+)", DOCUMENT))
    functions = re.search(r"name: ((?:\"\w+\"(?: \| )?)+)", source)
    assert functions
    assert set(re.findall(r"\w+", functions[1])) <= set(re.findall(r"`(\w+)\(", DOCUMENT))
