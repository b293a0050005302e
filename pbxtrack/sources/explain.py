"""Why a page's address and its referrer give this source, and this channel: for people who set up channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pbxtrack.sources.address import MAX_URL, host, parameters, printable, split
from pbxtrack.sources.touch import ChannelRule, Touch, channel_of, misfit, read_touch


class Told(StrEnum):
    """What told the source."""

    UTM = "utm"
    CLICK_ID = "click_id"
    REFERRER = "referrer"
    OWN = "own"  # the referrer is one of the site's own pages, which is no source
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Try:
    """One of the site's channels, tried. ``field``: what did not fit, ``value`` is the visit's; None: it fits."""

    name: str
    field: str | None
    glob: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a visit's beginning is read as. ``tries``: the channels up to the one that fits; ``rule``: it, if any."""

    touch: Touch
    told: Told
    channel: str
    rule: str | None
    tries: Sequence[Try]


def explain(page: str, referrer: str, own_hosts: Sequence[str], rules: Sequence[ChannelRule]) -> Explanation:
    """Read how a visit began, and say why; never raises. Takes what :func:`read_touch` takes."""
    touch = read_touch(page, referrer, own_hosts)
    tries: list[Try] = []
    for rule in rules:
        if not rule.match:
            continue
        field = misfit(touch, rule)
        value = "" if field is None else ", ".join(touch.click_ids) if field == "click_id" else getattr(touch, field)
        tries.append(Try(rule.name, field, rule.match.get(field or "", ""), value))
        if field is None:
            break
    rule_name = tries[-1].name if tries and tries[-1].field is None else None
    return Explanation(touch, _told(touch, own_hosts), channel_of(touch, rules), rule_name, tries)


def _told(touch: Touch, own_hosts: Sequence[str]) -> Told:
    address = split(printable(touch.page[:MAX_URL]))
    tagged = parameters(address.query, ("utm_source",)) or parameters(
        address.fragment.rpartition("?")[2], ("utm_source",)
    )
    if tagged:
        return Told.UTM
    if touch.click_ids:
        alone = read_touch(touch.page, "", own_hosts)
        if (alone.source, alone.medium) == (touch.source, touch.medium):
            return Told.CLICK_ID
    if touch.source not in ("", "(direct)"):
        return Told.REFERRER
    return Told.OWN if host(split(touch.referrer)) else Told.NOTHING
