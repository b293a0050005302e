"""What is known when a number is called: who was shown it, who called it before, who this caller is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple, Protocol

from pbxtrack.calls.curves import HEARTBEAT_STEPS, PRIOR, STEPS, Curves, State, length_of
from pbxtrack.pool.model import Lease, NumberOwner, Visit

CALLER_BINDING = timedelta(days=90)
"""How long a caller's earlier calls tell who they are."""

MAX_HOLDERS = 24
"""How many of a number's leases, the latest, are looked at when it is called."""

MAX_EARLIER_CALLS = 32
"""How many of a number's earlier calls, the latest, are looked at; and how many of the caller's."""

SURE_ENOUGH = 0.5
"""From which probability on a call is taken for a sign of life of the visit that it is attributed to."""


_SEEN, _LEFT, _KEEN = State.SEEN, State.LEFT, State.KEEN  # Python 3.11 takes long to look a member up


class Holder(NamedTuple):
    """A lease and its visit: who may have been looking at a number."""

    lease: Lease
    visit: Visit


def last_deed(lease: Lease, at: datetime) -> tuple[State, datetime]:
    """What a lease's visitor had done last at that moment, and when: a tap or copy counts before all else."""
    for tap in reversed(lease.taps):
        if tap <= at:
            return _KEEN, tap
    if lease.left_at is not None and lease.left_at <= at:
        return _LEFT, lease.left_at
    return _SEEN, lease.seen_at


def length_tells(place: int) -> bool:
    """Whether a visit's length tells something of whoever is at that place on the curves."""
    return HEARTBEAT_STEPS <= place < State.KEEN * STEPS


def visit_length(place: int, lease: Lease, at: datetime) -> int | None:
    """The class of a visit's length; None while the visit may still go on, and after a tap or copy, which tells more.

    ``place``: of the moment, on the curves.
    """
    if not length_tells(place):
        return None
    return length_of((min(lease.seen_at, at) - lease.started_at).total_seconds())


class Tie(NamedTuple):
    """How probably a call came from a visitor, and by which lease they knew the number."""

    visitor: str
    lease: str
    share: float


class Correction(NamedTuple):
    """What people say of a call: the advertising channel that brought it, and who called, where they said that."""

    channel: str
    tie: Tie | None = None


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """A call before this one, to the same number or by the same caller, and whom it was attributed to.

    What the shares of its ``ties`` lack to 1 is somebody unknown. ``told``: the channel that people said brought it,
    None where nobody corrected it; the ties are as they said then.
    """

    at: datetime
    number: str
    caller: str | None
    ties: Sequence[Tie]
    told: str | None = None

    @property
    def unknown(self) -> float:
        """The probability that nobody whom the website showed the number called."""
        return max(0.0, 1 - sum(tie.share for tie in self.ties))


@dataclass(frozen=True, slots=True)
class Resolution:
    """All that is known about a dialled number at a moment.

    ``owner`` is None for a number that is not ours. ``holders`` were shown the number, of the overflow number the
    latest of those for whom no other was left; the latest lease first, up to MAX_HOLDERS, and then those older ones
    that ``calls`` of this caller to this number are tied to. ``calls``: earlier ones to this number by anybody, and to
    any of the site's by ``caller``, the latest first. ``curves``: what the site's calls have taught.
    """

    number: str | None
    at: datetime
    caller: str | None = None
    owner: NumberOwner | None = None
    holders: Sequence[Holder] = field(default=())
    calls: Sequence[EarlierCall] = field(default=())
    curves: Curves = PRIOR


def recent(calls: Iterable[EarlierCall], at: datetime) -> list[EarlierCall]:
    """Those of the calls, the latest first, that tell something of a call at that moment."""
    return list(islice((call for call in calls if at - CALLER_BINDING <= call.at < at), MAX_EARLIER_CALLS))


def heard(caller: str | None, by_caller: Iterable[EarlierCall], to_number: Iterable[EarlierCall]) -> list[EarlierCall]:
    """The caller's calls and those to the number, none twice, as :attr:`Resolution.calls` has them."""
    return [*by_caller, *(call for call in to_number if caller is None or call.caller != caller)]


def older_leases(number: str | None, by_caller: Iterable[EarlierCall], latest: Collection[str]) -> list[str]:
    """The leases that a caller's calls to the number are tied to, beside the ``latest``; each once."""
    ties = (tie for call in by_caller if call.number == number for tie in call.ties)
    return list(dict.fromkeys(tie.lease for tie in ties if tie.lease not in latest))


class Directory(Protocol):
    """What is known of a dialled number."""

    def resolve(self, number: str, at: datetime, caller: str | None) -> Resolution:
        """Whose the number (E.164) was at that moment, and who had been shown it."""

    def owner(self, number: str) -> NumberOwner | None:
        """Whose the number (E.164) is."""
