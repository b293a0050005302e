"""What must hold of leases and numbers whatever happened, seen from their rows alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from tests.contract.leasing_stores import LeaseRow, Rows

Taken = Collection[tuple[str, datetime]]
"""Numbers that site files took from visitors, and when."""


def by_number(rows: Rows) -> Mapping[str, Sequence[LeaseRow]]:
    """The leases of each number, in the order in which it was given."""
    found: dict[str, list[LeaseRow]] = defaultdict(list)
    for lease in rows.leases.values():
        if lease.number:
            found[lease.number].append(lease)
    return {e164: sorted(leases, key=lambda lease: lease.seq) for e164, leases in found.items()}


def no_number_is_two_visitors(rows: Rows) -> None:
    for e164, leases in by_number(rows).items():
        for earlier, later in pairwise(leases):
            assert earlier.seq < later.seq, e164
            assert earlier.ends_at <= later.started_at, e164


def nobody_is_robbed_before_the_guaranteed_time(rows: Rows, taken: Taken) -> None:
    for e164, leases in by_number(rows).items():
        for lease, later in zip(leases, [*leases[1:], None], strict=True):
            if lease.ends_at < lease.guaranteed_until and (e164, lease.ends_at) not in taken:
                assert later, e164
                assert (later.visitor, later.started_at) == (lease.visitor, lease.ends_at), e164


def a_number_is_as_its_last_lease(rows: Rows, taken: Taken) -> None:
    leases = by_number(rows)
    for e164, number in rows.numbers.items():
        last = leases[e164][-1] if e164 in leases else None
        if last and last.seq == number.seq:
            assert (number.free_at, number.guaranteed_until) == (last.ends_at, last.guaranteed_until), e164
        elif number.seq:
            assert number.seq > (last.seq if last else 0), e164
            assert (e164, number.free_at) in taken, e164
