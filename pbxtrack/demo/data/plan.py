"""The plan of the year: two invented companies, where their visitors come from, and when people are about."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import accumulate
from math import ceil
from random import Random
from zoneinfo import ZoneInfo

from pbxtrack.calls.events import microseconds
from pbxtrack.pool.sizing import numbers_needed, offered_load
from pbxtrack.sitefile.model import Channel, Pool, Site

NODE = "demo"
"""The Asterisk of the demonstration's calls: no real one should have the name."""

YEAR = timedelta(days=365)
SECOND = 1_000_000  # microseconds, which all times are reckoned in
DAY = 86_400 * SECOND

_VISIT = timedelta(minutes=4)  # how long one lasts, for the size of the pools
_PEAK = 6.0  # times as many visits in the busiest hours as on average
_BLOCKED = 0.02


@dataclass(frozen=True, slots=True)
class Source:
    """Where visits come from.

    ``share``: of visits, in any unit; ``calls``: how many times as readily its visitors call as others do. It is there
    from the part of the year ``begins`` until ``ends``; from ``fails`` on its visitors come, but hardly ever call.
    ``click_id``: the name of the parameter that the advertising system adds; ``cost``: of a visit, in hundredths.
    """

    share: float
    calls: float = 1.0
    tags: Mapping[str, str] = field(default_factory=dict)
    terms: Sequence[str] = ()
    contents: Sequence[str] = ()
    referrer: str = ""
    click_id: str = ""
    cost: int = 0
    begins: float = 0.0
    ends: float = 1.0
    fails: float = 1.0

    def weight(self, part: float, *, calling: bool) -> float:
        """The source's share of the visits, or of those that end in a call, at a part of the year."""
        if not self.begins <= part < self.ends:
            return 0.0
        return self.share * (self.calls * (0.04 if part >= self.fails else 1.0) if calling else 1.0)


@dataclass(frozen=True, slots=True)
class Printed:
    """An advertising channel with a number of its own.

    ``share``: of the calls to such numbers, while it is out; ``cost``: of a month, for each call that the company has
    in the year, in hundredths.
    """

    channel: str
    share: float
    begins: float = 0.0
    ends: float = 1.0
    cost: int = 0

    def weight(self, part: float) -> float:
        return self.share if self.begins <= part < self.ends else 0.0


@dataclass(frozen=True, slots=True)
class Company:
    """A company with its site. The site's pools tell their numbers' beginning and share instead of numbers.

    ``pools``: by name, the digits that its numbers begin with and its share of the numbers. ``regions``: visitors' and
    their share. ``hours``: when somebody answers; ``weekend``: how much of a working day's traffic a day off has.
    ``queue``: calls wait for one operator after another; else two ring at once. ``sale``: how many times as much goes
    on at the end of November. ``goods``: what people buy, and what it costs about, in hundredths.
    """

    site: Site
    share: float
    pools: Mapping[str, tuple[str, float]]
    static: str
    sources: Sequence[Source]
    printed: Sequence[Printed]
    regions: Sequence[tuple[str, float]]
    pages: Sequence[str]
    operators: Sequence[str]
    hours: tuple[int, int]
    weekend: float
    goods: Sequence[tuple[str, int]]
    queue: bool = False
    sale: float = 1.0

    def sized(self, visits: int, copies: int) -> Site:
        """The site with numbers for so many visits a year, so many times over."""
        per_hour = max(visits / (365 * 24) * _PEAK, 0.5)
        needed = numbers_needed(offered_load(per_hour, _VISIT, self.site.hold), _BLOCKED)
        pools = []
        for pool in self.site.pools:
            prefix, share = self.pools[pool.name]
            count = max(2, ceil(needed * share)) * copies
            pools.append(replace(pool, numbers=tuple(f"{prefix}{100 + index:06}" for index in range(count))))
        numbers = {printed.channel: f"{self.static}{1 + index:06}" for index, printed in enumerate(self.printed)}
        channels = [
            replace(channel, numbers=(numbers[channel.name],)) if channel.name in numbers else channel
            for channel in self.site.channels
        ]
        return replace(self.site, pools=tuple(pools), channels=tuple(channels))


def _ad(source: str, medium: str, campaign: str) -> dict[str, str]:
    return {"utm_source": source, "utm_medium": medium, "utm_campaign": campaign}


# No subscriber's number begins with 0 in any of these areas: nobody has one of them.
SHOP = Company(
    site=Site(
        key="demo-shop",
        name="Сосна и Дуб (demo)",
        line="PJSIP/101&PJSIP/102",
        origins=("https://shop.example",),
        replace=("+74950100000",),
        timezone="Europe/Moscow",
        overflow_number="+74950000000",
        email="sales@shop.example",
        pools=(
            Pool("moscow", regions=("495", "499")),
            Pool("petersburg", regions=("812",)),
            Pool("everywhere"),
        ),
        channels=(
            Channel("Yandex Direct", {"source": "yandex", "medium": "cpc"}),
            Channel("Google Ads", {"source": "google", "medium": "cpc"}),
            Channel("VK", {"source": "vk", "medium": "cpc"}),
            Channel("SEO", {"medium": "organic"}),
            Channel("Newsletter", {"medium": "email"}),
            Channel("Billboard M4"),
            Channel("Avito"),
            Channel("Catalogue, print"),
            Channel("Radio, spring", line="PJSIP/103"),
        ),
    ),
    share=0.65,
    pools={"moscow": ("+74950", 0.6), "petersburg": ("+78120", 0.2), "everywhere": ("+78000", 0.2)},
    static="+74990",
    sources=(
        Source(
            0.17, 1.5, _ad("yandex", "cpc", "brand"), ("сосна и дуб", "сосна и дуб мебель"), ("1001", "1002"),
            click_id="yclid", cost=19_00,
        ),
        Source(
            0.16, 1.0, _ad("yandex", "cpc", "sofas-msk"),
            ("купить диван", "диван недорого", "угловой диван москва", "диван-кровать"), ("2001", "2002", "2003"),
            click_id="yclid", cost=74_50,
        ),
        Source(
            0.10, 0.9, _ad("yandex", "cpc", "kitchens"), ("кухня на заказ", "кухни из массива"), ("2101", "2102"),
            click_id="yclid", cost=68_00, begins=0.3, fails=0.72,
        ),
        Source(0.08, 1.1, _ad("google", "cpc", "search-tables"), ("дубовый стол", "обеденный стол"), ("a1", "a2"),
               click_id="gclid", cost=52_30, ends=0.55),
        Source(0.06, 0.7, _ad("google", "cpc", "pmax-autumn"), (), ("pmax",), click_id="gclid", cost=31_00, begins=0.6),
        Source(0.09, 0.35, _ad("vk", "cpc", "retargeting"), (), ("video", "carousel"), cost=14_20),
        Source(0.05, 0.8, _ad("vk", "cpc", "new-flats"), (), ("post",), cost=22_00, begins=0.45, ends=0.8),
        Source(0.14, 0.9, referrer="https://yandex.ru/"),
        Source(0.08, 0.8, referrer="https://www.google.com/"),
        Source(0.04, 0.6, _ad("newsletter", "email", "monthly"), (), ("header", "footer")),
        Source(0.13, 1.3),
        Source(0.03, 0.5, referrer="https://forum.example/interiors/"),
        Source(0.02, 0.6, referrer="https://reviews.example/furniture"),
        Source(0.015, 1.6, referrer="https://chatgpt.com/", begins=0.25),
        Source(0.01, 1.4, referrer="https://www.perplexity.ai/", begins=0.4),
    ),
    printed=(
        Printed("Billboard M4", 0.3, 0.1, 0.75, cost=9_00),
        Printed("Avito", 0.45, cost=3_50),
        Printed("Catalogue, print", 0.15, cost=1_20),
        Printed("Radio, spring", 0.35, 0.3, 0.5, cost=14_00),
    ),
    regions=(("495", 0.52), ("499", 0.08), ("812", 0.18), ("343", 0.03), ("", 0.19)),
    pages=("/", "/sofas", "/sofas/oslo", "/tables", "/tables/oak", "/kitchens", "/delivery", "/contacts", "/sale"),
    operators=("PJSIP/101", "PJSIP/102", "PJSIP/103", "PJSIP/104", "PJSIP/105"),
    hours=(9, 21),
    weekend=0.8,
    goods=(("Диван", 62_000_00), ("Дубовый стол", 38_000_00), ("Кухня на заказ", 145_000_00), ("Кресло", 21_000_00)),
    sale=1.7,
)  # fmt: skip

CLINIC = Company(
    site=Site(
        key="demo-clinic",
        name="Клиника «Рябина» (demo)",
        line="PJSIP/201",
        origins=("https://clinic.example",),
        replace=("+73430100000",),
        record=True,
        timezone="Asia/Yekaterinburg",
        unique_days=90,
        overflow_number="+73430000000",
        email="hello@clinic.example",
        pools=(Pool("yekaterinburg", regions=("343",)), Pool("anyone")),
        channels=(
            Channel("Yandex Direct", {"source": "yandex", "medium": "cpc"}),
            Channel("Google Ads", {"source": "google", "medium": "cpc"}),
            Channel("VK", {"source": "vk", "medium": "cpc"}),
            Channel("SEO", {"medium": "organic"}),
            Channel("Leaflets"),
            Channel("Maps listing"),
        ),
    ),
    share=0.35,
    pools={"yekaterinburg": ("+73430", 0.7), "anyone": ("+73510", 0.3)},
    static="+73420",
    sources=(
        Source(0.24, 1.4, _ad("yandex", "cpc", "dentist"), ("стоматология рядом", "лечение зубов", "зубной врач"),
               ("301", "302"), click_id="yclid", cost=83_00),
        Source(0.12, 0.9, _ad("yandex", "cpc", "implants"), ("имплантация зубов цена",), ("311",), click_id="yclid",
               cost=164_00, begins=0.2, fails=0.6, ends=0.9),
        Source(0.07, 1.0, _ad("google", "cpc", "dentist"), ("dentist near me", "стоматолог"), ("g1",),
               click_id="gclid", cost=77_00),
        Source(0.08, 0.5, _ad("vk", "cpc", "whitening"), (), ("story", "post"), cost=24_00, begins=0.5),
        Source(0.20, 1.1, referrer="https://yandex.ru/"),
        Source(0.07, 0.9, referrer="https://www.google.com/"),
        Source(0.16, 1.4),
        Source(0.04, 0.7, referrer="https://doctors.example/yekaterinburg"),
        Source(0.02, 1.5, referrer="https://chatgpt.com/", begins=0.3),
    ),
    printed=(Printed("Leaflets", 0.35, 0.15, 0.85, cost=4_00), Printed("Maps listing", 0.65, cost=2_50)),
    regions=(("343", 0.78), ("351", 0.07), ("495", 0.03), ("", 0.12)),
    pages=("/", "/prices", "/doctors", "/implants", "/whitening", "/children", "/contacts"),
    operators=("PJSIP/201", "PJSIP/202", "PJSIP/203", "PJSIP/204"),
    hours=(8, 20),
    weekend=0.45,
    goods=(("Лечение", 7_400_00), ("Имплантация", 58_000_00), ("Отбеливание", 16_500_00), ("Осмотр", 2_200_00)),
    queue=True,
)  # fmt: skip

COMPANIES = (SHOP, CLINIC)

# Of an hour of the day, by the companies' own clocks: when people are about.
_HOURS = (2, 1, 1, 1, 1, 2, 4, 9, 22, 48, 70, 78, 74, 66, 64, 66, 68, 66, 60, 50, 36, 22, 10, 4)
_DAYS = (1.12, 1.08, 1.05, 1.03, 1.0)  # from Monday on; people leave little for the end of the week
_HOLIDAYS = frozenset(
    {(1, day) for day in range(1, 9)} | {(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4), (12, 31)}
)  # month and day, in Russia
_GROWTH = 0.7  # more at the year's end than at its beginning


def is_day_off(day: date) -> bool:
    """Whether most people need not work."""
    return day.weekday() >= 5 or (day.month, day.day) in _HOLIDAYS


class Rhythm:
    """When people visit a company's site, and call: by weekday, hour and season, more and more over the year."""

    def __init__(self, company: Company, until: datetime, random: Random) -> None:
        self.begin, self.end = microseconds(until - YEAR), microseconds(until)
        zone = ZoneInfo(company.site.timezone)
        self._starts: list[int] = []
        weights: list[float] = []
        first = (until - YEAR).astimezone(zone).date()
        for ordinal in range(first.toordinal(), until.astimezone(zone).date().toordinal() + 1):
            day = date.fromordinal(ordinal)
            busy = self._busy(day, company, (ordinal - first.toordinal()) / YEAR.days) * random.uniform(0.88, 1.12)
            for hour, about in enumerate(_HOURS):
                start = microseconds(datetime(day.year, day.month, day.day, hour, tzinfo=zone))
                part = min(start + DAY // 24, self.end) - max(start, self.begin)  # of the hour, in the year
                if part > 0:
                    self._starts.append(max(start, self.begin))
                    weights.append(busy * about * part)
        self._ends = [*self._starts[1:], self.end]
        self._sums = list(accumulate(weights))

    def moments(self, count: int, random: Random) -> list[int]:
        """So many moments, microseconds since 1970, in their order."""
        found = []
        for _ in range(count):
            hour = bisect_right(self._sums, random.random() * self._sums[-1])
            found.append(random.randrange(self._starts[hour], self._ends[hour]))
        return sorted(found)

    def part(self, at: int) -> float:
        """How much of the year is over, 0 to 1."""
        return (at - self.begin) / (self.end - self.begin)

    @staticmethod
    def _busy(day: date, company: Company, part: float) -> float:
        busy = (1 + _GROWTH * part) * (company.weekend if is_day_off(day) else _DAYS[day.weekday()])
        if (day.month, day.day) in _HOLIDAYS:
            busy *= 0.5
        friday = day - timedelta(days=(day.weekday() - 4) % 7)
        last = friday.month == 11 and friday.day > 23
        return busy * (company.sale if last and (day - friday).days <= 2 else 1.0)
