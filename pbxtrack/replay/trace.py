"""Traces: what happened on a website and at its telephone, a JSON object a line, by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from pbxtrack.errors import PbxtrackError
from pbxtrack.numbers import shorten
from pbxtrack.pool.model import EventKind

MAX_LINE = 64 * 1024  # bytes
MAX_TIME = 100 * 365 * 86_400.0  # seconds

_EVENTS = {kind.value: kind for kind in EventKind}
_MAX_ID = 64  # characters, as the API takes


class InvalidTrace(PbxtrackError):
    """A line that is none of a trace."""


class Visited(NamedTuple):
    """A visit begins. ``at``: seconds since the beginning of the trace, as everywhere here."""

    at: float
    visit: str
    visitor: str
    page: str
    referrer: str
    region: str


class Renewed(NamedTuple):
    """A sign of life of a visit; ``event`` None for a mere heartbeat."""

    at: float
    visit: str
    event: EventKind | None


class Called(NamedTuple):
    """Somebody calls the number that ``visit`` was shown, or else ``number``. ``caller`` None: withheld."""

    at: float
    call: str
    caller: str | None
    visit: str | None
    number: str | None


Event = Visited | Renewed | Called


def read(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a trace. Raises InvalidTrace, naming the line."""
    before = 0.0
    visitors: dict[str, str] = {}  # by their visits
    calls: set[str] = set()
    for index, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = _event(line)
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidTrace(f"line {index} is none of a trace: {_reason(error)}") from None
        if event.at < before:
            raise InvalidTrace(f"line {index} is earlier than the one before it: a trace is ordered by `t`")
        before = event.at
        # What is told of a visit or a call names it: of two of one name, nobody could say of which.
        if isinstance(event, Visited):
            if visitors.setdefault(event.visit, event.visitor) != event.visitor:
                raise InvalidTrace(f"line {index} says that the visit {event.visit!r} is of another visitor")
        elif isinstance(event, Called):
            if event.call in calls:
                raise InvalidTrace(f"line {index} has the call {event.call!r} a second time")
            calls.add(event.call)
        yield event


def _reason(error: Exception) -> str:
    if isinstance(error, orjson.JSONDecodeError):
        return "it is no JSON object"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error)


def _event(line: bytes) -> Event:
    if len(line) > MAX_LINE:
        raise ValueError(f"it is longer than {MAX_LINE} bytes")
    row = orjson.loads(line)
    if not isinstance(row, dict):
        raise TypeError("it is no JSON object")
    at = row["t"]
    if type(at) not in (int, float) or not 0 <= at <= MAX_TIME:
        raise ValueError("`t` must be seconds since the beginning")
    match row["type"]:
        case "renew":
            event = row.get("event")
            if event is not None and not (isinstance(event, str) and event in _EVENTS):
                raise ValueError(f"`event` must be one of {', '.join(_EVENTS)}")
            return Renewed(at, _name(row, "visit"), None if event is None else _EVENTS[event])
        case "visit":
            visit = _name(row, "visit")
            page, referrer = _text(row, "page", "", MAX_LINE), _text(row, "referrer", "", MAX_LINE)
            return Visited(at, visit, _text(row, "visitor", "") or visit, page, referrer, _text(row, "region", ""))
        case "call":
            dials = row["dials"] if isinstance(row["dials"], dict) else {}
            shown, number = dials.get("visit"), dials.get("number")
            if (shown is None) == (number is None) or not isinstance(shown or number, str):
                raise ValueError("`dials` must name a visit or a number")
            return Called(at, _name(row, "call"), _text(row, "from", None), shown, number)
        case other:
            said = f", not {shorten(other)!r}" if isinstance(other, str) else ""
            raise ValueError(f"`type` must be visit, renew or call{said}")


def _name(row: dict[str, Any], name: str) -> str:
    value: str = _text(row, name)
    if not value:
        raise ValueError(f"`{name}` must not be empty")
    return value


def _text(row: dict[str, Any], name: str, default: Any = ..., most: int = _MAX_ID) -> Any:
    value = row[name] if default is ... else row.get(name, default)
    if not isinstance(value, str):
        if value is None and default in ("", None):
            return default
        raise ValueError(f"`{name}` must be a text")
    if len(value) > most:
        raise ValueError(f"`{name}` is longer than {most} characters")
    return value
