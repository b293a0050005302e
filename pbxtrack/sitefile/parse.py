"""Reads a site file. The first thing that is wrong is a ConfigError of one line that names the file and the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import timedelta

from pbxtrack import toml_lines
from pbxtrack.pool.policy import MAX_HOLD, MIN_GUARANTEED, MIN_HOLD
from pbxtrack.sitefile import values
from pbxtrack.sitefile.model import (
    DEFAULT_CURRENCY,
    DEFAULT_GUARANTEED,
    DEFAULT_HOLD,
    DEFAULT_TARGET_TALK,
    Channel,
    Pool,
    Site,
    ascending,
    duration_text,
)
from pbxtrack.sitefile.reader import Document, File, Table
from pbxtrack.sources.touch import MATCHABLE
from pbxtrack.toml_lines import KeyPath
from pbxtrack.wrong import Wrong

MAX_NUMBERS = 1_000_000
MAX_UNIQUE_DAYS = 3_650
OTHER = "other"
"""Where a path begins that leads to another site, not to a value of the document."""

SITE_KEYS = [{"pools": "pool", "channels": "channel"}.get(field.name, field.name) for field in fields(Site)]
_POOL = [field.name for field in fields(Pool)]
_CHANNEL = [field.name for field in fields(Channel)]


def parse(content: bytes, name: str, region: str) -> list[Site]:
    """The sites of a file called ``name``; ``region`` says how numbers without a country are read."""
    data, lines = toml_lines.parse(content, name)
    document = File(name, lines)
    reader = Reader(document, region)
    sites = [reader.site(table) for table in Table(document, (), data, ["site"]).tables("site", SITE_KEYS)]
    reader.check_addresses(sites)
    return sites


class Reader:
    """Reads the sites of one document, and sees to it that nothing is in two places."""

    def __init__(self, document: Document, region: str, others: Iterable[Site] = ()) -> None:
        """``others`` are sites that the document's are to stand beside."""
        self._document = document
        self._numbers = values.NumberReader(region)
        self._count = 0
        self._seen: dict[str, KeyPath] = {}  # of numbers, addresses and site keys: where they are
        for site in others:
            self._beside(site)

    def site(self, table: Table) -> Site:
        key = table.required("key", values.key, 64)
        self._once(key, (*table.path, "key"))
        hold, guaranteed = _holds(table)
        email, separator = _mailbox(table)
        overflow = table.text("overflow_number", self._numbers.one, 64, None)
        site = Site(
            key=key,
            name=table.required("name", values.label, 200),
            line=table.required("line", values.line, 200),
            origins=_distinct(table, "origins", values.origin),
            replace=_distinct(table, "replace", self._numbers.one),
            record=table.flag("record"),
            whisper=table.flag("whisper"),
            timezone=table.text("timezone", values.timezone, 64, "UTC"),
            currency=table.text("currency", values.currency, 3, DEFAULT_CURRENCY),
            hold=hold,
            hold_guaranteed=guaranteed,
            target_talk=_duration(table, "target_talk", DEFAULT_TARGET_TALK, timedelta(), timedelta(days=1)),
            unique_days=table.whole("unique_days", 1, MAX_UNIQUE_DAYS),
            overflow_number=overflow,
            email=email,
            email_separator=separator,
            pools=tuple(self._pools(table)),
            channels=tuple(self._channels(table)),
        )
        if overflow:
            self._once(overflow, (*table.path, "overflow_number"))
        for index, pool in enumerate(site.pools):
            if pool.emails and not email:
                raise table.error(
                    Wrong("need a mailbox that their mail goes to: the key email"), "pool", index, "emails"
                )
        leased = {number for pool in site.pools for number in pool.numbers}
        for index, number in enumerate(site.replace):
            if number in leased:  # the page would show everybody a number that is one visitor's
                wrong = Wrong("%(number)s is in a pool; a number that is on the page cannot be", number=number)
                raise table.error(wrong, "replace", index)
        return site

    def _beside(self, site: Site) -> None:
        path: KeyPath = (OTHER, site.key)
        numbers = [number for number, _ in site.numbers()]
        self._count += len(numbers)
        self._seen |= dict.fromkeys((site.key, *numbers), path)
        self._seen |= dict.fromkeys((address for address, _ in site.addresses()), path)

    def check_addresses(self, sites: Iterable[Site]) -> None:
        """A mail to a pool's or static address goes on to the mailbox: if that were one, it would go round."""
        for index, site in enumerate(sites):
            if site.email and (there := self._seen.get(site.email.lower())) is not None:
                raise self._document.error(("site", index, "email"), self._document.taken(site.email, there))

    def _pools(self, site: Table) -> list[Pool]:
        pools: list[Pool] = []
        for table in site.tables("pool", _POOL):
            name = _unique_name(table, [pool.name for pool in pools], 64)
            if "numbers" not in table and "emails" not in table:
                raise table.error(Wrong("the key %(key)s is missing", key="numbers"))
            regions = _distinct(table, "regions", values.label, 16)
            pools.append(Pool(name, self._own_numbers(table), regions, self._own_emails(table)))
        return pools

    def _channels(self, site: Table) -> list[Channel]:
        channels: list[Channel] = []
        for table in site.tables("channel", _CHANNEL):
            channel = Channel(
                name=_unique_name(table, [channel.name for channel in channels], 200),
                match=table.mapping("match", MATCHABLE, 500),
                numbers=self._own_numbers(table),
                emails=self._own_emails(table),
                line=table.text("line", values.line, 200, None),
            )
            if not (channel.match or channel.numbers or channel.emails):
                raise table.error(Wrong("needs match, numbers or emails: nothing could ever be this channel's"))
            channels.append(channel)
        return channels

    def _own_numbers(self, table: Table) -> tuple[str, ...]:
        found: list[str] = []
        for numbers, path in table.texts("numbers", self._numbers.many):
            self._count += len(numbers)
            if self._count > MAX_NUMBERS:
                raise self._document.error(path, Wrong("makes it more than %(most)s numbers", most=f"{MAX_NUMBERS:,}"))
            for number in numbers:
                self._once(number, path)
            found += numbers
        return ascending(found)

    def _own_emails(self, table: Table) -> tuple[str, ...]:
        found = []
        for address, path in table.texts("emails", values.email, 254):
            self._once(address.lower(), path)
            found.append(address.lower())
        return tuple(sorted(found))

    def _once(self, value: str, path: KeyPath) -> None:
        if value in self._seen:
            raise self._document.error(path, self._document.taken(value, self._seen[value]))
        self._seen[value] = path


def _distinct(table: Table, key: str, read: Callable[[str], str], limit: int = 200) -> tuple[str, ...]:
    found: dict[str, KeyPath] = {}
    for value, path in table.texts(key, read, limit):
        if value in found:
            raise table.error(Wrong("%(value)s is there twice", value=value), key, path[-1])
        found[value] = path
    return tuple(found)


def _unique_name(table: Table, others: list[str], limit: int) -> str:
    name = table.required("name", values.label, limit)
    if name in others:
        raise table.error(Wrong("%(name)s is the name of another one of this site", name=repr(name)), "name")
    return name


def _holds(table: Table) -> tuple[timedelta, timedelta]:
    hold = _duration(table, "hold", DEFAULT_HOLD, MIN_HOLD, MAX_HOLD)
    guaranteed = _duration(table, "hold_guaranteed", min(DEFAULT_GUARANTEED, hold), MIN_GUARANTEED, MAX_HOLD)
    if guaranteed > hold:
        wrong = Wrong(
            "%(guaranteed)s is longer than hold, which is %(hold)s",
            guaranteed=duration_text(guaranteed),
            hold=duration_text(hold),
        )
        raise table.error(wrong, "hold_guaranteed")
    return hold, guaranteed


def _duration(table: Table, key: str, default: timedelta, least: timedelta, most: timedelta) -> timedelta:
    found = table.text(key, values.duration, 20, default)
    if not least <= found <= most:
        wrong = Wrong("must be %(least)s to %(most)s", least=duration_text(least), most=duration_text(most))
        raise table.error(wrong, key)
    return found


def _mailbox(table: Table) -> tuple[str | None, str]:
    email = table.text("email", values.email, 254, None)
    separator = table.text("email_separator", str, 200, "+")
    if separator not in ("+", "."):
        raise table.error(Wrong('must be "+" or "."'), "email_separator")
    if separator == "." and email and "." in email.rpartition("@")[0]:
        wrong = Wrong(
            "cannot be a dot: there is one in %(email)s already, so that made addresses could not be told from it",
            email=email,
        )
        raise table.error(wrong, "email_separator")
    return email, separator
