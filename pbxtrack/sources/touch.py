"""How a visit began: the page it landed on and the page it came from, read into source, medium and campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pbxtrack.sources import kinds
from pbxtrack.sources.address import MAX_URL, MAX_VALUE, Address, cut, host, parameters, printable, split, within
from pbxtrack.sources.kinds import Origin

__all__ = ["MATCHABLE", "MAX_URL", "MAX_VALUE", "ChannelRule", "Touch", "channel_of", "read_touch"]


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


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """A site's own channel: ``match`` holds globs by field of the touch, all of which must fit."""

    name: str
    match: Mapping[str, str]


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
    query = parameters(address.query, _UTM | kinds.click_ids().keys())
    utm = {name: value for name, value in query.items() if name in _UTM} or _of_fragment(address.fragment)
    click_ids = {name: query[name] for name in kinds.click_ids() if name in query}
    own = [host(address), *(host(split(f"//{own_host}")) for own_host in own_hosts)]
    origin = _origin(click_ids, _of_referrer(split(referrer), own))
    source = utm.get("utm_source", "").lower()
    if source and not origin.paid:
        # Some services put their host there and nothing else, such as utm_source=chatgpt.com: it tells the medium.
        origin = Origin(source, _medium_of_host(source))
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
    for rule in rules:
        if rule.match and all(_fits(touch, name, glob) for name, glob in rule.match.items()):
            return rule.name
    if touch.medium in kinds.PAID_MEDIA:
        return f"Paid: {touch.source}" if touch.source else "Paid"
    return _BUILT_IN.get(touch.medium, "Direct" if not touch.source else "Other campaigns")


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


def _origin(click_ids: Mapping[str, str], referred: Origin) -> Origin:
    """Who sent the visitor, by click ids and referrer."""
    clicked = next((kinds.click_ids()[name] for name in click_ids), None)
    if clicked is None:
        return referred
    # An id that is on every link of a service travels with links that people pass on: a referrer that is known tells
    # better where the link was found.
    return referred if not clicked.paid and referred.medium not in ("referral", "(none)") else clicked


def _of_referrer(referrer: Address, own: Sequence[str]) -> Origin:
    name = host(referrer)
    if referrer.scheme == "android-app" and name:
        return kinds.of_app(name) or Origin(name, "referral")
    if referrer.scheme not in _WEB or not name or any(within(name, domain) for domain in own if domain):
        return _DIRECT
    return kinds.of_host(name) or Origin(name, "referral")


def _medium_of_host(source: str) -> str:
    known = kinds.of_host(host(split(source)))
    return known.medium if known else ""


def _of_fragment(fragment: str) -> dict[str, str]:
    """Campaign parameters behind ``#``, as in ``#utm_source=x`` or a single-page application's ``#/sofas?utm_…``."""
    return parameters(fragment.rpartition("?")[2], _UTM)
