"""The script that websites embed, over HTTP."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from pbxtrack import __version__
from pbxtrack.api.snippet.route import PAGES
from pbxtrack.api.snippet.script import render
from pbxtrack.storage import tables
from pbxtrack.storage.database import Database
from tests.contract.api_client import assert_problem, running
from tests.contract.site import a_site

SNIPPET = "/s/demo.js"
LIMIT = 3 * 1024  # bytes, all that is sent
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture(autouse=True)
def _site(database: Database) -> None:
    with database.transaction() as connection:
        a_site(connection, replace=["+74951234567", "+442079460958"], email="sales@shop.example")


def configuration(script: str) -> Any:
    """What the server wrote into the script."""
    document, _ = json.JSONDecoder().raw_decode(script[script.index('["demo",') :].replace("<\\/", "</"))
    return document


@pytest.mark.asyncio
async def test_the_script_has_the_site_in_it_and_may_be_kept(database: Database) -> None:
    async with running(database) as client:
        response = await client.get(SNIPPET, headers=PLAIN)
        script = await response.text()
        host = f"{client.host}:{client.port}"
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"].startswith("public, max-age=300, stale-while-revalidate=86400")
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert script.startswith(f"// pbxtrack {__version__}\n")
    assert configuration(script) == [
        "demo",
        f"//{host}",
        [["7", "8", "4951234567"], ["44", "0", "2079460958"]],
        "sales@shop.example",
    ]


@pytest.mark.asyncio
async def test_any_page_may_fetch_it(database: Database) -> None:
    async with running(database) as client:
        response = await client.get(SNIPPET, headers={"Origin": "https://somewhere.example"})
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Set-Cookie" not in response.headers


@pytest.mark.asyncio
async def test_it_is_sent_small(database: Database) -> None:
    async with running(database) as client:
        compressed = await client.get(SNIPPET, headers={"Accept-Encoding": "br, gzip"}, auto_decompress=False)
        sent = await compressed.read()
        plain = await (await client.get(SNIPPET, headers={"Accept-Encoding": "gzip;q=0"})).read()
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(sent) == plain
    assert len(sent) == int(compressed.headers["Content-Length"]) <= LIMIT


@pytest.mark.asyncio
async def test_who_has_it_is_told_so(database: Database) -> None:
    async with running(database) as client:
        etag = (await client.get(SNIPPET)).headers["ETag"]
        again = await client.get(SNIPPET, headers={"If-None-Match": f'"other", {etag}'})
        body = await again.read()
        other = await client.get(SNIPPET, headers={"If-None-Match": '"other"'})
    assert (again.status, body, again.headers["ETag"]) == (304, b"", etag)
    assert again.headers["Cache-Control"].startswith("public")
    assert other.status == 200


@pytest.mark.asyncio
async def test_a_site_that_nobody_knows_is_404(database: Database) -> None:
    async with running(database) as client:
        response = await client.get("/s/nobody.js")
        assert response.status == 404
        # A browser blocks what is no script, and its console would not tell of the 404.
        assert response.content_type == "text/javascript"
        assert (await response.text()).startswith("// pbxtrack: no site has this key")
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.asyncio
async def test_pages_of_a_removed_site_get_a_script_that_does_nothing(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(tables.sites.update().values(removed_at=datetime.now(UTC)))
    async with running(database) as client:
        response = await client.get(SNIPPET)
        script = await response.text()
    assert response.status == 200
    assert script.startswith("//")
    assert len(script.strip().splitlines()) == 1


@pytest.mark.asyncio
async def test_it_is_served_on_while_the_database_is_gone(database: Database) -> None:
    async with running(database) as client:
        first = await (await client.get(SNIPPET)).text()
        with database.transaction() as connection:
            connection.execute(text("ALTER TABLE sites RENAME TO gone"))
        client.server.app[PAGES]._until = float("-inf")  # type: ignore[attr-defined]
        later = await client.get(SNIPPET)
        assert (later.status, await later.text()) == (200, first)


@pytest.mark.asyncio
async def test_it_cannot_be_had_without_the_database_at_first(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE sites RENAME TO gone"))
    async with running(database) as client:
        response = await client.get(SNIPPET)
        assert_problem(response, 503, await response.json())


@pytest.mark.asyncio
async def test_a_host_that_is_none_does_not_get_into_the_script(database: Database) -> None:
    async with running(database) as client:
        response = await client.get(SNIPPET, headers={**PLAIN, "Host": 'evil"];alert(1)//'})
        assert configuration(await response.text())[1] == ""


def test_what_is_written_in_breaks_out_of_nothing() -> None:
    script = render("demo", "", ("+74951234567",), "</script>\u2028\"'ж@shop.example").body.decode()
    assert "</script" not in script
    assert "\u2028" not in script
    assert configuration(script)[3] == "</script>\u2028\"'ж@shop.example"


def test_another_version_or_another_number_is_another_script() -> None:
    one = render("demo", "", ("+74951234567",), None)
    assert one.etag != render("demo", "", ("+74951234568",), None).etag
    assert one.etag == render("demo", "", ("+74951234567",), None).etag
