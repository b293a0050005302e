"""Single values of a site file: each function returns the value normalised, or says in a ValueError what is wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import is_currency

from pbxtrack.numbers import InvalidNumber, Number, shorten
from pbxtrack.sitefile.model import MAX_RANGE

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,4})?)([smhd])", re.ASCII)
_LINE = re.compile(r"[A-Za-z][A-Za-z0-9_]*/[A-Za-z0-9@:._+=?*#~%/-]+", re.ASCII)
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])",
    re.ASCII,
)
_ORIGIN = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[^\s/:@?#\[\]\\,;\"'<>*]+)(?::(\d{1,5}))?")
_PORTS = {"http": "80", "https": "443"}


def label(text: str) -> str:
    """A name for people: one line, not empty."""
    stripped = text.strip()
    if not stripped:
        raise ValueError("must not be empty")
    if not stripped.isprintable():
        raise ValueError("must be one line without control characters")
    return stripped


def key(text: str) -> str:
    """A site's key: it stands in addresses of the API."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text, re.ASCII):
        raise ValueError(f"{_quote(text)} must be made of a-z, 0-9, - and _")
    return text


def line(text: str) -> str:
    """What Dial() takes, free of anything that means something else to a dialplan."""
    for part in text.split("&"):
        if not _LINE.fullmatch(part):
            raise ValueError(f"{_quote(text)} is not a line as Dial() takes it, such as PJSIP/sales")
    return text


def duration(text: str) -> timedelta:
    """A duration such as 30m, 90s, 2.5m, 1h30m or 2d: whole seconds."""
    parts = _PART.findall(text) if re.fullmatch(f"(?:{_PART.pattern}){{1,4}}", text, re.ASCII) else []
    seconds = sum(Decimal(count) * _UNITS[unit] for count, unit in parts)
    if not parts or seconds != int(seconds):
        raise ValueError(f"{_quote(text)} is not a duration; write 90s, 30m, 1h30m or 2d")
    return timedelta(seconds=int(seconds))


def timezone(text: str) -> str:
    """The name of a time zone that exists."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{_quote(text)} is not a time zone; write one such as Europe/Moscow") from None
    return text


def currency(text: str) -> str:
    """A currency's code of ISO 4217."""
    if not is_currency(text):
        raise ValueError(f"{_quote(text)} is not a currency of ISO 4217; write one such as RUB")
    return text


def origin(text: str) -> str:
    """A website's origin as browsers send it: lower case, no default port, an international name in its xn-- form."""
    match = _ORIGIN.fullmatch(text)
    if match is None or (match[3] and not 0 < int(match[3]) < 65_536):
        raise ValueError(f"{_quote(text)} is not an origin; write https://shop.example, without a path")
    host = match[2].lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f"{_quote(text)} is not an origin: its host name cannot be") from None
    port = f":{match[3]}" if match[3] and match[3] != _PORTS[match[1]] else ""
    return f"{match[1]}://{host}{port}"


def email(text: str) -> str:
    """An e-mail address, its domain in lower case."""
    if len(text) > 254 or not _EMAIL.fullmatch(text) or len(text.rpartition("@")[0]) > 64:
        raise ValueError(f"{_quote(text)} is not an e-mail address")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


class NumberReader:
    """Reads numbers and ranges of them as E.164."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._plain: dict[tuple[str, int], bool] = {}

    def one(self, text: str) -> str:
        """A number as a person writes it; ValueError where it is none."""
        if re.fullmatch(r"\+\d{8,15}", text, re.ASCII) is None:
            return self._parse(text)
        # Of numbers that differ in their last digits only, looking at one is enough: it is what takes the time.
        kind = (text[:-4], len(text))
        if self._plain.get(kind):
            return text
        number = self._parse(text)
        self._plain[kind] = number == text
        return number

    def many(self, text: str) -> list[str]:
        """A number, or all of a range ``first..last``."""
        first_text, dots, last_text = text.partition("..")
        first = self.one(first_text)
        if not dots:
            return [first]
        last = self.one(last_text)
        if len(first) != len(last) or last < first:
            raise ValueError(f"{_quote(text)} is not a range: its last number must come after its first")
        size = int(last) - int(first) + 1
        if size > MAX_RANGE:
            raise ValueError(f"{_quote(text)} is a range of {size:,} numbers; {MAX_RANGE:,} are the most")
        return [f"+{number}" for number in range(int(first), int(last) + 1)]

    def _parse(self, text: str) -> str:
        try:
            return Number.parse(text, self._region).e164
        except InvalidNumber as error:
            raise ValueError(str(error)) from None


def _quote(text: str) -> str:
    return repr(shorten(text, 80))
