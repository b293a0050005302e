"""`pbxtrack pool size --site`: a site's own traffic, replayed."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import Update, update

from pbxtrack.calls.events import CallArrived
from pbxtrack.calls.service import record
from pbxtrack.cli import pool_of_site
from pbxtrack.pool import service, sizing
from pbxtrack.pool.model import EventKind, LeaseRequest, Sign
from pbxtrack.replay.recorded import Traffic, read_traffic
from pbxtrack.replay.sizes import Outcome, best, replayed, sizes_around
from pbxtrack.storage import tables
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.sites import read_sites
from tests.contract.leasing import one
from tests.unit.test_cli import SITE, Cli, cli, ready  # noqa: F401 (fixtures)

VISITS, EVERY = 120, timedelta(minutes=2)
BEGIN = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def busy(cli: Cli) -> Cli:  # noqa: F811
    """Ten numbers; a visit every two minutes; one visitor in four taps the number and calls."""
    cli("db", "upgrade")
    cli("apply", cli.site(SITE.replace("+74951230149", "+74951230109")))
    database = Database(f"sqlite:///{cli.folder}/data/pbxtrack.db")
    with database.transaction() as connection:
        store = SqlLeases(connection)
        for index in range(VISITS):
            at = BEGIN + index * EVERY
            grant = one(store, LeaseRequest("demo", "https://shop.example/?utm_source=yandex&utm_medium=cpc"), at)
            service.renew(store, [Sign(grant.lease.id, at=at + timedelta(seconds=90))], at + timedelta(seconds=90))
            if index % 4 == 0 and grant.number:
                tapped = at + timedelta(seconds=100)
                service.renew(store, [Sign(grant.lease.id, EventKind.TAP, at=tapped)], tapped)
                linkedid = f"1772355600.{index}"
                rung = at + timedelta(seconds=110)
                caller = f"+7916{index:07}"
                fact = CallArrived(
                    node="pbx1", linkedid=linkedid, at=rung, leg=linkedid, dialled=grant.number, caller=caller
                )
                record(SqlCalls(connection), [fact], rung, "RU")
    database.close()
    return cli


def test_what_was_recorded_is_what_is_replayed(busy: Cli) -> None:
    database = Database(f"sqlite:///{busy.folder}/data/pbxtrack.db")
    with database.transaction() as connection:
        traffic = read_traffic(connection, "demo", BEGIN, BEGIN + timedelta(days=1))
        (site,) = read_sites(connection)
    database.close()
    assert (len(traffic.visits), traffic.busiest) == (VISITS, 30)
    assert traffic.visit == pytest.approx(timedelta(seconds=92.5), abs=timedelta(seconds=8))
    assert len(traffic.calls) + len(traffic.strangers) == VISITS // 4
    assert len(traffic.calls) >= VISITS // 4 - 1
    taps = [sign for sign in traffic.signs if sign.event is EventKind.TAP]
    assert len(taps) == VISITS // 4
    events = list(traffic.events(["+70000000001"]))
    assert [event.at for event in events] == sorted(event.at for event in events)
    plenty = replayed(site, traffic, 100, timedelta(minutes=30))
    assert (plenty.accuracy, plenty.blocking, plenty.numbers) == (1.0, 0.0, 100)
    assert 14 <= plenty.at_peak <= 18, "one every two minutes, for half an hour and some"
    none_left = replayed(site, traffic, 1, timedelta(minutes=30))
    assert none_left.blocking > 0.2


def traffic_of(busy: Cli, until: datetime = BEGIN + timedelta(days=1)) -> Traffic:
    database = Database(f"sqlite:///{busy.folder}/data/pbxtrack.db")
    traffic = database.read_now(lambda connection: read_traffic(connection, "demo", BEGIN, until))
    database.close()
    return traffic


def change(busy: Cli, statement: Update) -> None:
    database = Database(f"sqlite:///{busy.folder}/data/pbxtrack.db")
    with database.transaction() as connection:
        connection.execute(statement)
    database.close()


def test_what_people_said_of_calls_is_true(busy: Cli) -> None:
    """A call corrected to a channel alone came from no visit; one corrected to a visit from that, however unsure."""
    before = traffic_of(busy)
    radio, other, *_ = before.calls
    visit = before.visits[0].visit
    calls = update(tables.calls)
    change(busy, calls.where(tables.calls.c.id == radio.call).values(corrected_channel="Radio"))
    corrected = calls.values(corrected_channel="Direct", corrected_visit_id=visit, confidence=0.1)
    change(busy, corrected.where(tables.calls.c.id == other.call))
    traffic = traffic_of(busy)
    found = {one.call: one.visit for one in (*traffic.calls, *traffic.strangers)}
    expected = {one.call: one.visit for one in (*before.calls, *before.strangers)}
    assert found == expected | {radio.call: None, other.call: visit}


def test_who_called_is_drawn_as_probably_as_attribution_said(busy: Cli) -> None:
    before = traffic_of(busy)
    first, second = before.visits[0], before.visits[1]
    likely = [
        {"visit": visit.visit, "visitor": visit.visitor, "lease": "x", "channel": "Direct", "confidence": share}
        for visit, share in ((first, 0.5), (second, 0.3))
    ]
    change(busy, update(tables.calls).values(candidates=likely, caller=None))
    traffic = traffic_of(busy)
    calls = len(traffic.calls) + len(traffic.strangers)
    by_visit = Counter(one.visit for one in traffic.calls)
    assert by_visit[first.visit] > by_visit[second.visit] > 0 < len(traffic.strangers) < calls / 2
    again = traffic_of(busy)
    assert (again.calls, again.strangers) == (traffic.calls, traffic.strangers), "by the same lot"
    change(busy, update(tables.calls).values(caller="+79160000000"))
    known = {one.visit for one in traffic_of(busy).calls}
    assert len(known) == 1, "who called once is who calls again"


def test_a_number_that_was_moved_since_keeps_its_calls(busy: Cli) -> None:
    before = traffic_of(busy)
    fewer = SITE.replace("+74951230149", "+74951230104")
    moved = fewer.replace('["+74951230001"]', '["+74951230001", "+74951230105..+74951230109"]')
    busy("apply", busy.site(moved), "--force")
    assert traffic_of(busy) == before


def test_a_visit_that_was_seen_in_years_to_come_lasts_no_longer_than_it_can(busy: Cli) -> None:
    before = traffic_of(busy)
    one = before.visits[1].visit
    ahead = BEGIN + timedelta(days=3_650)
    change(busy, update(tables.visits).where(tables.visits.c.id == one).values(seen_at=ahead))
    tapped = before.visits[0].visit
    change(busy, update(tables.visits).where(tables.visits.c.id == tapped).values(seen_at=ahead))
    change(busy, update(tables.visit_events).where(tables.visit_events.c.visit_id == tapped).values(at=ahead))
    traffic = traffic_of(busy)
    signs = [sign for sign in traffic.signs if sign.visit in (one, tapped)]
    assert len(signs) == 2 * 30, "half an hour each, a sign a minute"
    assert not any(sign.event for sign in signs)
    assert max(sign.at for sign in traffic.signs) < timedelta(days=1).total_seconds()
    assert traffic.visit < before.visit + timedelta(minutes=1)
    going_on = traffic_of(busy, BEGIN + timedelta(seconds=60))
    assert [sign.at for sign in going_on.signs if sign.visit == tapped] == [60.0]


def test_the_command_says_what_each_size_is_worth(busy: Cli) -> None:
    shown = busy("pool", "size", "--site", "demo", "--price", "100", "--svg", "curve.svg").out
    assert shown.startswith("Demo: 120 visits, in the busiest hour 30, of 1.5 minutes on average; 30 calls\n")
    assert "it has 10" in shown
    assert "→" in shown
    assert "A month" in shown
    drawn = ET.fromstring((busy.folder / "curve.svg").read_text("utf-8"))
    lines = [element for element in drawn.iter() if element.tag.endswith("polyline")]
    assert len(lines) == 6, "for three holds each what is right, and who finds none"
    answer = json.loads(busy("pool", "size", "--site", "demo", "--hold", "30m", "--json").out)
    assert (answer["visits"], answer["visits_per_hour"], answer["numbers_now"]) == (VISITS, 30, 10)
    assert {one["hold_seconds"] for one in answer["sizes"]} == {1800}
    assert 10 in {one["numbers"] for one in answer["sizes"]}


def test_what_hinders_it_is_said_in_a_line(ready: Cli) -> None:  # noqa: F811
    assert "there is no site 'shop'; there is demo" in ready.fails("pool", "size", "--site", "shop")
    assert "nobody visited the site 'demo' in the last 7 days" in ready.fails("pool", "size", "--site", "demo")
    assert "leave them out" in ready("pool", "size", "--site", "demo", "--visit", "3m", status=2).err
    assert "are for --site" in ready("pool", "size", "--days", "3", status=2).err
    assert "--site" in ready("pool", "size", "--visit", "3m", status=2).err


def test_what_cannot_be_drawn_or_reckoned_is_told_before_the_work(busy: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def replays(*_: object) -> Outcome:
        raise AssertionError("that was the work")

    monkeypatch.setattr(pool_of_site, "replayed", replays)
    told = busy.fails("pool", "size", "--site", "demo", "--svg", "none/x.svg", status=2)
    assert "there is no folder 'none'" in told
    monkeypatch.setattr(sizing, "MAX_LOAD", 10.0)
    assert "a load of 15" in busy.fails("pool", "size", "--site", "demo", "--hold", "30m")


def outcome(numbers: int, accuracy: float | None, blocking: float) -> Outcome:
    return Outcome(numbers, timedelta(minutes=30), accuracy, blocking, numbers)


def test_the_fewest_numbers_that_are_as_good() -> None:
    tried = [outcome(10, 0.8, 0.2), outcome(20, 0.9, 0.005), outcome(30, 0.905, 0.0), outcome(60, 0.909, 0.0)]
    assert best(tried, 0.01) is tried[1]
    assert best(tried[:1], 0.01) is None
    assert best([outcome(5, None, 0.0)], 0.01) == outcome(5, None, 0.0)


def test_the_sizes_that_are_tried() -> None:
    assert sizes_around(10) == [5, 8, 10, 15, 20]
    assert sizes_around(1, 0) == [1, 2]
