"""The parts of the demonstration's data, and its command as its user meets it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from pbxtrack.calls.events import from_microseconds, microseconds
from pbxtrack.calls.lifecycle import Status, outcome, project
from pbxtrack.demo.data.conversations import Exchange, Went
from pbxtrack.demo.data.copies import Copy, Originals, Template
from pbxtrack.demo.data.lines import BETWEEN, NOTHING
from pbxtrack.demo.data.people import Phone, Phones, e164
from pbxtrack.demo.data.plan import CLINIC, COMPANIES, SHOP, YEAR, Rhythm, Source
from pbxtrack.ids import id_of, milliseconds_of, new_id, time_part
from pbxtrack.numbers import Number
from pbxtrack.sitefile.export import to_toml
from pbxtrack.sitefile.parse import parse
from tests.unit.test_cli import Cli, cli, ready  # noqa: F401 (fixtures)

UNTIL = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = microseconds(UNTIL)


def test_people_come_by_day_and_week_and_more_and_more() -> None:
    rhythm = Rhythm(CLINIC, UNTIL, Random(1))
    moments = [from_microseconds(at) for at in rhythm.moments(20_000, Random(2))]
    assert moments == sorted(moments)
    assert moments[0] >= UNTIL - YEAR
    assert moments[-1] < UNTIL
    by_day = [sum(moment.weekday() == day for moment in moments) for day in range(7)]
    assert min(by_day[:5]) > 1.5 * max(by_day[5:])
    night = sum(moment.hour in (20, 21, 22, 23) for moment in moments)  # from one to five o'clock there
    assert night < 0.03 * len(moments)
    assert sum(moment > UNTIL - YEAR / 2 for moment in moments) > 1.1 * len(moments) / 2
    new_year = [moment for moment in moments if (moment.month, moment.day) == (1, 5)]
    assert len(new_year) < 20_000 / 365 / 1.5


def test_campaigns_begin_and_end_and_fail() -> None:
    source = Source(2.0, calls=1.5, begins=0.3, fails=0.6, ends=0.9)
    assert [source.weight(part, calling=False) for part in (0.2, 0.3, 0.7, 0.9)] == [0, 2, 2, 0]
    assert [source.weight(part, calling=True) for part in (0.2, 0.3, 0.7, 0.9)] == pytest.approx([0, 3, 0.12, 0])


def test_the_sites_are_such_as_a_site_file_may_have() -> None:
    wanted = [company.sized(5_000, 3) for company in COMPANIES]
    assert parse(to_toml(wanted).encode(), "demo", "RU") == wanted
    numbers = [number for site in wanted for number, _ in site.numbers()]
    assert len(set(numbers)) == len(numbers)
    once = SHOP.sized(5_000, 1)
    for pool, copied in zip(once.pools, wanted[0].pools, strict=True):
        assert len(copied.numbers) == 3 * len(pool.numbers)
        assert copied.numbers[: len(pool.numbers)] == pool.numbers


def test_no_two_people_have_one_number() -> None:
    phones = Phones(Random(1), hostile=False)
    given = [phone for _ in range(3_000) if (phone := phones.phone("812"))]
    numbers = [phone.e164(4, copy) for phone in given for copy in range(4)]
    assert len(set(numbers)) == len(numbers)
    assert all(Number.parse(number).e164 == number for number in numbers[:200])
    assert {number[:5] for number in numbers if number.startswith("+78")} == {"+7812"}
    company = {number for one in COMPANIES for number, _ in one.sized(60_000, 500).numbers()}
    assert not company & set(numbers)
    assert e164("812", 499_999) not in company


@pytest.mark.parametrize("queue", [False, True])
@pytest.mark.parametrize("by_caller", [False, True])
@pytest.mark.parametrize(
    ("status", "cause"), [("answered", 16), ("missed", 19), ("busy", 17), ("abandoned", 127), ("failed", 20)]
)
def test_the_facts_of_a_call_add_up_to_how_it_went(status: str, cause: int, by_caller: bool, queue: bool) -> None:
    went = Went(Status(status), 12.0, 95.0, ("PJSIP/101", "PJSIP/102"), by_caller)
    facts = Exchange(Random(3)).came_in(AT, "+74990000001", "+79431234567", "Anna", went, queue=queue, record=True)
    call = project(facts)
    found = outcome(call)
    assert (found.status, found.hangup_cause) == (went.status, cause)
    assert (call.dialled, call.caller, call.caller_name) == ("+74990000001", "+79431234567", "Anna")
    assert call.started_at == UNTIL
    assert [fact.at for fact in facts] == sorted(fact.at for fact in facts)
    if status == "answered":
        assert (found.answered_by, found.hung_up_by) == ("PJSIP/102", "caller" if by_caller else "line")
        assert found.talk_seconds == pytest.approx(95, abs=0.1)
        assert found.ringing_seconds == pytest.approx(12 + 15 * queue, abs=8 if queue else 0.1)
        assert call.recording == f"pbxtrack/{call.id}.wav"
    else:
        assert (found.answered_by, call.recording) == (None, None)


@pytest.mark.parametrize(("status", "answered_by"), [("answered", "PJSIP/carrier"), ("abandoned", None)])
def test_so_do_those_of_a_call_back(status: str, answered_by: str | None) -> None:
    went = Went(Status(status), 9.0, 30.0, ("PJSIP/103",), by_caller=False)
    call = project(Exchange(Random(3)).called_out(AT, "+79431234567", went))
    found = outcome(call)
    assert (call.called_out, call.dialled, found.status, found.answered_by) == (
        "+79431234567", None, Status(status), answered_by
    )  # fmt: skip


def test_a_copy_differs_in_times_ids_and_numbers_alone() -> None:
    made = id_of(AT // 1_000, 5 << 20)
    values = [
        "demo-1795435200.7", "2026-11-23 12:00:00.000001", '{"at":"2026-11-23T12:00:00.5Z","100%":"+79430000000"}',
        f'["{made}"]', "1795435200000001", NOTHING, "+74990000001", "+74950000100", "3", "12", "7 %s",
    ]  # fmt: skip
    originals = Originals(
        2, {"+74950000100": ("+74950000100", "+74950000105")}, {"12": ("12", "17")},
        {"+79430000000": Phone("", 0, None)}, 1_000,
    )  # fmt: skip
    template = Template(BETWEEN.join(values), 8, 9, originals)
    first, second = (template.of(Copy(originals, index)).split(BETWEEN) for index in range(2))
    assert first == [*values[:8], "5", *values[9:]], "contacts alone are counted over all copies"
    assert second == [
        "demo-1795434191.1007",
        "2026-11-23 11:43:11.000001",
        f'{{"at":"2026-11-23T11:43:11.5Z","100%":"{e164("", 1)}"}}',
        f'["{time_part(AT // 1_000 - 1_009_000)}{made[10:22]}0001"]',
        "1795434191000001",
        NOTHING,
        "+74990000001",
        "+74950000105",
        "6",
        "17",
        "7 %s",
    ]


def test_an_id_tells_its_moment() -> None:
    assert milliseconds_of(new_id(UNTIL)) == AT // 1_000
    assert id_of(AT // 1_000, 0)[10:] == "0" * 16


def test_it_says_what_it_made_and_makes_it_anew(cli: Cli) -> None:  # noqa: F811
    cli("db", "upgrade")
    done = cli("demo-data", "--calls", "100", "--until", "2026-11-23T12:00:00Z")
    assert re.fullmatch(r"100 calls and (\d+) visits of a year made\n", done.out)
    assert done.err == ""
    again = json.loads(cli("demo-data", "--calls", "100", "--until", "2026-11-23T12:00:00Z", "--json").out)
    assert f"{again['calls']} calls and {again['visits']} visits" in done.out
    assert again["until"] == "2026-11-23T12:00:00.000Z"
    listed = json.loads(cli("calls", "--limit", "1", "--json").out)["items"]
    assert "2026-11" in listed[0]["started_at"]
    timeline = cli("calls", "show", listed[0]["id"]).out
    assert "dialled" in timeline


def test_it_refuses_a_database_with_other_data(ready: Cli) -> None:  # noqa: F811
    assert "has the site 'demo'; demonstration data never mixes" in ready.fails("demo-data", "--calls", "100")
    assert "+74951230100" in ready("export-config").out


def test_what_hinders_it_is_said_in_a_line(cli: Cli) -> None:  # noqa: F811
    assert "pbxtrack db upgrade" in cli.fails("demo-data")
    assert "--calls" in cli("demo-data", "--calls", "1", status=2).err


def test_the_year_ends_when_it_is_told_to(cli: Cli) -> None:  # noqa: F811
    cli("db", "upgrade")
    cli("demo-data", "--calls", "100")
    (latest,) = json.loads(cli("calls", "--limit", "1", "--json").out)["items"]
    assert datetime.now(UTC) - timedelta(days=30) < datetime.fromisoformat(latest["started_at"]) < datetime.now(UTC)
