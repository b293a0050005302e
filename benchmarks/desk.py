"""The desk on a very large call log, as a browser asks for it: pages, the call log by every filter, exports."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientSession, CookieJar
from sqlalchemy import func, select

from benchmarks import filling, ledger, programs, site
from benchmarks.report import Line, Result
from pbxtrack.access import Role
from pbxtrack.calls.models import Model
from pbxtrack.reports.questions import CHANNELS, KEYWORDS, QUESTIONS
from pbxtrack.storage import people
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import fold_all
from pbxtrack.storage.tables import calls
from pbxtrack.web.sessions import COOKIE

NAME = "desk"
_DAYS = 730
_MOST = 0.2  # s that a page may take
_ROWS = 50_000  # rows a second of an export, at least
_FASTER = 100  # times, than the plain GROUP BY, is a report from roll-ups
_TIMES = 5  # each page is asked for
_DEALS = 2_000
_EXPORTED = 500_000  # rows, about

REPORTS = (*(question.name for question in QUESTIONS), "hours", "numbers", "accuracy", "curves")
FILTERS: Mapping[str, Mapping[str, Any]] = {
    "all": {},
    "missed": {"status": "missed"},
    "failed (1 in 2,000)": {"status": "failed"},
    "not called back": {"unsettled": "true"},
    "target": {"target": "true"},
    "called before": {"repeat": "true"},
    "unique": {"unique": "true"},
    "recorded": {"recording": "true"},
    "sure to 99 %": {"min_confidence": 0.99},
    "channel": {"channel": filling.CHANNEL},
    "channel that nobody came by": {"channel": "Nothing"},
    "campaign": {"campaign": filling.CAMPAIGN},
    "tag": {"tag": "lead"},
    "tag of ten calls": {"tag": filling.RARE_TAG},
    "at 3 in the night": {"hour": 3},
    "caller": {"caller": filling.CALLER},
    "caller's last digits": {"caller": filling.CALLER[-4:]},
    "dialled": {"dialled": site.STATIC[0]},
    "channel, failed, recorded": {"channel": filling.CHANNEL, "status": "failed", "recording": "true"},
    "campaign, target, repeat": {"campaign": filling.CAMPAIGN, "target": "true", "repeat": "true"},
    "tag, not target": {"tag": "lead", "target": "false"},
}


async def run(*, quick: bool, count: int | None = None) -> Result:
    """The same call log of two years on each database."""
    count = count or (20_000 if quick else 1_000_000)
    found: dict[str, Any] = {}
    for name, databases in (("sqlite", programs.sqlite), ("postgresql", ledger.postgresql)):
        with databases() as url:
            await asyncio.to_thread(_fill, url, count)
            found[name] = await measure(url)
    return told(found, count, quick=quick)


def told(found: Mapping[str, Any], count: int, *, quick: bool) -> Result:
    """What was measured of each database, beside what is promised."""
    lines: list[Line] = []
    for name, measured in found.items():
        lines += [_line(f"{name}: {what}", seconds, quick=quick) for what, seconds in measured["pages"].items()]
        lines += [
            Line(f"{name}: export, {ending}", f"{rate:.0f} rows/s", *_target(f"≥ {_ROWS}", rate >= _ROWS, quick=quick))
            for ending, rate in measured["exports"].items()
        ]
        faster = measured["plain_group_by"] / measured["pages"]["operators"]
        target = _target(f"≥ {_FASTER}×", faster >= _FASTER, quick=quick)
        lines.append(Line(f"{name}: page of operators to a plain GROUP BY", f"{faster:.0f}×", *target))
    return Result(NAME, lines, {"calls": count, "days": _DAYS, "databases": dict(found)})


def _line(what: str, seconds: float, *, quick: bool) -> Line:
    return Line(what, f"{seconds * 1000:.0f} ms", *_target(f"≤ {_MOST * 1000:.0f} ms", seconds <= _MOST, quick=quick))


def _target(target: str, met: bool, *, quick: bool) -> tuple[str, bool | None]:
    return ("", None) if quick else (target, met)


def _fill(url: str, count: int) -> None:
    programs.furnish(url, "+74951230000..+74951230899")
    database = Database(url, statement_timeout=3_600, batches=True)
    until = filling.now()
    filling.fill(database, count, until - timedelta(days=_DAYS), until)
    filling.fill_money(database, _DEALS, until - timedelta(days=_DAYS), until)
    list(fold_all(database))
    database.close()


async def measure(url: str) -> dict[str, Any]:
    """Seconds of each page of all two years, rows a second of exports, and a plain GROUP BY beside them."""
    database = Database(url, statement_timeout=600)
    now = datetime.now(UTC)
    with database.transaction() as connection:
        person = people.find_person(connection, "bench") or people.add_person(
            connection, "bench", "none", Role.OWNER, None, now
        )
        secret = people.logged_in(connection, person.id, now)
    start = time.perf_counter()
    with database.reading() as connection:
        plain = select(calls.c.answered_by, func.count(), func.sum(calls.c.talk_seconds)).group_by(calls.c.answered_by)
        connection.execute(plain).all()
        group_by = time.perf_counter() - start
        total = connection.scalar(select(func.count()).select_from(calls)) or 0
    database.close()
    with programs.server("service", url, "api") as service:
        jar = CookieJar(unsafe=True)
        async with ClientSession(f"http://127.0.0.1:{service.port}", cookie_jar=jar) as browser:
            jar.update_cookies({COOKIE: secret})
            pages = {}
            for name, path in _pages().items():
                pages[name] = round(statistics.median([await _seconds(browser, path) for _ in range(_TIMES)]), 4)
            days = max(1, round(_EXPORTED / total * _DAYS))
            exports = {
                ending: round(max([await _export(browser, ending, days) for _ in range(2)]))  # once from the disk
                for ending in ("csv", "xlsx")
            }
    return {"plain_group_by": round(group_by, 3), "pages": pages, "exports": exports}


def _pages() -> dict[str, str]:
    of_site = f"/sites/{site.KEY}"
    pages = {"overview": f"{of_site}?period=all", "overview of 30 days": f"{of_site}?period=30d"}
    pages |= {name: f"{of_site}/reports/{name}?period=all" for name in REPORTS}
    pages |= {
        f"{name}, {model.value}": f"{of_site}/reports/{name}?period=all&model={model.value}"
        for name, model in ((CHANNELS.name, Model.LINEAR), (KEYWORDS.name, Model.POSITION))
    }
    return pages | {
        f"calls: {name}": f"{of_site}/calls?{urlencode({'period': 'all', **asked})}" for name, asked in FILTERS.items()
    }


async def _seconds(browser: ClientSession, path: str) -> float:
    start = time.perf_counter()
    async with browser.get(path) as response:
        await response.read()
        assert response.status == 200, (path, response.status)
    return time.perf_counter() - start


async def _export(browser: ClientSession, ending: str, days: int) -> float:
    """Rows a second of an export of some days, from asking to its last byte."""
    today = datetime.now(UTC).date()
    asked = {"from": (today - timedelta(days=days)).isoformat(), "to": today.isoformat()}
    start = time.perf_counter()
    async with browser.get(f"/sites/{site.KEY}/calls.{ending}?{urlencode(asked)}") as response:
        rows = int(response.headers["X-Rows"])
        async for _ in response.content.iter_any():
            pass
    return rows / (time.perf_counter() - start)
