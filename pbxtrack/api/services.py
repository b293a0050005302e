"""What the API works with: handed in by whoever wires pbxtrack together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from aiohttp import web

from pbxtrack.api.origins import Origins
from pbxtrack.api.shares import Shares
from pbxtrack.health import Readiness
from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign, SiteSettings
from pbxtrack.storage.database import Database
from pbxtrack.web.client_address import ClientAddresses
from pbxtrack.web.limits import Limiter, Rate

ADDRESS_RATE = Rate(120, 60.0)
SITE_RATE = Rate(6_000, 60.0)
RENEW_ADDRESS_RATE = Rate(1_200, 60.0)  # an office: each of its pages one a minute, and pages seen, taps and copies
RENEW_LEASE_RATE = Rate(120, 60.0)  # a visitor with several tabs, or a page that changes its address at each key


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the API needs.

    ``acquire`` raises :class:`pbxtrack.pool.service.UnknownSite`; ``renew`` gives None for a lease that is gone and
    raises :class:`pbxtrack.pool.service.ForeignSite`; ``site`` gives None for a key that is no site's; all may raise
    StorageUnavailable. ``metrics`` gives the page of :mod:`pbxtrack.metrics` and waits for nothing. ``default_region``
    (ISO 3166) says how numbers are read and shown. ``trusted_proxies`` may tell the visitor's address in
    X-Forwarded-For. A rate of None lifts that limit: of new leases by address and by site, of renewals by address and
    by lease. ``trust_local`` lifts all of them, and an address's fair share of the numbers, for programs on this
    machine, which may as well ask for others. ``recordings`` are the folders of recordings by the node's name.
    """

    database: Database
    acquire: Callable[[LeaseRequest], Awaitable[LeaseGrant]]
    renew: Callable[[Sign], Awaitable[LeaseGrant | None]]
    site: Callable[[str], Awaitable[SiteSettings | None]]
    ready: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], bytes]
    default_region: str = "RU"
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    address_rate: Rate | None = ADDRESS_RATE
    site_rate: Rate | None = SITE_RATE
    renew_address_rate: Rate | None = RENEW_ADDRESS_RATE
    renew_lease_rate: Rate | None = RENEW_LEASE_RATE
    trust_local: bool = True
    now: Callable[[], datetime] = utc_now
    recordings: Mapping[str, Path] = field(default_factory=dict)


SERVICES = web.AppKey("SERVICES", Services)
ADDRESSES = web.AppKey("ADDRESSES", ClientAddresses)
ORIGINS = web.AppKey("ORIGINS", Origins)
ADDRESS_LIMITER = web.AppKey("ADDRESS_LIMITER", Limiter)
SHARES = web.AppKey("SHARES", Shares)
RENEW_ADDRESS_LIMITER = web.AppKey("RENEW_ADDRESS_LIMITER", Limiter)
RENEW_LEASE_LIMITER = web.AppKey("RENEW_LEASE_LIMITER", Limiter)
SITE_LIMITER = web.AppKey("SITE_LIMITER", Limiter)
