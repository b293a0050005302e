"""Costs and deals in reports: however they are divided, the rows add up to the totals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from pbxtrack.calls.models import Model
from pbxtrack.money.costs import Cost, checked
from pbxtrack.reports.money import MONEY_FIGURES
from pbxtrack.reports.questions import CAMPAIGNS, CHANNELS, KEYWORDS, QUESTIONS, Question
from pbxtrack.storage import tables
from pbxtrack.storage.costs import write_costs
from pbxtrack.storage.database import Database
from pbxtrack.storage.deals import write_deals
from pbxtrack.storage.reports import Period, answers, totals
from tests.contract.site import a_site

START = datetime(2026, 3, 1, tzinfo=UTC)  # three o'clock in Moscow
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
MARCH = date(2026, 3, 1)

_keys = (f"site{number}" for number in count())


class World:
    """A site of its own, with visits, calls, costs and deals; minutes are counted from START."""

    def __init__(self, database: Database, **site: Any) -> None:
        self.database, self.key = database, next(_keys)
        self._names = (f"{self.key}-{number:03}" for number in count())
        with database.transaction() as connection:
            self.site_id = a_site(connection, key=self.key, **site)

    def visit(self, minute: float, visitor: str = "v", **values: Any) -> str:
        name, at = next(self._names), START + minute * MINUTE
        row = {
            "id": name, "site_id": self.site_id, "visitor_id": f"{self.key}-{visitor}", "started_at": at,
            "seen_at": at, "region": "", "page": "https://shop.example/", "referrer": "", "source": "yandex",
            "medium": "cpc", "campaign": "brand", "term": "", "content": "", "click_ids": {}, "client_ids": {},
            "channel": "Ads",
        }  # fmt: skip
        with self.database.transaction() as connection:
            connection.execute(tables.visits.insert().values(row | values))
        return name

    def call(self, minute: float, visit: str | None = None, caller: str = "+79161234567", **values: Any) -> str:
        name, at = next(self._names), START + minute * MINUTE
        with self.database.transaction() as connection:
            contacts = tables.contacts
            known = contacts.select().where(contacts.c.site_id == self.site_id, contacts.c.caller == caller)
            contact = connection.execute(known).one_or_none()
            if contact is None:
                connection.execute(contacts.insert().values(site_id=self.site_id, caller=caller, first_at=at))
            connection.execute(
                tables.calls.insert().values({
                    "id": name, "node": "pbx1", "linkedid": name, "site_id": self.site_id, "started_at": at,
                    "contact_id": connection.execute(known).one().id, "caller": caller, "status": "missed",
                    "ringing_seconds": 4.0, "talk_seconds": 0.0, "first": contact is None,
                    "is_unique": contact is None, "target": False, "confidence": 0.0, "candidates": [], "tags": [],
                    "state": {}, "visit_id": visit, "channel": None if visit else "Billboard", **values,
                })
            )  # fmt: skip
        return name

    def spend(self, *costs: Cost) -> None:
        with self.database.transaction() as connection:
            write_costs(connection, self.site_id, [checked(cost) for cost in costs], "tests", START)

    def deal(self, minute: float, amount: int, caller: str = "+79161234567", status: str = "won") -> None:
        at = START + minute * MINUTE
        when = {"open": "opened_at", "won": "won_at", "lost": "closed_at"}[status]
        fields = {"caller": caller, "amount": amount, "status": status, when: at}
        with self.database.transaction() as connection:
            write_deals(connection, self.site_id, [fields], "tests", START, "RU")

    def rows(
        self, question: Question, model: Model = Model.LAST_NON_DIRECT, since: Any = None, until: Any = None
    ) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            return answers(connection, question, Period(since, until, [self.key]), model)

    def total(self, since: Any = None, until: Any = None, *, compare: bool = False) -> dict[str, Any]:
        with self.database.reading() as connection:
            (item,) = totals(connection, Period(since, until, [self.key]), compare=compare)
        return item


def money(rows: list[dict[str, Any]], *names: str) -> dict[Any, tuple[Any, ...]]:
    return {tuple(row[name] for name in names): (row["calls"], row["cost"], row["won"], row["revenue"]) for row in rows}


def test_a_row_tells_what_was_spent_and_earned(database: Database) -> None:
    world = World(database, currency="EUR")
    visit = world.visit(0)
    world.call(10, visit, target=True)
    world.call(20, visit, is_unique=False)
    world.call(30, caller="+79160000001")
    world.spend(Cost(MARCH, MARCH, "Ads", 300_00), Cost(MARCH, MARCH, "Radio", 50_00))
    world.deal(40, 900_00)
    world.deal(50, 100_00, status="open")
    ads, billboard, radio = world.rows(CHANNELS)
    assert [ads[name] for name in ("channel", "currency", *MONEY_FIGURES)] == [
        "Ads", "EUR", 300, 300, 150, 300, 2, 1, 900, 150, 300, 1, 2,
    ]  # fmt: skip
    assert [billboard[name] for name in MONEY_FIGURES] == [0, None, None, None, 0, 0, 0, None, None, 0, None]
    assert [radio[name] for name in ("channel", "calls", *MONEY_FIGURES)] == [
        "Radio", 0, 50, None, None, None, 0, 0, 0, None, None, None, -1,
    ]  # fmt: skip
    whole = world.total()
    assert [whole[name] for name in MONEY_FIGURES] == [350, 175, 116.67, 350, 2, 1, 900, 175, 350, 0.5, 1.5714]


def test_what_is_not_known_is_not_told(database: Database) -> None:
    world = World(database)
    world.call(0)
    assert {world.total()[name] for name in MONEY_FIGURES} == {None}
    world.spend(Cost(MARCH, MARCH, "Billboard", 100))
    found = world.total()
    assert (found["cost"], found["cost_per_call"], found["revenue"], found["roi"]) == (1, 1, None, None)
    world.deal(1, 0, status="lost")
    assert [world.rows(CHANNELS)[0][name] for name in ("deals", "won", "revenue", "roi")] == [1, 0, 0, -1]


def test_a_span_is_spread_over_its_days_to_the_hundredth(database: Database) -> None:
    world = World(database)
    world.spend(Cost(MARCH, MARCH + 6 * DAY, "Ads", 100))
    midnight = START - timedelta(hours=3)  # Moscow's
    days = [world.total(midnight + day * DAY, midnight + (day + 1) * DAY)["cost"] for day in range(-1, 8)]
    assert days == [None, 0.15, 0.15, 0.14, 0.14, 0.14, 0.14, 0.14, None]
    found = world.total(midnight + 2 * DAY, midnight + 4 * DAY, compare=True)
    assert (found["cost"], found["before"]["cost"]) == (0.28, 0.3)
    cut = START + 12 * 60 * MINUTE  # a day's cost is of its beginning
    assert (world.total(None, cut)["cost"], world.total(cut, None)["cost"]) == (0.15, 0.85)


def test_costs_find_the_campaign_that_they_are_of(database: Database) -> None:
    world = World(database)
    with database.transaction() as connection:
        connection.execute(
            tables.channels.insert().values(
                site_id=world.site_id, name="Google", position=1, match={"source": "google", "medium": "c*"}
            )
        )
    for source, medium, campaign, term in (
        ("yandex", "cpc", "brand", "sofa"), ("yandex", "cpc", "both", ""), ("google", "cpc", "both", "sofa"),
        ("yandex", "cpc", "", ""),
    ):  # fmt: skip
        world.call(10, world.visit(0, campaign, source=source, medium=medium, campaign=campaign, term=term))
    world.spend(
        Cost(MARCH, MARCH, "Ads", 1_00, campaign="brand"),
        Cost(MARCH, MARCH, "Ads", 2_00, campaign="brand", term="sofa"),
        Cost(MARCH, MARCH, "Ads", 4_00, campaign="both"),
        Cost(MARCH, MARCH, "Google", 8_00, campaign="both"),
        Cost(MARCH, MARCH, "Ads", 16_00, "Yandex", "CPC"),
        Cost(MARCH, MARCH, "Radio", 32_00),
        Cost(MARCH, MARCH, "VK", 64_00, "vk", "cpc", "new"),
        Cost(MARCH, MARCH, "VK", 128_00, campaign="unheard of"),
    )
    found = money(world.rows(CAMPAIGNS), "channel", "source", "medium", "campaign")
    assert {values: figures[:2] for values, figures in found.items()} == {
        (None, "yandex", "cpc", "brand"): (1, 3),
        (None, "google", "cpc", "both"): (1, 8),
        (None, "yandex", "cpc", "both"): (1, 0),
        (None, "yandex", "cpc", None): (1, 0),
        ("Ads", None, None, "both"): (0, 4),
        ("Ads", "yandex", "cpc", None): (0, 16),
        ("Radio", None, None, None): (0, 32),
        (None, "vk", "cpc", "new"): (0, 64),
        ("VK", None, None, "unheard of"): (0, 128),
    }
    world.deal(20, 99_00)
    spent = {row["channel"]: [row[name] for name in ("deals", "revenue", "roi")] for row in world.rows(CAMPAIGNS)}
    assert spent["Ads"] == spent["Radio"] == [None, None, None], "nobody knows which deals its costs brought"
    keywords = money(world.rows(KEYWORDS), "channel", "source", "campaign", "term")
    assert keywords[None, "yandex", "brand", "sofa"][:2] == (1, 2)
    assert keywords["Ads", None, "brand", None][:2] == (0, 1)
    assert keywords["Google", "google", "both", None][:2] == (0, 8)


def test_a_deal_is_credited_as_the_call_before_it_is(database: Database) -> None:
    world = World(database)
    first = world.visit(0, campaign="first")
    world.visit(60, channel="Social", medium="social", campaign="between")
    last = world.visit(120, channel="Direct", medium="(none)", campaign="")
    world.call(30, first)
    world.call(130, last)
    world.deal(100, 1_00)
    for model in Model:
        assert money(world.rows(CHANNELS, model), "channel")["Ads",][2:] == (1, 1), "before the second call"
    world.deal(200, 1_00)
    third = round(1 / 3, 2)
    brought = {
        Model.LAST: {"Direct": (1, 1)},
        Model.LAST_NON_DIRECT: {"Social": (1, 1)},
        Model.FIRST: {"Ads": (1, 1)},
        Model.LINEAR: {"Ads": (third, 0.34), "Social": (third, 0.33), "Direct": (third, 0.33)},
        Model.POSITION: {"Ads": (0.4, 0.4), "Social": (0.2, 0.2), "Direct": (0.4, 0.4)},
    }
    since = START + 150 * MINUTE
    for model, expected in brought.items():
        found = money(world.rows(CHANNELS, model, since), "channel")
        assert {channel: figures[2:] for (channel,), figures in found.items()} == expected, model
    with database.transaction() as connection:
        corrected = update(tables.calls).where(tables.calls.c.visit_id == last).values(corrected_channel="Radio")
        connection.execute(corrected)
    assert money(world.rows(CHANNELS, Model.LINEAR, since), "channel") == {("Radio",): (0, None, 1, 1)}


def test_a_deal_without_a_call_that_came_in_is_nobodys(database: Database) -> None:
    world = World(database)
    world.call(0, outbound="+79161234567")
    world.deal(10, 5_00)
    for question in (CHANNELS, CAMPAIGNS, KEYWORDS):
        assert money(world.rows(question), *question.dimensions) == {
            (None,) * len(question.dimensions): (0, None, 1, 5)
        }


minutes = st.integers(0, 20 * 24 * 60)
callers = st.sampled_from([f"+7916000000{last}" for last in range(4)])
texts = st.fixed_dictionaries({
    "source": st.sampled_from(["yandex", "vk", ""]),
    "medium": st.sampled_from(["cpc", "(none)", "email"]),
    "campaign": st.sampled_from(["spring", "sale", ""]),
    "term": st.sampled_from(["sofa", ""]),
})  # fmt: skip
channels = st.sampled_from(["Ads", "Direct", "Radio"])
spends = st.builds(
    lambda first, days, channel, amount, of: Cost(
        MARCH + first * DAY, MARCH + (first + days) * DAY, channel, amount, **of
    ),
    st.integers(-3, 22), st.integers(0, 9), channels, st.integers(0, 10_000), texts,
)  # fmt: skip
sales = st.tuples(minutes, st.integers(0, 10_000), callers, st.sampled_from(["open", "won", "won", "lost"]))


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    visits=st.lists(st.tuples(minutes, st.sampled_from("ab"), channels, texts), max_size=8),
    called=st.lists(st.tuples(minutes, callers, st.integers(0, 9)), min_size=1, max_size=8),
    spent=st.lists(spends, max_size=12, unique_by=lambda cost: cost.key),
    sold=st.lists(sales, max_size=8),
    ends=st.tuples(minutes, minutes),
)
def test_rows_add_up_to_the_totals_under_every_model(
    database: Database, visits: Any, called: Any, spent: Any, sold: Any, ends: Any
) -> None:
    world = World(database)
    there = [world.visit(at, visitor, channel=channel, **of) for at, visitor, channel, of in sorted(visits, key=str)]
    for at, caller, visit in called:
        world.call(at, there[visit] if visit < len(there) else None, caller)
    world.spend(*spent)
    for at, amount, caller, status in sold:
        if caller in {caller for _, caller, _ in called}:
            world.deal(at, amount, caller, status)
    since, until = (START + at * MINUTE for at in sorted(ends))
    for period in ((None, None), (since, until)):
        whole = world.total(*period)
        for question in QUESTIONS:
            if question.money:
                for model in Model:
                    rows = world.rows(question, model, *period)
                    for name in ("cost", "revenue"):
                        found = [row[name] for row in rows if row[name] is not None]
                        assert round(sum(found) * 100) == round((whole[name] or 0) * 100), (question, model, name)
                        assert (whole[name] is None) == (not found), (question, model, name)
                    for name in ("deals", "won", "calls"):
                        assert sum(row[name] or 0 for row in rows) == pytest.approx(whole[name] or 0, abs=0.1)


def test_what_the_whole_year_costs_its_periods_cost_together(database: Database) -> None:
    world = World(database)
    world.spend(Cost(MARCH, MARCH + 364 * DAY, "Ads", 10_007), Cost(MARCH + 3 * DAY, MARCH + 40 * DAY, "Ads", 99))
    ends = [START + timedelta(hours=hours) for hours in (-100, 17, 18, 500, 777, 4_000, 8_800, 9_000)]
    parts = [world.total(since, until)["cost"] or 0 for since, until in pairwise(ends)]
    assert round(sum(parts) * 100) == 10_106
