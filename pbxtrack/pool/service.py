"""Leasing numbers to visitors: acquire and renew. Works on any :class:`~pbxtrack.pool.ports.LeaseStore`.

Requests that wait for one transaction are done together: what they read and write is gathered over all of them, since
a statement costs more than what it does. Everything is locked in one order (visitors, then the numbers they have, then
their e-mail addresses, then free ones, of which locked ones are passed over), so that two transactions never wait for
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from itertools import zip_longest
from typing import TypeVar

from pbxtrack.errors import PbxtrackError
from pbxtrack.ids import new_id, new_token
from pbxtrack.pool import policy
from pbxtrack.pool.model import (
    EventKind,
    Hold,
    Lease,
    LeaseGrant,
    LeaseRequest,
    Sign,
    SiteSettings,
    Visit,
    VisitEvent,
)
from pbxtrack.pool.ports import Changes, FreeNumber, LeaseStore, PoolInfo
from pbxtrack.sources.touch import Touch, channel_of, read_touch

Taken = TypeVar("Taken")


class UnknownSite(PbxtrackError):
    """No site has this key."""


class ForeignSite(PbxtrackError):
    """The lease is another site's than those that the sign of life may speak for."""


def acquire(store: LeaseStore, requests: Sequence[LeaseRequest], now: datetime) -> list[LeaseGrant | UnknownSite]:
    """Give each visitor a number to be shown, and hold it for them.

    The same visitor on the same visit gets the number they have; on a later visit, too, if nobody had it meanwhile.
    When no number can be had, the grant is an overflow: the site's overflow number, or none. Where the site has a
    mailbox, each lease has an e-mail address of its own: one that is made for it, or one of a pool, had as numbers are.
    """
    if len(requests) == 1:
        return _Turn(store, now).acquire(requests)
    answers: dict[int, LeaseGrant | UnknownSite] = {}
    for turn in _turns(requests):
        done = _Turn(store, now).acquire([requests[index] for index in turn])
        answers.update(zip(turn, done, strict=True))
    return [answers[index] for index in range(len(requests))]


def renew(store: LeaseStore, signs: Sequence[Sign], now: datetime) -> list[LeaseGrant | ForeignSite | None]:
    """Note signs of life: each hold begins anew. None for a lease that is gone: expired, taken, or never was.

    One that may not speak for the lease's site changes nothing.
    """
    known = store.leases({sign.lease for sign in signs})
    changes = Changes()
    grants: list[LeaseGrant | ForeignSite | None] = []
    renewed: dict[str, Lease] = {}
    for lease_id, event, page, at, sites, call in signs:
        grants.append(None)
        found = known.get(lease_id)
        if found is None:
            continue
        visit, before, pool = found
        site = store.site_by_id(visit.site_id)
        if before is None or site is None:
            continue
        lease, at = renewed.get(lease_id, before), at or now
        if not lease.live(at) or (pool is None and not lease.overflow):
            continue
        if sites is not None and site.key not in sites:
            grants[-1] = ForeignSite(f"the lease is the site {site.key!r}'s")
        else:
            renewed[lease_id] = lease = policy.renewed(lease, site, at, event, call=call)
            if call is None:
                _see(changes, visit, at, event, page)
            grants[-1] = LeaseGrant(lease, site, visit, lease.number or site.overflow_number, True, pool)
    for lease_id, lease in renewed.items():
        if (before := known[lease_id].lease) is not None:
            _tell(changes, before, lease)
    changes.renewed += renewed.values()
    store.save(changes)
    return grants


def _turns(requests: Sequence[LeaseRequest]) -> Iterator[list[int]]:
    """The requests in parts, in which no visitor is twice: the second time they have the lease of the first."""
    rest = list(range(len(requests)))
    while rest:
        turn: list[int] = []
        again: list[int] = []
        seen: set[tuple[str, str]] = set()
        for index in rest:
            key = (requests[index].site_key, requests[index].visitor or "")
            if key[1] and key in seen:
                again.append(index)
            else:
                seen.add(key)
                turn.append(index)
        yield turn
        rest = again


@dataclass(slots=True)
class _Asked:
    """A request on its way. ``last``: the visitor's latest lease; ``pool``: its number's, if that is theirs to have."""

    request: LeaseRequest
    site: SiteSettings
    visit: Visit
    last: Lease | None
    pool: int | None
    goes_on: bool = False  # the visit is one that was
    grant: LeaseGrant | None = None


class _Turn:
    """Requests of different visitors, done together."""

    def __init__(self, store: LeaseStore, now: datetime) -> None:
        self._store = store
        self._now = now
        self._changes = Changes()

    def acquire(self, requests: Sequence[LeaseRequest]) -> list[LeaseGrant | UnknownSite]:
        sites = {key: self._store.site(key) for key in {request.site_key for request in requests}}
        asked = self._read(requests, sites)
        for one in asked.values():
            if one.last is not None and one.pool is not None:
                self._keep(one, one.last)
        if needy := [one for one in asked.values() if one.grant is None]:
            if self._changes.kept or self._changes.renewed:
                self._store.save(self._changes)  # first: a number that its visitor has, or came back to, is not free
                self._changes = Changes()
            self._hand_out(needy)
        self._store.save(self._changes)
        self._hand_out_addresses(asked.values())
        answers: list[LeaseGrant | UnknownSite] = []
        for index, request in enumerate(requests):
            grant = asked[index].grant if index in asked else None
            answers.append(grant or UnknownSite(f"there is no site {request.site_key!r}"))
        return answers

    def _read(self, requests: Sequence[LeaseRequest], sites: dict[str, SiteSettings | None]) -> dict[int, _Asked]:
        of_site = [(index, request, sites[request.site_key]) for index, request in enumerate(requests)]
        wanted = {(site.id, request.visitor) for _, request, site in of_site if site and request.visitor}
        known = self._store.visitors(wanted) if wanted else {}
        asked: dict[int, _Asked] = {}
        for index, request, site in of_site:
            if site is None:
                continue
            touch = _touch(request.page, request.referrer, tuple(site.origins))
            found = known.get((site.id, request.visitor or ""))
            if found and policy.same_visit(found.visit, touch, self._now):
                _see(self._changes, found.visit, self._now, EventKind.VIEW, request.page)
                asked[index] = _Asked(request, site, found.visit, found.lease, found.pool, goes_on=True)
            else:
                visit = self._begin(request, site, touch)
                last, pool = (found.lease, found.pool) if found else (None, None)
                asked[index] = _Asked(request, site, visit, last, pool)
        return asked

    def _begin(self, request: LeaseRequest, site: SiteSettings, touch: Touch) -> Visit:
        visit = Visit(
            id=new_id(self._now),
            site_id=site.id,
            visitor=request.visitor or new_id(self._now),
            started_at=self._now,
            seen_at=self._now,
            touch=touch,
            channel=channel_of(touch, site.rules),
            region=request.region,
        )
        self._changes.visits.append((visit, request.client_ids))
        return visit

    def _keep(self, one: _Asked, own: Lease) -> None:
        """The visitor goes on with the number that they have; or had last, if their address may have one more."""
        now = max(self._now, own.started_at)  # of two transactions, the one that began later may be done first
        if own.live(now) and one.goes_on:
            lease = policy.renewed(own, one.site, now)
            self._changes.renewed.append(lease)
            _tell(self._changes, own, lease)
            one.grant = LeaseGrant(lease, one.site, one.visit, lease.number, renewed=True, pool=one.pool)
            return
        if own.live(now):
            self._changes.ended.append(own._replace(ends_at=now))
        elif one.pool in self._closed(one):
            return
        assert one.pool is not None
        assert own.number_id is not None
        assert own.number is not None
        number = FreeNumber(own.number_id, own.number, own.seq + 1, one.pool)
        self._changes.kept.append(self._grant(one, number, policy.hold(one.site, now)))

    def _hand_out(self, needy: Sequence[_Asked]) -> None:
        """Numbers for those who have none, by site, region and pools; what is left over is an overflow."""
        groups: dict[tuple[int, str, frozenset[int]], list[_Asked]] = {}
        for one in needy:
            groups.setdefault((one.site.id, one.visit.region, self._closed(one)), []).append(one)
        for (site_id, region, closed), group in groups.items():
            pools = [pool for pool in self._store.pools(site_id) if pool.id not in closed]
            hold = policy.hold(group[0].site, self._now)
            numbers = self._take(pools, region, len(group), hold)
            for one, number in zip_longest(group, numbers):
                if number:
                    self._changes.leases.append(self._grant(one, number, hold))
                else:
                    self._overflow(one, hold)

    def _closed(self, one: _Asked) -> frozenset[int]:
        """The pools of which one more number would leave too few to visitors of other addresses."""
        others = one.request.others
        if not others.count:
            return frozenset()
        pools = self._store.pools(one.site.id)
        all_of_them = others.count >= policy.fair_share(sum(pool.size for pool in pools))
        return frozenset(
            pool.id for pool in pools if all_of_them or others.of(pool.id) >= policy.fair_share_of_pool(pool.size)
        )

    def _take(self, pools: Sequence[PoolInfo], region: str, count: int, hold: Hold) -> list[FreeNumber]:
        """Free numbers that suit the region, else those of visitors who are gone, else of other regions."""
        own, foreign = by_region(pools, region)
        take = partial(_take, self._store.take, hold=hold)
        numbers = take(own, count)
        return numbers + take(foreign, count - len(numbers))

    def _hand_out_addresses(self, asked: Iterable[_Asked]) -> None:
        """Addresses of pools for new leases that did not go on with one.

        Last of all, when every address that its visitor has or came back to is held. One of another region's pool is
        given to nobody: a made one does as well.
        """
        groups: dict[tuple[int, str], list[tuple[_Asked, LeaseGrant]]] = {}
        for one in asked:
            if one.site.email and one.grant and not one.grant.renewed and not one.grant.lease.address:
                groups.setdefault((one.site.id, one.visit.region), []).append((one, one.grant))
        given: list[Lease] = []
        for (site_id, region), group in groups.items():
            pools, _ = by_region((pool for pool in self._store.pools(site_id) if pool.addresses), region)
            hold = policy.hold(group[0][0].site, self._now)
            taken = _take(self._store.take_addresses, pools, len(group), hold=hold)
            for (one, grant), address in zip(group, taken, strict=False):
                lease = grant.lease._replace(address=address)
                one.grant = grant._replace(lease=lease)
                given.append(lease)
        if given:
            self._store.add_addresses(given)

    def _overflow(self, one: _Asked, hold: Hold) -> None:
        last = one.last
        if last and last.overflow and last.visit == one.visit.id and last.live(self._now):
            lease = policy.renewed(last, one.site, self._now)
            self._changes.renewed.append(lease)
            _tell(self._changes, last, lease)
            one.grant = LeaseGrant(lease, one.site, one.visit, one.site.overflow_number, renewed=True)
        else:
            self._changes.leases.append(self._grant(one, None, hold))

    def _grant(self, one: _Asked, number: FreeNumber | None, hold: Hold) -> Lease:
        now, guaranteed_until, ends_at = hold
        email = address = None
        if one.site.email:
            email = policy.made_address(one.site.email, one.site.email_separator, new_token())
            if one.last and one.last.address:
                address = one.last.address._replace(seq=one.last.address.seq + 1)
        lease = Lease(
            id=new_id(now),
            site_id=one.site.id,
            visit=one.visit.id,
            visitor=one.visit.visitor,
            number=number.e164 if number else None,
            number_id=number.id if number else None,
            seq=number.seq if number else 0,
            started_at=now,
            seen_at=now,
            guaranteed_until=guaranteed_until,
            ends_at=ends_at,
            email=email,
            address=address,
        )
        shown = lease.number or one.site.overflow_number
        one.grant = LeaseGrant(lease, one.site, one.visit, shown, pool=number.pool if number else None)
        return lease


def _take(take: Callable[..., Sequence[Taken]], pools: Sequence[PoolInfo], count: int, *, hold: Hold) -> list[Taken]:
    """So many free ones of these pools, else of visitors who are gone."""
    taken: list[Taken] = []
    for deserted in (False, True):
        for pool in pools:
            if len(taken) < count:
                taken += take(pool.id, count - len(taken), hold, deserted=deserted)
    return taken


def _tell(changes: Changes, before: Lease, lease: Lease) -> None:
    if lease.taps != before.taps or lease.left_at != before.left_at or lease.called != before.called:
        changes.told.append(lease)


def _see(changes: Changes, visit: Visit, at: datetime, event: EventKind | None, page: str) -> None:
    seen = changes.seen.get(visit.id)
    if seen is None or at > seen:
        changes.seen[visit.id] = at
    if event:
        changes.events.append(VisitEvent(visit.id, at, event, page[: policy.MAX_EVENT_PAGE]))


def by_region(pools: Iterable[PoolInfo], region: str) -> tuple[list[PoolInfo], list[PoolInfo]]:
    """(the visitor's region's pools, then those for anyone; other regions'): a foreign code beats no number at all."""
    theirs: list[PoolInfo] = []
    anyones: list[PoolInfo] = []
    others: list[PoolInfo] = []
    for pool in pools:
        (theirs if region in pool.regions else others if pool.regions else anyones).append(pool)
    return theirs + anyones, others


@lru_cache(maxsize=256)  # an advertisement leads all to the same page, where it adds no id of the click
def _touch(page: str, referrer: str, origins: tuple[str, ...]) -> Touch:
    return read_touch(page, referrer, own_hosts=own_hosts(origins))


@lru_cache(maxsize=1_000)
def own_hosts(origins: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts of a site's own pages, which are no sources."""
    return tuple(origin.partition("://")[2].partition(":")[0].lower().removeprefix("www.") for origin in origins)
