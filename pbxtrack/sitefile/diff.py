"""What changes between two states, in words that people can check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

from pbxtrack.pool.model import NumberKind
from pbxtrack.sitefile.model import Channel, Place, Pool, Site, duration_text, places, ranges

Sign = Literal["+", "-", "~"]
_MAX_RUNS = 50  # of one pool or channel: more lines than that nobody reads
Named = TypeVar("Named", Pool, Channel)

_SITE_FIELDS = (
    "name",
    "origins",
    "line",
    "replace",
    "record",
    "whisper",
    "timezone",
    "currency",
    "hold",
    "hold_guaranteed",
    "target_talk",
    "unique_days",
    "overflow_number",
    "email",
    "email_separator",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: something is added (+), removed (-) or made otherwise (~).

    ``kind`` is site, pool, channel, number or address; ``name`` is empty for a site; ``text`` says the rest.
    """

    sign: Sign
    kind: str
    site: str
    name: str
    text: str

    def render(self, *, with_site: bool = False) -> str:
        """The line; ``with_site`` names the site where there are several."""
        name = self.site if self.kind == "site" else self.name
        if with_site and self.kind in ("pool", "channel"):
            name = f"{self.site}/{name}"
        return f"{self.sign} {self.kind} {name}" + (f": {self.text}" if self.text else "")


def diff(before: Sequence[Site], after: Sequence[Site]) -> list[Change]:
    """The changes that make ``after`` of ``before``; none where they are the same."""
    old, new = {site.key: site for site in before}, {site.key: site for site in after}
    changes: list[Change] = []
    for key, site in new.items():
        if key not in old:
            changes.append(Change("+", "site", key, "", f"{site.name}, line {site.line}"))
        changes += _site(old.get(key), site)
    for key, site in old.items():
        if key not in new:
            changes.append(Change("-", "site", key, "", _count(sum(1 for _ in site.numbers()), "number")))
    if list(old) != list(new) and sorted(old) == sorted(new):
        changes.append(Change("~", "site", ", ".join(new), "", "new order"))
    return changes + list(_numbers(old, new))


def _site(old: Site | None, new: Site) -> Iterator[Change]:
    if old is not None:
        yield from _fields("site", new.key, "", old, new, _SITE_FIELDS)
    yield from _parts("pool", new.key, old.pools if old else (), new.pools, ("regions",), _describe_pool)
    yield from _parts(
        "channel", new.key, old.channels if old else (), new.channels, ("match", "line"), _describe_channel
    )
    before, after = dict(old.addresses() if old else ()), dict(new.addresses())
    there, stay = {old.key: old} if old else {}, {new.key: new}
    for address, place in after.items():
        if address not in before and _in(place, there):
            yield Change("+", "address", new.key, address, _place(place))
        elif address in before and before[address] != place:
            yield Change("~", "address", new.key, address, f"{_place(before[address])} → {_place(place)}")
    for address, place in before.items():
        if address not in after and _in(place, stay):
            yield Change("-", "address", new.key, address, _place(place))


def _parts(
    kind: str,
    site: str,
    before: Sequence[Named],
    after: Sequence[Named],
    names: Sequence[str],
    describe: Callable[[Named], str],
) -> Iterator[Change]:
    old, new = {part.name: part for part in before}, {part.name: part for part in after}
    for name, part in new.items():
        if name in old:
            yield from _fields(kind, site, name, old[name], part, names)
        else:
            yield Change("+", kind, site, name, describe(part))
    for name, part in old.items():
        if name not in new:
            yield Change("-", kind, site, name, describe(part))
    common = [name for name in old if name in new], [name for name in new if name in old]
    if common[0] != common[1]:
        yield Change("~", "site", site, "", f"{kind}s in a new order: {', '.join(new)}")


def _fields(kind: str, site: str, name: str, old: object, new: object, names: Iterable[str]) -> Iterator[Change]:
    for field in names:
        before, after = getattr(old, field), getattr(new, field)
        if _plain(before) != _plain(after):
            yield Change("~", kind, site, name, f"{field} {_say(before)} → {_say(after)}")


def _numbers(old: Mapping[str, Site], new: Mapping[str, Site]) -> Iterator[Change]:
    """Numbers that come, go or move, where no line about a whole pool, channel or site tells it."""
    before, after = places(old.values()), places(new.values())
    groups: dict[tuple[Place | None, Place | None], list[str]] = defaultdict(list)
    for number, place in after.items():
        if before.get(number) != place:
            groups[before.get(number), place].append(number)
    for number, place in before.items():
        if number not in after:
            groups[place, None].append(number)
    for (source, target), numbers in groups.items():
        if source and target:
            yield from _lines("~", numbers, target.site, f"{_place(source, target.site)} → {_place(target)}")
        elif target and _in(target, old):
            yield from _lines("+", numbers, target.site, _place(target))
        elif source and _in(source, new):
            yield from _lines("-", numbers, source.site, _place(source))


def _in(place: Place, sites: Mapping[str, Site]) -> bool:
    """Whether the other state has the same pool or channel. An overflow number is told of with its site."""
    site = sites.get(place.site)
    if site is None or place.kind is NumberKind.OVERFLOW:
        return False
    parts: Sequence[Pool | Channel] = site.pools if place.kind is NumberKind.POOL else site.channels
    return any(part.name == place.name for part in parts)


def _lines(sign: Sign, numbers: Sequence[str], site: str, text: str) -> Iterator[Change]:
    runs = ranges(numbers)
    if len(runs) > _MAX_RUNS:
        yield Change(sign, "number", site, f"{runs[0][0]} … {runs[-1][1]}", f"{text} ({len(numbers):,}, scattered)")
        return
    for first, last in runs:
        many = "" if first == last else f" ({int(last) - int(first) + 1:,})"
        yield Change(sign, "number", site, first if first == last else f"{first}..{last}", text + many)


def _place(place: Place, site: str | None = None) -> str:
    what = {NumberKind.POOL: "pool ", NumberKind.STATIC: "channel ", NumberKind.OVERFLOW: "overflow number"}[place.kind]
    of = f" of site {place.site}" if site is not None and site != place.site else ""
    return f"{what}{place.name}{of}"


def _describe_pool(pool: Pool) -> str:
    emails = f", {', '.join(pool.emails)}" if pool.emails else ""
    regions = f", regions {', '.join(pool.regions)}" if pool.regions else ""
    return _count(len(pool.numbers), "number") + emails + regions


def _describe_channel(channel: Channel) -> str:
    parts = [_say(channel.match)] if channel.match else []
    parts += [_count(len(channel.numbers), "number")] if channel.numbers else []
    parts += [", ".join(channel.emails)] if channel.emails else []
    parts += [f"line {channel.line}"] if channel.line else []
    return "; ".join(parts)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, list | tuple) else value


def _say(value: object) -> str:
    match value:
        case None | "" | () | []:
            return "none"
        case bool():
            return "on" if value else "off"
        case timedelta():
            return duration_text(value)
        case Mapping():
            return " ".join(f"{key}={text}" for key, text in value.items()) or "none"
        case list() | tuple():
            return ", ".join(map(str, value))
    return str(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
