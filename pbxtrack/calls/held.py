"""Leases as an attribution met them.

A lease changes after the call: by its visitor's further signs of life, and by the call itself, which holds it on.
Whoever weighs the call again is to see what was seen at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pbxtrack.calls.evidence import Holder, Resolution
from pbxtrack.calls.ports import Held


def held_in(known: Resolution) -> tuple[Held, ...]:
    """What is to be kept of the leases that may change yet: those that were live, and the number's latest."""
    return tuple(
        _held(holder) for place, holder in enumerate(known.holders) if place == 0 or holder.lease.live(known.at)
    )


def as_it_was(known: Resolution, held: Sequence[Held]) -> Resolution:
    """What is known, with the leases as they were when the call was first attributed."""
    met = {one.lease: one for one in held}
    if all(met.get(holder.lease.id, one) == one for holder in known.holders for one in (_held(holder),)):
        return known
    return replace(known, holders=[_as_met(holder, met.get(holder.lease.id)) for holder in known.holders])


def _held(holder: Holder) -> Held:
    lease = holder.lease
    return Held(lease.id, lease.seen_at, lease.ends_at, lease.left_at)


def _as_met(holder: Holder, held: Held | None) -> Holder:
    if held is None:
        return holder
    lease = holder.lease._replace(seen_at=held.seen_at, ends_at=held.ends_at, left_at=held.left_at)
    return holder._replace(lease=lease)
