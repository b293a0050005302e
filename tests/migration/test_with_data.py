"""Migrations of databases that are in use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text, update

from pbxtrack.emails.model import Recipient
from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign
from pbxtrack.pool.service import acquire, renew
from pbxtrack.storage import migrate
from pbxtrack.storage.addresses import resolve_recipients
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.tables import addresses, leases, pools
from tests.contract.site import a_site
from tests.migration.test_migrations import empty

__all__ = ["empty"]  # the fixture

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
STATIC = "m4@shop.example"
OLD_LEASE = """
    INSERT INTO leases (id, site_id, number_id, seq, visit_id, visitor_id, started_at, seen_at, guaranteed_until,
                        ends_at, called)
    SELECT 'lease', site_id, id, 1, 'visit', 'visitor', :at, :at, :at, :until, false FROM numbers WHERE kind = 'pool'
"""
OLD_VISIT = """
    INSERT INTO visits (id, site_id, visitor_id, started_at, seen_at, region, page, referrer, source, medium, campaign,
                        term, content, click_ids, client_ids, channel)
    SELECT 'visit', id, 'visitor', :at, :at, '', '', '', '', '', '', '', '', '{}', '{}', 'Direct' FROM sites
"""


def test_addresses_and_leases_from_before_visitors_had_addresses_go_on(empty: Database) -> None:
    migrate.upgrade(empty, "0014")
    times = {"at": f"{NOW:%Y-%m-%d %H:%M:%S}.000000", "until": f"{NOW + timedelta(hours=1):%Y-%m-%d %H:%M:%S}.000000"}
    with empty.transaction() as connection:
        if not empty.is_sqlite:
            connection.execute(text("SET TIME ZONE 'UTC'"))
        site = a_site(connection, pool=["+74951230100"], email="sales@shop.example", static_emails=[STATIC])
        connection.execute(text("UPDATE numbers SET seq = 1"))
        for statement in (OLD_VISIT, OLD_LEASE):
            connection.execute(text(statement), times)
    migrate.upgrade(empty)
    migrate.check(empty)
    with empty.transaction() as connection:
        (renewed,) = renew(SqlLeases(connection), [Sign("lease")], NOW)
        assert isinstance(renewed, LeaseGrant)
        assert (renewed.number, renewed.email) == ("+74951230100", "sales@shop.example")
        channel = connection.scalar(select(addresses.c.channel_id))
        # As the version before writes it, which may still run.
        row = {"address": "m5@shop.example", "site_id": site, "channel_id": channel}
        connection.execute(addresses.insert(), row)
        found = resolve_recipients(connection, [STATIC, "m5@shop.example"], NOW)
        assert {one.kind for one in found.values()} == {Recipient.STATIC}
        assert len(found) == 2
        pool = {"kind": "pool", "pool_id": select(pools.c.id).scalar_subquery(), "channel_id": None}
        connection.execute(update(addresses).where(addresses.c.address == "m5@shop.example").values(pool))
        (grant,) = acquire(SqlLeases(connection), [LeaseRequest("demo", "https://shop.example/")], NOW)
        assert isinstance(grant, LeaseGrant)
        assert grant.email == "m5@shop.example"
    migrate.downgrade(empty, "0014")
    with empty.transaction() as connection:
        assert connection.scalars(select(addresses.c.address)).all() == [STATIC]
        assert len(connection.scalars(select(leases.c.id)).all()) == 2
    migrate.upgrade(empty)
    migrate.check(empty)
