"""The database compared with what browsers were told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.storage import tables
from tests.processes.ledger import Ledger, Told


def audit(connection: Connection, ledger: Ledger) -> None:
    leases = connection.execute(
        select(tables.leases, tables.numbers.c.e164).outerjoin(tables.numbers).order_by(tables.leases.c.seq)
    ).all()
    numbers = connection.execute(select(tables.numbers).where(tables.numbers.c.kind == "pool")).all()
    by_number: dict[str, list[Any]] = defaultdict(list)
    for lease in leases:
        if lease.e164:
            by_number[lease.e164].append(lease)
    _one_after_another(by_number)
    _numbers_fit(numbers, by_number)
    addresses = connection.execute(select(tables.addresses)).all()
    _addresses_fit(addresses, leases)
    _told_is_kept(ledger, {lease.id: lease for lease in leases}, by_number, {row.id: row.address for row in addresses})
    _shown_to_one(ledger, lambda told: told.number)
    _shown_to_one(ledger, lambda told: told.email)


def _one_after_another(by_number: Mapping[str, Sequence[Any]]) -> None:
    for e164, leases in by_number.items():
        for earlier, later in pairwise(leases):
            assert earlier.ends_at <= later.started_at, f"{e164} is two visitors': {earlier} {later}"


def _numbers_fit(numbers: Sequence[Any], by_number: Mapping[str, Sequence[Any]]) -> None:
    for number in numbers:
        leases = by_number.get(number.e164, [])
        assert [lease.seq for lease in leases] == list(range(1, number.seq + 1))
        if leases:
            last = leases[-1]
            assert (number.free_at, number.guaranteed_until) == (last.ends_at, last.guaranteed_until), last


def _addresses_fit(addresses: Sequence[Any], leases: Sequence[Any]) -> None:
    """A lease that loses its address goes on with another: when it lost it, only what browsers were told tells."""
    for address in addresses:
        held = sorted((lease.address_seq, lease) for lease in leases if lease.address_id == address.id)
        assert [seq for seq, _ in held] == list(range(1, address.seq + 1))
        if held:
            _, last = held[-1]
            assert address.guaranteed_until >= last.started_at


def _told_is_kept(
    ledger: Ledger, leases: Mapping[str, Any], by_number: Mapping[str, Sequence[Any]], emails: Mapping[int, str]
) -> None:
    for told in [*ledger.leases, *ledger.renewals]:
        lease = leases.get(told.lease)
        assert lease is not None, f"lost: {told}"
        assert (lease.e164, lease.visit_id, lease.visitor_id) == (told.number, told.visit, told.visitor)
        assert told.email in (lease.email, emails.get(lease.address_id)), f"another's: {told} {lease}"
        assert lease.guaranteed_until >= told.guaranteed_until, f"shorter than was told: {told} {lease}"
        if lease.ends_at < told.expires_at:  # it was deserted, or its visitor came on another visit
            later = by_number[lease.e164][lease.seq]
            assert later.started_at == lease.ends_at, f"ended for nobody: {told} {lease}"
            assert later.visitor_id == lease.visitor_id or later.started_at >= told.guaranteed_until, f"robbed: {told}"
    for gone, at in ledger.gone:
        assert leases[gone].ends_at <= at, f"told to be gone at {at}, and is not: {leases[gone]}"


def _shown_to_one(ledger: Ledger, what: Callable[[Told], str | None]) -> None:
    """By what browsers were told alone: while a number or address is guaranteed to one, nobody else is given it."""
    shown: dict[str, list[Told]] = defaultdict(list)
    for told in [*ledger.leases, *ledger.renewals]:
        if (is_shown := what(told)) and told.at < told.guaranteed_until:
            shown[is_shown].append(told)
    for one, times in shown.items():
        latest: dict[str, Told] = {}
        for told in sorted(times, key=lambda told: told.at):
            for other in latest.values():
                same = other.visitor == told.visitor
                assert same or other.guaranteed_until <= told.at, f"{one} is shown to two: {other} {told}"
            known = latest.get(told.visitor)
            if known is None or known.guaranteed_until < told.guaranteed_until:
                latest[told.visitor] = told
