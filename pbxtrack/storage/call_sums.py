"""What the calls of a list add up to, and what may be chosen to find some: bounded, however many calls there are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.calls.models import Model
from pbxtrack.reports.questions import CAMPAIGNS, CHANNELS
from pbxtrack.storage.call_search import CallFilter, add_up
from pbxtrack.storage.reports import Period, answers
from pbxtrack.storage.tables import calls, sites

MOST = 5_000
"""Calls that are counted."""

_CHOICES = 200
_LATEST = 2_000  # calls whose tags may be chosen


def calls_sums(connection: Connection, which: CallFilter, at_most: int = MOST) -> dict[str, Any]:
    """Of the calls that fit: how many (``calls``), ``target``, ``unsettled``, ``talk_seconds``.

    ``more``: there are more than ``at_most``; so many are counted then, and the other figures are None.
    """
    sums = add_up(connection, which, at_most + 1)
    if sums.calls > at_most:
        return {"calls": at_most, "more": True, "target": None, "unsettled": None, "talk_seconds": None}
    return {**sums._asdict(), "more": False}


def choices(connection: Connection, key: str) -> dict[str, list[str]]:
    """The ``channels`` and ``campaigns`` of a site (its key), those with most calls first, and its latest ``tags``."""
    ever = Period(keys=[key])
    named = {
        name: [row[question.dimensions[-1]] for row in answers(connection, question, ever, Model.LAST, _CHOICES)]
        for name, question in (("channels", CHANNELS), ("campaigns", CAMPAIGNS))
    }
    return {name: list(dict.fromkeys(filter(None, values))) for name, values in named.items()} | {
        "tags": _tags(connection, key)
    }


def _tags(connection: Connection, key: str) -> list[str]:
    site = select(sites.c.id).where(sites.c.key == key).scalar_subquery()
    latest = select(calls.c.tags).where(calls.c.site_id == site).order_by(calls.c.started_at.desc()).limit(_LATEST)
    return sorted({tag for tags in connection.scalars(latest) for tag in tags}, key=str.casefold)[:_CHOICES]
