"""Recorded AMI, replayed: what became of each call was worked out by hand from the events' times."""

import random
from dataclasses import dataclass
from functools import partial

import pytest

from pbxtrack.calls.lifecycle import Status, outcome, project

from .ami_traces import DID, call_of, calls_of, facts_of, load


@dataclass(frozen=True)
class Expected:
    status: Status
    ringing: float
    talk: float
    answered_by: str | None
    hung_up_by: str
    cause: int
    caller: str | None = "+12025550123"
    name: str | None = "Ann Caller"
    dialled: str = DID


at_lab = partial(Expected, caller="+79161234567", name=None, dialled="+74951230001")
EXPECTED = {
    # DialState RINGING 0.006, DialEnd 1.513, BridgeEnter 1.515, the caller's BridgeLeave 3.527
    "answered": Expected(Status.ANSWERED, 1.507, 2.012, "PJSIP/realline", "caller", 16),
    "ast16_busy": Expected(Status.BUSY, 0, 0, None, "line", 17, caller="100", name="A"),
    "busy": Expected(Status.BUSY, 0, 0, None, "line", 17),
    # RINGING 0.005, DialEnd CANCEL 1.018
    "cancel": Expected(Status.ABANDONED, 1.013, 0, None, "caller", 127),
    # RINGING 0.004, DialEnd 0.714, bridge 0.714 to 2.244
    "hhandler": Expected(Status.ANSWERED, 0.710, 1.530, "PJSIP/realline", "caller", 16),
    # RINGING 0.038, DialEnd of the real line 0.521, all in bridges 0.526, first leaves 2.029
    "local": Expected(Status.ANSWERED, 0.483, 1.503, "PJSIP/realline", "caller", 16),
    "mixmon": Expected(Status.ANSWERED, 0.506, 1.508, "PJSIP/realline", "caller", 16),
    "noanswer": Expected(Status.MISSED, 3.002, 0, None, "pbx", 16),
    "nocontact": Expected(Status.FAILED, 0, 0, None, "pbx", 3),
    # The queue answered at once: ringing is the member's, 0.517 to 1.534; bridge 1.535 to 3.021
    "queue_answer": Expected(Status.ANSWERED, 1.017, 1.486, "PJSIP/realline", "caller", 16),
    # Both ring from 0.019; realline picks up 1.026; bridge 1.031 to 2.538; line2 was cancelled
    "ringgroup": Expected(Status.ANSWERED, 1.007, 1.507, "PJSIP/realline", "caller", 16),
    "lab/abandoned": at_lab(Status.ABANDONED, 0.806, 0, None, "caller", 127),
    # RINGING 0.007, DialEnd CANCEL 0.730
    "lab/ast16_abandoned": at_lab(Status.ABANDONED, 0.723, 0, None, "caller", 127),
    # bridges 0.344 to 1.115 with sales and 1.423 to 2.852 with support
    "lab/ast16_blind_transfer": at_lab(Status.ANSWERED, 0.330, 0.771 + 1.429, "PJSIP/sales", "caller", 16),
    # RINGING 0.018, DialEnd 0.513, bridge 0.515 to 1.524; the line's HangupRequest has no cause
    "lab/ast16_line": at_lab(Status.ANSWERED, 0.495, 1.009, "PJSIP/sales", "line", 16, name="J\ufffdrg"),
    # Both ring from 0.525; support picks up 1.326, bridge 1.329 to 2.523
    "lab/ast16_queue_answered": at_lab(Status.ANSWERED, 0.801, 1.194, "PJSIP/support", "caller", 16),
    # bridges 0.515 to 1.518 with sales and 2.024 to 3.520 with support, to whom sales sent the caller
    "lab/blind_transfer": at_lab(Status.ANSWERED, 0.501, 1.003 + 1.496, "PJSIP/sales", "caller", 16),
    "lab/busy": at_lab(Status.BUSY, 0, 0, None, "line", 17),
    # bridges 0.307 to 1.306 with the caller, 1.617 to 3.310 between sales and support after the caller has gone
    "lab/caller_transfer": at_lab(Status.ANSWERED, 0.302, 0.999 + 1.693, "PJSIP/sales", "line", 16),
    "lab/fallback_answered": at_lab(Status.ANSWERED, 0.502, 1.005, "PJSIP/sales", "caller", 16, name='Иван "Петров"'),
    "lab/local": at_lab(Status.ANSWERED, 0.502, 1.007, "PJSIP/sales", "caller", 16),
    "lab/local_n": at_lab(Status.ANSWERED, 0.501, 1.005, "PJSIP/sales", "caller", 16),
    "lab/local_busy": at_lab(Status.BUSY, 0, 0, None, "line", 17),
    "lab/missed": at_lab(Status.MISSED, 3.003, 0, None, "pbx", 16),
    "lab/nocontact": at_lab(Status.FAILED, 0, 0, None, "pbx", 3),
    "lab/notanumber": at_lab(Status.ANSWERED, 0.238, 0.631, "PJSIP/sales", "caller", 16, dialled="sales"),
    # The caller waited in a queue that had answered, and left before a member did: ringing 0.516 to 1.011
    "lab/queue": at_lab(Status.ABANDONED, 0.495, 0, None, "caller", 16),
    # sales refuses, support rings 0.519 to 0.820; bridge 0.821 to 3.024
    "lab/queue_answered": at_lab(Status.ANSWERED, 0.301, 2.203, "PJSIP/support", "caller", 16),
    "lab/rejected": at_lab(Status.FAILED, 0, 0, None, "line", 34),
    "lab/ringgroup": at_lab(Status.ANSWERED, 0.502, 1.001, "PJSIP/support", "line", 16),
    "lab/withheld": at_lab(
        Status.ANSWERED, 0.301, 0.503, "PJSIP/sales", "line", 16, caller=None, dialled="84951230001"
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_call(name: str) -> None:
    expected, call = EXPECTED[name], call_of(load(name))
    became = outcome(call)
    assert became.status is expected.status
    assert became.ringing_seconds == pytest.approx(expected.ringing, abs=0.005)
    assert became.talk_seconds == pytest.approx(expected.talk, abs=0.005)
    assert (became.answered_by, became.hung_up_by, became.hangup_cause) == (
        expected.answered_by,
        expected.hung_up_by,
        expected.cause,
    )
    assert (call.dialled, call.caller, call.caller_name) == (expected.dialled, expected.caller, expected.name)
    assert call.caller_leg == call.linkedid
    assert call.withheld is (expected.caller is None)


def test_two_calls_in_one_trace() -> None:
    calls = calls_of(facts_of(load("chanvars")))
    assert [outcome(call).status for call in calls.values()] == [Status.BUSY, Status.FAILED]


def test_what_else_the_traces_tell() -> None:
    assert call_of(load("mixmon")).recording == "pbxtrack/pbx1-1795322968.586.wav"
    assert call_of(load("answered")).recording is None
    assert call_of(load("lab/missed")).fallback == "unanswered"
    assert call_of(load("lab/notanumber")).fallback == "not-a-number"
    assert [(how, target) for _, how, target in call_of(load("lab/blind_transfer")).transfers] == [("blind", "support")]
    assert call_of(load("lab/caller_transfer")).started_at == facts_of(load("lab/caller_transfer"))[0].at


@pytest.mark.parametrize("name", EXPECTED)
def test_order_and_duplicates_do_not_matter(name: str) -> None:
    facts = facts_of(load(name))
    whole = project(facts)
    shuffler = random.Random(name)
    for _ in range(20):
        mixed = facts + shuffler.sample(facts, len(facts) // 2)
        shuffler.shuffle(mixed)
        assert project(mixed) == whole
        assert outcome(project(mixed)) == outcome(whole)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_listener_that_starts_in_the_middle_still_knows_the_call(name: str) -> None:
    events = [event for event in load(name) if "Linkedid" in event]
    whole = call_of(events)
    for start in range(len(events)):
        facts = facts_of(events[start:])
        if not facts:
            continue
        call = project(facts)
        assert call.linkedid == whole.linkedid
        assert call.dialled == whole.dialled
        assert call.caller in (whole.caller, None)
        assert call.legs.keys() <= whole.legs.keys()
