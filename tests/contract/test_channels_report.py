"""What each channel brought, by model."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pbxtrack.calls.models import Model
from pbxtrack.pool.model import LeaseRequest
from pbxtrack.reports.money import MONEY_FIGURES
from pbxtrack.reports.questions import CHANNELS
from pbxtrack.storage.annotations import annotate_call
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.reports import Period, answers
from tests.contract.api_client import PAGE, STATIC, T0, TESTS, a_token, assert_problem, put_call, running
from tests.contract.leasing import one
from tests.contract.site import a_site

REPORT = "/api/v1/reports/channels"
SHOP = "https://shop.example/"


@pytest.fixture
def number(database: Database) -> str:
    """That of a visitor who came by an ad two days ago, by search yesterday, and typed the address a minute ago."""
    with database.transaction() as connection:
        a_site(connection, static=[STATIC], pool=["+74951230100"])
        store, visitor = SqlLeases(connection), None
        for ago, page, referrer in (
            (timedelta(days=100), f"{SHOP}?utm_source=old&utm_medium=email", ""),
            (timedelta(days=2), PAGE, ""),
            (timedelta(days=1), SHOP, "https://ya.ru/"),
            (timedelta(minutes=1), SHOP, ""),
        ):
            grant = one(store, LeaseRequest("demo", page, referrer, visitor), T0 - ago)
            visitor = grant.visit.visitor
    assert grant.number
    return grant.number


def credited(database: Database, model: Model) -> dict[str | None, float]:
    with database.reading() as connection:
        return {item["channel"]: item["calls"] for item in answers(connection, CHANNELS, Period(), model)}


def test_each_model_credits_its_visits(database: Database, number: str) -> None:
    put_call(database, 0, dialled=number, talk=70)
    third = round(1 / 3, 2)
    assert credited(database, Model.LAST) == {"Direct": 1}
    assert credited(database, Model.LAST_NON_DIRECT) == {"Organic search": 1}
    assert credited(database, Model.FIRST) == {"Paid: yandex": 1}, "100 days ago is too long ago"
    assert credited(database, Model.LINEAR) == {"Direct": third, "Organic search": third, "Paid: yandex": third}
    assert credited(database, Model.POSITION) == {"Direct": 0.4, "Organic search": 0.2, "Paid: yandex": 0.4}


@pytest.mark.parametrize("model", Model)
def test_a_channels_own_number_and_a_correction_need_no_model(database: Database, number: str, model: Model) -> None:
    put_call(database, 0)
    told = put_call(database, 1, dialled=number)
    put_call(database, 2, dialled="+74959999999")  # not ours: of no site
    with database.transaction() as connection:
        annotate_call(connection, told, {"attribution": {"channel": "Radio"}}, TESTS, T0, "RU")
    assert credited(database, model) == {"Billboard": 1, "Radio": 1}


@pytest.mark.asyncio
async def test_the_api_counts_what_matters(database: Database, number: str) -> None:
    put_call(database, 0, dialled=number, talk=70)
    put_call(database, 1, dialled=number, talk=70)
    put_call(database, 2, caller="+79160000001")
    manager = a_token(database)
    no_money = {"currency": "RUB", **dict.fromkeys(MONEY_FIGURES)}
    async with running(database) as client:
        items = (await (await client.get(REPORT, headers=manager)).json())["items"]
        assert items == [
            {
                "site": "demo", "channel": "Organic search", "calls": 2, "answered": 2, "unique": 1, "target": 2,
                "missed": 0, "unsettled": 0, "talk_seconds": 140, "answer_seconds": 5, "share": 0.6667, **no_money,
            },
            {
                "site": "demo", "channel": "Billboard", "calls": 1, "answered": 0, "unique": 1, "target": 0,
                "missed": 1, "unsettled": 1, "talk_seconds": 0, "answer_seconds": None, "share": 0.3333, **no_money,
            },
        ]  # fmt: skip
        parted = (await (await client.get(REPORT, params={"model": "position"}, headers=manager)).json())["items"]
        assert sum(item["calls"] for item in parted) == pytest.approx(3)
        none = await client.get(REPORT, params={"until": "2026-01-01T00:00:00Z"}, headers=manager)
        assert (await none.json())["items"] == []
        wrong = await client.get(REPORT, params={"model": "best"}, headers=manager)
        assert_problem(wrong, 400, await wrong.json())


@pytest.mark.asyncio
async def test_totals_are_compared_with_as_much_time_as_there_is_before(database: Database, number: str) -> None:
    put_call(database, 0, dialled=number)
    manager = a_token(database)
    period = {"since": "0001-06-01T00:00:00Z", "until": "9999-01-01T00:00:00Z", "compare": "true"}
    async with running(database) as client:
        response = await client.get("/api/v1/reports/totals", params=period, headers=manager)
        (item,) = (await response.json())["items"]
    assert (item["calls"], item["before"]["calls"]) == (1, 0)
