"""The lease that an attribution met, as it was then.

A lease changes after the call: by its visitor's further signs of life, and by the call itself, which is one. Whoever
attributes the call again is to see what was seen at first.
"""

from __future__ import annotations

from dataclasses import replace

from pbxtrack.calls.ports import Held
from pbxtrack.pool.model import Resolution


def held_in(known: Resolution) -> Held | None:
    """What is to be kept of the number's latest lease; None where nobody ever held it."""
    latest = known.current or next(iter(known.earlier), None)
    return Held(latest.lease.id, latest.lease.seen_at, latest.lease.ends_at) if latest else None


def as_it_was(known: Resolution, held: Held | None) -> Resolution:
    """What is known, with the number's latest lease as it was when the call was first attributed."""
    holders = [*([known.current] if known.current else []), *known.earlier]
    if held is None or held == held_in(known) or not holders or holders[0].lease.id != held.lease:
        return known
    lease = replace(holders[0].lease, seen_at=held.seen_at, ends_at=held.ends_at)
    latest = replace(holders[0], lease=lease)
    if lease.live(known.at):
        return replace(known, current=latest, earlier=holders[1:])
    return replace(known, current=None, earlier=[latest, *holders[1:]])
