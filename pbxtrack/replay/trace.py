"""Traces: what happened on a website and at its telephone, a JSON object a line, by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Visited:
    """A visit begins. ``at``: seconds since the beginning of the trace, as everywhere here."""

    at: float
    visit: str
    visitor: str
    page: str
    referrer: str
    region: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """A sign of life of a visit; ``event`` None for a mere heartbeat."""

    at: float
    visit: str
    event: EventKind | None


@dataclass(frozen=True, slots=True)
class Called:
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
    visits: set[str] = set()
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
            if event.visit in visits:
                raise InvalidTrace(f"line {index} begins the visit {event.visit!r} a second time")
            visits.add(event.visit)
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
            texts = [_text(row, name, "") for name in ("page", "referrer", "region")]
            return Visited(at, visit, _text(row, "visitor", "") or visit, *texts)
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


def _text(row: dict[str, Any], name: str, default: Any = ...) -> Any:
    value = row[name] if default is ... else row.get(name, default)
    if value is None and default in ("", None):
        return default
    if not isinstance(value, str):
        raise ValueError(f"`{name}` must be a text")
    if name in ("visit", "visitor", "call", "region", "from") and len(value) > _MAX_ID:
        raise ValueError(f"`{name}` is longer than {_MAX_ID} characters")
    return value
