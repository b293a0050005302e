"""The desk's page of one call, and of one person."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from pbxtrack.access import Role
from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Sign
from pbxtrack.pool.service import renew
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.api_client import CALLER, OTHER_STATIC, PAGE, STATIC, T0, put_call
from tests.contract.desk_client import desk
from tests.contract.leasing import one
from tests.contract.site import a_site

POOL = "+74951230100"
HOSTILE = '"><img src=x onerror=alert(1)>\u202e\u2066'
CALLS = "/sites/demo/calls"


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], pool=[POOL], record=True)
        a_site(connection, key="other", static=[OTHER_STATIC])
    return database


def visited(database: Database, minutes: float = -2, page: str = PAGE) -> LeaseGrant:
    with database.transaction() as connection:
        leases = SqlLeases(connection)
        grant = one(leases, LeaseRequest("demo", page), T0 + timedelta(minutes=minutes))
        renew(leases, [Sign(grant.lease.id, EventKind.TAP, page)], T0 + timedelta(minutes=minutes + 1))
    return grant


def changed(database: Database, call: str, **values: Any) -> None:
    with database.transaction() as connection:
        connection.execute(update(tables.calls).where(tables.calls.c.id == call).values(values))


def kept(database: Database, call: str) -> Any:
    with database.transaction() as connection:
        return connection.execute(select(tables.calls).where(tables.calls.c.id == call)).one()


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", re.sub("</?bdi>", "", page))).split())


@pytest.mark.asyncio
async def test_a_call_tells_where_it_came_from_and_what_happened(shop: Database) -> None:
    visited(shop, -20)
    with shop.transaction() as connection:  # whoever was shown the number before
        connection.execute(
            update(tables.numbers).values(free_at=T0 - timedelta(minutes=5), guaranteed_until=T0 - timedelta(minutes=5))
        )
    grant = visited(shop)
    call, later = put_call(shop, 0, dialled=POOL, talk=70), put_call(shop, 30, dialled=POOL)
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = words(await reader.page(f"{CALLS}/{call}"))
        for text in (
            "Paid: yandex", "yandex", "cpc", "spring", "The number was held for this visit",
            "the number was tapped or copied 1 minute before the call", "Who may have called",
            "tapped the number 1 min before", "tapped the number 19 min before", "It was this one",
            "The visit began on shop.example/",
            "The website showed 8 (495) 123-01-00", "Call to 8 (495) 123-01-00", "Answered: PJSIP/sales",
            "talked 1:10", "target", "16, hung up as usual", "PJSIP/sales-0001",
        ):  # fmt: skip
            assert text in page, text
        assert re.search(r"9\d%, sure", page)
        assert f"{CALLS}/{later}" in await reader.page(f"{CALLS}/{call}"), "the caller's other call"
        reader.client.session.cookie_jar.update_cookies({"pbxtrack_language": "ru"})
        russian = words(await reader.page(f"{CALLS}/{call}"))
        assert "номер нажали или скопировали за 1 минуту до звонка" in russian
        assert "Номер был в аренде у этого визита" in russian
    assert kept(shop, call).visit_id == grant.visit.id


@pytest.mark.asyncio
async def test_notes_tags_and_leads_are_written_and_only_what_was_changed(shop: Database) -> None:
    call = put_call(shop, 0)
    form = {"note": "Срочно\r\n<b>", "note_was": "", "tags": "a, b,a , ", "tags_was": "", "qualified": "yes"}
    async with desk(shop) as reader:
        reader.log_in(shop)
        there = await reader.send(f"{CALLS}/{call}", 303, **form, qualified_was="")
        row = kept(shop, call)
        assert (row.note, row.tags, row.qualified) == ("Срочно\n<b>", ["a", "b"], True)
        page = await reader.page(there)
        assert "Saved." in page
        assert "Срочно\n&lt;b&gt;</textarea>" in page
        stale = {"note": "mine", "note_was": "", "tags": "", "tags_was": "", "qualified": "", "qualified_was": ""}
        await reader.send(f"{CALLS}/{call}", 303, **stale)
        row = kept(shop, call)
        assert (row.note, row.tags, row.qualified) == ("mine", ["a", "b"], True), "what others wrote stays"
        assert "What people changed" in await reader.page(f"{CALLS}/{call}")
        for wrong in ({"note": "x" * 10_001}, {"tags": "y" * 65}, {"tags": ",".join(map(str, range(51)))}, {
            "qualified": "perhaps"
        }):  # fmt: skip
            refused = await reader.send(f"{CALLS}/{call}", 422, **(stale | wrong))
            assert 'class="error"' in refused
        longest = "я" * 10_000
        await reader.send(f"{CALLS}/{call}", 303, **(stale | {"note": longest, "note_was": "mine"}))
        assert kept(shop, call).note == longest


@pytest.mark.asyncio
async def test_an_attribution_is_corrected_to_a_visit_or_a_channel_and_taken_back(shop: Database) -> None:
    grant = visited(shop)
    call = put_call(shop, 0)
    async with desk(shop) as reader:
        reader.log_in(shop)
        there = f"{CALLS}/{call}/attribution"
        await reader.send(there, channel="Из уст в уста <i>")
        page = await reader.page(f"{CALLS}/{call}")
        assert "Corrected by ann: Из уст в уста <i> brought the call, not Billboard." in words(page)
        assert "<i>" not in page
        await reader.send(there, visit=grant.visit.id)
        row = kept(shop, call)
        assert (row.corrected_visit_id, row.corrected_channel) == (grant.visit.id, "Paid: yandex")
        await reader.send(there)
        assert kept(shop, call).corrected_channel is None
        for wrong in ({"channel": " "}, {"channel": "x" * 301}, {"visit": "none"}):
            assert 'class="error"' in await reader.send(there, 422, **wrong)
        history = words(await reader.page(f"{CALLS}/{call}"))
        assert history.count("ann Attribution") == 3
        assert "Attribution as computed Из уст в уста <i>" in history
        assert "Из уст в уста <i> Paid: yandex by the visit of " in history
        assert grant.visit.id not in history.partition("What people changed")[2].partition("For engineers")[0]


@pytest.mark.asyncio
async def test_built_in_channels_are_offered_and_taken_in_the_reader_s_language(shop: Database) -> None:
    call, other = put_call(shop, 0), put_call(shop, 1)
    changed(shop, other, channel="Direct")
    async with desk(shop) as reader:
        reader.log_in(shop)
        await reader.send("/language", language="ru")
        assert '<option value="Прямые заходы">' in await reader.page(f"{CALLS}/{call}")
        await reader.send(f"{CALLS}/{call}/attribution", channel="Прямые заходы")
        assert kept(shop, call).corrected_channel == "Direct"
        assert 'value="Прямые заходы" maxlength' in await reader.page(f"{CALLS}/{call}")
        with shop.transaction() as connection:
            connection.execute(update(tables.channels).values(name="Прямые заходы"))
        await reader.send(f"{CALLS}/{call}/attribution", channel="Прямые заходы")
        assert kept(shop, call).corrected_channel == "Прямые заходы"


@pytest.mark.asyncio
async def test_whoever_may_not_write_or_listen_sees_no_form_and_is_refused(shop: Database) -> None:
    call = put_call(shop, 0, talk=5)
    changed(shop, call, recording="pbxtrack/x.wav", note="<script>secret</script>")
    async with desk(shop) as reader:
        reader.log_in(shop)
        assert f'src="/api/v1/calls/{call}/recording"' in await reader.page(f"{CALLS}/{call}")
        reader.log_in(shop, Role.ENGINEER, name="eve")
        page = await reader.page(f"{CALLS}/{call}")
        assert "<audio" not in page
        assert "player.js" not in page
        assert "<textarea" not in page
        assert "&lt;script&gt;secret" in page
        await reader.send(f"{CALLS}/{call}", 403, note="x", note_was="")
        await reader.send(f"{CALLS}/{call}/attribution", 403, channel="x")
    assert kept(shop, call).corrected_channel is None


@pytest.mark.asyncio
async def test_another_sites_calls_and_people_are_not_here(shop: Database) -> None:
    call = put_call(shop, 0, dialled=OTHER_STATIC)
    contact = kept(shop, call).contact_id
    async with desk(shop) as reader:
        reader.log_in(shop)
        for wrong in (f"calls/{call}", f"contacts/{contact}", "calls/none", "contacts/x", "contacts/" + "9" * 30):
            await reader.page(f"/sites/demo/{wrong}", 404)
        for path in (f"{CALLS}/{call}", f"{CALLS}/{call}/attribution"):
            await reader.send(path, 404, channel="x", note="x")
        reader.log_in(shop, Role.MANAGER, frozenset({"demo"}), name="bob")
        for theirs in (f"calls/{call}", f"contacts/{contact}"):
            await reader.page(f"/sites/other/{theirs}", 404)
    assert (kept(shop, call).note, kept(shop, call).corrected_channel) == (None, None)


@pytest.mark.asyncio
async def test_hostile_names_are_text(shop: Database) -> None:
    visited(shop, page="https://shop.example/?utm_source=" + "x" * 9_000)
    call = put_call(shop, 0, dialled=POOL)
    name = (HOSTILE * 20)[:500]
    changed(shop, call, caller_name=name, channel=HOSTILE, campaign=HOSTILE, why=HOSTILE, tags=[HOSTILE], note=HOSTILE)
    async with desk(shop) as reader:
        reader.log_in(shop)
        for path in (f"{CALLS}/{call}", f"/sites/demo/contacts/{kept(shop, call).contact_id}"):
            page = await reader.page(path)
            assert "<img" not in page
            assert "&lt;img src=x" in page
        assert f"<bdi>{html.escape(name, quote=False)}"[:60] in (await reader.page(f"{CALLS}/{call}")).replace(
            "&#34;", '"'
        )


@pytest.mark.asyncio
async def test_a_person_is_shown_with_every_call_and_what_brought_them(shop: Database) -> None:
    visited(shop)
    first, second = put_call(shop, 0, dialled=POOL, talk=70), put_call(shop, 60 * 24, talk=5)
    withheld = put_call(shop, 5, caller=None)
    contact = kept(shop, first).contact_id
    async with desk(shop) as reader:
        reader.log_in(shop)
        page = await reader.page(f"/sites/demo/contacts/{contact}")
        assert f"{CALLS}/{first}" in page
        assert f"{CALLS}/{second}" in page
        text = words(page)
        assert "8 (916) 123-45-67" in text
        assert "Talk 1:15" in text
        assert "First Paid: yandex Last Billboard" in text
        assert f"/contacts/{contact}" in await reader.page(f"{CALLS}/{second}")
        assert "/contacts/" not in await reader.page(f"{CALLS}/{withheld}")
    assert kept(shop, first).caller == CALLER
