"""What advertising cost on which days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any

from pbxtrack.wrong import Wrong

MIN_DAY, MAX_DAY = date(1971, 1, 1), date(2998, 12, 31)
MAX_DAYS = 3_660
"""Days of one cost: ten years."""
DETAILS = ("source", "medium", "campaign", "term")
"""What a cost may be of besides its channel."""
MAX_CHANNEL, MAX_DETAIL = 300, 256  # characters, as calls and visits have them

_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a channel cost from the day ``first`` to the day ``last``, both included, by the site's clocks.

    ``amount`` is in hundredths of the site's currency; the other texts are empty where nobody said.
    """

    first: date
    last: date
    channel: str
    amount: int
    source: str = ""
    medium: str = ""
    campaign: str = ""
    term: str = ""

    @property
    def key(self) -> str:
        """The same for costs of the same days and dimensions, whatever the amount."""
        told = [self.first.isoformat(), self.last.isoformat(), self.channel, *(getattr(self, name) for name in DETAILS)]
        return sha256(json.dumps(told).encode()).hexdigest()

    def part(self, first: date, end: date) -> int:
        """What of the amount falls to the days from ``first`` on and before ``end``.

        Each day has as much as the others; what cannot be divided so goes to the first days, a hundredth each.
        """
        days = (self.last - self.first).days + 1
        since, until = max(0, (first - self.first).days), min(days, (end - self.first).days)
        if since >= until:
            return 0
        each, over = divmod(self.amount, days)
        return each * (until - since) + min(until, over) - min(since, over)


def checked(cost: Cost) -> Cost:
    """The cost with its texts as visits have them. ValueError, which says what is wrong, where there is no such cost.

    Sources and media are in lower case, as those of visits are.
    """
    if not MIN_DAY <= cost.first <= MAX_DAY or not MIN_DAY <= cost.last <= MAX_DAY:
        raise Wrong("a day must be one of the years %(first)s to %(last)s", first=MIN_DAY.year, last=MAX_DAY.year)
    if cost.last < cost.first:
        raise Wrong("the last day, %(last)s, is before the first, %(first)s", last=cost.last, first=cost.first)
    if (cost.last - cost.first).days >= MAX_DAYS:
        raise Wrong("more than %(most)s days", most=f"{MAX_DAYS:,}")
    texts: dict[str, Any] = {"channel": _text("channel", cost.channel, MAX_CHANNEL)}
    for name in DETAILS:
        text = getattr(cost, name)
        texts[name] = _text(name, text.lower() if name in ("source", "medium") else text, MAX_DETAIL)
    if not texts["channel"]:
        raise Wrong("the channel is missing")
    return replace(cost, **texts)


def completed(details: Mapping[str, str], match: Mapping[str, str]) -> dict[str, str]:
    """A cost's details with those that its channel's ``match`` tells: they are the same for all of its visits.

    Of the source and the medium, where the site file says them in plain text.
    """
    plain = {
        name: text.lower()
        for name in ("source", "medium")
        if (text := match.get(name, "")) and not _GLOB.intersection(text)
    }
    return {name: text or plain.get(name, "") for name, text in details.items()}


def _text(name: str, text: str, most: int) -> str:
    text = text.strip()
    if len(text) > most:
        raise Wrong("the %(name)s is longer than %(most)s characters", name=name, most=most)
    if "\x00" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Wrong("the %(name)s holds a character that is not allowed", name=name)
    return text
