"""Numbers and pools: who holds what, how much of the pools was used, which numbers got around."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.charts import Bar, bars, scale
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.periods import Chosen
from pbxtrack.dashboard.steps import asked_by, begins, spread, step_label, step_name
from pbxtrack.pool.model import NumberKind
from pbxtrack.pool.usage import Held, held_by_steps, slot_of
from pbxtrack.reports.questions import By
from pbxtrack.storage.held_numbers import STATES, NumberFilter, numbers_page, pools_now, shown_overflow
from pbxtrack.storage.strangers import pool_numbers
from pbxtrack.storage.utilisation import HOUR, MINUTE, TEN_MINUTES, Usage, usage

_ROWS = 50
_MOST_LABELS = 8
_MOST_DAYS = 400  # for which utilisation is shown
_MOST_DIGITS = 15
_LONGEST_SEARCH = 64  # characters


async def show(asked: Asked) -> web.StreamResponse:
    chosen = asked.period
    found = await asked.read(lambda connection: _found(connection, asked, chosen))
    return asked.render("numbers.html", states=STATES, kinds=list(NumberKind), **found)


def _found(connection: Connection, asked: Asked, chosen: Chosen) -> dict[str, Any]:
    assert asked.site is not None
    site_id, now = asked.site.id, asked.now
    pools = pools_now(connection, site_id, now)
    which = _which(asked, chosen, {pool["name"] for pool in pools})
    page = _page(asked.query.get("page"))
    numbers, count = numbers_page(connection, site_id, which, now, skip=_ROWS * (page - 1), limit=_ROWS)
    by = asked_by(asked.query.get("by"), chosen)
    slot = {By.HOUR: MINUTE, By.DAY: TEN_MINUTES, By.WEEK: HOUR}[by]
    first = max(chosen.first, chosen.last - timedelta(days=_MOST_DAYS - 1))
    used = usage(connection, site_id, chosen.zone.midnight(first), chosen.until, slot)
    return {
        "pools": _with_peaks(pools, used, chosen, slot),
        "total": {one: sum(pool[one] for pool in pools) for one in ("numbers", *STATES)},
        "overflow_now": shown_overflow(connection, site_id, now),
        "overflowed": sum(used.overflow.values()),
        "leaked": [one for one in pool_numbers(connection, now, None, None, [asked.key]) if one["leaked"]],
        "numbers": numbers,
        "count": count,
        "page_number": page,
        "pages": max(1, -(-count // _ROWS)),
        "which": which,
        "searched": bool(which.digits or which.named or which.state or which.pool or which.kind),
        "by": by,
        "slot_minutes": int(slot.total_seconds() // 60),
        "known_since": used.since if used.since > chosen.zone.midnight(first) or first > chosen.first else None,
        **_chart(asked, pools, used, begins(first, chosen.last, chosen.zone, by), chosen, by, slot),
    }


def _which(asked: Asked, chosen: Chosen, pools: set[str]) -> NumberFilter:
    """The numbers that are asked for; what there is not is not asked for."""
    query = asked.query
    text = query.get("q", "").strip()[:_LONGEST_SEARCH]
    state, pool, kind = query.get("state"), query.get("pool"), query.get("kind")
    return NumberFilter(
        since=chosen.since,
        until=chosen.until,
        digits=searched_digits(text),
        named=text,
        pool=pool if pool in pools else None,
        kind=NumberKind(kind) if kind in list(NumberKind) else None,
        state=state if state in STATES else None,
    )


def searched_digits(text: str) -> str:
    """The digits of a number, or of some of it, as people type it; empty where it is no number.

    A nought or an eight in front, with which numbers are dialled at home, is none of it.
    """
    if not re.fullmatch(r"[+\d\s()./-]+", text):
        return ""
    digits = re.sub(r"\D", "", text)[:_MOST_DIGITS]
    return digits[1:] if len(digits) > 4 and digits[0] in "08" and not text.startswith("+") else digits


def _page(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and 0 < int(text[:6]) == int(text) else 1


def _with_peaks(pools: Sequence[Mapping[str, Any]], used: Usage, chosen: Chosen, slot: timedelta) -> list[Any]:
    """The pools with what was held of them in the whole time."""
    span = [slot_of(used.since, slot)]
    end = slot_of(chosen.until, slot)
    return [{**pool, "held_then": held_by_steps(used.held.get(pool["id"], {}), span, end)[0]} for pool in pools]


def _chart(
    asked: Asked,
    pools: Sequence[Mapping[str, Any]],
    used: Usage,
    steps: Sequence[datetime],
    chosen: Chosen,
    by: By,
    slot: timedelta,
) -> dict[str, Any]:
    """The use of one pool, the one that is asked for, else the first."""
    pool = next((one for one in pools if one["name"] == asked.query.get("of")), pools[0] if pools else None)
    if pool is None:
        return {"pool": None, "chart": None, "rows": []}
    f = asked.format
    places = [slot_of(at, slot) for at in steps]
    held = held_by_steps(used.held.get(pool["id"], {}), places, slot_of(chosen.until, slot) + 1)
    overflow = _by_steps(used.overflow, places)
    known = [one if after > used.since else None for one, after in zip(held, [*steps[1:], chosen.until], strict=True)]
    lines = scale(max([pool["numbers"], *(one.most for one in known if one)], default=1))
    rows = [
        (step_name(f, at, by), one, none)
        for at, one, none in zip(steps, known, overflow, strict=True)
        if one is not None
    ]
    made = [
        Bar(one.most, one.mean, None, _tip(asked, at, by, one, none, pool["numbers"]), alarm=none > 0)
        if one
        else Bar(0)
        for at, one, none in zip(steps, known, overflow, strict=True)
    ]
    return {
        "pool": pool,
        "chart": bars(made, lines[-1], pool["numbers"]),
        "lines": [f.number(line) for line in reversed(lines)],
        "labels": [step_label(f, steps[index], by) for index in spread(len(steps), _MOST_LABELS)],
        "rows": rows,
    }


def _tip(asked: Asked, at: datetime, by: By, held: Held, overflow: int, size: int) -> str:
    f = asked.format
    told = [
        step_name(f, at, by),
        asked.text("at most: %(n)s of %(size)s", n=f.number(held.most), size=f.number(size)),
        asked.text("on average: %(n)s", n=f.number(held.mean, 1)),
    ]
    if overflow:
        told.append(asked.text("found none: %(n)s", n=f.number(overflow)))
    return "\n".join(told)


def _by_steps(counts: Mapping[int, int], begins: Sequence[int]) -> list[int]:
    """What falls into each of the steps that begin there, ascending."""
    found = [0] * len(begins)
    index = -1
    for slot in sorted(counts):
        while index + 1 < len(begins) and begins[index + 1] <= slot:
            index += 1
        if index >= 0:
            found[index] += counts[slot]
    return found


PAGES = (Page(path="/sites/{site}/numbers", handler=show),)
