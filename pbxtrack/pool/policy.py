"""The rules of leasing, as pure functions of times."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pbxtrack.pool.model import Lease, SiteSettings, Visit
from pbxtrack.sources.touch import Touch

VISIT_GAP = timedelta(minutes=30)
"""A visit ends after so much inactivity: the convention of web analytics."""

HEARTBEAT = timedelta(seconds=60)
"""How often a visible page tells that it is still looked at."""

EARLIER_HOLDERS = 5
"""How many former holders of a number are looked at when a call cannot be tied to the present one."""

MIN_HOLD, MAX_HOLD = timedelta(minutes=1), timedelta(days=30)


def same_visit(visit: Visit, touch: Touch, now: datetime) -> bool:
    """Whether a page view with this touch goes on with the visit, or begins a new one.

    Thirty minutes of inactivity end a visit; so do campaign parameters other than its own.
    """
    if now - visit.seen_at > VISIT_GAP:
        return False
    return not touch.tagged or _campaign(touch) == _campaign(visit.touch)


def _campaign(touch: Touch) -> tuple[object, ...]:
    return (touch.source, touch.medium, touch.campaign, touch.term, touch.content, dict(touch.click_ids))


def hold(site: SiteSettings, now: datetime) -> tuple[datetime, datetime]:
    """(guaranteed until, end of the hold) of a lease whose visitor gave a sign of life now."""
    return now + min(site.hold_guaranteed, site.hold), now + site.hold


def renewed(lease: Lease, site: SiteSettings, now: datetime) -> Lease:
    """The lease after a sign of life; it never ends earlier than it did."""
    guaranteed, end = hold(site, now)
    return replace(
        lease,
        seen_at=max(lease.seen_at, now),
        guaranteed_until=max(lease.guaranteed_until, guaranteed),
        ends_at=max(lease.ends_at, end),
    )
