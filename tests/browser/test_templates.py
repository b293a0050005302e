"""Pages that others wrote, as npm has them: swapped everywhere, a clean console, nothing moves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Request, Route

from tests.browser.pages import Tab, national
from tests.browser.test_situations import SHIFTS
from tests.browser.website import COMPANY, EMAIL, Trouble, Website

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
OWN = "8 (495) 123-45-67"
# What templates fetch from elsewhere, by a part of its address; of everything else an empty file is enough.
ELSEWHERE = {
    "bootstrap.bundle.min.js": MODULES / "bootstrap/dist/js/bootstrap.bundle.min.js",
    "simpleLightbox.min.js": MODULES / "simple-lightbox/dist/simpleLightbox.min.js",
    "simpleLightbox.min.css": MODULES / "simple-lightbox/dist/simpleLightbox.min.css",
}
TEMPLATES = {
    "creative": ("startbootstrap-creative/dist", "index.html"),
    "agency": ("startbootstrap-agency/dist", "index.html"),
    "resume": ("startbootstrap-resume/dist", "index.html"),
    "boilerplate": ("html5-boilerplate/dist", "index.html"),
    "dashboard": ("material-dashboard", "pages/dashboard.html"),
    "landing": ("material-kit", "examples/landing-page.html"),
    "profile": ("material-kit", "examples/profile-page.html"),
}
# How many times the company's number is written into each template, in these forms in turn.
FORMS = [OWN, "+7 (495) 123-45-67", "+7 495 123 45 67", "84951234567", "8-495-123-45-67", "<b>+7 (495)</b> 123-45-67"]
_PLACEHOLDER = re.compile(r"(?:\+1 )?\(?\d{3}\)?[ -]\d{3}-\d{4}")


def company_page(html: str, tag: str) -> str:
    """A template with a company's numbers in its own places: its placeholders, its header, texts and footer."""
    forms = iter(FORMS * 10)
    html = re.sub(r'href="tel:[^"]*"', f'href="tel:{COMPANY}"', html)
    html = _PLACEHOLDER.sub(lambda _: next(forms), html)
    html = re.sub(r"(<p[^>]*>)(?=\s*[A-Z])", lambda match: f"{match[1]}{next(forms)} ", html, count=6)
    line = f'<a href="tel:{COMPANY}" title="{OWN}">{next(forms)}</a> <a href="mailto:{EMAIL}">{EMAIL}</a>'
    html = re.sub(r"(<nav[^>]*>\s*<div[^>]*>)", rf"\1{line}", html, count=1)
    html = re.sub(r"(<footer[^>]*>\s*<div[^>]*>)", rf"\1{line}", html, count=1)
    html = html.replace("</body>", f"<p>{line}</p></body>")
    return html.replace("</head>", f"{tag}</head>")


@pytest.fixture
def alone(tab: Tab) -> Tab:
    """The tab, with what pages fetch from elsewhere taken from npm's packages, or empty."""

    def elsewhere(route: Route, request: Request) -> None:
        known = next((file for part, file in ELSEWHERE.items() if part in request.url), None)
        kind = {"stylesheet": "text/css", "script": "text/javascript"}.get(request.resource_type, "text/plain")
        route.fulfill(body=known.read_bytes() if known else b"", content_type=kind)

    tab.page.route(re.compile(r"^https?://(?!([a-z]+\.)?(shop|calls)\.example)"), elsewhere)
    return tab


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_swapped_and_nothing_moves(alone: Tab, site: Website, name: str) -> None:
    package, file = TEMPLATES[name]
    html = (MODULES / package / file).read_text("utf-8")
    site.put_folder(f"/{name}/", MODULES / package)
    site.trouble = Trouble(wait=1.0)  # for the template to come to rest: what moves then is our doing
    alone.page.add_init_script(SHIFTS)
    alone.page.goto(site.put_html(company_page(html, site.tag()), path=f"/{name}/{file}"), wait_until="load")
    alone.settled()
    written = alone.page.evaluate(COUNT, "4951234567")
    assert written >= 2
    alone.page.evaluate("() => { window.shifts = 0; }")
    number = alone.leased()
    alone.settled()
    assert alone.page.evaluate(COUNT, "4951234567") == 0
    assert alone.page.evaluate(COUNT, number[2:]) == written
    assert (
        alone.page.evaluate("() => [...document.querySelectorAll('[href^=\"tel:\"]')].map((a) => a.href)")
        == [f"tel:{number}"] * alone.page.locator('[href^="tel:"]').count()
    )
    assert alone.page.evaluate("() => window.shifts") == 0


# How many elements that show text have a number, in whatever form, in their own text.
COUNT = """(digits) => [...document.body.querySelectorAll(":not(script, style)")]
    .filter((element) => element.children.length < 2 || element.querySelector("b"))
    .filter((element) => element.textContent.length < 2000 && element.textContent.replace(/\\D/g, "").includes(digits))
    .length"""


@pytest.mark.parametrize(("name", "source"), [("react", "react.jsx"), ("vue", "vue.js")])
def test_an_application_of_a_framework_keeps_working(alone: Tab, site: Website, name: str, source: str) -> None:
    site.put_html(built(source), path=f"/{name}/app.js", Content_Type="text/javascript; charset=utf-8")
    page = f"<div id='root'></div><script src='/{name}/app.js'></script>"
    number = alone.visit(site.put(page, path=f"/{name}/"))
    alone.page.wait_for_function("() => +document.querySelector('output').textContent > 10")
    expected = f"8 {national(number)}"
    assert alone.text("a") == expected
    assert alone.text("#pieces") == f"+7 {national(number)}"
    assert alone.page.evaluate(BOTH) == [f"Even: {expected}", f"Odd: {expected}"]
    for place in ("contacts", "home", "contacts"):
        alone.page.click("button")
        heading = f"Call {expected}" if place == "contacts" else "Call us"
        alone.page.wait_for_function("(text) => document.querySelector('h1').textContent == text", arg=heading)
    site.until(lambda: len(site.signs("view")) == 3)
    assert [sign.body["page"].rpartition("/")[2] for sign in site.signs("view")] == ["contacts", "home", "contacts"]


# The two texts between which the application goes to and fro, as they are painted.
BOTH = """() => new Promise((done) => {
    const texts = new Set();
    const end = performance.now() + 400;
    const look = () => {
        texts.add(document.querySelector("#same").textContent);
        if (performance.now() < end) requestAnimationFrame(look);
        else done([...texts].sort());
    };
    look();
})"""


def built(source: str) -> str:
    """An application with its framework, in one file."""
    esbuild = HERE.parents[1] / "pbxtrack/api/snippet/node_modules/.bin/esbuild"
    command: list[str | Path] = [
        esbuild,
        HERE / "apps" / source,
        "--bundle",
        "--minify",
        "--jsx=automatic",
        "--format=iife",
    ]
    defined = [
        "__VUE_OPTIONS_API__=true",
        "__VUE_PROD_DEVTOOLS__=false",
        "__VUE_PROD_HYDRATION_MISMATCH_DETAILS__=false",
    ]
    options = [f"--define:{one}" for one in [*defined, 'process.env.NODE_ENV="production"']]
    done = subprocess.run([*command, *options], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
