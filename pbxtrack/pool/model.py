"""The words of number leasing: who owns a number, who holds it, what a visitor is given.

What is made for every request is a named tuple, which takes a third of the time that a frozen dataclass takes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from pbxtrack.sources.touch import ChannelRule, Touch


class NumberKind(StrEnum):
    """What a number is for."""

    POOL = "pool"  # leased to visitors
    STATIC = "static"  # one advertising channel's
    OVERFLOW = "overflow"  # shown when the pool is used up


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """What leasing and forwarding need to know of a site.

    ``hold`` and ``hold_guaranteed`` are durations; a call is a target from ``target_talk`` of talk on.
    """

    id: int
    key: str
    name: str
    line: str
    hold: timedelta
    hold_guaranteed: timedelta
    origins: Sequence[str] = ()
    replace: Sequence[str] = ()
    record: bool = False
    whisper: bool = False
    overflow_number: str | None = None
    email: str | None = None
    email_separator: str = "+"
    timezone: str = "UTC"
    target_talk: timedelta = timedelta(seconds=60)
    rules: Sequence[ChannelRule] = ()
    channel_lines: Mapping[str, str] = field(default_factory=dict)

    def line_for(self, channel: str) -> str:
        """The real line of an advertising channel's calls, as Dial() takes it."""
        return self.channel_lines.get(channel) or self.line


class Visit(NamedTuple):
    """A visitor's session and what brought it."""

    id: str
    site_id: int
    visitor: str
    started_at: datetime
    seen_at: datetime
    touch: Touch
    channel: str
    region: str = ""


class EventKind(StrEnum):
    """What a visitor did on a page."""

    VIEW = "view"
    TAP = "tap"  # on the number or the address
    COPY = "copy"
    LEAVE = "leave"


class VisitEvent(NamedTuple):
    """Something a visitor did during a visit, after the page that it began with."""

    visit: str
    at: datetime
    kind: EventKind
    page: str


class Hold(NamedTuple):
    """How long a number is held from a sign of life on: ``guaranteed``, and until the end where numbers suffice."""

    since: datetime
    guaranteed_until: datetime
    ends_at: datetime


class PoolAddress(NamedTuple):
    """An e-mail address of a site's pool, held for a visitor. ``seq``: the how-manieth lease of it that is."""

    id: int
    address: str
    seq: int


class Lease(NamedTuple):
    """A number held for a visit, and with it an e-mail address where the site has a mailbox.

    ``number`` is None when the pool was used up and the visitor was shown the site's overflow number. ``ends_at`` is
    the end of the hold; ``seen_at`` the page's last sign of life; ``guaranteed_until`` the moment from which the
    number may be taken for somebody else if the pool runs short. ``taps``: when the visitor tapped or copied the
    number, the last MAX_TAPS times; ``left_at``: when they closed the page, if nothing was heard since. ``called``: a
    call was tied to it, of a caller who would be known again. ``email``: an address made for this lease alone;
    ``address``: one of the site's pools, shown instead as long as it is the visitor's.
    """

    id: str
    site_id: int
    visit: str
    visitor: str
    number: str | None
    number_id: int | None
    seq: int
    started_at: datetime
    seen_at: datetime
    guaranteed_until: datetime
    ends_at: datetime
    taps: tuple[datetime, ...] = ()
    left_at: datetime | None = None
    called: bool = False
    email: str | None = None
    address: PoolAddress | None = None

    @property
    def overflow(self) -> bool:
        return self.number is None

    def live(self, now: datetime) -> bool:
        """Whether the number is the visitor's at that moment."""
        return self.started_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Others:
    """The numbers that visitors of the same address hold already: how many, and of which pools as far as is known."""

    count: int = 0
    by_pool: Mapping[int, int] = field(default_factory=dict)

    def of(self, pool_id: int) -> int:
        """How many may be the pool's: those whose pool is not known count for each."""
        return self.count - sum(self.by_pool.values()) + self.by_pool.get(pool_id, 0)


class LeaseRequest(NamedTuple):
    """A website asks for a number. ``visitor`` is what the browser remembers, None for a new one."""

    site_key: str
    page: str
    referrer: str = ""
    visitor: str | None = None
    region: str = ""
    client_ids: Mapping[str, str] = MappingProxyType({})
    others: Others = Others()


class Sign(NamedTuple):
    """A page's sign of life: for which lease, and what happened there. A mere heartbeat has no ``event``.

    ``at`` where it is not now. ``call``: it was none of the page, but a call that was attributed to the lease; True of
    one whose caller would be known again. ``sites``: the keys of those whose leases it may hold on, since a website's
    page may speak for its own only; None: any.
    """

    lease: str
    event: EventKind | None = None
    page: str = ""
    at: datetime | None = None
    sites: Collection[str] | None = None
    call: bool | None = None


class LeaseGrant(NamedTuple):
    """What the website is given: the lease and what to show. ``number`` is None where nothing can be shown.

    ``pool`` is that of the lease's number.
    """

    lease: Lease
    site: SiteSettings
    visit: Visit
    number: str | None
    renewed: bool = False
    pool: int | None = None

    @property
    def email(self) -> str | None:
        """The e-mail address to show; the mailbox itself where nothing can be made of it. None: the site has none."""
        if not self.site.email:
            return None
        return self.lease.address.address if self.lease.address else self.lease.email or self.site.email


@dataclass(frozen=True, slots=True)
class NumberOwner:
    """Whose a number is: its site, and for a static number its advertising channel."""

    number: str
    number_id: int
    kind: NumberKind
    site: SiteSettings
    channel: str | None = None
