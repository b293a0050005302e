"""Writes sites as a site file: what :func:`pbxtrack.sitefile.parse.parse` makes the same sites of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from pbxtrack.sitefile.model import DEFAULT_CURRENCY, DEFAULT_TARGET_TALK, Channel, Pool, Site, duration_text, ranges

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WIDTH = 100  # a list that is longer is written one value a line


def to_toml(sites: Iterable[Site]) -> str:
    """The site file of these sites."""
    return "\n".join("\n".join(_site(site)) + "\n" for site in sites)


def _site(site: Site) -> Iterator[str]:
    yield "[[site]]"
    yield from _pairs(
        "",
        key=site.key,
        name=site.name,
        origins=site.origins,
        line=site.line,
        replace=site.replace,
        record=site.record,
        whisper=site.whisper or None,
        timezone=site.timezone,
        currency=site.currency if site.currency != DEFAULT_CURRENCY else None,
        hold=site.hold,
        hold_guaranteed=site.hold_guaranteed,
        target_talk=site.target_talk if site.target_talk != DEFAULT_TARGET_TALK else None,
        unique_days=site.unique_days,
        overflow_number=site.overflow_number,
        email=site.email,
        email_separator=site.email_separator if site.email or site.email_separator != "+" else None,
    )
    for pool in site.pools:
        yield from ("", "  [[site.pool]]", *_pool(pool))
    for channel in site.channels:
        yield from ("", "  [[site.channel]]", *_channel(channel))


def _pool(pool: Pool) -> Iterator[str]:
    yield from _pairs("  ", name=pool.name)
    yield f"  numbers = {_list(_folded(pool.numbers), '  ')}"
    yield from _pairs("  ", emails=pool.emails, regions=pool.regions)


def _channel(channel: Channel) -> Iterator[str]:
    yield from _pairs(
        "  ",
        name=channel.name,
        match=channel.match,
        numbers=_folded(channel.numbers),
        emails=channel.emails,
        line=channel.line,
    )


def _pairs(indent: str, **values: object) -> Iterator[str]:
    """The lines of keys that have a value."""
    for key, value in values.items():
        match value:
            case None | () | []:
                continue
            case bool():
                text = "true" if value else "false"
            case int():
                text = str(value)
            case timedelta():
                text = quote(duration_text(value))
            case str():
                text = quote(value)
            case Mapping():
                if not value:
                    continue
                text = "{ " + ", ".join(f"{_key(name)} = {quote(glob)}" for name, glob in value.items()) + " }"
            case list() | tuple():
                text = _list(value, indent)
            case _:
                raise TypeError(f"{key} is a {type(value).__name__}")
        yield f"{indent}{key} = {text}"


def quote(text: str) -> str:
    """A TOML basic string. JSON escapes the same characters in the same way, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else quote(name)


def _list(values: Sequence[str], indent: str) -> str:
    quoted = [quote(value) for value in values]
    if sum(map(len, quoted)) <= _WIDTH:
        return f"[{', '.join(quoted)}]"
    return "[\n" + "".join(f"{indent}  {value},\n" for value in quoted) + f"{indent}]"


def _folded(numbers: Iterable[str]) -> list[str]:
    return [first if first == last else f"{first}..{last}" for first, last in ranges(numbers)]
