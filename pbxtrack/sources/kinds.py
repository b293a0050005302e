"""The built-in lists: whose a host, an app or a click id is, and what kind of source that makes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

# What costs per something; words that begin with what is paid; what is nothing but an advertisement.
_PAID = re.compile(
    r"cp[aceilmopstv]"
    r"|(?<![a-z])(?:paid|ppc|remarketing|retargeting)"
    r"|^(?:banner|display|expandable|interstitial)(?![a-z])"
)


class Origin(NamedTuple):
    """Who sent a visitor, and how: ``("google", "organic")``."""

    source: str
    medium: str

    @property
    def paid(self) -> bool:
        """Whether somebody paid for the visit."""
        return is_paid(self.medium)


@lru_cache(maxsize=1024)
def is_paid(medium: str) -> bool:
    """Whether visits with this medium, in lower case, are paid for: ``cpc``, ``paid-social``, ``banner_top``."""
    return _PAID.search(medium) is not None


def of_page(host: str, path: str = "") -> Origin | None:
    """Whose this page is, or None. By the longest known host, by whole labels from the right; there by the path."""
    known = hosts()
    labels = host.rsplit(".", _most_labels())  # what is left of them cannot be part of a known name
    for start in range(len(labels)):
        name = ".".join(labels[start:])
        if origin := known.get(name):
            return _of_path(name, path) or origin
    return None


def _of_path(host: str, path: str) -> Origin | None:
    """Whose this part of a known host is, if it is not the host's own. By whole segments."""
    if len(path) < 2 or not (parts := pages().get(host)):
        return None
    path = f"{path.lower()}/"
    return next((origin for prefix, origin in parts if path.startswith(prefix)), None)


def of_app(package: str) -> Origin | None:
    """Whose this Android app is, or None. ``package`` is in lower case."""
    return _apps().get(package)


def hosts_and_pages() -> Iterator[tuple[str, Origin]]:
    """What ``hosts.toml`` lists, under every suffix: ``google.com``, ``google.com/maps``."""
    data = _data("hosts.toml")
    for name, origin in _listed(data["hosts"]):
        for host in _with_suffixes(name, data["suffixes"]):
            yield host, origin


@cache
def hosts() -> Mapping[str, Origin]:
    """Known host names in Unicode; each stands for the hosts below it, too."""
    return {name: origin for name, origin in hosts_and_pages() if "/" not in name}


@cache
def pages() -> Mapping[str, list[tuple[str, Origin]]]:
    """Parts of known hosts that are another's or of another kind: ``/maps/`` of ``google.com``. The longest first."""
    found: dict[str, list[tuple[str, Origin]]] = {}
    for name, origin in sorted(hosts_and_pages(), reverse=True):
        host, slash, path = name.partition("/")
        if slash:
            found.setdefault(host, []).append((f"/{path}/", origin))
    return found


@cache
def click_ids() -> Mapping[str, Origin]:
    """Click ids by the parameter's name in lower case; the first ones tell most."""
    return dict(_listed(_data("click_ids.toml")))


@cache
def _apps() -> Mapping[str, Origin]:
    return dict(_listed(_data("apps.toml")))


@cache
def _most_labels() -> int:
    return max(host.count(".") + 1 for host in hosts())


@cache
def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))


def _listed(by_medium: Mapping[str, Mapping[str, list[str]]]) -> Iterator[tuple[str, Origin]]:
    for medium, sources in by_medium.items():
        for source, names in sources.items():
            for name in names:
                yield name, Origin(source, medium)


def _with_suffixes(name: str, suffixes: Mapping[str, list[str]]) -> list[str]:
    stem, star, path = name.partition(".*")
    if not star:
        return [name]
    return [f"{stem}.{suffix}{path}" for suffix in suffixes[stem.rpartition(".")[2]]]
