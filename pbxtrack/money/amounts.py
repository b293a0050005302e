"""Amounts: whole hundredths of a currency, read as people write them, and divided so that nothing is lost."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from pbxtrack.numbers import shorten
from pbxtrack.wrong import Wrong

MAX_AMOUNT = 10**12
"""Hundredths: ten thousand millions. More is a slip of the pen."""

_CURRENCY = re.compile(r"^[A-Z]{3}\b|(?:\b[A-Z]{3}|руб\.?|р\.)$")
_FRACTION = r"\d{1,2}|\d\d00+"
_FORMS = (
    re.compile(rf"(\d+)(?:[.,]({_FRACTION}))?", re.ASCII),
    re.compile(rf"(\d{{1,3}}(?: \d{{3}})+)(?:[.,]({_FRACTION}))?", re.ASCII),
    re.compile(rf"(\d{{1,3}}(?:,\d{{3}})+)\.({_FRACTION})", re.ASCII),
    re.compile(rf"(\d{{1,3}}(?:\.\d{{3}})+),({_FRACTION})", re.ASCII),
)
_NOT_DIGITS = re.compile(r"\D")

Key = TypeVar("Key")


def read_amount(text: str) -> int:
    """An amount as people and spreadsheets write it, in hundredths: ``1234.5``, ``1 234,50``, ``1,234.50 RUB``.

    ValueError where it is none, or might be two: ``1,234``.
    """
    plain = "".join(" " if sign.isspace() or sign in "'’" else sign for sign in text)
    plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Sc").strip()
    plain = _CURRENCY.sub("", plain).strip()
    if not plain:
        raise Wrong("there is no amount")
    if plain[0] in "-−–":
        raise Wrong("an amount must not be negative")
    for form in _FORMS:
        if found := form.fullmatch(plain):
            whole, fraction = found[1], (found[2] or "")[:2]
            return bounded(int(_NOT_DIGITS.sub("", whole)[:20]) * 100 + int(fraction.ljust(2, "0")))
    raise Wrong(
        "%(value)s is no amount that can be read in one way; write 1234.50 or 1234,50", value=repr(shorten(text))
    )


def of_number(number: float) -> int:
    """An amount of a program, in hundredths. ValueError where it has more than two digits after the point."""
    hundredths = Decimal(str(number)) * 100
    if not hundredths.is_finite() or hundredths != hundredths.to_integral_value():
        raise Wrong("has more than two digits after the point")
    return bounded(int(hundredths))


def bounded(hundredths: int) -> int:
    """The same amount; ValueError where no advertising costs so much, or so little."""
    if not 0 <= hundredths <= MAX_AMOUNT:
        raise Wrong("must be 0 to %(most)s", most=MAX_AMOUNT // 100)
    return hundredths


def told(hundredths: int | None) -> float | None:
    """An amount as programs are told it: with two digits after the point at most."""
    return None if hundredths is None else hundredths / 100


def shown(hundredths: int) -> str:
    """An amount as people read it: ``1,234.50``."""
    return f"{hundredths // 100:,}.{hundredths % 100:02}"


def rounded(parts: Mapping[Key, int], of: int) -> dict[Key, int]:
    """Parts, of which ``of`` make one, as whole numbers that add up to what all parts together make.

    Whose rest is largest has one more than its whole parts make; of those alike, the first.
    """
    whole = {key: part // of for key, part in parts.items()}
    over = sum(parts.values()) // of - sum(whole.values())
    for key in sorted(parts, key=lambda key: -(parts[key] % of))[:over]:
        whole[key] += 1
    return whole
