"""What happens while pbxtrack does not listen is taken from Asterisk's own records: real calls, a dead service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pbxtrack.lab import CallResult
from tests.asterisk.service import Pbxtrack, nobody_in_the_queue

AD = "https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_campaign=autumn"
BILLBOARD, GROUP, QUEUE, FORWARD, NOBODY, RADIO = (f"+7495123000{index}" for index in range(1, 7))
_COMPLETED = "calls completed from Asterisk's own records"


def found(pbxtrack: Pbxtrack, caller: str) -> dict[str, Any]:
    (call,) = [call for call in pbxtrack.calls() if call["caller"] == caller]
    return call


def test_calls_of_a_time_when_nobody_listened_are_in_the_log(pbxtrack: Pbxtrack) -> None:
    lease = pbxtrack.lease(AD)
    pbxtrack.kill()
    orders: dict[str, dict[str, Any]] = {
        # Asterisk 16 writes the bytes of such a name into its file as they came.
        "answered": {"to": lease["number"], "hangup": "line", "talk": 1.0, "caller_name": b"J\xf6rg"},
        "busy": {"to": BILLBOARD, "outcome": "busy"},
        "missed": {"to": BILLBOARD, "outcome": "missed"},
        "abandoned": {"to": GROUP, "outcome": "abandoned", "ring": 0.5},
        "forwarded": {"to": FORWARD, "hangup": "caller", "talk": 0.7},
        "transferred": {"to": BILLBOARD, "transfer": "sales", "transfer_after": 0.5, "talk": 1.5},
    }
    callers = {name: f"+7917000{index:04}" for index, name in enumerate(orders)}
    with ThreadPoolExecutor(len(orders)) as threads:
        placed = {
            name: threads.submit(pbxtrack.lab.call, **{"from_": callers[name], "ring": 0.3, **order})
            for name, order in orders.items()
        }
        seen: dict[str, CallResult] = {name: call.result() for name, call in placed.items()}
    pbxtrack.start()
    pbxtrack.until(lambda: set(callers.values()) <= {call["caller"] for call in pbxtrack.calls() if call["ended_at"]})
    calls = {name: found(pbxtrack, caller) for name, caller in callers.items()}
    assert {name: call["status"] for name, call in calls.items()} == {
        "answered": "answered", "busy": "busy", "missed": "missed", "abandoned": "abandoned", "forwarded": "answered",
        "transferred": "answered",
    }  # fmt: skip
    for name, call in calls.items():
        if name != "transferred":  # the caller hears music in between, and counts it
            assert call["talk_seconds"] == pytest.approx(seen[name].talk_seconds, abs=0.2), name
        assert call["ringing_seconds"] == pytest.approx(seen[name].ringing_seconds, abs=0.3), name
    assert (calls["answered"]["hung_up_by"], calls["forwarded"]["hung_up_by"]) == ("line", "caller")
    attribution = calls["answered"]["attribution"]
    assert (attribution["method"], attribution["visit"]) == ("lease", lease["visit"])
    assert calls["busy"]["attribution"]["channel"] == "Billboard"


def test_a_call_that_ended_unheard_gets_its_real_end(pbxtrack: Pbxtrack) -> None:
    handle = pbxtrack.lab.start_call(from_=pbxtrack.caller, to=BILLBOARD, hangup="line", ring=0.3, talk=2.0)
    pbxtrack.until(lambda: [call["status"] for call in pbxtrack.calls()] == ["talking"])
    pbxtrack.kill()
    seen = handle.wait()
    pbxtrack.start()
    pbxtrack.until(lambda: [call["pbx"]["end_seen"] for call in pbxtrack.calls()] == [True])
    call = found(pbxtrack, pbxtrack.caller)
    assert (call["status"], call["hung_up_by"]) == ("answered", "line")
    assert call["talk_seconds"] == pytest.approx(seen.talk_seconds, abs=0.2)


def test_who_waited_in_a_queue_for_nobody_was_not_answered(pbxtrack: Pbxtrack) -> None:
    pbxtrack.kill()
    with nobody_in_the_queue(pbxtrack.lab):
        pbxtrack.lab.call(from_=pbxtrack.caller, to=QUEUE, talk=1.0)
    pbxtrack.start()
    pbxtrack.until(lambda: [call for call in pbxtrack.calls() if call["caller"] == pbxtrack.caller])
    call = found(pbxtrack, pbxtrack.caller)
    assert (call["status"], call["hung_up_by"], call["talk_seconds"]) == ("abandoned", "caller", 0)


def test_what_was_heard_is_not_added_to(pbxtrack: Pbxtrack) -> None:
    pbxtrack.place(to=BILLBOARD)  # whatever was left to complete is completed behind it
    pbxtrack.until(lambda: pbxtrack.get("/readyz")[0] == 200)
    before = pbxtrack.log.read_text("utf-8", "replace").count(_COMPLETED)
    callers = []
    for order in ({"to": GROUP}, {"to": QUEUE, "ring": 0.8}, {"to": RADIO}, {"to": NOBODY, "outcome": "failed"}):
        _, call = pbxtrack.place(**order)
        callers.append(call)
    later, _ = pbxtrack.run("import-cdr", "--json", str(pbxtrack.lab.log_dir / "cel-custom" / "pbxtrack.csv"))[:2]
    assert later == 0
    assert pbxtrack.log.read_text("utf-8", "replace").count(_COMPLETED) == before
    assert all(call["ended_at"] for call in callers)


def test_the_file_again_and_asterisks_cdr_add_nothing(pbxtrack: Pbxtrack) -> None:
    pbxtrack.place(to=BILLBOARD)
    logs = pbxtrack.lab.log_dir
    files = [logs / "cel-custom" / "pbxtrack.csv", logs / "cdr-custom" / "pbxtrack.csv"]
    first = pbxtrack.command("import-cdr", *map(str, files))
    assert first.count(" 0 calls added, 0 completed") == 2, first
