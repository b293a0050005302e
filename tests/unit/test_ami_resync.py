from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.ami.messages import Message
from pbxtrack.ami.resync import compare, last_known
from pbxtrack.ami.translate import Translator
from pbxtrack.calls.events import LegEnded
from pbxtrack.calls.lifecycle import Call, Status, merge, outcome

from .ami_traces import DID, START, Script, call_of

LINKEDID = f"{START}.1"
NOW = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=START + 600)


def at(seconds: float) -> datetime:
    return NOW - timedelta(seconds=600 - seconds)


def talking() -> Call:
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).dialled(2, 5, "ANSWER")
    return call_of(script.join(5, "b1", 1, 2).events)


def channel(leg: int, application: str = "AppDial", bridge: str = "b1", state: str = "Up", **more: str) -> Message:
    return {
        "Event": "CoreShowChannel", "Channel": f"PJSIP/x-{leg}", "Uniqueid": f"{START}.{leg}", "Linkedid": LINKEDID,
        "ChannelStateDesc": state, "Application": application, "BridgeId": bridge, "CallerIDNum": "+79161234567",
        "CallerIDName": "<unknown>", "ChanVariable": [f"PBXTRACK_CALL=pbx1-{LINKEDID}", f"PBXTRACK_DID={DID}"], **more,
    }  # fmt: skip


def test_a_call_that_is_gone_ended_when_it_was_last_known() -> None:
    call = talking()
    facts = compare(Translator("pbx1"), [call], [], NOW, None)
    assert {fact.leg for fact in facts} == {LINKEDID, f"{START}.2"}
    assert all(isinstance(fact, LegEnded) and fact.unseen and fact.at == at(5) for fact in facts)
    became = outcome(merge(call, facts))
    assert (became.status, became.ended_at, became.talk_seconds) == (Status.ANSWERED, at(5), 0)


def test_it_was_up_while_the_connection_was() -> None:
    call = talking()
    became = outcome(merge(call, compare(Translator("pbx1"), [call], [], NOW, at(65))))
    assert (became.ended_at, became.talk_seconds) == (at(65), 60)


def test_the_end_is_never_in_the_future() -> None:
    call = talking()
    assert {fact.at for fact in compare(Translator("pbx1"), [call], [], at(5), at(900))} == {at(5)}


def test_what_cdr_says_later_puts_it_right() -> None:
    call = talking()
    facts = compare(Translator("pbx1"), [call], [], NOW, at(65))
    seen = [LegEnded(node="pbx1", linkedid=LINKEDID, at=at(125), leg=leg, cause=16) for leg in (LINKEDID, f"{START}.2")]
    assert outcome(merge(call, [*facts, *seen])).talk_seconds == 120
    assert merge(call, [*seen, *facts]) == merge(call, [*facts, *seen])


def test_a_call_of_which_only_the_arrival_is_known_ends_too() -> None:
    call = call_of(Script().caller().say("SoftHangupRequest", 1, leg=1).events)
    assert call.legs == {}
    (fact,) = compare(Translator("pbx1"), [call], [], NOW, None)
    assert fact.leg == LINKEDID
    assert outcome(merge(call, [fact])).status is Status.FAILED


def test_a_call_that_goes_on_is_followed() -> None:
    translator, call = Translator("pbx1"), talking()
    facts = compare(translator, [call], [channel(1, "Dial"), channel(2)], NOW, at(65))
    assert not any(isinstance(fact, LegEnded) for fact in facts)
    assert outcome(merge(call, facts)).status is Status.TALKING
    end = Script().asks_to_end(1, 700).leave(700, "b1", 1, 2).end(700, 1, 2)
    facts += [fact for event in end.events for fact in translator.feed(event)]
    assert outcome(merge(call, facts)).talk_seconds == pytest.approx(695)
    assert len(translator.calls) == 0


def test_one_leg_of_a_call_that_goes_on_is_gone() -> None:
    call = talking()
    facts = compare(Translator("pbx1"), [call], [channel(1, "Dial", bridge="")], NOW, at(65))
    assert [fact.leg for fact in facts if isinstance(fact, LegEnded)] == [f"{START}.2"]


def test_an_answer_in_the_break_is_not_a_missed_call() -> None:
    call = call_of(Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).events)
    facts = compare(Translator("pbx1"), [call], [channel(1, "Dial"), channel(2)], NOW, at(3))
    became = outcome(merge(call, facts))
    assert (became.status, became.answered_at) == (Status.TALKING, NOW)


def test_a_line_that_still_rings_has_not_answered() -> None:
    call = call_of(Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).events)
    channels = [channel(1, "Dial", bridge="", state="Ring"), channel(2, bridge="", state="Ringing")]
    assert outcome(merge(call, compare(Translator("pbx1"), [call], channels, NOW, at(3)))).status is Status.RINGING


def test_a_call_that_nobody_here_heard_of_is_begun() -> None:
    others = {**channel(3), "Linkedid": "9.9", "ChanVariable": "PBXTRACK_CALL="}
    facts = compare(Translator("pbx1"), [], [channel(1, "Dial"), channel(2), others], NOW, None)
    assert {fact.linkedid for fact in facts} == {LINKEDID}
    first, *rest = facts
    call = merge(Call(node="pbx1", linkedid=LINKEDID, started_at=first.at), [first, *rest])
    assert (call.dialled, call.caller) == (DID, "+79161234567")
    assert call.started_at == at(0.999999)  # its id says when it came in
    assert outcome(call).status is Status.TALKING


def test_a_channel_that_went_while_asterisk_was_listing_is_not_brought_back() -> None:
    translator = Translator("pbx1")
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).dialled(2, 5, "ANSWER").join(5, "b1", 1, 2)
    for event in script.end(9, 2, 1).events:
        translator.feed(event)
    assert compare(translator, [], [channel(1, "Dial"), channel(2)], NOW, None) == []


def test_comparing_twice_changes_nothing_but_times() -> None:
    translator, call = Translator("pbx1"), talking()
    channels = [channel(1, "Dial"), channel(2)]
    once = merge(call, compare(translator, [call], channels, NOW, at(65)))
    twice = merge(once, compare(translator, [once], channels, NOW + timedelta(seconds=5), at(65)))
    assert twice == once
    assert last_known(once) == at(5)
