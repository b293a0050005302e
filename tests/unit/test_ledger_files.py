"""Asterisk's CEL and CDR files make the calls that AMI made."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.calls.events import CallArrived, Fact, LegEnded, RecordingStarted
from pbxtrack.calls.lifecycle import outcome, project
from pbxtrack.errors import PbxtrackError
from pbxtrack.ledger import cdr, cel
from pbxtrack.ledger.cdr import CdrReader
from pbxtrack.ledger.cel import CelReader
from pbxtrack.ledger.files import MAX_LINE, LedgerFile, lines, opened

FIXTURES = Path(__file__).parents[1] / "fixtures" / "ledger"
CEL = (FIXTURES / "cel.csv").read_text("utf-8").splitlines()
CDR = (FIXTURES / "cdr.csv").read_text("utf-8").splitlines()
HEARD: dict[str, dict[str, Any]] = json.loads((FIXTURES / "heard.json").read_text("utf-8"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")


def calls(reader: CelReader | CdrReader, given_lines: Sequence[str]) -> dict[str, Sequence[Fact]]:
    """The facts of each call, by its linkedid."""
    found = [facts for line in given_lines for facts in reader.feed(line)] + list(reader.finish(NOW.timestamp()))
    by_id = {facts[0].linkedid: facts for facts in found}
    assert len(by_id) == len(found), "each call once"
    return by_id


def the(reader: CelReader | CdrReader, given_lines: Sequence[str]) -> Sequence[Fact]:
    (found,) = calls(reader, given_lines).values()
    return found


def of(shape: str, source: Sequence[str] = CEL) -> list[str]:
    return [line for line in source if f'"{HEARD[shape]["linkedid"]}"' in line]


@pytest.mark.parametrize("shape", HEARD)
def test_cel_makes_the_call_that_was_heard(shape: str) -> None:
    heard = HEARD[shape]
    facts = calls(CelReader("pbx1"), CEL)[heard["linkedid"]]
    call, result = project(facts), outcome(project(facts))
    assert (result.status, result.answered_by, result.hung_up_by, result.hangup_cause) == (
        heard["status"], heard["answered_by"], heard["hung_up_by"], heard["hangup_cause"],
    )  # fmt: skip
    assert call.dialled == heard["dialled"]
    assert (call.recording, len(call.transfers)) == (heard["recording"], heard["transfers"])
    assert result.talk_seconds == pytest.approx(heard["talk_seconds"], abs=0.02)
    assert result.ringing_seconds == pytest.approx(heard["ringing_seconds"], abs=0.02)


_UNTOLD = {"queue", "letters"}  # a queue's times are not exact, and the dialled text is not in a CDR
_LOST = {"blind"}  # its CDR has the target of the transfer for the number that was dialled


@pytest.mark.parametrize("shape", sorted(HEARD.keys() - _LOST))
def test_cdr_makes_the_call_as_far_as_it_tells(shape: str) -> None:
    heard = HEARD[shape]
    facts = calls(CdrReader("pbx1"), CDR)[heard["linkedid"]]
    call, result = project(facts), outcome(project(facts))
    assert (result.status, result.answered_by) == (heard["status"], heard["answered_by"])
    if shape not in _UNTOLD:
        assert call.dialled == heard["dialled"]
        assert result.talk_seconds == pytest.approx(heard["talk_seconds"], abs=0.4 if heard["transfers"] else 0.05)


def test_names_and_withheld_callers_are_read_as_ami_tells_them() -> None:
    name = project(the(CelReader("pbx1"), of("name")))
    assert (name.caller, name.caller_name) == ("+79161000000", 'Иван, "Ann" <x>')
    withheld = project(the(CelReader("pbx1"), of("withheld")))
    assert (withheld.caller, withheld.caller_name, withheld.withheld) == (None, None, True)
    from_cdr = project(the(CdrReader("pbx1"), of("name", CDR)))
    assert (from_cdr.caller, from_cdr.caller_name) == ("+79161000000", 'Иван, "Ann" <x>')


def test_only_calls_that_met_our_dialplan_are_ours() -> None:
    others = [line.replace('"pbxtrack"', '"internal"') for line in CEL]
    reader = CelReader("pbx1")
    assert not calls(reader, others)
    assert not calls(CdrReader("pbx1"), [line.replace('"pbxtrack"', '"internal"') for line in CDR])
    assert reader.oldest is None


def test_a_call_is_given_once_it_is_over_and_not_before() -> None:
    reader = CelReader("pbx1")
    first = of("answered_caller")
    assert not [facts for line in first for facts in reader.feed(line, 7)]
    assert reader.oldest == 7
    (facts,) = reader.ended()
    assert reader.oldest is None
    assert {type(fact) for fact in facts} >= {CallArrived, LegEnded}
    # The next calls' lines, seconds later, say the same.
    found = [facts for line in CEL for facts in reader.feed(line)]
    assert found[0][0].linkedid == HEARD["answered_caller"]["linkedid"]


def rewritten(shape: str, *, seconds: int, number: int) -> list[str]:
    """A call's lines, later, its legs counted from a number on."""
    at = HEARD[shape]["linkedid"].partition(".")[0]
    count = int(HEARD[shape]["linkedid"].partition(".")[2])
    lines = of(shape)
    for leg in range(count, count + 3):
        lines = [line.replace(f'"{at}.{leg}"', f'"{int(at) + seconds}.{number + leg - count}"') for line in lines]
    moved = []
    for line in lines:
        columns = line.split('","')
        moved.append(line.replace(columns[1], f"{float(columns[1]) + seconds:.6f}", 1))
    return moved


def unfinished(shape: str) -> list[str]:
    return [line for line in of(shape) if "HANGUP" not in line and "LINKEDID_END" not in line]


def test_a_call_that_asterisk_did_not_survive_ends_with_what_was_last_told() -> None:
    reader = CelReader("pbx1")
    found = [facts for line in unfinished("name") for facts in reader.feed(line)]
    # Asterisk is back, and counts its legs from 0 again.
    found += [facts for line in rewritten("busy", seconds=60, number=0) for facts in reader.feed(line)]
    (facts,) = found
    result = outcome(project(facts))
    assert (facts[0].linkedid, result.status) == (HEARD["name"]["linkedid"], "answered")
    assert all(leg.unseen for leg in project(facts).legs.values())
    assert result.ended_at == max(fact.at for fact in facts)


def test_asterisk_may_be_back_within_a_second() -> None:
    reader = CelReader("pbx1")
    lines = rewritten("name", seconds=0, number=345)
    for line in lines[:-4]:
        assert not reader.feed(line)
    made = re.search(r"([0-9]+)\.345", "".join(lines))
    assert made
    leg = lines[0].replace(".345", ".0").replace(made[1], str(int(made[1]) + 1))
    (facts,) = reader.feed(leg)
    assert facts[0].linkedid == f"{made[1]}.345"


def test_legs_told_in_another_order_are_no_new_start() -> None:
    reader = CelReader("pbx1")
    lines = rewritten("name", seconds=0, number=345)
    made = re.search(r"([0-9]+)\.345", "".join(lines))
    assert made
    earlier = lines[0].replace(".345", ".340").replace(made[1], str(int(made[1]) + 1))
    found = [facts for line in [lines[0], earlier, *lines[1:-4]] for facts in reader.feed(line)]
    assert not found


def test_a_call_without_an_end_is_let_go_after_a_day() -> None:
    reader = CelReader("pbx1")
    found = [facts for line in unfinished("answered_caller") for facts in reader.feed(line)]
    found += [facts for line in rewritten("name", seconds=90_000, number=500) for facts in reader.feed(line)]
    assert [facts[0].linkedid for facts in found] == [HEARD["answered_caller"]["linkedid"]]


def test_a_clock_that_is_set_back_holds_no_call_up() -> None:
    reader = CelReader("pbx1")
    found = [facts for line in rewritten("name", seconds=3_600, number=0) for facts in reader.feed(line)]
    found += [facts for line in CEL for facts in reader.feed(line)]
    assert len(found) >= len(HEARD) - 1, "of the last, something may still be said"


def test_one_row_of_another_time_splits_no_call() -> None:
    reader = CelReader("pbx1")
    lines = of("answered_caller")
    lines.insert(5, rewritten("busy", seconds=10_000_000, number=100)[0])
    found = [facts for line in lines for facts in reader.feed(line)]
    assert not found
    (facts,) = reader.ended()
    assert outcome(project(facts)).status == "answered"


def test_a_call_joined_to_another_is_still_one() -> None:
    """Asterisk gives its legs the older call's linkedid, and says that its own is at an end."""
    mine = HEARD["answered_caller"]["linkedid"]
    lines = of("answered_caller")
    half = len(lines) // 2
    its_end = lines[-1]
    assert "LINKEDID_END" in its_end
    columns = [line.split('","') for line in lines[half:-1]]
    joined = ['","'.join([*row[:14], "1795300000.1", *row[15:]]) for row in columns]
    older = rewritten("busy", seconds=-70_000, number=1)[:1]
    found = calls(CelReader("pbx1"), [*older, *lines[:half], its_end, *joined])
    result = outcome(project(found[mine]))
    assert (result.status, set(found)) == ("answered", {mine})
    assert result.talk_seconds == pytest.approx(HEARD["answered_caller"]["talk_seconds"], abs=0.02)


def test_words_after_the_end_are_no_harm() -> None:
    reader = CelReader("pbx1")
    last = of("answered_caller")[-1]
    late = [last.replace("LINKEDID_END", "HANGUP").replace(last.split('","')[1], "1795395460.5", 1)] * 3
    after = rewritten("busy", seconds=600, number=300)
    found = [facts for line in [*of("answered_caller"), *late, *after] for facts in reader.feed(line)]
    assert [facts[0].linkedid for facts in found] == [HEARD["answered_caller"]["linkedid"]]
    assert len(list(reader.rest())) == 1


def test_of_a_call_with_very_many_rows_beginning_and_end_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cel, "_MAX_ROWS", 40)
    lines = of("answered_caller")
    dialled = [line for line in lines if "CHAN_START" in line][1]
    tries = []
    for index in range(100):
        leg = dialled.replace(
            dialled.split('","')[13], f"{HEARD['answered_caller']['linkedid'].partition('.')[0]}.{index + 900}"
        )
        tries += [leg, leg.replace("CHAN_START", "HANGUP")]
    at = lines.index(dialled) + 1
    facts = the(CelReader("pbx1"), [*lines[:at], *tries, *lines[at:]])
    assert outcome(project(facts)).status == "answered"
    assert outcome(project(facts)).ended_at is not None


def test_the_layout_of_asterisks_sample_is_understood_too() -> None:
    sample = [_with_amaflags(line) for line in of("recorded")]
    facts = the(CelReader("pbx1"), sample)
    assert outcome(project(facts)).status == "answered"
    assert any(isinstance(fact, RecordingStarted) for fact in facts)


def _with_amaflags(line: str) -> str:
    columns = next(csv.reader([line]))
    columns.insert(12, "DOCUMENTATION")
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(columns)
    return out.getvalue()


SUMMER = '"","+79161234567","74951230001","pbxtrack","""Ann"" <+79161234567>","PJSIP/a-1","PJSIP/sales-2","Dial","x",'
END = '"ANSWERED","DOCUMENTATION","{id}",""'


def csv_record(start: str, answer: str, end: str, uniqueid: str) -> str:
    return f'{SUMMER}"{start}","{answer}","{end}",70,60,{END.format(id=uniqueid)}'


def test_cdr_csvs_own_file_is_read_in_asterisks_zone() -> None:
    line = csv_record("2026-07-01 12:00:00", "2026-07-01 12:00:10", "2026-07-01 12:01:10", "1782896400.5")
    facts = the(CdrReader("pbx1", MOSCOW), [line])
    result = outcome(project(facts))
    assert project(facts).started_at == datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
    assert (result.ringing_seconds, result.talk_seconds, result.answered_by) == (10.0, 60.0, "PJSIP/sales")
    assert project(facts).dialled == "74951230001"


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_comes_twice_is_told_apart_by_the_calls_id(fold: int) -> None:
    berlin = ZoneInfo("Europe/Berlin")  # 2026-10-25, 02:30 is there twice
    start = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold).astimezone(UTC)
    line = csv_record("2026-10-25 02:30:00", "2026-10-25 02:30:05", "2026-10-25 02:31:00", f"{start.timestamp():.0f}.5")
    assert project(the(CdrReader("pbx1", berlin), [line])).started_at == start


@pytest.mark.parametrize("year", ["0001", "1969", "9999"])
@pytest.mark.parametrize("zone", ["Europe/Moscow", "America/New_York"])
def test_a_year_in_which_there_was_no_asterisk_is_no_time(year: str, zone: str) -> None:
    times = [f"{year}-01-01 00:00:00", f"{year}-12-31 23:59:59"]
    for start, end in zip(times, reversed(times), strict=True):
        reader = CdrReader("pbx1", ZoneInfo(zone))
        assert not calls(reader, [csv_record(start, "", end, "1782896400.5")])
        assert reader.malformed == 1


@pytest.mark.parametrize(
    "line",
    ["", '"', "x", '"CHAN_START","1"', ",".join(['""'] * 19), ",".join(['"x"'] * 20), "\0" * 50, '"a""', "a\rb,c"],
)
def test_lines_that_say_nothing(line: str) -> None:
    for reader in (CelReader("pbx1"), CdrReader("pbx1")):
        assert not list(reader.feed(line))
        assert reader.malformed == bool(line.strip())


@given(st.lists(st.sampled_from(CEL[:60]) | st.text(max_size=60), max_size=80), st.integers(0, 60))
def test_whatever_the_lines_are_reading_goes_on(given_lines: list[str], cut: int) -> None:
    reader = CelReader("pbx1")
    for line in given_lines:
        for facts in reader.feed(line[cut:] if len(line) % 7 == 0 else line):
            outcome(project(facts))
    for facts in reader.rest():
        outcome(project(facts))


@given(st.lists(st.sampled_from(CDR) | st.text(max_size=60), max_size=80))
def test_whatever_the_records_are_reading_goes_on(given_lines: list[str]) -> None:
    reader = CdrReader("pbx1")
    for line in given_lines:
        assert not list(reader.feed(line))
    for facts in reader.finish(0):
        outcome(project(facts))


def test_a_name_with_quotes_and_commas_cannot_shift_the_columns() -> None:
    hostile = '"",""","",""pbxtrack"",""'
    assert cel.read_row(CEL[0].replace('"CHAN_START"', hostile, 1)) is None
    assert cdr.read_row(CDR[0].replace('""""" <', f'"{hostile}', 1), UTC) is None


def test_a_files_kind_is_found_out_and_gzip_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "cel.csv.1.gz"
    packed.write_bytes(gzip.compress((FIXTURES / "cel.csv").read_bytes()))
    for path, exact, count in ((packed, True, len(HEARD)), (FIXTURES / "cdr.csv", False, len(HEARD) - len(_LOST))):
        with opened(path) as file:
            ledger = LedgerFile(lines(file), "file", "pbx1", UTC, NOW)
            assert ledger.exact == exact
            assert len(list(ledger.calls())) == count


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"a,b\n1,2\n", "not one of Asterisk's")])
def test_what_is_no_ledger_is_said_to_be_none(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with opened(path) as file, pytest.raises(PbxtrackError, match=reason):
        LedgerFile(lines(file), str(path), "pbx1", UTC, NOW)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PbxtrackError, match="cannot be read"), opened(tmp_path / "none"):
        pass


def test_a_line_without_end_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"x" * (3 * MAX_LINE) + b"\n" + CEL[0].encode() + b"\n")
    with opened(path) as file:
        assert [line for line in lines(file) if line] == [CEL[0]]


def test_a_call_ends_when_its_last_leg_does() -> None:
    facts = the(CelReader("pbx1"), of("blind"))
    ends = [fact.at for fact in facts if isinstance(fact, LegEnded)]
    assert outcome(project(facts)).ended_at == max(ends)
    assert max(ends) - min(ends) > timedelta(seconds=1)
