"""What reports ask of calls: by which of their properties they are grouped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Question:
    """A report. ``by_model``: the calls are divided among visits, whose properties the dimensions are.

    ``money``: its rows tell costs and deals, too.
    """

    name: str
    dimensions: tuple[str, ...]
    by_model: bool
    money: bool = False


CHANNELS = Question("channels", ("channel",), by_model=True, money=True)
CAMPAIGNS = Question("campaigns", ("source", "medium", "campaign"), by_model=True, money=True)
KEYWORDS = Question("keywords", ("source", "campaign", "term"), by_model=True, money=True)
PAGES = Question("pages", ("page",), by_model=True)
REGIONS = Question("regions", ("region",), by_model=False)
OPERATORS = Question("operators", ("operator",), by_model=False)

QUESTIONS = (CHANNELS, CAMPAIGNS, KEYWORDS, PAGES, REGIONS, OPERATORS)
"""Those that group by what stands with the call or the visit. What depends on the time alone is made of hours."""

MAX_PAGE = 500
"""Characters of a landing page's address that tell it from others."""


class By(StrEnum):
    """The steps of a trend, by the site's clocks."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday on
