"""The languages of the pages: texts from gettext catalogues; times and numbers as people of the language write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import UnknownLocaleError, negotiate_locale
from babel.dates import format_date, format_datetime, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_symbol

from pbxtrack.calls.reasons import percents
from pbxtrack.numbers import InvalidNumber, Number

LANGUAGES: Mapping[str, str] = {"en": "English", "ru": "Русский"}
DEFAULT = "en"
COOKIE = "pbxtrack_language"
"""Keeps the choice of a browser that nobody has logged in with."""
_LOCALES = {"en": "en_GB", "ru": "ru_RU"}  # days before months, 24 hours
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MANY = 10  # times as much is told so
_MINUS = "−"  # as wide as a plus; catalogues of languages have a hyphen
_MAX_HEADER = 500  # characters


def negotiated(header: str) -> str:
    """The language that a browser asks for in Accept-Language, as far as we have it."""
    wanted = []
    for part in header[:_MAX_HEADER].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.strip().replace("-", "_")))
        except ValueError:
            continue
    wanted.sort(key=lambda one: one[0])
    return (negotiate_locale([tag for _, tag in wanted if tag], list(LANGUAGES)) or DEFAULT)[:2]


@cache
def translations(language: str) -> NullTranslations:
    """The texts of a language; those of the code itself where it has none. The catalogues are read as they are kept."""
    file = files("pbxtrack.dashboard").joinpath("locales", language, "messages.po")
    if not file.is_file():
        return NullTranslations()
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source))
    compiled.seek(0)
    return GNUTranslations(compiled)


def csv_divider(language: str) -> str:
    """What divides the cells of CSV files, as Excel expects it where the language is spoken."""
    return ";" if language == "ru" else ","


def marked(text: str) -> str:
    """A text that is translated later, where it is shown."""
    return text


class Format:
    """Times, numbers and durations as people write them who speak a language and live in a time zone.

    ``now``: times of its year are told without the year; None: each has its year.
    """

    def __init__(self, language: str, zone: str, region: str, now: datetime | None = None) -> None:
        self._locale = _locale(language)
        self.zone = ZoneInfo(zone)
        self._region = region
        self._year = None if now is None else now.astimezone(self.zone).year
        self._text = translations(language).gettext

    def number(self, value: float | None, digits: int = 0) -> str:
        """Grouped by thousands; a dash for None."""
        if value is None:
            return "–"
        if digits == 0 and value != int(value):
            digits = 1
        return _decimal(round(value, digits), self._locale)

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share of one."""
        if share is None:
            return "–"
        pattern = "#,##0." + "0" * digits + "%" if digits else "#,##0%"
        return format_percent(share, format=pattern, locale=self._locale).replace("-", _MINUS)

    def sure(self, share: float) -> str:
        """How sure an attribution is, as a share that it reaches: see :func:`pbxtrack.calls.reasons.percents`."""
        return self.percent(percents(share) / 100)

    def money(self, amount: float | None, currency: str, *, exact: bool = False) -> str:
        """An amount in its main unit; from a hundred on without what is less than that, unless it is ``exact``."""
        if amount is None:
            return "–"
        whole = amount == int(amount) or (abs(amount) >= 100 and not exact)
        pattern = self._locale.currency_formats["standard"].pattern
        if get_currency_symbol(currency, self._locale)[-1:].isalpha():
            pattern = pattern.replace("¤#", "¤\N{NO-BREAK SPACE}#")
        told = format_currency(
            round(amount) if whole else amount,
            currency,
            format=pattern.replace(".00", "") if whole else pattern,
            locale=self._locale,
            currency_digits=not whole,
        )
        return str(told).replace("-", _MINUS)

    def change(self, now: float | None, before: float | None) -> str:
        """By how much it is more or less than before: ``+12 %``, ``×14``; empty where that says nothing."""
        if now is None or not before:
            return ""
        if now / before >= _MANY:
            return f"×{self.number(round(now / before))}"
        share = now / before - 1
        sign = "+" if share > 0 else _MINUS if share < 0 else "±"
        return sign + self.percent(abs(share))

    def points(self, now: float, before: float) -> str:
        """By how many percentage points a share is more or less than before; empty where it is the same."""
        points = round((now - before) * 100, 1)
        sign = "+" if points > 0 else _MINUS
        return sign + self.unit(marked("%s pp"), abs(points), 1) if points else ""

    def unit(self, text: str, value: float, digits: int = 0) -> str:
        """A number with its unit, ``%s h`` translated: never on two lines."""
        return (self._text(text) % self.number(value, digits)).replace(" ", _NO_BREAK)

    def duration(self, seconds: float | None) -> str:
        """As clocks count, to the nearest second: ``4:05``, ``1:04:05``; a dash for None. The player does the same."""
        if seconds is None:
            return "–"
        minutes, rest = divmod(math.floor(seconds + 0.5), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

    def spell(self, seconds: float | None) -> str:
        """A length of time in words: ``40 s``, ``35 min``, ``12 h``; a dash for None."""
        if seconds is None:
            return "–"
        if seconds < 60:
            return self.unit(marked("%s s"), seconds, 1 if seconds < 10 else 0)
        if seconds < 3600:
            return self.unit(marked("%s min"), seconds // 60)
        if seconds < 172_800:
            return self.unit(marked("%s h"), seconds // 3600)
        return self.unit(marked("%s days"), seconds // 86_400)

    def when(self, at: datetime | str | None) -> str:
        """A day and a time: ``22 Nov, 14:05``, and of another year ``22 Nov 2025, 14:05``."""
        if at is None:
            return "–"
        at = _read(at)
        pattern = "d MMM, HH:mm" if at.astimezone(self.zone).year == self._year else "d MMM y, HH:mm"
        return format_datetime(at, pattern, tzinfo=self.zone, locale=self._locale)

    def whole(self, at: datetime | str | None) -> str:
        """Day, year and time to the second."""
        return (
            "–"
            if at is None
            else format_datetime(_read(at), "d MMM y, HH:mm:ss", tzinfo=self.zone, locale=self._locale)
        )

    def clock(self, at: datetime | str, *, seconds: bool = False) -> str:
        """The time of the day."""
        return format_time(_read(at), "HH:mm:ss" if seconds else "HH:mm", tzinfo=self.zone, locale=self._locale)

    def day(self, day: date | datetime | str, pattern: str = "d MMMM y") -> str:
        """A day; of a time, the day in the site's time zone."""
        if isinstance(day, str):
            day = datetime.fromisoformat(day) if "T" in day else date.fromisoformat(day)
        if isinstance(day, datetime):
            day = day.astimezone(self.zone).date() if day.tzinfo else day.date()
        return format_date(day, pattern, locale=self._locale)

    def days(self, first: date, last: date) -> str:
        """Two days and what is between."""
        if first == last:
            return self.day(first)
        if first.year != last.year:
            return f"{self.day(first)} – {self.day(last)}"
        return f"{self.day(first, 'd MMM' if first.month != last.month else 'd')} – {self.day(last)}"

    def weekday(self, day: int, *, wide: bool = False) -> str:
        """Monday is 1."""
        return str(self._locale.days["stand-alone"]["wide" if wide else "abbreviated"][day - 1])

    def phone(self, number: str | None) -> str:
        """A number as people write it; what is no number as it is."""
        return "" if number is None else _phone(number, self._region)


@lru_cache(maxsize=16_384)  # writing one anew takes fifty times as long, and most are small
def _decimal(value: float, locale: Locale) -> str:
    return str(format_decimal(value, format="#,##0.###", locale=locale)).replace("-", _MINUS)


@lru_cache(maxsize=4_096)
def _phone(number: str, region: str) -> str:
    if not number.startswith("+"):
        return number
    try:
        return Number.parse(number, region).display(region)
    except InvalidNumber:
        return number


@cache
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(_LOCALES[language])
    except (KeyError, UnknownLocaleError):
        return Locale.parse(_LOCALES[DEFAULT])


def _read(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at
