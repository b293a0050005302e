"""`pbxtrack report` as its user meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.calls.curves import PRIOR, STEPS
from pbxtrack.pool import service
from pbxtrack.pool.model import EventKind, LeaseRequest, Sign
from pbxtrack.storage.curves import keep
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases
from tests.contract.leasing import one
from tests.contract.test_recording import NOW, an_answered_call
from tests.unit.test_cli import SITE, Cli, cli, ready  # noqa: F401 (fixtures)


def a_tapped_number(cli: Cli) -> str:  # noqa: F811
    """Shown to a visitor who taps it ten seconds before NOW."""
    tapped = NOW - timedelta(seconds=10)
    database = Database(f"sqlite:///{cli.folder}/data/pbxtrack.db")
    with database.transaction() as connection:
        store = SqlLeases(connection)
        grant = one(store, LeaseRequest("demo", "https://shop.example/"), tapped - timedelta(minutes=1))
        service.renew(store, [Sign(grant.lease.id, EventKind.TAP, at=tapped)], tapped)
    database.close()
    assert grant.number
    return grant.number


def test_it_tells_how_good_attributions_are(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call(a_tapped_number(ready)))
    month = NOW.astimezone(UTC).strftime("%Y-%m")
    shown = ready("report", "accuracy").out
    assert month in shown
    assert "100.0%" in shown
    assert "demo: how sure attributions were, and how often they were right" in shown
    heading, line = ready("report", "accuracy", "--csv").out.splitlines()
    found = dict(zip(heading.split(","), line.split(","), strict=True))
    assert (found["site"], found["month"], found["calls"], found["known"]) == ("demo", month, "1", "1")
    whole, _ = json.loads(ready("report", "accuracy", "--json", "--site", "demo").out)
    assert (whole["month"], whole["precision"]) == (None, 1.0)


def test_it_lists_the_pools_numbers(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call("+74951230107"))
    items = json.loads(ready("report", "numbers", "--since", "2020-01-01", "--json").out)
    assert len(items) == 50
    assert items[0] == {
        "site": "demo", "pool": "moscow", "number": "+74951230107", "calls": 1, "strangers": 1, "strange_callers": 1,
        "days": 1, "leaked": False,
    }  # fmt: skip
    lines = ready("report", "numbers", "--since", "2020-01-01").out.splitlines()
    assert lines[2].split() == ["demo", "moscow", "+74951230107", "1", "1", "1", "1"]
    assert ready("report", "numbers", "--csv").out.startswith("site,pool,number,calls,")
    assert "there is no site" in ready.fails("report", "numbers", "--site", "x")


def test_it_shows_what_attribution_weighs_by(ready: Cli) -> None:  # noqa: F811
    shown = ready("report", "curves").out
    assert shown.startswith("demo: what is usual\n")
    assert "strangers: 0.90 a month to each number" in shown
    (item,) = json.loads(ready("report", "curves", "--json").out)
    assert (item["version"], item["learned_at"], len(item["steps"])) == (0, None, STEPS)
    assert sum(step["seen"] for step in item["steps"]) == pytest.approx(60, abs=0.1), "six visitors in a hundred call"
    learned = replace(PRIOR, version=1, calls=50, channels={"Paid [red]": 1.5})
    database = Database(f"sqlite:///{ready.folder}/data/pbxtrack.db")
    with database.transaction() as connection:
        keep(connection, 1, learned, NOW)
    database.close()
    shown = ready("report", "curves", "--site", "demo").out
    assert "demo: version 1, from 50 calls, learned at " in shown
    assert "visitors of Paid [red] call 1.50 times as often as others" in shown


def test_no_name_is_a_formula_to_a_spreadsheet(ready: Cli) -> None:  # noqa: F811
    ready("apply", ready.site(SITE.replace("Bill[red]board", "=1+1")))
    ready.record(*an_answered_call("+74951230001"))
    assert "demo,'=1+1,1" in ready("report", "channels", "--csv").out
    assert "demo,moscow,+74951230100," in ready("report", "numbers", "--csv").out


def test_it_says_what_each_channel_brought(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call("+74951230001"))
    ready.record(*an_answered_call("+74951230107", linkedid="1.2"))
    lines = ready("report", "channels").out.splitlines()
    assert lines[2].split()[:5] == ["demo", "1", "1", "0", "1"], "of nobody who is known"
    assert lines[3].split()[:4] == ["demo", "Bill[red]board", "1", "1"]
    assert ready("report", "channels", "--csv", "--model", "first").out.splitlines()[0] == (
        "site,channel,calls,answered,unique,target,missed,unsettled,talk_seconds,answer_seconds,share"
    )
    assert len(json.loads(ready("report", "channels", "--json").out)) == 2
    assert "last_non_direct" in ready("report", "channels", "--model", "best", status=2).err


def test_a_period_without_calls_is_an_empty_table(ready: Cli) -> None:  # noqa: F811
    ready.record(*an_answered_call("+74951230100"))
    later = (NOW + timedelta(days=1)).isoformat()
    lines = ready("report", "accuracy", "--since", later).out.splitlines()
    assert len(lines) == 3
    assert lines[2].split() == ["demo", "all", "0", "0"]


def test_what_hinders_it_is_said_in_a_line(ready: Cli) -> None:  # noqa: F811
    assert "there is no site 'shop'; there is demo" in ready.fails("report", "accuracy", "--site", "shop")
    assert "choose one" in ready("report", "accuracy", "--csv", "--json", status=2).err
    assert "is no time" in ready("report", "accuracy", "--since", "soon", status=2).err


def test_times_are_given_in_any_zone(ready: Cli) -> None:  # noqa: F811
    now = datetime.now(UTC).isoformat(timespec="seconds")
    assert ready("report", "accuracy", "--until", now).err == ""


@pytest.mark.parametrize("at", ["0001-01-05", "0001-01-02T00:00Z", "9999-12-30T23:59Z"])
def test_every_time_that_there_is_may_be_asked_for(ready: Cli, at: str) -> None:  # noqa: F811
    ready.record(*an_answered_call("+74951230100"))
    for option in ("--since", "--until"):
        for name in ("channels", "accuracy", "numbers"):
            assert ready("report", name, option, at).err == ""
        assert ready("calls", option, at).err == ""
    assert ready("rebuild", "--since", at).err == ""
