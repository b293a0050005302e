"""Which calls a page is about: read from its address, written into others, and said in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from multidict import MultiMapping

from pbxtrack.calls.lifecycle import Status
from pbxtrack.dashboard.languages import Format, marked
from pbxtrack.dashboard.periods import Chosen
from pbxtrack.numbers import MAX_LENGTH, InvalidNumber, Number, read_caller
from pbxtrack.storage.call_search import NO_CHANNEL, CallFilter
from pbxtrack.storage.views import storable

WITHHELD = "withheld"
_MAX_VALUES = 20
_MAX_WORD = 300  # characters
_NOT_DIGITS = re.compile(r"[\s()+.–-]+")
_FEWEST_DIGITS, _MOST_DIGITS = 2, 15

STATUS_NAMES: Mapping[str, str] = {
    "ringing": marked("Ringing"),
    "talking": marked("Talking"),
    "answered": marked("Answered"),
    "missed": marked("Missed call"),
    "abandoned": marked("Hung up while ringing"),
    "busy": marked("Busy"),
    "failed": marked("Failed"),
}
CHOICES: Mapping[str, tuple[str, Mapping[bool, str]]] = {
    "unsettled": (
        marked("Missed calls"),
        {True: marked("Not called back"), False: marked("All but those not called back")},
    ),
    "target": (marked("Target"), {True: marked("Target calls"), False: marked("Not target")}),
    "unique": (marked("Unique"), {True: marked("Unique contacts"), False: marked("Not unique")}),
    "repeat": (marked("Contact"), {True: marked("Called before"), False: marked("First call")}),
    "recording": (marked("Recording"), {True: marked("Recorded"), False: marked("Not recorded")}),
}
"""Questions that are answered with yes or no, and what the answers are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What is asked for; the fields are named as in the address and the API. ``caller`` may be its last digits.

    A channel may be ``NO_CHANNEL``, as an address with an empty one asks.
    """

    channel: tuple[str, ...] = ()
    campaign: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    caller: str | None = None
    dialled: str | None = None
    unsettled: bool | None = None
    target: bool | None = None
    unique: bool | None = None
    repeat: bool | None = None
    recording: bool | None = None
    min_confidence: float | None = None
    hour: int | None = None

    @property
    def query(self) -> dict[str, Any]:
        """What stands in an address for it."""
        return {name: value for name in NAMES if (value := getattr(self, name)) not in (None, ())}

    def without(self, name: str, value: object = None) -> Filters:
        """The same but for a field, or for one of its values."""
        now = getattr(self, name)
        rest: object = tuple(one for one in now if one != value) if isinstance(now, tuple) else None
        changed: dict[str, Any] = {name: rest}
        return replace(self, **changed)

    def which(self, period: Chosen, site: str, region: str, ids: Sequence[str] = ()) -> CallFilter:
        """As calls are looked for, of those with these ids; none: all.

        They may begin until the day is over: Asterisk's clock may be ahead of ours.
        """
        return CallFilter(
            since=period.since,
            until=period.span.until,
            sites=[site],
            channels=self.channel,
            campaigns=self.campaign,
            statuses=self.status,
            tags=self.tag,
            ids=ids,
            dialled=_dialled(self.dialled, region),
            unsettled=self.unsettled,
            target=self.target,
            unique=self.unique,
            repeat=self.repeat,
            recording=self.recording,
            min_confidence=self.min_confidence,
            hour=self.hour,
            **_caller(self.caller, region),
        )


NAMES = tuple(field.name for field in fields(Filters))


@dataclass(frozen=True, slots=True)
class Chip:
    """Something that is asked for: its name, its value, and all that is left without it."""

    name: str
    value: str
    rest: Filters


def read(query: MultiMapping[str]) -> Filters:
    """What an address asks for; what cannot be read is as if it were not there."""
    answers = {name: {"true": True, "false": False}.get(query.get(name, "")) for name in CHOICES}
    statuses = set(Status)
    return Filters(
        channel=_several(query, "channel", NO_CHANNEL),
        campaign=_several(query, "campaign"),
        status=tuple(one for one in _several(query, "status") if one in statuses),
        tag=_several(query, "tag"),
        caller=_word(query.get("caller")),
        dialled=_word(query.get("dialled")),
        min_confidence=_share(query.get("min_confidence")),
        hour=_hour(query.get("hour")),
        **answers,
    )


def chips(
    of: Filters, text: Callable[[str], str], f: Format, region: str, channel: Callable[[str], str] = str
) -> Sequence[Chip]:
    """What is asked for, one by one, in words; ``channel``: how a channel is shown."""
    found = [
        *(Chip(text("Channel"), channel(one) or text("Unknown"), of.without("channel", one)) for one in of.channel),
        *(Chip(text("Campaign"), one, of.without("campaign", one)) for one in of.campaign),
        *(Chip(text("Status"), text(STATUS_NAMES[one]), of.without("status", one)) for one in of.status),
        *(Chip(text("Tag"), one, of.without("tag", one)) for one in of.tag),
    ]
    if of.caller:
        asked = _caller(of.caller, region)
        if asked.get("withheld"):
            found.append(Chip(text("Caller"), text("Withheld"), of.without("caller")))
        elif ends := asked.get("caller_ends"):
            found.append(Chip(text("Caller's number ends with"), ends, of.without("caller")))
        else:
            found.append(Chip(text("Caller"), f.phone(asked["caller"]), of.without("caller")))
    if of.dialled:
        found.append(Chip(text("Dialled"), f.phone(_dialled(of.dialled, region)), of.without("dialled")))
    found += [
        Chip(text(name), text(values[answer]), of.without(question))
        for question, (name, values) in CHOICES.items()
        if (answer := getattr(of, question)) is not None
    ]
    if of.min_confidence is not None:
        found.append(Chip(text("Sure to"), f"≥ {f.percent(of.min_confidence)}", of.without("min_confidence")))
    if of.hour is not None:
        found.append(Chip(text("Hour"), hour_name(of.hour), of.without("hour")))
    return found


def hour_name(hour: int) -> str:
    """An hour of the day."""
    return f"{hour}:00–{hour}:59"


def _several(query: MultiMapping[str], name: str, *besides: str) -> tuple[str, ...]:
    """The words that are asked for, and what else may be."""
    words = (value if value in besides else _word(value) for value in query.getall(name, []))
    return tuple(dict.fromkeys(word for word in words if word is not None))[:_MAX_VALUES]


def _word(text: str | None) -> str | None:
    """A text that may be looked for; None for what no call can have."""
    text = (text or "").strip()
    return text if text and len(text) <= _MAX_WORD and storable(text) else None


def _share(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"[01](\.[0-9]{1,9})?", text):
        return None
    return float(text) if float(text) <= 1 else None


def _hour(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) and int(text) < 24 else None


def _caller(text: str | None, region: str) -> dict[str, Any]:
    """The caller as calls are looked for: a whole number, else its last digits, else the name of an extension."""
    if text is None:
        return {}
    digits = _NOT_DIGITS.sub("", text)
    try:
        return {"caller": Number.parse(text, region).e164}
    except InvalidNumber:
        if digits.isdecimal() and digits.isascii() and _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
            return {"caller_ends": digits}
    caller = read_caller(text, region)
    return {"withheld": True} if caller is None else {"caller": caller}


def _dialled(text: str | None, region: str) -> str | None:
    """As calls keep it: E.164, or what was dialled where that is no number."""
    if text is None:
        return None
    try:
        return Number.parse(text, region).e164
    except InvalidNumber:
        return text[:MAX_LENGTH]
