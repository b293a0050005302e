"""How many numbers the site needs, by its own traffic: it is replayed while the reader waits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.charts import Point, curves
from pbxtrack.dashboard.desk import DESK, Page
from pbxtrack.pool.needs import MOST_BLOCKED, MOST_DAYS, Needs, Question, Size

_WAIT = 1.0  # s; then the page says that it is still worked on
_WAIT_AGAIN = 8.0  # s; for its script, which says so in the header
_DAYS = (1, 7, 14, MOST_DAYS)
_MOST_PRICE = 1_000_000


async def show(asked: Asked) -> web.StreamResponse:
    query = asked.query
    days = next((days for days in _DAYS if str(days) == query.get("days")), None)
    question = Question(asked.key, days or 7, holds="holds" in query)
    wait = _WAIT_AGAIN if "wait" in asked.request.headers.get("Prefer", "") else _WAIT
    answer = await asked.request.app[DESK].sizes(question, wait) if days else None
    price = _price(query.get("price"))
    values: dict[str, Any] = {"question": question, "price": price, "days": _DAYS, "most_blocked": MOST_BLOCKED}
    if isinstance(answer, Needs):
        return asked.render("pool_size.html", **values, needs=answer, no=None, **_picture(asked, answer, price))
    response = asked.render("pool_size.html", **values, needs=None, no=answer)
    response.headers["Cache-Control"] = "no-store"
    return response


def _price(text: str | None) -> float | None:
    """What a number costs a month; None where that is not told, or is no price."""
    try:
        price = float((text or "").replace(",", "."))
    except ValueError:
        return None
    return price if math.isfinite(price) and 0 < price <= _MOST_PRICE else None


def _picture(asked: Asked, needs: Needs, price: float | None) -> dict[str, Any]:
    """The curve of one hold: the one that is asked for, else the best one's, else the site's own."""
    holds = sorted({one.hold for one in needs.sizes})
    best = None if needs.best is None else needs.sizes[needs.best]
    asked_for = next((hold for hold in holds if f"{hold:g}" == asked.query.get("hold")), None)
    hold = asked_for or (best.hold if best else needs.hold)
    sizes = [one for one in needs.sizes if one.hold == hold]
    points = [Point((one.accuracy, one.blocking), _tip(asked, one, price)) for one in sizes]
    return {
        "since": datetime.fromtimestamp(needs.since, UTC),
        "best": best,
        "holds": [(f"{one:g}", one) for one in holds],
        "hold": hold,
        "sizes": sizes,
        "chart": curves(points, ("right", "bad"), _place(sizes, needs.have)),
        "labels": [asked.format.number(one.numbers) for one in sizes],
    }


def _place(sizes: Sequence[Size], numbers: int) -> int | None:
    return next((index for index, one in enumerate(sizes) if one.numbers == numbers), None)


def _tip(asked: Asked, size: Size, price: float | None) -> str:
    f = asked.format
    told = [
        asked.texts.ngettext("%(n)s number", "%(n)s numbers", size.numbers) % {"n": f.number(size.numbers)},
        asked.text("calls told right: %(share)s", share=f.percent(size.accuracy, 1)),
        asked.text("visitors who find none: %(share)s", share=f.percent(size.blocking, 2)),
    ]
    if price is not None:
        told.append(asked.text("a month: %(price)s", price=f.number(size.numbers * price, 2)))
    return "\n".join(told)


PAGES = (Page(path="/sites/{site}/numbers/size", handler=show),)
