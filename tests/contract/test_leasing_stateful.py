"""Whatever visitors, calls, time and site files do, each store gives and keeps what the model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pbxtrack.pool.model import EventKind, LeaseGrant, LeaseRequest, Others, Sign
from pbxtrack.pool.service import ForeignSite
from pbxtrack.storage.database import Database
from tests.contract.leasing_model import Lease, Model, Place, Rules
from tests.contract.leasing_promises import (
    a_number_is_as_its_last_lease,
    no_number_is_two_visitors,
    nobody_is_robbed_before_the_guaranteed_time,
)
from tests.contract.leasing_stores import (
    InDatabase,
    InMemory,
    LeaseRow,
    NumberRow,
    Rows,
    Shops,
    VisitRow,
    in_order_of_time,
)

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE, INSTANT = timedelta(minutes=1), timedelta(microseconds=1)
MAX_EVENTS = 3
FAIR_PART = 2
REST = timedelta(minutes=20)
LATE = timedelta(milliseconds=2)  # since a transaction that read the clock before another may be done after it
STEPS = 30

RULES = {
    "cafe": Rules(hold=60 * MINUTE, guaranteed=60 * MINUTE, overflow_number="+74950000001"),
    "shop": Rules(hold=30 * MINUTE, guaranteed=3 * MINUTE, overflow_number="+74950000002"),
}
ANY = Place("shop", "any")
MOSCOW = Place("shop", "moscow", "495")
PETERSBURG = Place("shop", "petersburg", "812")
BOARD = Place("shop", "Billboard", pool=False)
TABLES = Place("cafe", "tables")
PLACES = [TABLES, MOSCOW, ANY, PETERSBURG, BOARD]
NUMBERS = {
    f"+749512300{index:02}": place for index, place in enumerate([TABLES, TABLES, MOSCOW, MOSCOW, ANY, ANY, PETERSBURG])
}
SPARE = ["+74951230010", "+74951230011"]

CAMPAIGNS = {
    "https://shop.example/": "",
    "https://shop.example/prices": "",
    "https://shop.example/?utm_source=yandex&utm_medium=cpc": "yandex",
    "https://shop.example/?utm_source=vk&utm_medium=cpc": "vk",
}
OWN_IDS = {0: "client-1", 1: "клиент-2"}
"""Persons whose ids the website makes; the others' browsers remember what they were told."""

PAGES = st.sampled_from(sorted(CAMPAIGNS))
REGIONS = st.sampled_from(["", "495", "812", "343"])


class Asking(NamedTuple):
    person: int
    site: str
    page: str
    region: str
    others: Mapping[Place | None, int]

    def of_its_site(self) -> Mapping[Place | None, int]:
        return {place: count for place, count in self.others.items() if place is None or place.site == self.site}


class Beating(NamedTuple):
    """``lease``: how many leases ago, None for one that never was; ``ago``: for a call, how long ago it was, and
    whether its caller is ``known``. ``sites``: those that the page may speak for, None for any.
    """

    lease: int | None
    event: EventKind | None
    page: str
    ago: timedelta | None
    known: bool
    sites: frozenset[str] | None


class End(NamedTuple):
    """The moment when something ends by itself, or nearly."""

    which: int
    off: timedelta


class Change(NamedTuple):
    """Another site file: numbers elsewhere, and perhaps a site less."""

    moves: Mapping[str, Place | None]
    cafe: bool
    force: bool


ASKING = st.builds(
    Asking,
    person=st.integers(0, 6),
    site=st.sampled_from(["shop", "shop", "shop", "cafe", "nobody's"]),
    page=PAGES,
    region=REGIONS,
    others=st.sampled_from(
        [
            *[{}] * 8,
            {None: 1},
            {None: 3},
            {MOSCOW: 1},
            {ANY: 1},
            {ANY: 1, MOSCOW: 1},
            {PETERSBURG: 1},
            {TABLES: 1},
            {ANY: 1, None: 1},
        ]
    ),
)
AGO = st.sampled_from([timedelta(), INSTANT, MINUTE, 3 * MINUTE, 20 * MINUTE, 45 * MINUTE])
BEATING = st.builds(
    Beating,
    lease=st.integers(0, 6) | st.sampled_from([0, 1, None]),
    event=st.none() | st.sampled_from(list(EventKind)),
    page=PAGES,
    ago=st.sampled_from([None, None, None]) | AGO,
    known=st.booleans(),
    sites=st.sampled_from([None, None, None, frozenset({"shop"}), frozenset({"cafe"}), frozenset()]),
)
PAUSES = st.sampled_from([0, 0, 0, 0, 0, 1, 60, 179, 180, 181, 600, 1_200, 1_800, 1_801, 3_600, 7_200]).map(
    lambda seconds: timedelta(seconds=seconds)
)
ENDS = st.builds(End, which=st.integers(0, 9), off=st.sampled_from([timedelta(), timedelta(), -INSTANT, INSTANT]))
CHANGES = st.builds(
    Change,
    moves=st.dictionaries(
        st.sampled_from([*NUMBERS, *SPARE]), st.sampled_from([None, *PLACES, TABLES, ANY]), min_size=1, max_size=3
    ),
    cafe=st.sampled_from([True, True, True, False]),
    force=st.booleans(),
)


class Leasing(RuleBasedStateMachine):
    """Several sites, first as in NUMBERS."""

    def __init__(self, shops: Shops) -> None:
        super().__init__()
        self.now = START
        self.shops = shops
        self.model = Model(RULES, PLACES, NUMBERS, CAMPAIGNS, MAX_EVENTS, FAIR_PART, REST)
        self.told: dict[tuple[str, int], str] = {}  # what a person's browser remembers of a site
        self.taken: set[tuple[str, datetime]] = set()
        self.overflowed: dict[str, datetime] = {}  # sites that just had no number for somebody, and when

    # One rule, since hypothesis leaves out whole rules from many runs, and a run without visitors tells nothing.
    @rule(
        time=PAUSES | ENDS,
        late=st.sampled_from([False, False, False, True]),
        change=st.sampled_from([False, False, False, True]).flatmap(lambda yes: CHANGES if yes else st.none()),
        asking=st.lists(ASKING, max_size=6),
        beating=st.lists(BEATING, max_size=6),
    )
    def go_on(
        self,
        time: timedelta | End,
        late: bool,
        change: Change | None,
        asking: Sequence[Asking],
        beating: Sequence[Beating],
    ) -> None:
        self._pass(time)
        if change and isinstance(self.shops, InDatabase):
            self._apply(self.shops, change)
        now = self.now - LATE if late else self.now
        if asking:
            self._acquire(asking, now)
        if beating:
            self._renew(beating, now)

    def _pass(self, time: timedelta | End) -> None:
        if isinstance(time, timedelta):
            self.now += time
        elif ends := self.model.turning_points(self.now):
            self.now = max(self.now, ends[time.which % len(ends)] + time.off)

    def _apply(self, database: InDatabase, change: Change) -> None:
        keys = {"shop", "cafe"} if change.cafe else {"shop"}
        numbers = {number.e164: number.place for number in self.model.numbers.values()} | dict(change.moves)
        numbers = {e164: place if place and place.site in keys else None for e164, place in numbers.items()}
        held = self.model.held(numbers, self.now)
        assert database.apply(keys, numbers, self.now, force=change.force) == held
        if change.force or not held:
            self.model.move(numbers, self.now)
            self.model.sites = keys
            self.taken |= {(e164, self.now) for e164 in held}

    def _acquire(self, asking: Sequence[Asking], now: datetime) -> None:
        requests = [
            LeaseRequest(
                one.site,
                one.page,
                visitor=OWN_IDS.get(one.person) or self.told.get((one.site, one.person)),
                region=one.region,
                others=self._others(one),
            )
            for one in asking
        ]
        expected = self.model.acquire(requests, [one.of_its_site() for one in asking], now)
        answers = self.shops.acquire(requests, now)
        for one, lease, answer in zip(asking, expected, answers, strict=True):
            assert isinstance(answer, LeaseGrant) == bool(lease)
            if lease and isinstance(answer, LeaseGrant):
                self._meet(lease, answer)
                self._same(lease, answer)
                self.told[one.site, one.person] = answer.visit.visitor
                if answer.lease.overflow and not one.of_its_site():
                    self.overflowed[one.site] = now

    def _others(self, one: Asking) -> Others:
        others = one.of_its_site()
        by_pool = {place: self.shops.pool_id(place) for place in others if place}
        return Others(
            sum(others.values()),
            {pool: others[place] for place, pool in by_pool.items() if pool is not None},
        )

    def _meet(self, lease: Lease, grant: LeaseGrant) -> None:
        """Learn the ids of what is new."""
        visit = lease.visit
        assert grant.renewed == bool(lease.id)
        if not lease.id:
            assert grant.lease.id not in {known.id for known in self.model.leases}
            lease.id = grant.lease.id
        if not visit.id:
            assert grant.visit.id not in {known.id for known in self.model.visits}
            visit.id = grant.visit.id
        if not visit.visitor.id:
            visit.visitor.id = grant.visit.visitor
            assert (visit.visitor.site, visit.visitor.id) not in self.model.visitors
            self.model.visitors[visit.visitor.site, visit.visitor.id] = visit.visitor

    def _same(self, lease: Lease, grant: LeaseGrant) -> None:
        visit, number = lease.visit, lease.number
        assert (grant.lease.id, grant.lease.seq) == (lease.id, lease.seq)
        assert (grant.visit.id, grant.visit.visitor) == (visit.id, visit.visitor.id)
        assert (grant.site.key, grant.visit.region) == (visit.visitor.site, visit.region)
        assert grant.lease.number == (number.e164 if number else None)
        assert grant.number == (number.e164 if number else RULES[visit.visitor.site].overflow_number)

    def _renew(self, beating: Sequence[Beating], now: datetime) -> None:
        leases = [lease.id for lease in reversed(self.model.leases)]
        signs = [
            Sign(
                "nothing" if one.lease is None or not leases else leases[one.lease % len(leases)],
                one.event,
                one.page,
                None if one.ago is None else now - one.ago,
                one.sites,
                None if one.ago is None else one.known,
            )
            for one in beating
        ]
        expected = self.model.renew(signs, now)
        grants = self.shops.renew(signs, now)
        for lease, grant in zip(expected, grants, strict=True):
            assert isinstance(grant, ForeignSite) == (lease == "foreign")
            assert bool(grant) == bool(lease)
            if isinstance(lease, Lease) and isinstance(grant, LeaseGrant):
                assert grant.renewed
                self._same(lease, grant)

    @invariant()
    def promises_are_kept(self) -> None:
        rows = self.shops.rows()
        no_number_is_two_visitors(rows)
        nobody_is_robbed_before_the_guaranteed_time(rows, self.taken)
        a_number_is_as_its_last_lease(rows, self.taken)
        for number in self.model.numbers.values():
            if number.place and number.place.pool and (at := self.overflowed.get(number.place.site)):
                assert rows.numbers[number.e164].guaranteed_until > at, "was to be had, and not given"
        self.overflowed.clear()
        self._as_in_the_model(rows)

    def _as_in_the_model(self, rows: Rows) -> None:
        assert rows.leases == {
            lease.id: LeaseRow(
                lease.number.e164 if lease.number else None,
                lease.seq,
                lease.visit.id,
                lease.visit.visitor.id,
                lease.started_at,
                lease.seen_at,
                lease.guaranteed_until,
                lease.ends_at,
            )
            for lease in self.model.leases
        }
        assert rows.numbers == {
            number.e164: NumberRow(number.seq, number.free_at, number.guaranteed_until)
            for number in self.model.numbers.values()
        }
        assert rows.visits == {
            visit.id: VisitRow(visit.seen_at, in_order_of_time(visit.events)) for visit in self.model.visits
        }


@pytest.fixture(autouse=True)
def _low_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """So low that few visitors and events reach them."""
    monkeypatch.setattr("pbxtrack.pool.policy.FAIR_PART", FAIR_PART)
    monkeypatch.setattr("pbxtrack.pool.policy.REST", REST)
    monkeypatch.setattr("pbxtrack.pool.policy.FAIR_LEAST", 1)
    monkeypatch.setattr("pbxtrack.storage.leases.MAX_EVENTS", MAX_EVENTS)
    monkeypatch.setattr("pbxtrack.testing.memory.MAX_EVENTS", MAX_EVENTS)


def explore(machine: Callable[[], Leasing], examples: int) -> None:
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # it is called, and may be any callable
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(600)  # a failure is made small first
def test_in_memory() -> None:
    explore(lambda: Leasing(InMemory(RULES, PLACES, NUMBERS)), 60)


@pytest.mark.timeout(600)
def test_in_a_database(database: Database) -> None:
    explore(lambda: Leasing(InDatabase(database, RULES, PLACES, NUMBERS, START)), 40 if database.is_sqlite else 15)
