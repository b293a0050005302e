"""One site as plain data with the keys of a site file, to be changed and read again by the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

from pbxtrack.errors import PbxtrackError
from pbxtrack.sitefile.model import Channel, Pool, Site, duration_text, ranges
from pbxtrack.sitefile.parse import OTHER, SITE_KEYS, Reader
from pbxtrack.sitefile.reader import Table
from pbxtrack.toml_lines import KeyPath
from pbxtrack.wrong import Wrong

Data = dict[str, Any]


class WrongSite(PbxtrackError):
    """A value that a site cannot have. ``path`` leads to it within the site: ``("pool", 0, "numbers", 2)``."""

    def __init__(self, path: KeyPath, wrong: Wrong) -> None:
        keys = ".".join(key for key in path if isinstance(key, str))
        super().__init__(f"{keys}: {wrong}" if keys else str(wrong))
        self.path = path
        self.wrong = wrong

    @property
    def field(self) -> str:
        """The key of the site, pool or channel that the value belongs to."""
        names = [key for key in self.path if isinstance(key, str)]
        return next((name for name in names if name not in ("pool", "channel")), "")


class NoSuchPart(PbxtrackError):
    """The site has no pool, channel or number of this name."""


def data_of(site: Site) -> Data:
    """A site as data, without the keys that have no value; every number for itself."""
    made = {key: _plain(getattr(site, key)) for key in SITE_KEYS if key not in ("pool", "channel")}
    made["pool"] = [_part(pool) for pool in site.pools]
    made["channel"] = [_part(channel) for channel in site.channels]
    return {key: value for key, value in made.items() if value is not None}


def folded(numbers: Iterable[str]) -> list[str]:
    """Numbers in E.164 as ranges where they follow each other."""
    return [first if first == last else f"{first}..{last}" for first, last in ranges(numbers)]


def read_site(
    data: Mapping[str, Any], region: str, others: Sequence[Site] = (), *, known: Callable[[str], bool] = lambda _: True
) -> Site:
    """The site of some data, which is to stand beside the others; WrongSite where it cannot.

    ``region`` says how numbers without a country are read. ``known``: whether another site's key may be named.
    """
    document = _Given(data, known)
    reader = Reader(document, region, others)
    site = reader.site(Table(document, (), dict(data), SITE_KEYS))
    reader.check_addresses([site])
    mailboxes = {other.email.lower(): other.key for other in others if other.email}
    parts = [("pool", index, pool.emails) for index, pool in enumerate(site.pools)]
    parts += [("channel", index, channel.emails) for index, channel in enumerate(site.channels)]
    for kind, index, emails in parts:
        for address in emails:
            if address in mailboxes:
                path: KeyPath = (kind, index, "emails")
                raise WrongSite(path, document.taken(address, (OTHER, mailboxes[address])))
    return site


class _Given:
    """Data that somebody gave: errors name its keys."""

    def __init__(self, data: Mapping[str, Any], known: Callable[[str], bool]) -> None:
        self._data = data
        self._known = known

    def error(self, path: KeyPath, wrong: Wrong) -> WrongSite:
        return WrongSite(path[2:] if path[:1] == ("site",) else path, wrong)

    def taken(self, value: str, path: KeyPath) -> Wrong:
        if path[0] == OTHER:
            if self._known(str(path[1])):
                return Wrong("%(value)s is in use at the site %(site)s already", value=value, site=path[1])
            return Wrong("%(value)s is in use elsewhere already", value=value)
        match path:
            case ("pool", int(index), *_):
                name = self._data["pool"][index].get("name")
                return Wrong("%(value)s is in the pool %(name)s already", value=value, name=name)
            case ("channel", int(index), *_):
                name = self._data["channel"][index].get("name")
                return Wrong("%(value)s is in the channel %(name)s already", value=value, name=name)
        return Wrong("%(value)s is there twice", value=value)


def _part(part: Pool | Channel) -> Data:
    made = {field.name: _plain(getattr(part, field.name)) for field in fields(part)}
    return {key: value for key, value in made.items() if value is not None}


def _plain(value: object) -> object:
    match value:
        case timedelta():
            return duration_text(value)
        case Mapping():
            return dict(value)
        case list() | tuple():
            return list(value)
    return value
