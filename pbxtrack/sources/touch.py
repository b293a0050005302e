"""How a visit began: the page it landed on and the page it came from, read into source, medium and campaign."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from urllib.parse import SplitResult, parse_qsl, urlsplit

MAX_URL = 8_192  # characters of a page's or referrer's address that are read
MAX_VALUE = 256  # characters of one campaign value that are kept


@dataclass(frozen=True, slots=True)
class Touch:
    """What brought a visit. Empty strings where nothing is known; ``click_ids`` by parameter name (``gclid``…)."""

    source: str = ""
    medium: str = ""
    campaign: str = ""
    term: str = ""
    content: str = ""
    referrer: str = ""
    page: str = ""
    click_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def tagged(self) -> bool:
        """Whether the page's address itself names a campaign; such a touch begins a new visit."""
        return bool(self.campaign or self.click_ids or (self.source and self.medium not in UNTAGGED))


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """A site's own channel: ``match`` holds globs by field of the touch, all of which must fit."""

    name: str
    match: Mapping[str, str]


UNTAGGED = frozenset({"organic", "social", "referral", "messenger", "email", "ai", "(none)"})
MATCHABLE = ("source", "medium", "campaign", "term", "content", "referrer", "page", "click_id")


def read_touch(page: str, referrer: str = "", own_hosts: Sequence[str] = ()) -> Touch:
    """Read how a visit began. Never raises: what cannot be read is empty.

    Campaign parameters (``utm_*``, first of each) come first, then click ids, then the referrer's host. A referrer on
    one of ``own_hosts`` is no source.
    """
    page, referrer = _printable(page[:MAX_URL]), _printable(referrer[:MAX_URL])
    query = _query(page)
    click_ids = {name: query[name] for name in _tables().click_ids if query.get(name)}
    source, medium = query.get("utm_source", "").lower(), query.get("utm_medium", "").lower()
    if not source and click_ids:
        source, medium = _tables().click_ids[next(iter(click_ids))], medium or "cpc"
    if not source:
        source, medium = _from_referrer(referrer, (*own_hosts, _host(page)))
    return Touch(
        source=source[:MAX_VALUE],  # a host may be longer than a value, and lower case longer than upper
        medium=medium[:MAX_VALUE],
        campaign=query.get("utm_campaign", ""),
        term=query.get("utm_term", ""),
        content=query.get("utm_content", ""),
        referrer=referrer,
        page=page,
        click_ids=click_ids,
    )


def channel_of(touch: Touch, rules: Sequence[ChannelRule] = ()) -> str:
    """The advertising channel of a touch: the first of the site's rules that fits, else a built-in one."""
    for rule in rules:
        if rule.match and all(_fits(touch, name, glob) for name, glob in rule.match.items()):
            return rule.name
    if touch.medium in _PAID_MEDIA:
        return f"Paid: {touch.source}" if touch.source else "Paid"
    return _BUILT_IN.get(touch.medium, "Direct" if not touch.source else "Other campaigns")


_PAID_MEDIA = frozenset({"cpc", "ppc", "cpm", "cpa", "cpv", "paid", "paidsearch", "paid_social", "display", "banner"})
_BUILT_IN = {
    "organic": "Organic search",
    "social": "Social",
    "messenger": "Messengers",
    "email": "E-mail",
    "ai": "AI assistants",
    "referral": "Referral",
    "(none)": "Direct",
}


def _fits(touch: Touch, name: str, glob: str) -> bool:
    if name == "click_id":
        return any(fnmatchcase(click_id, glob) for click_id in touch.click_ids)
    value: str = getattr(touch, name)
    return fnmatchcase(value.casefold(), glob.casefold())


def _from_referrer(referrer: str, own_hosts: Sequence[str]) -> tuple[str, str]:
    host = _host(referrer)
    if not host or any(_within(host, own) for own in own_hosts if own):
        return "(direct)", "(none)"
    labels = host.split(".")
    # Hosts are compared label by label from the right: "not-linkedin.com" is not "linkedin.com".
    for start in range(len(labels)):
        known = _tables().hosts.get(".".join(labels[start:]))
        if known:
            return known
    return host, "referral"


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url if "//" in url else "//" + url)
    except ValueError:  # such as an unclosed [ of an IPv6 address
        return None


def _host(url: str) -> str:
    parts = _split(url) if url else None
    try:
        host = parts.hostname if parts else None
    except ValueError:
        return ""
    return (host or "").rstrip(".").lower().removeprefix("www.")


def _query(url: str) -> dict[str, str]:
    parts = _split(url)
    if parts is None:
        return {}
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(parts.query, max_num_fields=200, errors="replace")
    except ValueError:  # more fields than any campaign has
        return {}
    for name, value in pairs:
        found.setdefault(name.lower(), _printable(value)[:MAX_VALUE].strip())
    return found


def _printable(text: str) -> str:
    """Without control characters, which mean nothing here and which not every database keeps."""
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


@dataclass(frozen=True, slots=True)
class _Tables:
    hosts: Mapping[str, tuple[str, str]]
    click_ids: Mapping[str, str]


@cache
def _tables() -> _Tables:
    data = tomllib.loads(files("pbxtrack.sources").joinpath("hosts.toml").read_text("utf-8"))
    hosts = {
        host: (name, medium)
        for medium, sources in data["hosts"].items()
        for name, known in sources.items()
        for host in known
    }
    return _Tables(hosts=hosts, click_ids=data["click_ids"])
