"""The description of the API is complete, and the page made of it stands alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pbxtrack.api.app import ROUTES
from pbxtrack.api.openapi import describe
from pbxtrack.api.page import render
from pbxtrack.api.schemas.calls import CallQuery
from pbxtrack.web.problems import KINDS


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return describe(ROUTES)


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = re.findall(r"#/components/schemas/(\w+)", str(document))
    assert references
    assert set(references) <= document["components"]["schemas"].keys()


def test_every_filter_is_a_parameter(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/api/v1/calls"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == list(CallQuery.model_fields)
    assert all("anyOf" not in parameter["schema"] for parameter in parameters)


def test_every_operation_tells_its_errors(document: dict[str, Any]) -> None:
    acquire = document["paths"]["/api/v1/leases"]["post"]["responses"]
    assert sorted(acquire) == ["200", "201", "400", "403", "404", "408", "413", "415", "422", "429", "500", "503"]
    renew = document["paths"]["/api/v1/leases/{lease}/renew"]["post"]["responses"]
    assert sorted(renew) == ["200", "400", "403", "408", "410", "413", "415", "422", "429", "500", "503"]
    assert {"Retry-After", "RateLimit-Reset"} <= renew["429"]["headers"].keys()
    for path, item in document["paths"].items():
        for operation in item.values():
            assert "500" in operation["responses"]
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path != "/s/{site}.js":  # which answers scripts
                    assert list(response["content"]) == ["application/problem+json"]


def test_the_page_needs_nothing_but_itself(document: dict[str, Any]) -> None:
    page = render(document)
    assert "<script" not in page.html
    assert not re.search(r"(src|href)=\"(?!#|/openapi\.json\")", page.html)
    assert "style=" not in page.html
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")
    anchors = set(re.findall(r' id="([^"]+)"', page.html))
    assert set(re.findall(r'href="#([^"]+)"', page.html)) <= anchors
    assert {f"problem-{name}" for name in KINDS} <= anchors
