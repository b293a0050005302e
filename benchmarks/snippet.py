"""The website's snippet on a page of 5,000 nodes: the main thread's time, in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, async_playwright

from benchmarks.report import Result, at_most
from benchmarks.stats import spread
from pbxtrack.api.snippet.script import Script, render
from pbxtrack.errors import PbxtrackError

NAME = "snippet"
NODES = 5_000
_LIMIT_MS = 5.0
_LIMIT_BYTES = 3 * 1024
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_AGAIN = """() => {
    const began = performance.now();
    pbxtrack.swap(document);
    return performance.now() - began;
}"""


async def run(*, quick: bool) -> Result:
    """Each round is a tab of its own, whose first page leases a number and whose second shows it at once."""
    program = os.environ.get("PBXTRACK_CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise PbxtrackError("needs Chromium: apt-get install chromium")
    script = render("bench", "", ("+74951234567", "+78005553535"), "sales@shop.example")
    runner = web.AppRunner(_site(script), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=_FLAGS)
            found = [await _round(browser, address) for _ in range(5 if quick else 25)]
            version = browser.version
            await browser.close()
    finally:
        await runner.cleanup()
    script_ms, again_ms = (spread([one[name] for one in found]) for name in ("script", "again"))
    lines = [
        at_most(f"processor time of the main thread on {NODES} nodes", script_ms["median"], _LIMIT_MS, "ms"),
        at_most("to search all of it once more", again_ms["median"], _LIMIT_MS, "ms"),
        at_most("sent, compressed", len(script.compressed), _LIMIT_BYTES, "bytes"),
    ]
    data = {"nodes": NODES, "script_ms": script_ms, "again_ms": again_ms, "bytes": len(script.compressed)}
    return Result(NAME, lines, data | {"environment": {"chromium": version}})


async def _round(browser: Browser, address: str) -> dict[str, float]:
    context = await browser.new_context(user_agent="Mozilla/5.0")
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_function("() => localStorage.length")
    await browser.start_tracing(page=page, categories=["devtools.timeline"])
    await page.goto(address)
    await page.wait_for_function("() => window.pbxtrack && pbxtrack.lease")
    trace = json.loads(await browser.stop_tracing())
    assert await page.evaluate("() => document.body.textContent.includes('123-01-00')")
    again = float(await page.evaluate(_AGAIN))
    await context.close()
    return {"script": _evaluated(trace["traceEvents"]), "again": again}


def _evaluated(events: list[dict[str, Any]]) -> float:
    """How long the snippet ran, compiling included, in milliseconds."""
    ran = [
        float(event["tdur"])
        for event in events
        if event["name"] == "EvaluateScript" and event["args"]["data"].get("url", "").endswith("/s/bench.js")
    ]
    return sum(ran) / 1000


def _site(script: Script) -> web.Application:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_page(), content_type="text/html")

    async def snippet(request: web.Request) -> web.Response:
        return web.Response(body=script.body, content_type="text/javascript")

    async def lease(request: web.Request) -> web.Response:
        end = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
        answer = {"number": "+74951230100", "display": "8 (495) 123-01-00", "email": "sales@shop.example"}
        return web.json_response(
            answer | {"lease": "1", "visitor": "1", "visit": "1", "expires_at": end, "renew_after": 60}
        )

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/s/bench.js", snippet)
    app.router.add_post("/api/v1/leases", lease)
    return app


def _page() -> str:
    """A catalogue: elements and texts are 5,000 nodes, ten of its five hundred items with the company's number."""
    items = []
    for index in range(NODES // 10):
        phone = '<a href="tel:+74951234567">8 (495) 123-45-67</a>' if index % 50 == 0 else "<a href='/i'>Buy it</a>"
        name = f'<b title="Item {index}">Item {index}</b> <span>{index * 37} ₽</span>'
        items.append(f'<li class="item">{name}{phone}<i>In stock</i></li>')
    head = "<!doctype html><meta charset=utf-8><title>Shop</title>"
    return f"{head}<ul>{''.join(items)}</ul><script src=/s/bench.js></script>"
