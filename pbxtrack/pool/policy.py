"""The rules of leasing, as pure functions of times."""

from __future__ import annotations

from datetime import datetime, timedelta

from pbxtrack.pool.model import EventKind, Hold, Lease, SiteSettings, Visit
from pbxtrack.sources.touch import Touch

VISIT_GAP = timedelta(minutes=30)
"""A visit ends after so much inactivity: the convention of web analytics."""

HEARTBEAT = timedelta(seconds=60)
"""How often a visible page tells that it is still looked at."""

REST = timedelta(hours=12)
"""How long a number rests whose visitor tapped or copied it and has not called yet: who calls hours later mostly did.

Given to somebody else, such a call could be anybody's of the two. Measured by `make bench ARGS=attribution`.
"""

MAX_TAPS = 8
"""Taps and copies of one lease that are kept, the last."""

FAIR_PART, FAIR_LEAST = 4, 3
"""An address's visitors may hold one number of a site in so many, and at least so many."""

FAIR_PART_OF_POOL = 2
"""They may hold one number of a pool in so many, and at least one."""

MAX_EVENTS = 200
"""Events of one visit that are kept: pages, taps, copies. A visit with more is no person's."""

MAX_EVENT_PAGE = 2_048
"""Characters kept of the address of a page seen during a visit; the first page is kept whole."""

MAX_LOCAL_PART, MAX_ADDRESS = 64, 254
"""Characters of an e-mail address before its @, and in all."""

MIN_HOLD, MAX_HOLD = timedelta(minutes=1), timedelta(days=30)
MIN_GUARANTEED = timedelta(seconds=1)


def same_visit(visit: Visit, touch: Touch, now: datetime) -> bool:
    """Whether a page view with this touch goes on with the visit, or begins a new one.

    Thirty minutes of inactivity end a visit; so do campaign parameters other than its own.
    """
    if now - visit.seen_at > VISIT_GAP:
        return False
    return not touch.tagged or _campaign(touch) == _campaign(visit.touch)


def _campaign(touch: Touch) -> tuple[object, ...]:
    return (touch.source, touch.medium, touch.campaign, touch.term, touch.content, dict(touch.click_ids))


def hold(site: SiteSettings, now: datetime) -> Hold:
    """How long a number is held for a visitor who gave a sign of life now."""
    whole, guaranteed = site.hold, site.hold_guaranteed
    return Hold(now, now + (guaranteed if guaranteed < whole else whole), now + whole)


def renewed(
    lease: Lease, site: SiteSettings, now: datetime, event: EventKind | None = None, *, call: bool | None = None
) -> Lease:
    """The lease after a sign of life; it never ends earlier than it did.

    ``call``: a call of the visitor's, which holds the number on, but tells nothing of their page; True where the caller
    would be known again.
    """
    _, guaranteed_until, ends_at = hold(site, now)
    if call is not None:
        return lease._replace(
            guaranteed_until=max(lease.guaranteed_until, guaranteed_until),
            ends_at=max(lease.ends_at, ends_at),
            called=lease.called or call,
        )
    taps, left_at = lease.taps, None
    if event is not None:
        if event is EventKind.TAP or event is EventKind.COPY:
            taps = (*taps, now)[-MAX_TAPS:]
        elif event is EventKind.LEAVE:
            left_at = now
    # Written out, since _replace and max take several times as long, and this is done for every heartbeat.
    return Lease(
        lease.id,
        lease.site_id,
        lease.visit,
        lease.visitor,
        lease.number,
        lease.number_id,
        lease.seq,
        lease.started_at,
        now if now > lease.seen_at else lease.seen_at,
        guaranteed_until if guaranteed_until > lease.guaranteed_until else lease.guaranteed_until,
        ends_at if ends_at > lease.ends_at else lease.ends_at,
        taps,
        left_at,
        lease.called,
        lease.email,
        lease.address,
    )


def rests_until(lease: Lease) -> datetime:
    """Until when the lease's number is rather not given to others: its visitor may well call yet."""
    return lease.ends_at + REST if lease.taps and not lease.called else lease.ends_at


def made_address(mailbox: str, separator: str, token: str) -> str | None:
    """The address of a mailbox that a token is in, ``sales+token@shop.example``, in lower case; None: it is too long.

    Whoever mails to it may write it in any case, so that it is compared without.
    """
    local, _, domain = mailbox.lower().rpartition("@")
    made = f"{local}{separator}{token}"
    return f"{made}@{domain}" if len(made) <= MAX_LOCAL_PART and len(made) + len(domain) < MAX_ADDRESS else None


def fair_share(numbers: int) -> int:
    """How many of a site's pool numbers the visitors of one address may hold at once.

    Enough for an office behind one address; one that asks for ever more new visitors leaves most for the others.
    """
    return max(FAIR_LEAST, numbers // FAIR_PART)


def fair_share_of_pool(numbers: int) -> int:
    """How many of a pool's: a small pool of one region is not to be one address's alone."""
    return max(1, numbers // FAIR_PART_OF_POOL)
