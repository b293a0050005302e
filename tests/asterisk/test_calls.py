"""Real calls of every shape, and what the call log says of them."""

from __future__ import annotations

import contextlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import CallResult
from tests.asterisk.service import SITE, Pbxtrack, nobody_in_the_queue

AD = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=autumn"
BILLBOARD, GROUP, QUEUE, FORWARD, NOBODY, RADIO = (f"+7495123000{index}" for index in range(1, 7))


@pytest.mark.parametrize("to", [BILLBOARD, GROUP, FORWARD])
@pytest.mark.parametrize(
    ("outcome", "hangup", "status", "hung_up_by"),
    [
        ("answered", "caller", "answered", "caller"),
        ("answered", "line", "answered", "line"),
        ("busy", "caller", "busy", "line"),
        ("missed", "caller", "missed", "pbx"),
        ("abandoned", "caller", "abandoned", "caller"),
    ],
)
def test_each_outcome(pbxtrack: Pbxtrack, to: str, outcome: str, hangup: str, status: str, hung_up_by: str) -> None:
    seen, call = pbxtrack.place(to=to, outcome=outcome, hangup=hangup, ring=0.5, talk=1.0)
    assert (call["status"], call["hung_up_by"]) == (status, hung_up_by)
    assert call["ringing_seconds"] == pytest.approx(seen.ringing_seconds, abs=0.2)
    assert call["talk_seconds"] == pytest.approx(seen.talk_seconds, abs=0.2)
    assert call["attribution"]["method"] == "static"


def test_a_ring_group_is_one_call_answered_by_one(pbxtrack: Pbxtrack) -> None:
    _, call = pbxtrack.place(to=GROUP, answered_by="support")
    assert (call["status"], call["answered_by"]) == ("answered", "PJSIP/support")
    assert len(pbxtrack.calls()) == 1


def test_who_leaves_a_queue_that_called_nobody_was_not_answered(pbxtrack: Pbxtrack) -> None:
    """Nobody is free; the caller hears music, and gives up."""
    with nobody_in_the_queue(pbxtrack.lab):
        seen, call = pbxtrack.place(to=QUEUE, talk=1.2)
    assert seen.outcome == "answered"
    assert (call["status"], call["hung_up_by"], call["answered_by"]) == ("abandoned", "caller", None)
    assert call["talk_seconds"] == 0
    assert call["ringing_seconds"] == pytest.approx(0.7, abs=0.3)  # Answer() waits half a second for sound


def test_waiting_in_a_queue_is_no_talk(pbxtrack: Pbxtrack) -> None:
    seen, call = pbxtrack.place(to=QUEUE, ring=1.5, talk=3.5)
    assert call["status"] == "answered"
    # The queue answers the caller at once, and calls its members half a second later.
    assert call["ringing_seconds"] + call["talk_seconds"] == pytest.approx(seen.talk_seconds - 0.5, abs=0.2)
    assert call["ringing_seconds"] == pytest.approx(1.5, abs=0.3)
    assert call["answered_by"] in ("PJSIP/sales", "PJSIP/support")


def test_a_line_that_nobody_is_at_has_failed(pbxtrack: Pbxtrack) -> None:
    _, call = pbxtrack.place(to=NOBODY, outcome="failed")
    assert (call["status"], call["hung_up_by"]) == ("failed", "pbx")


def test_a_transferred_call_is_one_call_of_its_channel(pbxtrack: Pbxtrack) -> None:
    seen, call = pbxtrack.place(to=BILLBOARD, transfer="sales", transfer_after=0.8, ring=0.3, talk=2.5)
    assert call["status"] == "answered"
    assert call["dialled"] == BILLBOARD
    assert call["answered_by"] == "PJSIP/support"
    assert call["attribution"]["channel"] == "Billboard"
    # Between the two the caller hears ringing, 0.3 s of it.
    assert call["talk_seconds"] == pytest.approx(seen.talk_seconds - 0.3, abs=0.2)
    assert len(pbxtrack.calls()) == 1


def test_a_leased_number_is_its_visits_and_the_caller_keeps_it(pbxtrack: Pbxtrack) -> None:
    lease = pbxtrack.lease(AD)
    _, call = pbxtrack.place(to="8" + lease["number"][2:])
    attribution = call["attribution"]
    assert (attribution["method"], attribution["visit"]) == ("lease", lease["visit"])
    assert (attribution["channel"], attribution["campaign"]) == ("Yandex Direct", "autumn")
    assert (call["first"], call["repeat"]) == (True, False)
    _, again = pbxtrack.place(to=lease["number"])
    assert (again["attribution"]["method"], again["attribution"]["visit"]) == ("caller", lease["visit"])
    assert (again["first"], again["repeat"]) == (False, True)


@pytest.mark.parametrize("form", ["+74951230001", "74951230001", "84951230001", "4951230001", "0074951230001"])
def test_a_number_is_one_however_the_carrier_writes_it(pbxtrack: Pbxtrack, form: str) -> None:
    _, call = pbxtrack.place(to=form)
    assert call["dialled"] == BILLBOARD
    assert call["answered_by"] == "PJSIP/support"


@pytest.mark.parametrize(
    "name",
    [
        "Анна Каренина",
        "J\xf6rg".encode("latin-1"),
        'O\'Neil "Bob" <script>alert(1)</script>',
        "a\\b, c; d=${EXTEN}",
        "x" * 500,
        b"\x01\x02\x1b[31mred",
    ],
    ids=["utf-8", "latin-1", "quotes", "syntax", "500", "control"],
)
def test_hostile_caller_names_are_recorded_and_the_call_goes_through(pbxtrack: Pbxtrack, name: str | bytes) -> None:
    seen, call = pbxtrack.place(to=BILLBOARD, caller_name=name)
    assert (seen.outcome, call["status"]) == ("answered", "answered")
    assert call["caller"] == pbxtrack.caller
    shown = pbxtrack.command("calls", "show", call["id"])
    assert "\x1b" not in shown
    assert "\x01" not in shown


@pytest.mark.parametrize("caller", [None, "anonymous", "101", "sip:'; DROP TABLE calls;--", "+7" + "9" * 60])
def test_withheld_and_odd_callers(pbxtrack: Pbxtrack, caller: str | None) -> None:
    seen, call = pbxtrack.place(to=BILLBOARD, from_=caller)
    assert (seen.outcome, call["status"]) == ("answered", "answered")
    if caller in (None, "anonymous"):
        assert call["caller"] is None
        assert not call["repeat"]


def test_a_recording_and_a_label_by_choice_of_the_site(pbxtrack: Pbxtrack) -> None:
    seen, call = pbxtrack.place(to=RADIO, audio=True)
    assert call["recording"]
    assert call["attribution"]["channel"] == 'Radio, "Europa"'
    row = pbxtrack.lab.ledger_of(seen)[0]
    assert "Radio" in str(row), row
    status, drawn = pbxtrack.get(f"/api/v1/calls/{call['id']}/waveform")
    assert status == 200, drawn
    assert drawn["seconds"] == pytest.approx(seen.talk_seconds, abs=0.3)
    assert max(drawn["peaks"]) > 0.2
    _, plain = pbxtrack.place(to=BILLBOARD)
    assert plain["recording"] is None


def test_a_caller_who_leaves_while_we_are_asked(pbxtrack: Pbxtrack) -> None:
    handle = pbxtrack.lab.start_call(from_=pbxtrack.caller, to=BILLBOARD, outcome="abandoned", ring=0.0)
    seen = handle.wait()
    call = pbxtrack.logged(seen)
    assert (call["status"], call["hung_up_by"]) == ("abandoned", "caller")


def test_a_call_is_in_the_log_while_it_rings_and_while_it_talks(pbxtrack: Pbxtrack) -> None:
    handle = pbxtrack.lab.start_call(from_=pbxtrack.caller, to=BILLBOARD, ring=1.5, talk=1.5)
    for status in ("ringing", "talking", "answered"):
        pbxtrack.until(lambda status=status: [call["status"] for call in pbxtrack.calls()] == [status], 5)  # type: ignore[misc]
    handle.wait()


def test_an_answering_process_that_hangs_goes_with_a_service_that_is_killed(pbxtrack: Pbxtrack) -> None:
    """Else it would keep the address from the next one."""
    pbxtrack.send_worker(signal.SIGSTOP)
    pbxtrack.kill()
    pbxtrack.start()
    _, call = pbxtrack.place(to=BILLBOARD)
    assert (call["status"], call["pbx"]["fallback"]) == ("answered", None)


def test_forty_calls_survive_a_kill(pbxtrack: Pbxtrack) -> None:
    """kill -9 while 20 calls are up and 20 more arrive: all 40 reach a line and talk, and none is missing after."""
    leases = [pbxtrack.lease(f"{AD}&utm_content={index}") for index in range(40)]

    def call(index: int) -> CallResult:
        return pbxtrack.lab.call(
            from_=f"+791600000{index:02}", to=leases[index]["number"], ring=0.2, talk=4.0 if index < 20 else 2.0
        )

    with ThreadPoolExecutor(40) as threads:
        up = [threads.submit(call, index) for index in range(20)]
        pbxtrack.until(lambda: [c["status"] for c in pbxtrack.calls()].count("talking") == 20)
        more = [threads.submit(call, index) for index in range(20, 40)]
        time.sleep(0.15)  # some of the 20 are being resolved, some not yet sent
        pbxtrack.kill()
        results = [future.result() for future in up + more]
    assert [result.outcome for result in results] == ["answered"] * 40
    assert all(result.talk_seconds > 1.5 for result in results)


def test_a_service_that_hangs_delays_a_call_by_less_than_a_second(pbxtrack: Pbxtrack) -> None:
    pbxtrack.send(signal.SIGSTOP)
    pbxtrack.send_worker(signal.SIGSTOP)
    try:
        seen = pbxtrack.lab.call(from_=pbxtrack.caller, to=BILLBOARD, ring=0.1, talk=0.3)
    finally:
        pbxtrack.send_worker(signal.SIGCONT)
        pbxtrack.send(signal.SIGCONT)
    assert seen.outcome == "answered"
    row = pbxtrack.lab.ledger_of(seen)[0]
    assert row["invited_at"] - seen.invited_at < 1.0
    assert row["line"] == "support", "its own line, from Asterisk's database"
    call = pbxtrack.logged(seen)
    assert (call["status"], call["attribution"]["channel"]) == ("answered", "Billboard")


def test_a_service_that_is_busy_elsewhere_answers_as_ever(pbxtrack: Pbxtrack) -> None:
    """Recording and listening stand still; the caller does not notice, and nothing is lost."""
    lease = pbxtrack.lease(AD)
    pbxtrack.send(signal.SIGSTOP)
    try:
        seen = pbxtrack.lab.call(from_=pbxtrack.caller, to=lease["number"], ring=0.1, talk=0.3)
    finally:
        pbxtrack.send(signal.SIGCONT)
    assert pbxtrack.lab.ledger_of(seen)[0]["invited_at"] - seen.invited_at < 0.3
    call = pbxtrack.logged(seen)
    assert (call["status"], call["attribution"]["visit"]) == ("answered", lease["visit"])
    assert call["pbx"]["fallback"] is None


def test_callers_reach_their_line_while_the_answering_process_is_replaced(pbxtrack: Pbxtrack) -> None:
    def call(index: int) -> CallResult:
        time.sleep(index * 0.05)
        return pbxtrack.lab.call(from_=f"+791600010{index:02}", to=BILLBOARD, ring=0.1, talk=0.3)

    with ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(call, index) for index in range(20)]
        time.sleep(0.3)
        pbxtrack.send_worker(signal.SIGKILL)
        results = [future.result() for future in calls]
    assert [result.outcome for result in results] == ["answered"] * 20
    rows = [pbxtrack.lab.ledger_of(result)[0] for result in results]
    pbxtrack.until(lambda: pbxtrack.get("/readyz")[0] == 200)
    assert {row["line"] for row in rows} == {"support"}
    assert max(row["invited_at"] - result.invited_at for row, result in zip(rows, results, strict=True)) < 1.0
    _, after = pbxtrack.place(to=BILLBOARD)
    assert after["pbx"]["fallback"] is None


def test_metrics_tell_of_a_call_and_of_an_answering_process_that_hangs(pbxtrack: Pbxtrack) -> None:
    node = "pbx1"
    answered, starts = ("pbxtrack_agi_sessions_total", "answered"), ("pbxtrack_agi_starts_total",)
    fallbacks = ("pbxtrack_ami_fallbacks_total", node, "timeout")
    before = pbxtrack.metrics()
    pbxtrack.place(to=BILLBOARD)
    pbxtrack.until(lambda: pbxtrack.metrics()[answered] > before[answered])  # it is told once a second
    after = pbxtrack.metrics()
    assert after["pbxtrack_ami_connected", node] == 1
    for name in ("pbxtrack_ami_events_total", "pbxtrack_ami_facts_total"):
        assert after[name, node] > before[name, node]
    assert 0 <= after["pbxtrack_ami_lag_seconds", node] < 2
    assert after[fallbacks] == before[fallbacks]
    pbxtrack.send_worker(signal.SIGSTOP)
    pbxtrack.place(to=BILLBOARD)
    pbxtrack.until(lambda: pbxtrack.metrics()[fallbacks] == before[fallbacks] + 1)
    pbxtrack.until(lambda: pbxtrack.metrics()[starts] == before[starts] + 1)
    pbxtrack.until(lambda: pbxtrack.metrics()["pbxtrack_agi_answering",] == 1)
    last = pbxtrack.metrics()
    assert all(last[key] >= n for key, n in after.items() if key[0].endswith("_total"))


def test_a_restart_while_a_call_talks_loses_nothing(pbxtrack: Pbxtrack) -> None:
    handle = pbxtrack.lab.start_call(from_=pbxtrack.caller, to=BILLBOARD, ring=0.3, talk=8.0)
    pbxtrack.until(lambda: [call["status"] for call in pbxtrack.calls()] == ["talking"])
    assert pbxtrack.stop() == 0
    pbxtrack.start()
    seen = handle.wait()
    call = pbxtrack.logged(seen)
    assert call["status"] == "answered"
    assert call["talk_seconds"] == pytest.approx(seen.talk_seconds, abs=0.2)


def test_an_asterisk_that_dies_ends_its_calls_and_is_listened_to_again(pbxtrack: Pbxtrack) -> None:
    handle = pbxtrack.lab.start_call(from_=pbxtrack.caller, to=BILLBOARD, ring=0.1, talk=30.0)
    pbxtrack.until(lambda: [call["status"] for call in pbxtrack.calls()] == ["talking"])
    try:
        pbxtrack.lab.stop_asterisk(kill=True)
    finally:
        pbxtrack.lab.start_asterisk()
    handle.abort()
    with contextlib.suppress(PbxtrackError):
        handle.wait()
    pbxtrack.until(lambda: pbxtrack.calls()[0]["ended_at"] is not None)
    assert pbxtrack.calls()[0]["status"] == "answered"
    assert pbxtrack.calls()[0]["pbx"]["end_seen"] is False
    _, after = pbxtrack.place(to=BILLBOARD)
    assert (after["status"], after["pbx"]["end_seen"]) == ("answered", True)


def test_a_changed_line_reaches_asterisks_own_database(pbxtrack: Pbxtrack, tmp_path: Path) -> None:
    def kept() -> str:
        return pbxtrack.lab.asterisk("database get pbxtrack/line 74951230001")

    pbxtrack.until(lambda: "PJSIP/support" in kept())
    text = SITE.read_text().replace('line = "PJSIP/support"', 'line = "PJSIP/sales"', 1)
    changed = tmp_path / "changed.toml"
    changed.write_text(text)
    pbxtrack.command("apply", str(changed))
    try:
        pbxtrack.until(lambda: "PJSIP/sales" in kept(), 25)
    finally:
        pbxtrack.command("apply", str(SITE))
        pbxtrack.until(lambda: "PJSIP/support" in kept(), 25)  # else it would be missing to the test that comes next


def test_a_missed_call_is_settled_by_a_call_back(pbxtrack: Pbxtrack) -> None:
    """The company's phone is a Local channel; the number is dialled as people do, and known to be the caller's."""
    _, call = pbxtrack.place(to=BILLBOARD, outcome="missed")
    assert (call["settled_by"], call["outbound"]) == (None, None)
    national = "8" + pbxtrack.caller.removeprefix("+7")
    pbxtrack.lab.asterisk(f"channel originate Local/{national}@lab-outgoing/n application Wait 1")
    pbxtrack.until(lambda: pbxtrack.calls()[0]["settled_by"])
    (missed,) = pbxtrack.calls()
    _, back = pbxtrack.get(f"/api/v1/calls/{missed['settled_by']}")
    assert (back["outbound"], back["answered_at"]) == (pbxtrack.caller, missed["settled_at"])
    assert back["answered_by"] == "PJSIP/support"
