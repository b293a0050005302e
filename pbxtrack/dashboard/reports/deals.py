"""What contacts bought: listed, entered, changed and removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from aiohttp import web

from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked, NoSuchPage
from pbxtrack.dashboard.desk import DESK, Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.reports.frame import framed
from pbxtrack.money.amounts import read_amount
from pbxtrack.money.deals import DealStatus
from pbxtrack.reports.periods import Zone
from pbxtrack.storage.deal_views import DealFilter, deal_detail, deals_page
from pbxtrack.storage.deals import InvalidDeals, change_deal, remove_deal, write_deals
from pbxtrack.storage.pages import InvalidCursor

MAX_TEXT = 200  # characters
STATUSES: Mapping[DealStatus, str] = {
    DealStatus.OPEN: marked("Open"),
    DealStatus.WON: marked("Won"),
    DealStatus.LOST: marked("Lost"),
}
"""What each status is called."""

DONE: Mapping[str, str] = {
    "added": marked("The deal is entered."),
    "changed": marked("The deal is changed."),
    "removed": marked("The deal is removed."),
}
_TEXTS = ("name", "stage", "external_id")
_WRONG = {
    "caller": marked("Nobody has called the site from this number."),
    "amount": marked("This amount cannot be read: write 1234.50 or 1234,50."),
    "day": marked("This day cannot be read."),
    "": marked("This deal cannot be: look at its status and its day."),
}
_MAX_ID = 2**31 - 1

log = structlog.get_logger(__name__)


class WrongField(Exception):
    """A field of a form that cannot be so; its name is one of those that there are words for."""


def entered(form: Mapping[str, Any], zone: Zone, now: datetime) -> dict[str, Any]:
    """A deal's fields as a form has them; what is left empty is not told. Raises WrongField."""
    fields: dict[str, Any] = {name: _text(form, name) for name in (*_TEXTS, "caller") if _text(form, name)}
    try:
        fields["status"] = DealStatus(_text(form, "status"))
    except ValueError:
        raise WrongField("") from None
    try:
        fields["amount"] = read_amount(_text(form, "amount") or "0")
    except ValueError:
        raise WrongField("amount") from None
    if day := _text(form, "day"):
        at = _moment(day, zone, now)
        fields["opened_at"] = at
        if fields["status"] is not DealStatus.OPEN:
            fields["won_at" if fields["status"] is DealStatus.WON else "closed_at"] = at
    return fields


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name)
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def _moment(day: str, zone: Zone, now: datetime) -> datetime:
    """Noon of a day, by the site's clocks; now where that is yet to come."""
    try:
        return min(zone.midnight(date.fromisoformat(day)) + timedelta(hours=12), now)
    except (ValueError, OverflowError):
        raise WrongField("day") from None


def written_amount(amount: float) -> str:
    """An amount as it is typed: without what is less than its main unit, where there is nothing of it."""
    return f"{amount:.0f}" if amount == int(amount) else f"{amount:.2f}"


async def show(asked: Asked) -> web.StreamResponse:
    return await _listed(asked)


async def _listed(asked: Asked, wrong: str | None = None) -> web.Response:
    assert asked.site is not None
    period = asked.calls
    status = asked.query.get("status")
    which = DealFilter(period.since, period.until, [asked.key], statuses=[status] if status in list(DealStatus) else [])
    try:
        items, following = await asked.read(lambda connection: deals_page(connection, which, asked.query.get("cursor")))
    except InvalidCursor:
        items, following = await asked.read(lambda connection: deals_page(connection, which))
    return framed(
        asked,
        "deals",
        "deals.html",
        items=items,
        following=following,
        statuses=STATUSES,
        written_amount=written_amount,
        only=status,
        currency=asked.site.currency,
        wrong=None if wrong is None else asked.text(_WRONG.get(wrong, _WRONG[""])),
        form=asked.form if wrong is not None else {},
        done=DONE.get(asked.query.get("done", "")),
        most=MAX_TEXT,
    )


async def add(asked: Asked) -> web.StreamResponse:
    """Enter a deal; one whose id is known changes."""
    assert asked.site is not None
    site_id, region = asked.site.id, asked.request.app[DESK].default_region
    try:
        fields = entered(asked.form, asked.zone, asked.now)
        if "caller" not in fields:
            raise WrongField("caller")
        added, ids = await asked.write(
            lambda connection: write_deals(connection, site_id, [fields], asked.person.name, asked.now, region)
        )
    except WrongField as error:
        return await _listed(asked, str(error))
    except InvalidDeals as error:
        return await _listed(asked, error.wrong[0][1])
    log.info("deals_written", site=asked.key, who=asked.person.name, deals=len(ids), added=added)
    return asked.redirect("deals", done="added" if added else "changed")


async def change(asked: Asked) -> web.StreamResponse:
    """Change how a deal stands, and what it is worth."""
    deal_id, region = await _deal(asked), asked.request.app[DESK].default_region
    try:
        fields = {name: value for name, value in entered(asked.form, asked.zone, asked.now).items() if name != "caller"}
        await asked.write(lambda connection: change_deal(connection, deal_id, fields, asked.access, asked.now, region))
    except WrongField as error:
        return await _listed(asked, str(error))
    except InvalidDeals as error:
        return await _listed(asked, error.wrong[0][1])
    log.info("deal_changed", deal=deal_id, changed=sorted(fields), who=asked.person.name)
    return asked.redirect("deals", done="changed")


async def remove(asked: Asked) -> web.StreamResponse:
    deal_id = await _deal(asked)
    await asked.write(lambda connection: remove_deal(connection, deal_id, asked.access, asked.now))
    log.info("deal_removed", deal=deal_id, who=asked.person.name)
    return asked.redirect("deals", done="removed")


async def _deal(asked: Asked) -> int:
    """The deal's id, if there is such a one of the site."""
    deal_id = asked.row_id("deal", _MAX_ID)
    found = await asked.read(lambda connection: deal_detail(connection, deal_id, asked.access))
    if found is None or found["site"] != asked.key:
        raise NoSuchPage
    return deal_id


PAGES = (
    Page(path="/sites/{site}/deals", handler=show),
    Page(path="/sites/{site}/deals", handler=add, method="POST", right=Right.WRITE),
    Page(path="/sites/{site}/deals/{deal}", handler=change, method="POST", right=Right.WRITE),
    Page(path="/sites/{site}/deals/{deal}/remove", handler=remove, method="POST", right=Right.WRITE),
)
