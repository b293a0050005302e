"""Why a call or an e-mail is attributed as it is, in sentences for people: the templates, and how one is read back.

They keep the English sentence. Whoever shows it in another language reads it back (:func:`read`) and fills the
translated template. A template that changes is no longer read: keep the old one in ``TEMPLATES``, calls have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import NamedTuple


def template(text: str) -> str:
    """A text with gaps, ``%(name)s``. By this name those who collect texts for translation find it."""
    return text


class Counted(NamedTuple):
    """A text with a number, ``%(n)s``: of one, and of more."""

    one: str
    many: str

    def of(self, count: int) -> str:
        return (self.one if count == 1 else self.many) % {"n": count}


@dataclass(frozen=True, slots=True)
class Said:
    """What a sentence says: a template, and what fills it.

    ``n`` is a count, ``share`` whole percents; ``ago``, ``sign`` and ``others`` are said in turn, the last may be None.
    """

    template: str | Counted
    values: Mapping[str, str | int | Said | None]


NOT_OURS = template("The dialled number is not one of ours.")
STATIC = template("The number belongs to the channel %(channel)s.")
HELD = template("The number was held for this visit; %(sign)s%(others)s.")
HELD_LAST = template(
    "Nobody held the number; this visit held it last, until %(ago)s before the call, and %(sign)s%(others)s."
)
LIKELIEST = template(
    "Of those who were shown the number this visit is the likeliest, though others held it since; %(sign)s%(others)s."
)
OVERFLOW = template("The overflow number; of the visits that were shown it, %(sign)s in this one%(others)s.")
AGAIN = template("The same caller called before and belongs to the visit in which this number was shown to them.")
AGAIN_LIKELIEST = template(
    "The same caller called before, and is the likeliest to have come from this visit (%(share)s)."
)
AGAIN_TOLD = template("The same caller called before, and somebody corrected that call: %(channel)s brought it.")
AGAIN_NOBODY = template("The same caller called before and is nobody whom the website showed the number.")
NEVER_SHOWN = template("Nobody had been shown this number before the call.")
OVERFLOW_UNKNOWN = template(
    "The overflow number, shown to visitors when the pool was used up; which of them called is not known."
)
NOBODY = template("Probably nobody whom the website showed the number (%(share)s): no visit fits the time of the call.")
NOT_YET = template("Asterisk has not told the dialled number yet.")
OUTBOUND = template("The company made this call.")
CORRECTED = template("Corrected by %(by)s: %(channel)s brought the call.")
CORRECTED_UNKNOWN = template("Corrected by %(by)s: %(channel)s brought the call, not somebody unknown.")
CORRECTED_FROM = template("Corrected by %(by)s: %(channel)s brought the call, not %(instead)s.")

ADDRESS_STATIC = template("The address belongs to the channel %(channel)s.")
ADDRESS_MADE = template("The address was made for this visit and shown to nobody else.")
ADDRESS_MADE_OLD = template(
    "The address was made for this visit and shown to nobody else, but last %(ago)s before the e-mail came."
)
ADDRESS_HELD = template("The address was held for this visit when the e-mail came.")
ADDRESS_HELD_LAST = template(
    "Nobody held the address when the e-mail came; this visit held it last, until %(ago)s before."
)
ADDRESS_NEVER_SHOWN = template("Nobody had been shown this address before the e-mail came.")
ADDRESS_MAILBOX = template("The e-mail was written to the mailbox itself.")
ADDRESS_UNKNOWN = template("The address looks like those that are made for visits, but was made for none.")

TAPPED = template("the number was tapped or copied %(ago)s before the call")
CLOSED = template("the page was closed %(ago)s before the call")
OPEN = template("the page was open during the call")
LAST_SIGN = template("the last sign of life was %(ago)s before the call")

OTHERS = Counted("; %(n)s other may have called", "; %(n)s others may have called")
DAYS = Counted("%(n)s day", "%(n)s days")
HOURS = Counted("%(n)s hour", "%(n)s hours")
MINUTES = Counted("%(n)s minute", "%(n)s minutes")
SECONDS = Counted("%(n)s second", "%(n)s seconds")

TEMPLATES = (
    NOT_OURS, STATIC, HELD, HELD_LAST, LIKELIEST, OVERFLOW, AGAIN, AGAIN_LIKELIEST, AGAIN_TOLD, AGAIN_NOBODY,
    NEVER_SHOWN, OVERFLOW_UNKNOWN, NOBODY, NOT_YET, OUTBOUND, CORRECTED_UNKNOWN, CORRECTED_FROM, CORRECTED,
    ADDRESS_STATIC, ADDRESS_MADE, ADDRESS_MADE_OLD, ADDRESS_HELD, ADDRESS_HELD_LAST, ADDRESS_NEVER_SHOWN,
    ADDRESS_MAILBOX, ADDRESS_UNKNOWN,
)  # fmt: skip
"""Whole sentences; one that another might be taken for comes first."""
_SIGNS = (TAPPED, CLOSED, OPEN, LAST_SIGN)
_AGO = (DAYS, HOURS, MINUTES, SECONDS)
_GAPS = {
    "ago": r"\d{1,9} (?:day|hour|minute|second)s?",
    "others": r"(?:; \d{1,9} others? may have called)?",
    "share": r"\d{1,3}%",
    "sign": r"the .+?",
    "by": r".+?",
    "channel": r".*",
    "instead": r".*",
}


def ago(span: timedelta) -> str:
    """A length of time in its greatest whole unit; never less than no seconds."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, DAYS), (3_600, HOURS), (60, MINUTES)):
        if seconds >= size:
            return unit.of(seconds // size)
    return SECONDS.many % {"n": max(seconds, 0)}


def percents(share: float) -> int:
    """How sure an attribution is, in whole percents that it reaches: what is told as 90 is found from 0.9 on."""
    whole = int(share * 100) + 1
    while whole / 100 > share:
        whole -= 1
    return whole


def others(count: int) -> str:
    """How many others may have called; nothing for none."""
    return OTHERS.of(count) if count > 0 else ""


def read(sentence: str) -> Said | None:
    """What a sentence says; None for one that is of no template."""
    return _read(sentence, TEMPLATES)


def _read(text: str, templates: Sequence[str]) -> Said | None:
    for one in templates:
        if found := _pattern(one).fullmatch(text):
            values = {name: _value(name, value) for name, value in found.groupdict().items()}
            if values.get("sign", "") is not None:
                return Said(one, values)
    return None


def _value(name: str, text: str) -> str | int | Said | None:
    match name:
        case "share":
            return int(text[:-1])
        case "sign":
            return _read(text, _SIGNS)
        case "ago":
            return _counted(text, _AGO)
        case "others":
            return _counted(text, (OTHERS,)) if text else None
    return text


def _counted(text: str, among: Sequence[Counted]) -> Said:
    (number,) = re.findall(r"\d+", text)
    rest = text.replace(number, "%(n)s", 1)
    return Said(next(one for one in among if rest in one), {"n": int(number)})


@cache
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", text)
    texts = [re.escape(part) if index % 2 == 0 else f"(?P<{part}>{_GAPS[part]})" for index, part in enumerate(parts)]
    return re.compile("".join(texts), re.DOTALL)
