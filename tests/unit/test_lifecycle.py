"""Facts make the same call in any order, told once or twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbxtrack.calls.events import (
    CallArrived,
    CalledOut,
    CallQueued,
    CallTransferred,
    Fact,
    FallbackTaken,
    HangupRequested,
    LegEnded,
    LegJoined,
    LegLeft,
    LineAnswered,
    LineDialled,
    LineFailed,
    LineRang,
    RecordingStarted,
)
from pbxtrack.calls.lifecycle import Status, outcome, project

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
NODE, LINKEDID = "pbx1", "1.1"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


COMMON = {
    "node": st.just(NODE),
    "linkedid": st.just(LINKEDID),
    "at": st.integers(0, 20).map(at),  # few, so that times coincide
    "leg": st.sampled_from(["1.1", "1.2", "1.3"]),
}
NAME = st.sampled_from(["PJSIP/sales-1", "PJSIP/carrier-1", "Local/x@y-1;1"])
CAUSE = st.sampled_from([None, 0, 16, 17])
TEXT = st.sampled_from(["a", "b"])
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        CallArrived, **COMMON, dialled=TEXT, caller=st.none() | TEXT, caller_name=st.none() | TEXT,
        withheld=st.booleans(), heard=st.sampled_from(["agi", "ami"]),
    ),
    st.builds(LineDialled, **COMMON, name=NAME),
    st.builds(LineRang, **COMMON, name=NAME),
    st.builds(LineAnswered, **COMMON, name=NAME),
    st.builds(LineFailed, **COMMON, name=NAME, status=st.sampled_from(["BUSY", "NOANSWER", "CANCEL", "CHANUNAVAIL"])),
    st.builds(LegJoined, **COMMON, name=NAME, bridge=TEXT),
    st.builds(LegLeft, **COMMON, bridge=TEXT),
    st.builds(HangupRequested, **COMMON, cause=CAUSE),
    st.builds(LegEnded, **COMMON, cause=CAUSE, unseen=st.booleans()),
    st.builds(CallQueued, **COMMON),
    st.builds(CallTransferred, **COMMON, how=TEXT, target=TEXT),
    st.builds(RecordingStarted, **COMMON, file=TEXT),
    st.builds(FallbackTaken, **COMMON, reason=TEXT),
    st.builds(CalledOut, **COMMON, number=TEXT),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(FACTS, min_size=1, max_size=25), st.data())
def test_order_and_duplicates_change_nothing(facts: list[Fact], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts)))))
    assert project(mixed) == project(facts)
    assert outcome(project(mixed)) == outcome(project(facts))


@settings(max_examples=200)
@given(st.lists(FACTS, min_size=1, max_size=25))
def test_an_outcome_is_never_absurd(facts: list[Fact]) -> None:
    became = outcome(project(facts))
    span = (max(fact.at for fact in facts) - min(fact.at for fact in facts)).total_seconds()
    assert 0 <= became.ringing_seconds <= span
    assert 0 <= became.talk_seconds <= span
    assert became.status.over == (became.ended_at is not None)
    assert (became.answered_at is None) <= (became.talk_seconds == 0)
    assert became.hung_up_by in ("caller", "line", "pbx", None)


class Told:
    """A call's facts, written short."""

    def __init__(self) -> None:
        self.facts: list[Fact] = [
            CallArrived(node=NODE, linkedid=LINKEDID, at=at(0), leg="1.1", dialled="7495", caller="7916")
        ]

    def line(self, leg: str, dialled: float, **status: float | str) -> "Told":
        common = {"node": NODE, "linkedid": LINKEDID, "leg": leg}
        name = f"PJSIP/{leg}-1"
        self.facts.append(LineDialled(**common, at=at(dialled), name=name))
        if "rang" in status:
            self.facts.append(LineRang(**common, at=at(float(status["rang"])), name=name))
        if "answered" in status:
            self.facts.append(LineAnswered(**common, at=at(float(status["answered"])), name=name))
        if "failed" in status:
            failed = at(float(status["failed"]))
            self.facts.append(LineFailed(**common, at=failed, name=name, status=str(status["how"])))
        return self

    def stay(self, leg: str, bridge: str, start: float, stop: float | None = None) -> "Told":
        joined = LegJoined(node=NODE, linkedid=LINKEDID, leg=leg, at=at(start), name=f"PJSIP/{leg}-1", bridge=bridge)
        self.facts.append(joined)
        if stop is not None:
            self.facts.append(LegLeft(node=NODE, linkedid=LINKEDID, leg=leg, at=at(stop), bridge=bridge))
        return self

    def hangs_up(self, leg: str, when: float) -> "Told":
        self.facts.append(HangupRequested(node=NODE, linkedid=LINKEDID, leg=leg, at=at(when), cause=16))
        return self

    def ends(self, when: float, *legs: str) -> "Told":
        self.facts += [LegEnded(node=NODE, linkedid=LINKEDID, leg=leg, at=at(when), cause=16) for leg in legs]
        return self


def test_a_leg_that_was_heard_to_join_twice_is_one_person() -> None:
    told = Told().line("1.2", 0, answered=5).stay("1.1", "b", 5, 25).stay("1.2", "b", 5, 25)
    told.stay("1.1", "b", 15).stay("1.2", "b", 16).ends(25, "1.1", "1.2")  # told again after a break
    assert outcome(project(told.facts)).talk_seconds == 20


def test_one_person_heard_twice_does_not_talk_to_themselves() -> None:
    told = Told().line("1.2", 0, answered=5).stay("1.1", "a", 5, 30).stay("1.1", "b", 6, 30)
    told.stay("1.2", "a", 5, 10).ends(10, "1.2").ends(30, "1.1")
    assert outcome(project(told.facts)).talk_seconds == 5


@pytest.mark.parametrize(("how", "ringing"), [("BUSY", 0), ("CHANUNAVAIL", 0), ("CONGESTION", 0), ("NOANSWER", 30)])
def test_a_line_that_could_not_be_reached_did_not_ring(how: str, ringing: float) -> None:
    told = Told().line("1.2", 0, failed=30, how=how).ends(30, "1.1", "1.2")
    assert outcome(project(told.facts)).ringing_seconds == ringing


def test_who_transferred_a_call_did_not_end_it() -> None:
    told = Told().line("1.2", 0, answered=5).stay("1.1", "a", 5, 10).stay("1.2", "a", 5, 10).hangs_up("1.2", 10.1)
    told.ends(10.2, "1.2").line("1.3", 11, answered=15).stay("1.1", "b", 15, 20).stay("1.3", "b", 15, 20)
    assert outcome(project(told.hangs_up("1.1", 20).ends(20, "1.1", "1.3").facts)).hung_up_by == "caller"


def test_who_hangs_up_before_the_bridge_is_told_still_ended_it() -> None:
    told = Told().line("1.2", 0, answered=5).hangs_up("1.1", 5.01).stay("1.2", "a", 5.02, 5.03).ends(5.04, "1.1", "1.2")
    assert outcome(project(told.facts)).hung_up_by == "caller"


def test_an_end_that_was_seen_is_worth_more_than_one_that_was_not() -> None:
    ends = [LegEnded(node=NODE, linkedid=LINKEDID, leg="1.1", at=at(when), cause=cause, unseen=unseen)
            for when, cause, unseen in ((5, None, True), (9, 17, False), (9, 16, False))]  # fmt: skip
    for facts in (ends, ends[::-1]):
        leg = project([*Told().facts, *facts]).legs["1.1"]
        assert (leg.ended_at, leg.cause, leg.unseen) == (at(9), 16, False)


def test_of_ends_that_nobody_saw_the_last_holds() -> None:
    ends = [LegEnded(node=NODE, linkedid=LINKEDID, leg="1.1", at=at(when), unseen=True) for when in (5, 7, 6)]
    for facts in (ends, ends[::-1]):
        leg = project([*Told().facts, *facts]).legs["1.1"]
        assert (leg.ended_at, leg.unseen) == (at(7), True)


@pytest.mark.parametrize(("leaves", "status", "by"), [(True, "abandoned", "caller"), (False, "missed", "pbx")])
def test_who_waits_in_a_queue_that_calls_nobody_is_not_answered(leaves: bool, status: str, by: str) -> None:
    """The Local leg in front of the queue answers, so that the caller hears music."""
    told = Told().line("1.2", 0, answered=1)
    local = "Local/sales@queue-1;1"
    told.facts = [
        replace(fact, name=local) if isinstance(fact, LineDialled | LineAnswered) else fact for fact in told.facts
    ]
    told.facts.append(CallQueued(node=NODE, linkedid=LINKEDID, leg="1.3", at=at(2)))
    assert outcome(project(told.facts)).status is Status.RINGING
    if leaves:
        told.hangs_up("1.1", 12)
    found = outcome(project(told.ends(12, "1.1", "1.2").facts))
    assert (found.status, found.hung_up_by, found.ringing_seconds) == (status, by, 10)
    assert (found.answered_at, found.answered_by, found.talk_seconds) == (None, None, 0)


def test_a_call_goes_on_until_everybody_who_talked_has_gone() -> None:
    told = Told().line("1.2", 0, answered=5).stay("1.1", "a", 5, 10).stay("1.2", "a", 5).ends(10, "1.1")
    assert outcome(project(told.facts)).status is Status.TALKING
    assert outcome(project(told.ends(20, "1.2").facts)).ended_at == at(20)
