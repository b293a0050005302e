"""Telephone numbers: what people, carriers and callers write, read as E.164."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, phonenumberutil

from pbxtrack.errors import PbxtrackError

MAX_LENGTH = 64  # characters of a number as it arrives; a longer one is not a number
_WITHHELD = frozenset({"", "unknown", "<unknown>", "anonymous", "restricted", "private", "unavailable", "withheld"})
_E164 = re.compile(r"\+[0-9]{8,15}")
# Whole numbers of the plans +7 and +1, from which nothing can be stripped: phonenumbers would give them back as they
# are, in a tenth of a millisecond that every new caller would wait for.
_WHOLE = re.compile(r"\+(?:7[3-9]|1[2-9])[0-9]{9}")
_LONG = 11  # characters of E.164 from which on a number's form is known without its last two digits
_NOT_DIALLABLE = re.compile(r"[^0-9A-Za-z+*#._-]")


class InvalidNumber(PbxtrackError):
    """A text that is no telephone number."""


@dataclass(frozen=True, slots=True, order=True)
class Number:
    """A telephone number in E.164, such as ``+74951230100``."""

    e164: str

    @classmethod
    def parse(cls, text: str, region: str = "RU") -> Self:
        """Read a number as a person or a carrier writes it.

        ``region`` (ISO 3166) says how numbers without a country are read. In region RU ``+7 495 123-01-00``,
        ``74951230100``, ``84951230100``, ``4951230100`` and ``00 7 495…`` are the same number.

        Raises InvalidNumber, with the text in its message, when no number can be made of it.
        """
        return cls(_e164(text, region))

    @property
    def digits(self) -> str:
        """The number without its plus sign, as Asterisk's database keys are written."""
        return self.e164[1:]

    def display(self, region: str = "RU") -> str:
        """The number as people of ``region`` write it: national within it, international elsewhere."""
        if len(self.e164) < _LONG:
            return _formatted(self.e164, region)
        before, between, after = _form(self.e164[:-2], region)
        return f"{before}{self.e164[-2]}{between}{self.e164[-1]}{after}"

    def __str__(self) -> str:
        return self.e164


@lru_cache(maxsize=20_000)  # formatting costs 0.1 ms, and a website's visitor waits for it
def _form(hundred: str, region: str) -> tuple[str, str, str]:
    """How the numbers that begin so are written: what stands before, between and after their last two digits.

    The first digits of a number choose its form; the last two of a long number never do.
    """
    shown = _formatted(hundred + "00", region)
    last = max(index for index, character in enumerate(shown) if character.isdigit())
    one_but_last = max(index for index, character in enumerate(shown[:last]) if character.isdigit())
    return shown[:one_but_last], shown[one_but_last + 1 : last], shown[last + 1 :]


def _formatted(e164: str, region: str) -> str:
    parsed = phonenumbers.parse(e164)
    if parsed.country_code == phonenumbers.country_code_for_region(region):
        return phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)


@lru_cache(maxsize=65_536)  # a DID is read at every call; parsing costs 0.1 ms
def _e164(text: str, region: str) -> str:
    stripped = text.strip()
    if not stripped or len(stripped) > MAX_LENGTH:
        raise InvalidNumber(f"{shorten(text)!r} is not a telephone number")
    if stripped.startswith("00"):
        stripped = "+" + stripped[2:].lstrip()
    candidates = [stripped]
    if not stripped.startswith("+"):
        candidates.append("+" + stripped)  # a foreign number in full, without its plus sign
    for candidate in candidates:
        try:
            parsed = phonenumbers.parse(candidate, region)
        except NumberParseException:
            continue
        # "Possible", not "valid": new number ranges come into use before any library knows them.
        whole = phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
        if whole and not parsed.extension:  # one without its area code is not
            return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    raise InvalidNumber(f"{shorten(text)!r} is not a telephone number")


def read_caller(text: str | None, region: str = "RU") -> str | None:
    """The caller's number as Asterisk reports it: E.164 where it is one, else its own characters, else None.

    None means that the caller withheld it. Internal extensions and SIP names are kept, without characters that
    cannot be dialled, and cut to 64 characters.
    """
    if text is None or text.strip().lower() in _WITHHELD:
        return None
    if _WHOLE.fullmatch(text):
        return text
    try:
        return _e164(text, region)
    except InvalidNumber:
        return _NOT_DIALLABLE.sub("", text)[:MAX_LENGTH] or None


def split(e164: str) -> tuple[str, str, str]:
    """(country code, trunk prefix, national number) of a number in E.164; ``+7495…`` gives ("7", "8", "495…")."""
    code = str(phonenumbers.parse(e164).country_code)
    trunk = phonenumberutil.ndd_prefix_for_region(phonenumbers.region_code_for_country_code(int(code)), True)
    return code, trunk or "", e164[1 + len(code) :]


def landline_region(e164: str) -> str | None:
    """The area code of a Russian landline, which websites name their visitors' regions by; None of any other number.

    A mobile number tells nothing of where its owner is.
    """
    return e164[2:5] if e164.startswith("+7") and e164[2:3] in ("3", "4", "8") else None


def mask(number: str | None) -> str:
    """A number as it may stand in a log: of one in E.164 country and area; of any other text, nothing."""
    if number is None:
        return "withheld"
    return number[:-4] + "····" if _E164.fullmatch(number) else "····"


def shorten(text: str, length: int = 40) -> str:
    """A text from outside as it may stand in a message: at most ``length`` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def dialling_prefixes(region: str) -> tuple[str, str]:
    """(country code, trunk prefix) of a region; RU gives ("7", "8"). The trunk prefix may be empty.

    Raises InvalidNumber for a region that does not exist.
    """
    code = phonenumbers.country_code_for_region(region)
    if not code:
        raise InvalidNumber(f"{shorten(region)!r} is not a region; use an ISO 3166 code such as RU or US")
    return str(code), phonenumberutil.ndd_prefix_for_region(region, True) or ""
