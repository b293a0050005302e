"""The caller reaches the line, whatever the service does: real calls through the shipped dialplan."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import CallResult, Lab
from tests.asterisk import faulty_agi
from tests.asterisk.faulty_agi import Fault

DID = "+74951230001"
KEY = "74951230001"


@pytest.fixture(scope="module")
def lab(asterisk: Lab) -> Iterator[Lab]:
    """With a last known line, other than the fallback, for one DID."""
    asterisk.asterisk(f"database put pbxtrack/line {KEY} PJSIP/support")
    yield asterisk
    asterisk.asterisk(f"database del pbxtrack/line {KEY}")


def call(lab: Lab, to: str = DID, **order: object) -> tuple[CallResult, str, float]:
    """(what the caller saw, the line that rang, seconds from the caller's INVITE to the line's)."""
    result = lab.call(**{"from_": "+79161234567", "to": to, "ring": 0.1, "talk": 0.3, **order})
    row = lab.ledger_of(result)[0]
    return result, row["line"], row["invited_at"] - result.invited_at


FAULTS: list[tuple[Fault, float]] = [
    (faulty_agi.hangs, 1.0),
    (faulty_agi.answers_too_late, 1.0),
    (faulty_agi.closes_at_once, 0.5),
    (faulty_agi.closes_mid_header, 0.5),
    (faulty_agi.closes_mid_command, 0.5),
    (faulty_agi.resets, 0.5),
    (faulty_agi.answers_rubbish, 0.6),
    (faulty_agi.answers_without_a_line, 0.6),
    (faulty_agi.sets_an_empty_line, 0.6),
]


@pytest.mark.parametrize(("fault", "limit"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_failing_service_costs_no_call(lab: Lab, fault: Fault, limit: float) -> None:
    with faulty_agi.service(lab.addresses.agi, fault):
        result, line, delay = call(lab)
    assert result.outcome == "answered"
    assert line == "support", "the last known line of the DID"
    assert delay < limit


def test_no_service_at_all(lab: Lab) -> None:
    result, line, delay = call(lab)
    assert (result.outcome, line) == ("answered", "support")
    assert delay < 0.3


@pytest.mark.parametrize("dialled", ["74951230001", "84951230001", "4951230001", "0074951230001", "00 7495 1230001"])
def test_the_last_known_line_is_found_however_the_carrier_writes_the_number(lab: Lab, dialled: str) -> None:
    assert call(lab, dialled)[1] == "support"


@pytest.mark.parametrize("dialled", ["+74959999999", "s", "sales", "1", "+", "00", "8"])
def test_a_number_that_nobody_knows_goes_to_the_fallback_line(lab: Lab, dialled: str) -> None:
    result, line, _ = call(lab, dialled)
    assert (result.outcome, line) == ("answered", "sales")


def test_what_is_dialled_cannot_set_variables(lab: Lab) -> None:
    for hostile in ('+74959999999"', "+74959999999;x", "+7495${HASH}", "+7495|PBXTRACK_LINE=PJSIP/nobody"):
        assert call(lab, hostile)[1] == "sales"


def test_the_ends_that_a_caller_hears(lab: Lab) -> None:
    missed = lab.call(from_="+79161234567", to=DID, outcome="missed")
    assert (missed.outcome, missed.sip_status) == ("missed", 480)
    busy = lab.call(from_="+79161234567", to=DID, outcome="busy")
    assert (busy.outcome, busy.sip_status) == ("busy", 486)


def test_a_caller_who_leaves_while_the_service_hangs_leaves_no_leg_behind(lab: Lab) -> None:
    with faulty_agi.service(lab.addresses.agi, faulty_agi.hangs):
        handle = lab.start_call(from_="+79161234567", to=DID, outcome="abandoned", ring=0.0)
        time.sleep(0.2)
        handle.abort()
        with contextlib.suppress(PbxtrackError):  # it was cut: there is nothing to tell
            handle.wait()
        deadline = time.monotonic() + 15
        while "0 active channels" not in lab.asterisk("core show channels"):
            assert time.monotonic() < deadline, lab.asterisk("core show channels")
            time.sleep(0.2)
