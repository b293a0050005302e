"""The API against its own description: whatever is asked, no defect shows and no answer is undocumented."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks

from pbxtrack.api.app import ROUTES, create_app, create_runner
from pbxtrack.api.routing import Route
from pbxtrack.calls.events import CallArrived
from pbxtrack.calls.service import record
from pbxtrack.storage import migrate
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from tests.contract.api_client import a_token, services
from tests.contract.site import a_site

load_all_checks()
EXAMPLES = 40
# Not among them: that whatever fits the schema is accepted. A cursor must be one of ours, a lease must live.
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
    checks.unsupported_method,
]
# Of queries one cannot tell: `site=false` is a list of one text, whatever it was before it was written down.
BODY_CHECKS = [*CHECKS, checks.negative_data_rejection]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@contextmanager
def filled(folder: Path) -> Iterator[Database]:
    """A database with a site and a call."""
    opened = Database(f"sqlite:///{folder}/fuzz.db")
    migrate.upgrade(opened)
    with opened.transaction() as connection:
        a_site(connection, key="0", pool=["+74951230100"], static=["+74951230001"])
        arrived = CallArrived(node="0", linkedid="0", at=NOW, leg="0", dialled="+74951230001", caller="+79161234567")
        record(SqlCalls(connection), [arrived], NOW, "RU")
    yield opened
    opened.close()


@contextmanager
def served(database: Database) -> Iterator[str]:
    """A live API, in a thread: schemathesis asks it with blocking calls."""
    loop = asyncio.new_event_loop()
    runner = create_runner(create_app(services(database, address_rate=None, site_rate=None)))

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    port = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with filled(tmp_path_factory.mktemp("api")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(database: Database) -> Iterator[str]:
    with served(database) as address:
        yield address


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[tuple[str, Database]]:
    """An API that nobody has asked anything: the other's site may be gone by now."""
    with filled(tmp_path) as opened, served(opened) as address:
        yield address, opened


POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
STREAMS = [route for route in ROUTES if route.answer.content_type == "text/event-stream"]  # that do not end
QUESTIONS = [
    *(
        pytest.param(route, POSITIVE, id=f"{route.method} {route.path} fitting")
        for route in ROUTES
        if route not in STREAMS
    ),
    *(
        pytest.param(route, NEGATIVE, id=f"{route.method} {route.path} misfit")
        for route in ROUTES
        if (route.body or route.query) and route not in STREAMS
    ),
]


@pytest.mark.parametrize(("route", "mode"), QUESTIONS)
def test_the_api_is_as_it_is_described(
    address: str, database: Database, route: Route, mode: schemathesis.GenerationMode
) -> None:
    operation = schemathesis.openapi.from_url(f"{address}/openapi.json")[route.path][route.method]
    headers = a_token(database)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, checks=BODY_CHECKS if route.body and not route.query else CHECKS)

    ask()


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE])
@pytest.mark.parametrize("route", STREAMS, ids=lambda route: route.path)
def test_streams_begin_as_they_are_described(
    address: str, database: Database, route: Route, mode: schemathesis.GenerationMode
) -> None:
    operation = schemathesis.openapi.from_url(f"{address}/openapi.json")[route.path][route.method]
    described, headers = operation.definition.raw["responses"], a_token(database)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), last_id=st.text(st.characters(codec="ascii"), max_size=40))
    def ask(case: schemathesis.Case[Any], last_id: str) -> None:
        asked = case.as_transport_kwargs(base_url=address)
        asked["headers"] = {
            **asked["headers"],
            **headers,
            "Last-Event-ID": "".join(filter(str.isprintable, last_id)).strip(),
        }
        with requests.request(**asked, stream=True, timeout=10) as response:
            content_type = response.headers["Content-Type"].partition(";")[0]
            assert content_type in described[str(response.status_code)]["content"]
            if response.ok:
                assert next(response.iter_lines()) == b"retry: 2000"

    ask()


@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200), path=st.sampled_from([r.path for r in ROUTES if r.body]), data=st.data())
def test_no_bytes_whatever_break_a_body(address: str, body: bytes, path: str, data: st.DataObject) -> None:
    method = next(route.method for route in ROUTES if route.path == path)
    content_type = data.draw(st.sampled_from(["application/json", "text/plain"]))
    response = requests.request(
        method, address + path.replace("{lease}", "x").replace("{call}", "x"), data=body, timeout=10,
        headers={"Content-Type": content_type},
    )  # fmt: skip
    assert 400 <= response.status_code < 500
    assert response.headers["Content-Type"].startswith("application/problem+json")


def test_answers_that_are_good_are_as_described(fresh: tuple[str, Database]) -> None:
    address, database = fresh
    schema, headers = schemathesis.openapi.from_url(f"{address}/openapi.json"), a_token(database)
    body: dict[str, Any] = {"site": "0", "page": "https://shop.example/?utm_source=yandex&utm_medium=cpc"}
    leased = schema["/api/v1/leases"]["POST"].Case(body=body, media_type="application/json")
    answers = [answer := leased.call_and_validate(checks=CHECKS)]
    lease = {"lease": answer.json()["lease"]}
    asked = [
        schema["/api/v1/leases/{lease}/renew"]["POST"].Case(path_parameters=lease),
        schema["/api/v1/calls"]["GET"].Case(query={"limit": 1}),
        schema["/api/v1/calls/{call}"]["GET"].Case(path_parameters={"call": "0-0"}),
        schema["/api/v1/calls/{call}"]["PATCH"].Case(
            path_parameters={"call": "0-0"},
            body={"tags": ["a"], "note": "b", "qualified": True, "attribution": {"channel": "Radio"}},
            media_type="application/json",
        ),
        schema["/api/v1/calls/{call}"]["GET"].Case(path_parameters={"call": "0-0"}),
        schema["/api/v1/calls"]["GET"].Case(query={"unsettled": "true", "unique": "false"}),
        schema["/api/v1/contacts/{contact}"]["GET"].Case(path_parameters={"contact": "1"}),
    ]
    cost = {"first": "2026-03-01", "last": "2026-03-31", "channel": "Radio", "campaign": "spring", "amount": 310.5}
    deal = {"external_id": "1", "caller": "+79161234567", "status": "won", "amount": 99, "name": "a sofa"}
    money = [(kind, schema[f"/api/v1/{kind}s"], schema[f"/api/v1/{kind}s/{{{kind}}}"]) for kind in ("cost", "deal")]
    for kind, all_of, one in money:
        body = {"site": "0", "items": [cost if kind == "cost" else deal]}
        path: dict[str, Any] = {"path_parameters": {kind: "1"}}
        asked += [
            all_of["POST"].Case(body=body, media_type="application/json"),
            all_of["GET"].Case(query={"site": "0", "limit": 1}),
            one["PATCH"].Case(**path, body={"amount": 7.25}, media_type="application/json"),
            one["GET"].Case(**path),
        ]
    reports = ("channels", "campaigns", "keywords", "totals")
    asked += [schema[f"/api/v1/reports/{name}"]["GET"].Case() for name in reports]
    asked += [one["DELETE"].Case(path_parameters={kind: "1"}) for kind, _, one in money]
    answers += [case.call_and_validate(headers=headers, checks=CHECKS) for case in asked]
    assert [answer.status_code for answer in answers] == [201, *[200] * 19, 204, 204]
