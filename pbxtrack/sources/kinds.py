"""The built-in lists: whose a host, an app or a click id is, and what kind of source that makes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

PAID_MEDIA = frozenset({"cpc", "ppc", "cpm", "cpa", "cpv", "paid", "paidsearch", "paid_social", "display", "banner"})


class Origin(NamedTuple):
    """Who sent a visitor, and how: ``("google", "organic")``."""

    source: str
    medium: str

    @property
    def paid(self) -> bool:
        """Whether somebody paid for the visit."""
        return self.medium in PAID_MEDIA


def of_host(host: str) -> Origin | None:
    """Whose this host is, or None. By whole labels from the right, the longest known name first."""
    known = hosts()
    labels = host.rsplit(".", _most_labels())  # what is left of them cannot be part of a known name
    for start in range(len(labels)):
        if origin := known.get(".".join(labels[start:])):
            return origin
    return None


def of_app(package: str) -> Origin | None:
    """Whose this Android app is, or None. ``package`` is in lower case."""
    return _apps().get(package)


@cache
def hosts() -> Mapping[str, Origin]:
    """Known host names in Unicode; each stands for the hosts below it, too."""
    data = _data("hosts.toml")
    return {host: origin for name, origin in _listed(data["hosts"]) for host in _with_suffixes(name, data["suffixes"])}


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


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))


def _listed(by_medium: Mapping[str, Mapping[str, list[str]]]) -> Iterator[tuple[str, Origin]]:
    for medium, sources in by_medium.items():
        for source, names in sources.items():
            for name in names:
                yield name, Origin(source, medium)


def _with_suffixes(name: str, suffixes: Mapping[str, list[str]]) -> list[str]:
    stem, star, _ = name.partition(".*")
    if not star:
        return [name]
    return [f"{stem}.{suffix}" for suffix in suffixes[stem.rpartition(".")[2]]]
