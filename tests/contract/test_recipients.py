"""Whose the recipients of a message are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from pbxtrack.emails.model import Recipient, Resolved
from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign
from pbxtrack.pool.service import acquire, renew
from pbxtrack.storage.addresses import resolve_recipients
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.site import a_site
from tests.contract.test_leasing import AD, MINUTE, NOW

MAILBOX = "Sales@shop.example"
DAY = timedelta(days=1)
AT_ONCE = timedelta()


def ask(connection: Connection, visitor: str | None = None, after: timedelta = AT_ONCE) -> LeaseGrant:
    (grant,) = acquire(SqlLeases(connection), [LeaseRequest("demo", AD, visitor=visitor)], NOW + after)
    assert isinstance(grant, LeaseGrant)
    return grant


def resolve(connection: Connection, address: object, after: timedelta = AT_ONCE) -> Resolved:
    return resolve_recipients(connection, [str(address)], NOW + after)[str(address)]


def test_a_made_address_is_its_visits_for_certain_and_long_after_nearly(database: Database) -> None:
    with database.transaction() as connection:
        site = a_site(connection, pool=["+74951230100"], email=MAILBOX)
        ask(connection)
        grant = ask(connection)
        written = str(grant.email).upper()
        found = resolve(connection, written, 90 * DAY)
        late = resolve(connection, written, 90 * DAY + MINUTE)
    assert found == Resolved(
        str(grant.email),
        site,
        "demo",
        MAILBOX,
        Recipient.MADE,
        grant.visit.channel,
        grant.visit.touch,
        grant.visit.id,
        grant.lease.id,
        1.0,
        "The address was made for this visit and shown to nobody else.",
    )
    assert late.confidence == 0.97
    assert late.visit_id == found.visit_id
    assert late.why.endswith("shown to nobody else, but last 90 days before the e-mail came.")


def test_what_else_is_ours_and_what_is_not(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, email=MAILBOX, static_emails=["m4@shop.example"], emails=["info@shop.example"])
        a_site(connection, key="dot", email="post@shop.example", email_separator=".")
        a_site(connection, key="idn", email="post@xn--80aairftm.xn--p1ai")
        a_site(connection, key="none", static_emails=["nowhere@shop.example"])
        a_site(connection, key="gone", email="gone@shop.example", removed_at=NOW)
        asked = [
            "M4@Shop.example", "sales@SHOP.example", '"sales"@shop.example', "sales+x@shop.example",
            "sales+@shop.example", "sales.x@shop.example", "post.x@shop.example", "post+x@shop.example",
            "post+x@магазин.рф", "info@shop.example", "nowhere@shop.example", "gone@shop.example",
            "gone+x@shop.example", "sales@other.example", "sales", "", "п@shop.example", "sales+x@shop.example" * 40,
        ]  # fmt: skip
        found = resolve_recipients(connection, asked, NOW)
    assert {address: (one.site, one.kind, one.channel, one.confidence) for address, one in found.items()} == {
        "M4@Shop.example": ("demo", Recipient.STATIC, "Billboard", 1.0),
        "sales@SHOP.example": ("demo", Recipient.MAILBOX, None, 0.0),
        '"sales"@shop.example': ("demo", Recipient.MAILBOX, None, 0.0),
        "sales+x@shop.example": ("demo", Recipient.UNRESOLVED, None, 0.0),
        "sales+@shop.example": ("demo", Recipient.UNRESOLVED, None, 0.0),
        "post.x@shop.example": ("dot", Recipient.UNRESOLVED, None, 0.0),
        "post+x@магазин.рф": ("idn", Recipient.UNRESOLVED, None, 0.0),
        "info@shop.example": ("demo", Recipient.UNRESOLVED, None, 0.0),
    }
    assert found["M4@Shop.example"].why == "The address belongs to the channel Billboard."
    assert found["M4@Shop.example"].address == "m4@shop.example"
    assert found["info@shop.example"].why == "Nobody had been shown this address before the e-mail came."
    assert {one.mailbox for one in found.values() if one.site == "demo"} == {MAILBOX}


def test_nothing_asked_nothing_found(database: Database) -> None:
    with database.transaction() as connection:
        assert resolve_recipients(connection, [], NOW) == {}


def test_a_pools_address_is_whoever_held_it_then_and_afterwards_the_last_with_less_confidence(
    database: Database,
) -> None:
    address = "info@shop.example"
    with database.transaction() as connection:
        a_site(connection, email=MAILBOX, emails=[address])
        first = ask(connection)
        second = ask(connection, after=60 * MINUTE)
        held = resolve(connection, address, MINUTE)
        between = resolve(connection, address, 45 * MINUTE)
        again = resolve(connection, address, 61 * MINUTE)
        long_after = resolve(connection, address, 3 * DAY)
        before = resolve(connection, address, -MINUTE)
    assert (first.email, second.email) == (address, address)
    assert [one.visit_id for one in (held, between, again, long_after)] == [
        first.visit.id, first.visit.id, second.visit.id, second.visit.id,
    ]  # fmt: skip
    assert {one.kind for one in (held, between, again, long_after)} == {Recipient.POOL}
    assert (held.touch, held.lease_id, held.channel) == (first.visit.touch, first.lease.id, first.visit.channel)
    assert held.confidence > 0.8
    assert held.confidence > between.confidence > long_after.confidence > 0
    assert held.confidence > again.confidence, "the first may still write"
    assert held.why == "The address was held for this visit when the e-mail came."
    assert between.why.endswith("this visit held it last, until 15 minutes before.")
    assert (before.kind, before.visit_id) == (Recipient.UNRESOLVED, None)


def test_who_lost_a_pools_address_to_another_visitor_is_not_its_last_holder(database: Database) -> None:
    address = "info@shop.example"
    with database.transaction() as connection:
        a_site(connection, pool=["+74951230100", "+74951230101"], email=MAILBOX, emails=[address])
        first = ask(connection)
        second = ask(connection, after=4 * MINUTE)
        renew(SqlLeases(connection), [Sign(first.lease.id)], NOW + 20 * MINUTE)
        now_made = ask(connection, first.visit.visitor, 20 * MINUTE).email
        found = resolve(connection, address, 40 * MINUTE)
        made = resolve(connection, now_made, 40 * MINUTE)
    assert (first.email, second.email) == (address, address)
    assert found.visit_id == second.visit.id
    assert (made.kind, made.visit_id) == (Recipient.MADE, first.visit.id)


@pytest.mark.parametrize("separator", ["+", "."])
def test_what_a_visitor_is_shown_is_what_resolves(database: Database, separator: str) -> None:
    with database.transaction() as connection:
        a_site(connection, email=MAILBOX, email_separator=separator)
        grants = [ask(connection) for _ in range(5)]
        found = resolve_recipients(connection, [str(grant.email) for grant in grants], NOW)
    assert [found[str(grant.email)].lease_id for grant in grants] == [grant.lease.id for grant in grants]
