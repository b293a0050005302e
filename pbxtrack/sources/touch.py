"""How a visit began: the page it landed on and the page it came from, read into source, medium and campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache

from pbxtrack.sources import kinds
from pbxtrack.sources.address import (
    MAX_URL,
    MAX_VALUE,
    Address,
    cut,
    host,
    hostname,
    parameters,
    printable,
    split,
    within,
)
from pbxtrack.sources.globs import Glob, comparable, compiled
from pbxtrack.sources.kinds import Origin

__all__ = ["MATCHABLE", "MAX_URL", "MAX_VALUE", "ChannelRule", "Touch", "channel_of", "misfit", "read_touch"]


@dataclass(frozen=True, slots=True)
class Touch:
    """What brought a visit. Empty strings where nothing is known; ``click_ids`` by parameter name (``gclid``…).

    ``tagged``: whether the page's address itself names a campaign or a click; such a touch begins a new visit. It is
    of use only for a page view that has just been read, and not kept.
    """

    source: str = ""
    medium: str = ""
    campaign: str = ""
    term: str = ""
    content: str = ""
    referrer: str = ""
    page: str = ""
    click_ids: Mapping[str, str] = field(default_factory=dict)
    tagged: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ChannelRule:
    """A site's own channel: ``match`` holds globs by field of the touch, all of which must fit."""

    name: str
    match: Mapping[str, str]

    @cached_property
    def globs(self) -> Sequence[tuple[str, Glob]]:
        """The globs by field, ready for :func:`channel_of`. Names of click ids have one spelling only."""
        return [(name, compiled(glob if name == "click_id" else comparable(glob))) for name, glob in self.match.items()]


MATCHABLE = ("source", "medium", "campaign", "term", "content", "referrer", "page", "click_id")

_DIRECT = Origin("(direct)", "(none)")
_UTM = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"})
_WEB = ("", "http", "https")


def read_touch(page: str, referrer: str = "", own_hosts: Sequence[str] = ()) -> Touch:
    """Read how a visit began. Never raises: what cannot be read is empty.

    ``page`` and ``referrer`` are addresses, of which MAX_URL characters are read; a value is cut at MAX_VALUE. What
    ``utm_*`` parameters say comes first, then click ids of advertisements, then the referrer. A referrer on one of
    ``own_hosts``, or on the page's own host, is no source.
    """
    page, referrer = printable(page[:MAX_URL]).strip(), printable(referrer[:MAX_URL]).strip()
    address = split(page)
    query = parameters(address.query, _wanted())
    utm = {name: value for name, value in query.items() if name in _UTM} or _of_fragment(address.fragment)
    click_ids = {name: query[name] for name in kinds.click_ids() if name in query} if len(query) > len(utm) else {}
    origin = _origin(click_ids, _of_referrer(split(referrer), address, own_hosts) if referrer else _DIRECT)
    source = utm.get("utm_source", "").lower()
    if source and not origin.paid:
        # Some services put their host there and nothing else, such as utm_source=chatgpt.com: it tells the medium.
        origin = Origin(source, _medium_of(source))
    return Touch(
        source=cut(source or origin.source),
        medium=cut(utm.get("utm_medium", "").lower() or origin.medium),
        campaign=utm.get("utm_campaign", ""),
        term=utm.get("utm_term", ""),
        content=utm.get("utm_content", ""),
        referrer=referrer,
        page=page,
        click_ids=click_ids,
        tagged=bool(utm or click_ids),
    )


def channel_of(touch: Touch, rules: Sequence[ChannelRule] = ()) -> str:
    """The advertising channel of a touch: the first of the site's rules that fits, else a built-in one."""
    texts: dict[str, str] = {}
    for rule in rules:
        if rule.match and _misfit(touch, rule, texts) is None:
            return rule.name
    if kinds.is_paid(touch.medium):
        return f"Paid: {touch.source}" if touch.source else "Paid"
    return _BUILT_IN.get(touch.medium, "Direct" if not touch.source else "Other campaigns")


def misfit(touch: Touch, rule: ChannelRule) -> str | None:
    """The first field of the touch that a rule does not fit; None where all of it fits."""
    return _misfit(touch, rule, {})


_BUILT_IN = {
    "organic": "Organic search",
    **dict.fromkeys(("social", "social-network", "social-media", "social network", "social media", "sm"), "Social"),
    "messenger": "Messengers",
    **dict.fromkeys(("email", "e-mail", "e_mail", "e mail"), "E-mail"),
    **dict.fromkeys(("ai", "ai-assistant"), "AI assistants"),
    "referral": "Referral",
    "(none)": "Direct",
}


def _misfit(touch: Touch, rule: ChannelRule, texts: dict[str, str]) -> str | None:
    """The first field that a rule does not fit; ``texts`` keeps what was made ready for the rules before."""
    for name, glob in rule.globs:
        if name == "click_id":
            if not any(map(glob, touch.click_ids)):
                return name
            continue
        if name not in texts:
            texts[name] = comparable(getattr(touch, name))
        if not glob(texts[name]):
            return name
    return None


def _origin(click_ids: Mapping[str, str], referred: Origin) -> Origin:
    """Who sent the visitor, by click ids and referrer."""
    clicked = next((kinds.click_ids()[name] for name in click_ids), None)
    if clicked is None:
        return referred
    # An id that is on every link of a service travels with links that people pass on: a referrer that is known tells
    # better where the link was found.
    return referred if not clicked.paid and referred.medium not in ("referral", "(none)") else clicked


def _of_referrer(referrer: Address, page: Address, own_hosts: Sequence[str]) -> Origin:
    name = host(referrer)
    if referrer.scheme == "android-app" and name:
        return kinds.of_app(name) or Origin(name, "referral")
    if referrer.scheme not in _WEB or not name or _is_own(name, page, own_hosts):
        return _DIRECT
    return kinds.of_page(name, referrer.path) or Origin(name, "referral")


def _is_own(name: str, page: Address, own_hosts: Sequence[str]) -> bool:
    landed = host(page)
    return f".{name}".endswith(_endings(tuple(own_hosts))) or (landed != "" and within(name, landed))


@lru_cache(maxsize=1024)
def _endings(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """What the names of these hosts and all below them end in, if a dot is put before."""
    return tuple(f".{name}" for name in map(hostname, hosts) if name)


@lru_cache(maxsize=1024)
def _medium_of(source: str) -> str:
    address = split(source)
    known = kinds.of_page(host(address), address.path)
    return known.medium if known else ""


@cache
def _wanted() -> frozenset[str]:
    return _UTM | kinds.click_ids().keys()


def _of_fragment(fragment: str) -> Mapping[str, str]:
    """Campaign parameters behind ``#``, as in ``#utm_source=x`` or a single-page application's ``#/sofas?utm_…``."""
    return parameters(fragment.rpartition("?")[2], _UTM)
