"""Single values of a site file: each function returns the value normalised, or says in a Wrong what is wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import is_currency

from pbxtrack.numbers import InvalidNumber, Number, shorten
from pbxtrack.sitefile.model import MAX_RANGE
from pbxtrack.wrong import Wrong

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
        raise Wrong("must not be empty")
    if not stripped.isprintable():
        raise Wrong("must be one line without control characters")
    return stripped


def key(text: str) -> str:
    """A site's key: it stands in addresses of the API."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text, re.ASCII):
        raise Wrong("%(value)s must be made of a-z, 0-9, - and _", value=_quote(text))
    return text


def line(text: str) -> str:
    """What Dial() takes, free of anything that means something else to a dialplan."""
    for part in text.split("&"):
        if not _LINE.fullmatch(part):
            raise Wrong("%(value)s is not a line as Dial() takes it, such as PJSIP/sales", value=_quote(text))
    return text


def duration(text: str) -> timedelta:
    """A duration such as 30m, 90s, 2.5m, 1h30m or 2d: whole seconds."""
    parts = _PART.findall(text) if re.fullmatch(f"(?:{_PART.pattern}){{1,4}}", text, re.ASCII) else []
    seconds = sum(Decimal(count) * _UNITS[unit] for count, unit in parts)
    if not parts or seconds != int(seconds):
        raise Wrong("%(value)s is not a duration; write 90s, 30m, 1h30m or 2d", value=_quote(text))
    return timedelta(seconds=int(seconds))


def timezone(text: str) -> str:
    """The name of a time zone that exists."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise Wrong("%(value)s is not a time zone; write one such as Europe/Moscow", value=_quote(text)) from None
    return text


def currency(text: str) -> str:
    """A currency's code of ISO 4217."""
    if not is_currency(text):
        raise Wrong("%(value)s is not a currency of ISO 4217; write one such as RUB", value=_quote(text))
    return text


def origin(text: str) -> str:
    """A website's origin as browsers send it: lower case, no default port, an international name in its xn-- form."""
    match = _ORIGIN.fullmatch(text)
    if match is None or (match[3] and not 0 < int(match[3]) < 65_536):
        raise Wrong("%(value)s is not an origin; write https://shop.example, without a path", value=_quote(text))
    host = match[2].lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise Wrong("%(value)s is not an origin: its host name cannot be", value=_quote(text)) from None
    port = f":{match[3]}" if match[3] and match[3] != _PORTS[match[1]] else ""
    return f"{match[1]}://{host}{port}"


def email(text: str) -> str:
    """An e-mail address, its domain in lower case."""
    if len(text) > 254 or not _EMAIL.fullmatch(text) or len(text.rpartition("@")[0]) > 64:
        raise Wrong("%(value)s is not an e-mail address", value=_quote(text))
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


class NumberReader:
    """Reads numbers and ranges of them as E.164."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._plain: dict[tuple[str, int], bool] = {}

    def one(self, text: str) -> str:
        """A number as a person writes it; Wrong where it is none."""
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
            raise Wrong("%(value)s is not a range: its last number must come after its first", value=_quote(text))
        size = int(last) - int(first) + 1
        if size > MAX_RANGE:
            raise Wrong(
                "%(value)s is a range of %(size)s numbers; %(most)s are the most",
                value=_quote(text),
                size=f"{size:,}",
                most=f"{MAX_RANGE:,}",
            )
        return [f"+{number}" for number in range(int(first), int(last) + 1)]

    def _parse(self, text: str) -> str:
        try:
            return Number.parse(text, self._region).e164
        except InvalidNumber:
            raise Wrong("%(value)s is not a telephone number", value=repr(shorten(text))) from None


def _quote(text: str) -> str:
    return repr(shorten(text, 80))
