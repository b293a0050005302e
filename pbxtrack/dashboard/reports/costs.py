"""What advertising cost: by months and channels, read from files that are shown before anything is written."""

from __future__ import annotations

import asyncio
import base64
import binascii
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import structlog
from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.channels import BUILT_IN
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.forms import Sent
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.reports.frame import framed
from pbxtrack.money.cost_file import MAX_BYTES, CostFile, read_costs
from pbxtrack.money.costs import MAX_CHANNEL, Cost
from pbxtrack.reports.periods import month_after
from pbxtrack.storage.costs import (
    CostConflict,
    Replaced,
    costs_by_month,
    plan_costs,
    remove_month,
    unheard_of,
    write_costs,
)
from pbxtrack.wrong import Wrong

_MAX_BODY = MAX_BYTES * 3 // 2  # a file, or one that is sent once more in base 64
_READING = asyncio.Semaphore(1)  # so that a large file leaves threads for others
_NAMES = {
    "channel": marked("Channel"), "source": marked("Source"), "medium": marked("Medium"),
    "campaign": marked("Campaign"), "term": marked("Keyword"),
}  # fmt: skip
_SHOWN = 100  # lines that are wrong
_NAMED = 20  # channels that nobody has heard of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody sent. ``channel``: of lines that name none.

    ``replacing``: what else is there of its days goes.
    """

    content: bytes
    channel: str
    replacing: bool

    @property
    def packed(self) -> str:
        """The file as it goes to the browser and back, so that nothing is kept here until it is confirmed."""
        return base64.urlsafe_b64encode(zlib.compress(self.content)).decode()

    def replaced(self, costs: Sequence[Cost]) -> Replaced | None:
        """What goes, besides what the file tells anew."""
        if not self.replacing or not costs:
            return None
        first, last = min(cost.first for cost in costs), max(cost.last for cost in costs)
        channels = {cost.channel for cost in costs}
        return Replaced(first, last, channels.pop() if len(channels) == 1 else None)


def unpacked(text: str) -> bytes:
    """What :attr:`Upload.packed` was made of, as far as a file may be long. ValueError where it is no such thing."""
    try:
        return zlib.decompressobj().decompress(base64.urlsafe_b64decode(text), MAX_BYTES + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError("this is not what was sent") from error


def by_channel(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """What a file says, by channels: those that cost most first."""
    found: defaultdict[str, list[Cost]] = defaultdict(list)
    for cost in costs:
        found[cost.channel].append(cost)
    rows = [
        {
            "channel": channel,
            "costs": len(of),
            "first": min(cost.first for cost in of),
            "last": max(cost.last for cost in of),
            "amount": sum(cost.amount for cost in of),
        }
        for channel, of in found.items()
    ]
    return sorted(rows, key=lambda row: (-row["amount"], row["channel"]))


async def show(asked: Asked) -> web.StreamResponse:
    return await _listed(asked)


async def _listed(asked: Asked, error: str | None = None) -> web.Response:
    assert asked.site is not None
    site_id, period = asked.site.id, asked.period
    first, end = period.first.replace(day=1), month_after(period.last.replace(day=1))
    rows = await asked.read(lambda connection: costs_by_month(connection, site_id, first, end))
    return framed(
        asked,
        "costs",
        "costs.html",
        months=_months(rows),
        total=sum(row["amount"] for row in rows),
        currency=asked.site.currency,
        error=error,
        done=DONE.get(asked.query.get("done", "")),
        most=MAX_CHANNEL,
    )


def _months(rows: Sequence[Mapping[str, Any]]) -> list[tuple[date, int, list[Mapping[str, Any]]]]:
    """The rows by their months, in the order in which they are, each with its sum."""
    found: defaultdict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["month"]].append(row)
    return [(month, sum(row["amount"] for row in of), of) for month, of in found.items()]


async def preview(asked: Asked) -> web.StreamResponse:
    """What a file says and would change; nothing is written."""
    sent = asked.form.get("file")
    if not isinstance(sent, Sent):
        return await _listed(asked, asked.text("Choose a file first."))
    return await _preview(asked, Upload(sent.content[: MAX_BYTES + 1], _channel(asked), "replace" in asked.form))


async def _read(asked: Asked, upload: Upload) -> CostFile:
    """In a thread, one at a time: it may take seconds."""
    own = frozenset(await asked.own_channels())
    named = cache(lambda name: asked.channel_typed(name, own))  # a file names few, each in many lines
    async with _READING:
        return await asyncio.to_thread(read_costs, upload.content, upload.channel or None, named)


async def _preview(asked: Asked, upload: Upload, note: str | None = None) -> web.Response:
    assert asked.site is not None
    site_id = asked.site.id
    found = await _read(asked, upload)
    costs = [cost for _, cost in found.costs]
    rows = by_channel(costs)
    named = [row["channel"] for row in rows if row["channel"] not in BUILT_IN]
    unknown = await asked.read(lambda connection: unheard_of(connection, site_id, named, _NAMED))
    counts, conflict = None, None
    if costs and not found.wrong:
        try:
            plan = await asked.read(lambda connection: plan_costs(connection, site_id, costs, upload.replaced(costs)))
            counts = plan.counts()
        except CostConflict as error:
            conflict = str(error)
    return framed(
        asked,
        "costs",
        "preview.html",
        found=found,
        wrong=found.wrong[:_SHOWN],
        said=lambda error: _said(asked, error),
        rows=rows,
        unknown=unknown,
        total=sum(cost.amount for cost in costs),
        upload=upload,
        counts=counts,
        plan=_told(counts),
        conflict=conflict,
        note=note,
        currency=asked.site.currency,
    )


def _said(asked: Asked, error: Wrong) -> str:
    """What is wrong with a line."""
    names = {"name": asked.text(_NAMES[str(error.values["name"])])} if "name" in error.values else {}
    return asked.text(error.text, **{**error.values, **names})


async def write(asked: Asked) -> web.StreamResponse:
    """Write what was shown; shown anew where it would change something else by now."""
    assert asked.site is not None
    site_id = asked.site.id
    try:
        upload = Upload(unpacked(str(asked.form.get("packed", ""))), _channel(asked), "replace" in asked.form)
    except ValueError:
        return await _listed(asked, asked.text("Choose a file first."))
    found = await _read(asked, upload)
    costs = [cost for _, cost in found.costs]
    if found.wrong or not costs:
        return await _preview(asked, upload)
    shown = str(asked.form.get("plan", ""))

    def work(connection: Connection) -> dict[str, int] | None:
        replaced = upload.replaced(costs)
        if _told(plan_costs(connection, site_id, costs, replaced).counts()) != shown:
            return None
        plan, _ = write_costs(connection, site_id, costs, asked.person.name, asked.now, replaced)
        return plan.counts()

    try:
        counts = await asked.write(work)
    except CostConflict:
        counts = None
    if counts is None:
        return await _preview(asked, upload, asked.text("The costs were changed meanwhile. Please look again."))
    log.info("costs_written", site=asked.key, who=asked.person.name, **counts)
    days = {"from": min(cost.first for cost in costs).isoformat(), "to": max(cost.last for cost in costs).isoformat()}
    return asked.redirect("costs", done="written", **days)


async def remove(asked: Asked) -> web.StreamResponse:
    """Remove a channel's costs of a month: those that were shown, or none."""
    assert asked.site is not None
    site_id, channel = asked.site.id, str(asked.form.get("channel", ""))
    try:
        month = date.fromisoformat(str(asked.form.get("month", ""))).replace(day=1)
    except ValueError:
        return await _listed(asked, asked.text("This month cannot be read."))
    try:
        count, amount = (int(str(asked.form.get(name, ""))) for name in ("count", "amount"))
        shown = count, amount
        await asked.write(
            lambda connection: remove_month(connection, site_id, month, channel, shown, asked.person.name, asked.now)
        )
    except (ValueError, CostConflict):
        changed = marked("Nothing was removed: the costs were changed since they were shown. Please look again.")
        return await _listed(asked, asked.text(changed))
    log.info("costs_removed", site=asked.key, who=asked.person.name, costs=count)
    return asked.redirect("costs", done="removed")


def _channel(asked: Asked) -> str:
    return str(asked.form.get("channel", ""))[:MAX_CHANNEL].strip()


def _told(counts: Mapping[str, int] | None) -> str:
    """A plan's counts as the page sends them back."""
    return "-".join(map(str, counts.values())) if counts else ""


DONE: Mapping[str, str] = {"written": marked("The costs are written."), "removed": marked("The costs are removed.")}
"""What is told when something was done."""

PAGES = (
    Page(path="/sites/{site}/costs", handler=show),
    Page(path="/sites/{site}/costs/preview", handler=preview, method="POST", right=Right.WRITE, max_body=_MAX_BODY),
    Page(path="/sites/{site}/costs", handler=write, method="POST", right=Right.WRITE, max_body=_MAX_BODY),
    Page(path="/sites/{site}/costs/remove", handler=remove, method="POST", right=Right.WRITE),
)
