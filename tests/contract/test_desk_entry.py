"""Who gets in to the desk, and what they may see there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.access import RIGHTS, Role
from pbxtrack.dashboard.app import PAGES
from pbxtrack.dashboard.desk import Page
from pbxtrack.passwords import hash_password
from pbxtrack.storage import people
from pbxtrack.storage.database import Database
from pbxtrack.web.sessions import COOKIE
from tests.contract.api_client import STATIC, put_call
from tests.contract.desk_client import NAME, Reader, desk
from tests.contract.site import a_site

PASSWORD = "correct horse battery"
KEPT = hash_password(PASSWORD)
_PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n%b\r\n1\r\n--x--\r\n'
OF_SITE = [page for page in PAGES if "{site}" in page.path]
NOT_OPEN = [page for page in PAGES if not page.open]


@pytest.fixture
def shop(database: Database) -> Database:
    """A site with a call, and somebody who may log in."""
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        people.add_person(connection, NAME, KEPT, Role.OWNER, None, datetime.now(UTC))
    put_call(database, 0)
    return database


async def log_in(reader: Reader, password: str = PASSWORD, name: str = NAME, **fields: str) -> tuple[int, str, str]:
    """By the page's own form: the status, where it leads, the page."""
    page = await reader.page("/login")
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    form = {"token": token[1], "name": name, "password": password, **fields}
    async with reader.client.post("/login", data=form, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", ""), await response.text()


def test_there_is_anybody_once_somebody_was_added(database: Database) -> None:
    with database.transaction() as connection:
        assert not people.anybody(connection)
        people.add_person(connection, NAME, KEPT, Role.OWNER, None, datetime.now(UTC))
        assert people.anybody(connection)


@pytest.mark.asyncio
async def test_the_right_password_opens_the_desk_and_logging_out_closes_it(shop: Database) -> None:
    async with desk(shop) as reader:
        assert await reader.page("/sites/demo?period=7d", 303) == ""
        status, there, _ = await log_in(reader, next="/sites/demo?period=7d")
        assert (status, there) == (303, "/sites/demo?period=7d")
        page = await reader.page(there)
        assert "Demo shop" in page
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
        assert token
        kept = reader.client.session.cookie_jar.filter_cookies(reader.client.make_url("/"))[COOKIE].value
        async with reader.client.post("/logout", data={"csrf": token[1]}, allow_redirects=False) as response:
            assert response.headers["Location"] == "/login"
        await reader.page("/sites/demo", 303, headers={"Cookie": f"{COOKIE}={kept}"})


@pytest.mark.asyncio
@pytest.mark.parametrize("there", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", ""])
async def test_a_log_in_leads_nowhere_else(shop: Database, there: str) -> None:
    async with desk(shop) as reader:
        assert (await log_in(reader, next=there))[1] == "/"


@pytest.mark.asyncio
async def test_the_cookie_is_for_our_pages_alone(shop: Database) -> None:
    async with desk(shop) as reader:
        page = await reader.page("/login")
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token
        form = {"token": token[1], "name": NAME, "password": PASSWORD}
        headers = {"X-Forwarded-Proto": "https"}
        async with reader.client.post("/login", data=form, headers=headers, allow_redirects=False) as response:
            cookie = next(one for one in response.headers.getall("Set-Cookie") if one.startswith(f"{COOKIE}="))
    for attribute in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
        assert attribute in cookie


@pytest.mark.asyncio
async def test_a_wrong_password_and_nobody_s_name_are_told_alike(shop: Database) -> None:
    async with desk(shop) as reader:
        of_somebody = await log_in(reader, "wrong")
        of_nobody = await log_in(reader, "wrong", "nobody")
    assert of_somebody[0] == of_nobody[0] == 401
    assert "Name or password is wrong." in of_somebody[2]
    assert of_somebody[2].replace(NAME, "nobody") == of_nobody[2]


@pytest.mark.asyncio
async def test_many_wrong_passwords_lock_the_name_for_a_while(shop: Database) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    async with desk(shop, now=lambda: now) as reader:
        for _ in range(people.FREE_TRIES):
            assert (await log_in(reader, "wrong"))[0] == 401
        status, _, page = await log_in(reader)
        assert (status, "try again in 30\xa0s" in page) == (429, True)
        now += timedelta(seconds=31)
        assert (await log_in(reader))[0] == 303
        await reader.page("/login", 303)  # one who is in already is shown the way


@pytest.mark.asyncio
async def test_a_form_of_another_website_does_nothing(shop: Database) -> None:
    async with desk(shop) as reader:
        form = {"name": NAME, "password": PASSWORD, "token": "x" * 32}
        async with reader.client.post("/login", data=form, allow_redirects=False) as response:
            assert response.status == 400
        reader.log_in(shop)
        assert reader.session is not None
        for fields, headers in (
            ({}, {}),
            ({"csrf": "x" * 64}, {}),
            ({"csrf": reader.session.csrf}, {"Sec-Fetch-Site": "cross-site"}),
        ):
            async with reader.client.post("/logout", data=fields, headers=headers, allow_redirects=False) as response:
                assert response.status == 403
        await reader.page("/sites/demo")


@pytest.mark.asyncio
async def test_sessions_end_by_themselves(shop: Database) -> None:
    now = datetime.now(UTC)
    async with desk(shop, now=lambda: now) as reader:
        reader.log_in(shop)
        for _ in range(9):  # used, it lives on, but not for ever
            now += people.IDLE / 2
            still = now - datetime.now(UTC) < people.LONGEST
            await reader.page("/sites/demo", 200 if still else 303)
    async with desk(shop, now=lambda: now) as reader:
        now = datetime.now(UTC)
        reader.log_in(shop)
        now += people.IDLE + timedelta(seconds=1)
        await reader.page("/sites/demo", 303)


@pytest.mark.asyncio
async def test_another_password_ends_every_other_session(shop: Database) -> None:
    async with desk(shop) as other, desk(shop) as reader:
        other.log_in(shop)
        reader.log_in(shop)
        assert "wrong" in await reader.send("/account", 400, old="nonsense", new="something else")
        assert "10 characters" in await reader.send("/account", 400, old=PASSWORD, new="short")
        assert await reader.send("/account", old=PASSWORD, new="something else") == "/account?done=password"
        await reader.page("/account")
        await other.page("/account", 303)


@pytest.mark.asyncio
async def test_the_language_is_the_browser_s_until_one_is_chosen(shop: Database) -> None:
    async with desk(shop) as reader:
        russian = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}
        assert "Войти" in await reader.page("/login", headers=russian)
        assert "Log in" in await reader.page("/login", headers={"Accept-Language": "de,fr;q=0.5"})
        reader.log_in(shop)
        assert await reader.send("/language", language="ru", next="/account") == "/account"
        assert "Обзор" in await reader.page("/sites/demo", headers={"Accept-Language": "en"})


@pytest.mark.asyncio
@pytest.mark.parametrize("page", OF_SITE, ids=lambda page: f"{page.method} {page.path}")
async def test_one_site_s_people_see_nothing_of_another(shop: Database, page: Page) -> None:
    path, method = page.path, page.method
    with shop.transaction() as connection:
        a_site(connection, key="other")
    async with desk(shop) as reader:
        reader.log_in(shop, Role.MANAGER, frozenset({"other"}), name="max")
        assert reader.session is not None
        address = re.sub(r"\{[^}]+\}", "1", path.replace("{site}", "demo"))
        headers = {"X-CSRF-Token": reader.session.csrf}
        async with reader.client.request(method, address, headers=headers, allow_redirects=False) as response:
            assert response.status in (403, 404)
            assert "Demo shop" not in await response.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("role", Role)
async def test_a_role_opens_what_it_is_for_and_nothing_else(shop: Database, role: Role) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, role, name="max")
        assert reader.session is not None
        for page in NOT_OPEN:
            if page.right in RIGHTS[role]:
                continue
            address = re.sub(r"\{[^}]+\}", "1", page.path.replace("{site}", "demo"))
            headers = {"X-CSRF-Token": reader.session.csrf}
            async with reader.client.request(page.method, address, headers=headers, allow_redirects=False) as response:
                assert response.status == 403, page.path


@pytest.mark.asyncio
@pytest.mark.parametrize("page", NOT_OPEN, ids=lambda page: f"{page.method} {page.path}")
async def test_nothing_is_shown_without_a_log_in(shop: Database, page: Page) -> None:
    path, method = page.path, page.method
    async with desk(shop) as reader:
        address = re.sub(r"\{[^}]+\}", "1", path.replace("{site}", "demo"))
        async with reader.client.request(method, address, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"].partition("?")[0]) == (303, "/login")


@pytest.mark.asyncio
async def test_a_session_reads_the_api_and_changes_with_our_token_only(shop: Database) -> None:
    call = f"/api/v1/calls/{put_call(shop, 1)}"
    async with desk(shop) as reader:
        reader.log_in(shop)
        assert reader.session is not None
        assert (await reader.client.get(call)).status == 200
        assert (await reader.client.patch(call, json={"note": "x"})).status == 403
        ours = {"X-CSRF-Token": reader.session.csrf}
        assert (await reader.client.patch(call, json={"note": "x"}, headers=ours)).status == 200
        history = (await (await reader.client.get(call)).json())["history"]
    assert [(change["who"], change["field"]) for change in history] == [(NAME, "note")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=x", b"\x00\xff", 400),
        ("multipart/form-data; boundary=x", _PART % b"Content-Transfer-Encoding: none\r\n", 400),
        ("application/x-www-form-urlencoded; charset=punycode", b"a-" + b"a" * 60_000, 400),
        ("application/x-www-form-urlencoded", b"name=%00", 400),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 70_000, 413),
        ("application/x-www-form-urlencoded; charset=none", b"name=\xff", 400),
        ("application/json", b"{}", 400),  # no form at all: no token of ours
    ],
)
async def test_what_is_no_form_is_answered_with_words(
    shop: Database, content_type: str, body: bytes, status: int
) -> None:
    async with desk(shop) as reader:
        async with reader.client.post("/login", data=body, headers={"Content-Type": content_type}) as response:
            text = await response.text()
            assert (response.status, response.content_type) == (status, "text/html")
        assert "Traceback" not in text
        await reader.page("/login?next=%00", 400)


@pytest.mark.asyncio
async def test_a_wrong_address_is_told_in_words_to_people_and_in_json_to_programs(shop: Database) -> None:
    async with desk(shop) as reader:
        assert "There is nothing here" in await reader.page("/nowhere", 404, headers={"Accept": "text/html,*/*"})
        assert "problem" in await reader.page("/api/v1/nowhere", 404)


@pytest.mark.asyncio
async def test_a_name_that_nobody_has_is_locked_as_others_are(shop: Database) -> None:
    async with desk(shop) as reader:
        for name in (NAME, "nobody"):
            assert [(await log_in(reader, "wrong", name))[0] for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.asyncio
async def test_a_cookie_of_another_make_is_not_taken_up(shop: Database) -> None:
    async with desk(shop) as reader:
        planted = {"Cookie": "pbxtrack_login=" + '"><b>' * 8}
        assert "<b>" not in await reader.page("/login", headers=planted)


@pytest.mark.asyncio
async def test_a_language_is_chosen_by_our_own_pages_alone(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        async with reader.client.post("/language", data={"language": "ru"}, allow_redirects=False) as response:
            assert response.status == 403
        assert "Overview" in await reader.page("/sites/demo")


@pytest.mark.asyncio
async def test_browsers_find_an_icon_where_they_look_for_one(shop: Database) -> None:
    async with desk(shop) as reader:
        assert "<svg" in await reader.page("/favicon.ico")
