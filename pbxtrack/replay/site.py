"""The site that a trace happens to: one of a site file, or one that has nothing but numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from pbxtrack.errors import PbxtrackError
from pbxtrack.pool.model import SiteSettings
from pbxtrack.sitefile.model import DEFAULT_GUARANTEED, DEFAULT_HOLD, Site
from pbxtrack.sources.touch import ChannelRule

OVERFLOW = "+70000000000"
"""What visitors are shown for whom no number is left, unless the site file says: nobody's number."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A site with its pool numbers by the regions they are shown to, and its static numbers' channels."""

    site: SiteSettings
    pools: Mapping[str, Sequence[str]]
    static: Mapping[str, str]


def bare(numbers: int, hold: timedelta = DEFAULT_HOLD, guaranteed: timedelta = DEFAULT_GUARANTEED) -> Stage:
    """A site without channels of its own, of so many numbers: +70000000001 and up."""
    site = SiteSettings(1, "replay", "Replay", "", hold, guaranteed, overflow_number=OVERFLOW)
    return Stage(site, {"": [f"+7{index:010}" for index in range(1, numbers + 1)]}, {})


def of_file(
    found: Site, numbers: int | None, hold: timedelta | None = None, guaranteed: timedelta | None = None
) -> Stage:
    """A site of a site file, with the first ``numbers`` of its pools; all where that is None.

    Raises PbxtrackError where it has not as many.
    """
    every = [(",".join(pool.regions), number) for pool in found.pools for number in pool.numbers]
    if numbers is not None and numbers > len(every):
        raise PbxtrackError(f"the site {found.key!r} has {len(every)} numbers in its pools, not {numbers}")
    pools: dict[str, list[str]] = {}
    for regions, number in islice(every, numbers):
        pools.setdefault(regions, []).append(number)
    site = SiteSettings(
        id=1,
        key=found.key,
        name=found.name,
        line=found.line,
        hold=hold or found.hold,
        hold_guaranteed=guaranteed or found.hold_guaranteed,
        origins=found.origins,
        overflow_number=found.overflow_number or OVERFLOW,
        timezone=found.timezone,
        target_talk=found.target_talk,
        rules=[ChannelRule(channel.name, channel.match) for channel in found.channels if channel.match],
    )
    static = {number: channel.name for channel in found.channels for number in channel.numbers}
    return Stage(site, pools, static)


def of_size(found: Site, numbers: int, hold: timedelta) -> Stage:
    """The same site, if its pools had so many numbers in all, divided as they are now: +70000000001 and up."""
    stage = of_file(found, None, hold)
    sizes = {regions: len(listed) for regions, listed in stage.pools.items()}
    total = sum(sizes.values())
    pools: dict[str, list[str]] = {}
    before = given = 0
    for regions, size in sizes.items():
        before += size
        upto = round(numbers * before / total)
        pools[regions] = [f"+7{index:010}" for index in range(given + 1, upto + 1)]
        given = upto
    return Stage(stage.site, pools, {})
