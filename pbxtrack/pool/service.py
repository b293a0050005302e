"""Leasing numbers to visitors: acquire and renew. Works on any :class:`~pbxtrack.pool.ports.LeaseStore`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pbxtrack.errors import PbxtrackError
from pbxtrack.ids import new_id
from pbxtrack.pool import policy
from pbxtrack.pool.model import Lease, LeaseGrant, LeaseRequest, SiteSettings, Visit
from pbxtrack.pool.ports import FreeNumber, LeaseStore, PoolInfo
from pbxtrack.sources.touch import channel_of, read_touch


class UnknownSite(PbxtrackError):
    """No site has this key."""


def acquire(store: LeaseStore, request: LeaseRequest, now: datetime) -> LeaseGrant:
    """Give a visitor a number to be shown, and hold it for them.

    The same visitor on the same visit gets the number they have. When no number can be had, the grant is an overflow:
    the site's overflow number, or none. Raises UnknownSite.
    """
    site = store.site(request.site_key)
    if site is None:
        raise UnknownSite(f"there is no site {request.site_key!r}")
    touch = read_touch(request.page, request.referrer, own_hosts=_hosts(site.origins))
    known = store.latest_visit(site.id, request.visitor) if request.visitor else None
    if known and policy.same_visit(known[0], touch, now):
        visit, lease = known
        store.see_visit(visit.id, now)
        if lease and lease.live(now) and not lease.overflow:
            lease = policy.renewed(lease, site, now)
            if store.extend(lease):
                return LeaseGrant(lease, site, visit, lease.number, renewed=True)
    else:
        visit = Visit(
            id=new_id(now),
            site_id=site.id,
            visitor=known[0].visitor if known else new_id(now),
            started_at=now,
            seen_at=now,
            touch=touch,
            channel=channel_of(touch, site.rules),
            region=request.region,
        )
        store.add_visit(visit, request.client_ids)
    return _hold(store, site, visit, now)


def _hold(store: LeaseStore, site: SiteSettings, visit: Visit, now: datetime) -> LeaseGrant:
    free = _take(store, site, visit.region, now)
    guaranteed, end = policy.hold(site, now)
    lease = Lease(
        id=new_id(now),
        site_id=site.id,
        visit=visit.id,
        visitor=visit.visitor,
        number=free.e164 if free else None,
        number_id=free.id if free else None,
        seq=free.seq if free else 0,
        started_at=now,
        seen_at=now,
        guaranteed_until=guaranteed,
        ends_at=end,
    )
    store.add_lease(lease)
    return LeaseGrant(lease, site, visit, free.e164 if free else site.overflow_number)


def renew(store: LeaseStore, lease_id: str, now: datetime) -> LeaseGrant | None:
    """Note a sign of life: the hold begins anew. None when the lease is gone: expired, taken, or never was."""
    found = store.lease(lease_id)
    if found is None:
        return None
    lease, visit, site = found
    if not lease.live(now):
        return None
    lease = policy.renewed(lease, site, now)
    if not store.extend(lease):
        return None
    store.see_visit(visit.id, now)
    return LeaseGrant(lease, site, visit, lease.number or site.overflow_number, renewed=True)


def _take(store: LeaseStore, site: SiteSettings, region: str, now: datetime) -> FreeNumber | None:
    for pool in by_preference(store.pools(site.id), region):
        number = store.take(pool.id, now)
        if number:
            return number
    return None


def by_preference(pools: Iterable[PoolInfo], region: str) -> list[PoolInfo]:
    """The visitor's region's pools, then those for anyone, then the rest: a foreign code beats no number at all."""
    return sorted(pools, key=lambda pool: 0 if region and region in pool.regions else 2 if pool.regions else 1)


def _hosts(origins: Iterable[str]) -> list[str]:
    return [origin.partition("://")[2].partition(":")[0].lower().removeprefix("www.") for origin in origins]
