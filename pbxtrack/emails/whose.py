"""Whose an address was, of what is known of it: pure functions.

Each is for a kind of address; ``site`` has the mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from pbxtrack.calls import reasons
from pbxtrack.calls.attribution import weigh
from pbxtrack.calls.evidence import Holder, Resolution
from pbxtrack.emails.model import Recipient, Resolved
from pbxtrack.pool.model import NumberKind, NumberOwner, SiteSettings, Visit

LATE = timedelta(days=90)
LATE_CONFIDENCE = 0.97
"""Of a made address that nobody was shown for LATE: it may have been passed on since, or taken from an address book."""


def of_mailbox(address: str, site: SiteSettings) -> Resolved:
    """The mailbox itself."""
    return _ours(address, site, Recipient.MAILBOX, reasons.ADDRESS_MAILBOX)


def of_nobody(address: str, site: SiteSettings) -> Resolved:
    """One that looks made and was not."""
    return _ours(address, site, Recipient.UNRESOLVED, reasons.ADDRESS_UNKNOWN)


def of_channel(address: str, site: SiteSettings, channel: str) -> Resolved:
    """A channel's own."""
    found = _ours(address, site, Recipient.STATIC, reasons.ADDRESS_STATIC % {"channel": channel})
    return replace(found, channel=channel, confidence=1.0)


def of_lease(address: str, site: SiteSettings, lease: str, visit: Visit, shown_at: datetime, at: datetime) -> Resolved:
    """A made one, which the visitor's page showed last at ``shown_at``."""
    late = at - shown_at > LATE
    why = reasons.ADDRESS_MADE_OLD % {"ago": reasons.ago(at - shown_at)} if late else reasons.ADDRESS_MADE
    found = _ours(address, site, Recipient.MADE, why)
    return _brought_by(found, visit, lease, LATE_CONFIDENCE if late else 1.0)


def of_pool(address: str, site: SiteSettings, holders: Sequence[Holder], at: datetime) -> Resolved:
    """One of a pool's: the visitor's who held it then, else of whoever held it last.

    ``holders``: its leases that had begun, the latest first. How probable that is, is weighed as with numbers: others
    were shown it before, and some who write to it were shown it by nobody.
    """
    if not holders:
        return _ours(address, site, Recipient.UNRESOLVED, reasons.ADDRESS_NEVER_SHOWN)
    turns = _turns(holders)
    last = turns[0]
    owner = NumberOwner(address, 0, NumberKind.POOL, site)
    confidence = weigh(Resolution(address, at, None, owner, turns)).shares[last.visit.visitor]
    if last.lease.live(at):
        why = reasons.ADDRESS_HELD
    else:
        why = reasons.ADDRESS_HELD_LAST % {"ago": reasons.ago(at - last.lease.ends_at)}
    return _brought_by(_ours(address, site, Recipient.POOL, why), last.visit, last.lease.id, confidence)


def _turns(holders: Sequence[Holder]) -> list[Holder]:
    """Each until the next began: who lost an address to somebody else goes on with the lease, and another address."""
    turns = list(holders[:1])
    for after, (lease, visit) in pairwise(holders):
        end = after.lease.started_at
        taps = tuple(tap for tap in lease.taps if tap < end)
        left = lease.left_at if lease.left_at and lease.left_at < end else None
        clipped = lease._replace(
            ends_at=min(lease.ends_at, end), seen_at=min(lease.seen_at, end), taps=taps, left_at=left
        )
        turns.append(Holder(clipped, visit))
    return turns


def _ours(address: str, site: SiteSettings, kind: Recipient, why: str) -> Resolved:
    return Resolved(address, site.id, site.key, site.email or "", kind, why=why)


def _brought_by(found: Resolved, visit: Visit, lease: str, confidence: float) -> Resolved:
    return replace(
        found,
        channel=visit.channel,
        touch=visit.touch,
        visit_id=visit.id,
        lease_id=lease,
        confidence=round(confidence, 4),
    )
