"""Changes of one site, as data (:mod:`pbxtrack.sitefile.data`): parts put, moved, taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pbxtrack.numbers import shorten
from pbxtrack.sitefile.data import Data, NoSuchPart

Kind = Literal["pool", "channel"]


def with_values(data: Mapping[str, Any], values: Mapping[str, Any]) -> Data:
    """With other values of these keys; None takes a key out, so that it has its default."""
    return {key: value for key, value in {**data, **values}.items() if value is not None}


def with_part(data: Mapping[str, Any], kind: Kind, name: str | None, values: Mapping[str, Any]) -> Data:
    """With other values of the pool or channel of this name; None: with one more, the last. NoSuchPart."""
    parts = list(data.get(kind, []))
    if name is None:
        parts.append(with_values({}, values))
    else:
        at = place_of(data, kind, name)
        parts[at] = with_values(parts[at], values)
    return {**data, kind: parts}


def without_part(data: Mapping[str, Any], kind: Kind, name: str) -> Data:
    """Without the pool or channel of this name. NoSuchPart."""
    at = place_of(data, kind, name)
    return {**data, kind: [part for index, part in enumerate(data[kind]) if index != at]}


def moved_part(data: Mapping[str, Any], kind: Kind, name: str, place: int) -> Data:
    """With the pool or channel at another place, from 0; at the last one where there are fewer. NoSuchPart."""
    parts = list(data.get(kind, []))
    part = parts.pop(place_of(data, kind, name))
    parts.insert(max(place, 0), part)
    return {**data, kind: parts}


def with_numbers(data: Mapping[str, Any], kind: Kind, name: str, numbers: Iterable[str]) -> Data:
    """With more numbers, or ranges of them, in a pool or channel. NoSuchPart."""
    part = data[kind][place_of(data, kind, name)]
    return with_part(data, kind, name, {"numbers": [*part.get("numbers", []), *numbers]})


def without_number(data: Mapping[str, Any], number: str) -> Data:
    """Without a number in E.164, wherever it is. NoSuchPart."""
    found = False
    made = dict(data)
    for kind in ("pool", "channel"):
        parts = []
        for part in data.get(kind, []):
            kept = [one for one in part.get("numbers", []) if one != number]
            if len(kept) != len(part.get("numbers", [])):
                found, part = True, {**part, "numbers": kept}
            parts.append(part)
        made[kind] = parts
    if data.get("overflow_number") == number:
        found = True
        del made["overflow_number"]
    if not found:
        raise NoSuchPart(f"the site has no number {shorten(number)}")
    return made


def place_of(data: Mapping[str, Any], kind: Kind, name: str) -> int:
    """The place of a pool or channel, from 0; NoSuchPart where there is none."""
    for index, part in enumerate(data.get(kind, [])):
        if part["name"] == name:
            return index
    raise NoSuchPart(f"the site has no {kind} {shorten(name)!r}")
