"""What a site file says. Everything in it is checked and normalised, so that equal means the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pbxtrack.pool.model import NumberKind

DEFAULT_HOLD = timedelta(minutes=30)
DEFAULT_GUARANTEED = timedelta(minutes=3)
DEFAULT_TARGET_TALK = timedelta(seconds=60)
DEFAULT_CURRENCY = "RUB"
MAX_RANGE = 100_000
"""How many numbers one range may hold: a longer one is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Numbers (E.164, ascending) and e-mail addresses leased to visitors."""

    name: str
    numbers: Sequence[str] = ()
    regions: Sequence[str] = ()
    emails: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """An advertising channel: ``match`` says which visits are its own; numbers and e-mail addresses are static."""

    name: str
    match: Mapping[str, str] = field(default_factory=dict)
    numbers: Sequence[str] = ()
    emails: Sequence[str] = ()
    line: str | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A tracked business or website; pools and channels in the order in which they are tried.

    ``currency`` (ISO 4217) is that of costs and deals. A caller is unique again after ``unique_days``; None: never.
    """

    key: str
    name: str
    line: str
    origins: Sequence[str] = ()
    replace: Sequence[str] = ()
    record: bool = False
    whisper: bool = False
    timezone: str = "UTC"
    currency: str = DEFAULT_CURRENCY
    hold: timedelta = DEFAULT_HOLD
    hold_guaranteed: timedelta = DEFAULT_GUARANTEED
    target_talk: timedelta = DEFAULT_TARGET_TALK
    unique_days: int | None = None
    overflow_number: str | None = None
    email: str | None = None
    email_separator: str = "+"
    pools: Sequence[Pool] = ()
    channels: Sequence[Channel] = ()

    def numbers(self) -> Iterator[tuple[str, Place]]:
        """Each number that calls are tracked on, and what it is for."""
        for pool in self.pools:
            place = Place(self.key, NumberKind.POOL, pool.name)
            yield from ((number, place) for number in pool.numbers)
        for channel in self.channels:
            place = Place(self.key, NumberKind.STATIC, channel.name)
            yield from ((number, place) for number in channel.numbers)
        if self.overflow_number:
            yield self.overflow_number, Place(self.key, NumberKind.OVERFLOW)

    def addresses(self) -> Iterator[tuple[str, Place]]:
        """Each e-mail address beside the mailbox, and what it is for."""
        for pool in self.pools:
            place = Place(self.key, NumberKind.POOL, pool.name)
            yield from ((address, place) for address in pool.emails)
        for channel in self.channels:
            place = Place(self.key, NumberKind.STATIC, channel.name)
            yield from ((address, place) for address in channel.emails)


@dataclass(frozen=True, slots=True)
class Place:
    """What a number or an address is for: a site's pool or channel (``name``), or its overflow number."""

    site: str
    kind: NumberKind
    name: str = ""


def places(sites: Iterable[Site]) -> dict[str, Place]:
    """What each number of the sites is for."""
    return {number: place for site in sites for number, place in site.numbers()}


def address_places(sites: Iterable[Site]) -> dict[str, Place]:
    """What each e-mail address of the sites is for."""
    return {address: place for site in sites for address, place in site.addresses()}


def ascending(numbers: Iterable[str]) -> tuple[str, ...]:
    """Numbers in E.164 in the order in which ranges are made of them."""
    return tuple(sorted(numbers, key=lambda number: (len(number), number)))


def ranges(numbers: Iterable[str]) -> list[tuple[str, str]]:
    """(first, last) of each run of consecutive numbers."""
    runs: list[tuple[str, str]] = []
    first = last = ""
    size = 0
    for number in ascending(numbers):
        if last and len(number) == len(last) and int(number) == int(last) + 1 and size < MAX_RANGE:
            last, size = number, size + 1
            continue
        if last:
            runs.append((first, last))
        first, last, size = number, number, 1
    if last:
        runs.append((first, last))
    return runs


_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def duration_text(span: timedelta) -> str:
    """A duration as a site file writes it: ``30m``, ``90s``, ``1h``, ``2d``."""
    seconds = int(span.total_seconds())
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
