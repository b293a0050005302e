"""The lease that an attribution met, as it was then.

A lease changes after the call: by its visitor's further signs of life, and by the call itself, which is one. Whoever
attributes the call again is to see what was seen at first.
"""

from __future__ import annotations

from dataclasses import replace

from pbxtrack.calls.evidence import Resolution
from pbxtrack.calls.ports import Held


def held_in(known: Resolution) -> Held | None:
    """What is to be kept of the number's latest lease; None where nobody ever held it."""
    if not known.holders:
        return None
    lease = known.holders[0].lease
    return Held(lease.id, lease.seen_at, lease.ends_at, lease.left_at)


def as_it_was(known: Resolution, held: Held | None) -> Resolution:
    """What is known, with the number's latest lease as it was when the call was first attributed."""
    if held is None or not known.holders or known.holders[0].lease.id != held.lease or held == held_in(known):
        return known
    latest = known.holders[0]
    lease = latest.lease._replace(seen_at=held.seen_at, ends_at=held.ends_at, left_at=held.left_at)
    return replace(known, holders=[latest._replace(lease=lease), *known.holders[1:]])
