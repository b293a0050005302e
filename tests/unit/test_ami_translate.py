from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.ami.messages import Message
from pbxtrack.ami.translate import Translator
from pbxtrack.calls.events import CallArrived, CalledOut, FallbackTaken, LegJoined
from pbxtrack.calls.lifecycle import Status, outcome, project

from .ami_traces import DID, START, Script, call_of, calls_of, facts_of, with_variables

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=START + seconds)


def arrival(*events: Message) -> CallArrived:
    (fact,) = [fact for fact in facts_of(events) if isinstance(fact, CallArrived)]
    return fact


def enters(caller: str = "+79161234567", name: str = "<unknown>", **variables: str) -> list[Message]:
    first: dict[str, str | list[str]] = {
        "Event": "Newchannel", "Timestamp": f"{START}.250000", "Uniqueid": f"{START}.1", "Linkedid": f"{START}.1",
        "Channel": "PJSIP/carrier-1", "ChannelStateDesc": "Ring", "CallerIDNum": caller, "CallerIDName": name,
        "ChanVariable": ["PBXTRACK_CALL=", "PBXTRACK_DID="],
    }  # fmt: skip
    given = {"PBXTRACK_CALL": f"pbx1-{START}.1", "PBXTRACK_DID": DID, **variables}
    second: dict[str, str | list[str]] = {
        **first, "Event": "HangupRequest", "Timestamp": f"{START + 1}.000000", "CallerIDName": "Billboard M4",
        "ChanVariable": [f"{name}={value}" for name, value in given.items()],
    }  # fmt: skip
    return [first, second]


def test_an_arrival_is_told_when_the_dialplan_has_named_it_with_the_time_it_came_in() -> None:
    fact = arrival(*enters(name="Ann"))
    assert fact == CallArrived(
        node="pbx1", linkedid=f"{START}.1", at=at(0.25), leg=f"{START}.1", dialled=DID, caller="+79161234567",
        caller_name="Ann",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "caller", "withheld"),
    [
        ("<unknown>", None, False),
        ("", None, False),
        ("anonymous", None, True),
        ("Anonymous", None, True),
        ("Restricted", None, True),
        ("100", "100", False),
        ("8 (916) 123-45-67", "8 (916) 123-45-67", False),
        ("7" * 5000, "7" * 512, False),
        ("12\x00\x1b[31m3", "12[31m3", False),
    ],
)
def test_the_callers_number(number: str, caller: str | None, withheld: bool) -> None:
    fact = arrival(*enters(number))
    assert (fact.caller, fact.withheld) == (caller, withheld)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("<unknown>", None),
        ("", None),
        ("Ann Caller", "Ann Caller"),
        ("Иван", "Иван"),
        (r"O\'Neil \"Bob\"", 'O\'Neil "Bob"'),
        (r"Иван \\\"Петров\\\"", 'Иван "Петров"'),  # as Asterisk 22 writes a name that SIP quoted
        (r"back\\slash", "back\\slash"),
        (r"two\r\nlines", "twolines"),
        ("\ufffdnn", "\ufffdnn"),
        ("\ufffd\ufffd \ufffd", None),
        ("right\u202eleft", "rightleft"),
        ("x" * 5000, "x" * 512),
        ("\\", "\\"),
    ],
)
def test_the_callers_name(written: str, name: str | None) -> None:
    assert arrival(*enters(name=written)).caller_name == name


def test_a_number_that_the_network_says_is_withheld_is_not_kept() -> None:
    fact = arrival(*enters("+79161234567", "Anonymous", PBXTRACK_PRES="prohib_passed_screen"))
    assert (fact.caller, fact.caller_name, fact.withheld) == (None, None, True)
    assert not arrival(*enters(PBXTRACK_PRES="allowed_passed_screen")).withheld


def test_a_number_that_the_dialplan_put_right_is_the_one_that_fastagi_saw_too() -> None:
    first, second = enters("89161234567")
    assert arrival(first, {**second, "CallerIDNum": "+79161234567"}).caller == "+79161234567"
    assert arrival(first, {**second, "CallerIDNum": "<unknown>"}).caller == "89161234567"


def test_a_fallback_is_told_once() -> None:
    first, second = enters(PBXTRACK_FALLBACK="timeout")
    (fact,) = [fact for fact in facts_of([first, second, second]) if isinstance(fact, FallbackTaken)]
    assert (fact.reason, fact.leg) == ("timeout", f"{START}.1")


def test_times_are_exact_and_the_clock_serves_where_there_are_none() -> None:
    first, second = enters()
    assert facts_of([first, {**second, "Timestamp": "1795322453.000001"}])[-1].at == datetime(
        2026, 11, 22, 4, 40, 53, 1, tzinfo=UTC
    )
    now = at(77)
    for bad in ("", "now", "1e9", "99999999999999999999", "-5", "١٢٣٤٥٦٧٨٩٠"):
        translator = Translator("pbx1", clock=lambda: now)
        facts = [fact for event in (first, {**second, "Timestamp": bad}) for fact in translator.feed(event)]
        assert facts[-1].at == now


def test_others_calls_give_nothing_and_are_forgotten() -> None:
    script = Script(ours=False).caller().new(2, 0.1, "PJSIP/desk").dial(2, 0.1).dialled(2, 1, "ANSWER")
    script.join(1, "b", 1, 2).asks_to_end(1, 2).leave(2, "b", 1, 2).end(2, 1, 2)
    translator = Translator("pbx1")
    assert [fact for event in script.events for fact in translator.feed(event)] == []
    assert translator.calls.size == 0


def test_ended_calls_are_forgotten_but_not_begun_anew_by_a_late_word() -> None:
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).dialled(2, 1, "ANSWER").join(1, "b", 1, 2)
    script.end(2, 1, 2)
    translator = Translator("pbx1")
    for event in script.events:
        translator.feed(event)
    assert (translator.calls.ours, len(translator.calls)) == (0, 0)
    (late,) = translator.feed(script.events[-3])
    assert isinstance(late, LegJoined)
    assert len(translator.calls) == 0


def test_memory_is_bounded() -> None:
    translator = Translator("pbx1", most_calls=10, most_others=20, most_held_facts=50)
    largest = 0
    for number in range(5000):
        linkedid = f"{START}.{number}"
        event = {
            "Event": "BridgeEnter", "Uniqueid": linkedid, "Linkedid": linkedid, "Channel": "x", "BridgeUniqueid": "b",
        }  # fmt: skip
        for _ in range(5):
            translator.feed(event)
        if number % 2:
            translator.feed(with_variables(dict(event)))
        largest = max(largest, translator.calls.size)
    assert largest < 200
    assert translator.calls.forgotten > 4000


def test_an_event_without_what_it_must_have_is_counted() -> None:
    translator = Translator("pbx1")
    leg: dict[str, str] = {"Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "x"}
    for event in (
        {"Event": "Hangup"},
        {"Event": "Hangup", "Uniqueid": "1.1"},
        {"Event": "Hangup", **leg, "Linkedid": "x" * 151},
        {"Event": "Hangup", **leg, "Uniqueid": "a b"},
        {"Event": "BridgeEnter", **leg},
        {"Event": "DialEnd", **leg, "DialStatus": "ANSWER"},
    ):
        assert translator.feed(event) == []
    assert translator.malformed == 6
    assert translator.feed({"Event": "VarSet"}) == []
    assert translator.malformed == 6


def test_a_call_that_asterisk_made_itself_has_the_leg_that_entered_as_its_caller() -> None:
    script = Script(ours=False).new(1, 0, "Local/x@y", "Down").new(2, 0, "Local/x@y", "Ring")
    script.say("DialBegin", 0.1, leg=2, Dest=3, CallerIDNum="200")
    script.events[-1]["ChanVariable"] = [f"PBXTRACK_CALL=pbx1-{START}.1", f"PBXTRACK_DID={DID}"]
    assert (arrival(*script.events).leg, arrival(*script.events).caller) == (f"{START}.2", "200")


def test_a_call_keeps_its_name_when_asterisk_joins_it_to_an_older_one() -> None:
    script = Script().caller().dial(2, 0.1)
    script.join(1, "b", 1)
    script.events[-1]["Linkedid"] = "1700000000.5"
    assert {fact.linkedid for fact in facts_of(script.events)} == {f"{START}.1"}


def test_a_listener_that_comes_after_the_caller_has_gone_still_knows_the_number() -> None:
    script = Script().say("BridgeEnter", 5, leg=2, BridgeUniqueid="b").end(9, 2)
    fact = arrival(*script.events)
    assert (fact.dialled, fact.caller, fact.leg) == (DID, None, f"{START}.1")
    assert fact.at == at(0.999999)


def test_a_listener_that_comes_late_dates_the_arrival_by_the_id() -> None:
    assert arrival(*Script().say("BridgeEnter", 50, leg=1, BridgeUniqueid="b").events).at == at(0.999999)


# Calls written by hand, each with what must become of it


def test_callee_sends_the_caller_on() -> None:
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1, ring=0.4).dialled(2, 2, "ANSWER")
    script.join(2, "b1", 1, 2).say(
        "BlindTransfer", 5, Transferer=2, Transferee=1, Result="Success", Extension="support", BridgeUniqueid="b1"
    )
    # The phone says BYE at once: it leaves a call that goes on.
    script.leave(5, "b1", 1, 2).asks_to_end(2, 5.01).end(5.02, 2).new(3, 5.03, "PJSIP/support").dial(3, 5.1)
    script.dialled(3, 7, "ANSWER").join(7, "b2", 1, 3).asks_to_end(1, 10).leave(10, "b2", 1, 3).end(10, 3, 1)
    call, became = call_of(script.events), outcome(call_of(script.events))
    assert (became.status, became.answered_by, became.hung_up_by) == (Status.ANSWERED, "PJSIP/sales", "caller")
    assert (became.ringing_seconds, became.talk_seconds) == pytest.approx((1.5, 3 + 3))
    assert call.transfers == {(at(5), "blind", "support")}


def test_a_transfer_that_failed_is_none() -> None:
    script = Script().caller().say("BlindTransfer", 5, Transferer=2, Transferee=1, Result="Fail", Extension="x")
    assert call_of(script.dial(2, 6).events).transfers == frozenset()


def test_caller_sends_the_line_on_and_leaves() -> None:
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).dialled(2, 1, "ANSWER").join(1, "b1", 1, 2)
    script.say("BlindTransfer", 3, Transferer=1, Transferee=2, Result="Success", Extension="200")
    script.leave(3, "b1", 1, 2).asks_to_end(1, 3.1).end(3.1, 1)
    assert outcome(call_of(script.events)).status is Status.TALKING
    script.new(3, 3.2, "PJSIP/desk").dial(3, 3.2, by=2).dialled(3, 4, "ANSWER", by=2).join(4, "b2", 2, 3)
    script.asks_to_end(3, 9).leave(9, "b2", 2, 3).end(9, 2, 3)
    became = outcome(call_of(script.events))
    assert (became.status, became.hung_up_by, became.ended_at) == (Status.ANSWERED, "line", at(9))
    assert became.talk_seconds == pytest.approx(2 + 5)


def test_attended_transfer_joins_a_call_that_was_not_ours() -> None:
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).dialled(2, 1, "ANSWER").join(1, "b1", 1, 2)
    # The operator's phone calls support by a call of its own, 10.
    script.say("Newchannel", 4, linked=10, leg=10, ChannelStateDesc="Ring").say(
        "DialBegin", 4, linked=10, leg=10, Dest=11
    )
    script.say("DialEnd", 5, linked=10, leg=10, Dest=11, DialStatus="ANSWER")
    script.say("BridgeEnter", 5, linked=10, leg=10, BridgeUniqueid="b2")
    script.say("BridgeEnter", 5, linked=10, leg=11, BridgeUniqueid="b2")
    script.say(
        "AttendedTransfer", 8, OrigTransferer=2, Transferee=1, Result="Success", DestType="Bridge",
        SecondTransfererConnectedLineNum="support",
    )  # fmt: skip
    script.leave(8, "b1", 1, 2).join(8, "b2", 1)
    script.asks_to_end(2, 8.05).end(8.1, 2)
    script.say("BridgeLeave", 8.1, leg=10, BridgeUniqueid="b2").end(8.1, 10)  # all of it has our linkedid now
    script.asks_to_end(11, 12).leave(12, "b2", 11, 1).end(12, 11, 1)
    calls = calls_of(facts_of(script.events))
    assert list(calls) == [f"{START}.1"]
    call, became = calls[f"{START}.1"], outcome(calls[f"{START}.1"])
    assert call.transfers == {(at(8), "attended", "support")}
    assert (became.status, became.answered_by, became.ended_at) == (Status.ANSWERED, "PJSIP/sales", at(12))


def test_ring_group_with_a_loser() -> None:
    script = Script().caller().new(2, 0, "PJSIP/sales").new(3, 0, "PJSIP/support").dial(2, 0.1).dial(3, 0.1, ring=0.3)
    script.dialled(2, 2, "CANCEL").dialled(3, 2, "ANSWER").end(2, 2, cause=26).join(2, "b", 1, 3)
    script.asks_to_end(3, 6).leave(6, "b", 3, 1).end(6, 3, 1)
    became = outcome(call_of(script.events))
    assert (became.status, became.answered_by, became.hung_up_by) == (Status.ANSWERED, "PJSIP/support", "line")
    assert (became.ringing_seconds, became.talk_seconds) == pytest.approx((1.8, 4))


def test_queue_that_answers_first_and_nobody_picks_up() -> None:
    script = Script().caller().new(2, 1, "PJSIP/sales").dial(2, 1).dialled(2, 6, "NOANSWER").end(6, 2, cause=0)
    script.new(3, 7, "PJSIP/sales").dial(3, 7).dialled(3, 12, "NOANSWER").end(12, 3, cause=0).end(12, 1)
    became = outcome(call_of(script.events))
    assert (became.status, became.talk_seconds, became.hung_up_by) == (Status.MISSED, 0, "pbx")


def test_queue_that_answers_first_counts_only_the_talk_with_a_person() -> None:
    script = Script().caller().new(2, 20, "PJSIP/sales").dial(2, 20).dialled(2, 25, "ANSWER").join(25, "b", 2, 1)
    script.asks_to_end(1, 30).leave(30, "b", 1, 2).end(30, 2, 1)
    became = outcome(call_of(script.events))
    assert (became.status, became.talk_seconds) == (Status.ANSWERED, 5)
    assert became.ringing_seconds == pytest.approx(4.9)


def test_local_chain() -> None:
    script = Script().caller().new(2, 0, "Local/s@fwd").new(3, 0, "Local/s@fwd", "Ring").new(4, 0, "PJSIP/sales")
    script.dial(2, 0.1).dial(4, 0.1, by=3).dialled(4, 2, "ANSWER", by=3).join(2, "b2", 4, 3)
    script.dialled(2, 2.01, "ANSWER").join(2.02, "b1", 2, 1)
    script.asks_to_end(4, 7).leave(7, "b2", 4, 3).asks_to_end(2, 7).leave(7, "b1", 2, 1).end(7, 4, 3, 2, 1)
    became = outcome(call_of(script.events))
    assert (became.status, became.answered_by, became.hung_up_by) == (Status.ANSWERED, "PJSIP/sales", "line")
    assert became.talk_seconds == pytest.approx(4.98)


def test_caller_who_leaves_while_fastagi_runs() -> None:
    script = Script().caller().asks_to_end(1, 0.2, cause=127).end(0.2, 1, cause=127)
    call, became = call_of(script.events), outcome(call_of(script.events))
    assert (call.dialled, call.started_at) == (DID, at(0))
    assert (became.status, became.hung_up_by, became.hangup_cause) == (Status.ABANDONED, "caller", 127)


def test_line_without_a_contact() -> None:
    script = Script().caller().say("SoftHangupRequest", 0.1, leg=1).end(0.1, 1, cause=3)
    became = outcome(call_of(script.events))
    assert (became.status, became.hung_up_by, became.hangup_cause) == (Status.FAILED, "pbx", 3)


def test_line_whose_contact_is_dead() -> None:
    script = Script().caller().new(2, 0, "PJSIP/sales").dial(2, 0.1, ring=None).dialled(2, 30, "NOANSWER")
    became = outcome(call_of(script.end(30, 2, 1, cause=0).events))
    assert (became.status, became.hung_up_by) == (Status.MISSED, "pbx")
    assert became.ringing_seconds == pytest.approx(29.9)


def test_only_the_callers_own_recording_is_ours() -> None:
    script = Script().caller().dial(2, 0.1).say("MixMonitorStart", 1, leg=2)
    assert call_of(script.events).recording is None
    assert call_of(script.say("MixMonitorStart", 1, leg=1).events).recording == f"pbxtrack/pbx1-{START}.1.wav"


def calls_out(number: str, linkedid: str = f"{START}.1", **variables: str) -> list[Message]:
    """A phone of the company's dials: its leg comes in, and Dial() calls the trunk."""
    named = {"PBXTRACK_CALL": "", "PBXTRACK_DID": "", "PBXTRACK_OUT": number, **variables}
    ours = [f"{name}={value}" for name, value in named.items()]
    first: dict[str, str | list[str]] = {
        "Event": "Newchannel", "Timestamp": f"{START}.250000", "Uniqueid": linkedid, "Linkedid": linkedid,
        "Channel": "PJSIP/anna-1", "ChannelStateDesc": "Ring", "CallerIDNum": "200", "CallerIDName": "Anna",
    }  # fmt: skip
    trunk: dict[str, str | list[str]] = {
        "Linkedid": linkedid, "Uniqueid": linkedid, "Channel": "PJSIP/anna-1", "ChanVariable": ours,
        "DestUniqueid": f"{START}.2", "DestLinkedid": linkedid, "DestChannel": "PJSIP/trunk-2",
        "DestChanVariable": ours,
    }  # fmt: skip
    return [
        first,
        {**trunk, "Event": "DialBegin", "Timestamp": f"{START + 1}.000000"},
        {**trunk, "Event": "DialEnd", "Timestamp": f"{START + 5}.000000", "DialStatus": "ANSWER"},
        {**first, "Event": "Hangup", "Timestamp": f"{START + 65}.000000", "ChanVariable": ours},
    ]


def test_a_call_that_the_company_makes_is_told_where_the_dialplan_marks_it() -> None:
    facts = facts_of(calls_out("89161234567"))
    assert [fact.kind for fact in facts] == ["called_out", "dialled", "answered", "ended"]
    assert facts[0] == CalledOut(
        node="pbx1", linkedid=f"{START}.1", at=at(0.25), leg=f"{START}.1", number="89161234567"
    )
    call = project(facts)
    assert (call.called_out, call.dialled, outcome(call).answered_at) == ("89161234567", None, at(5))
    assert facts_of(calls_out("")) == [], "others' calls stay others'"
    (hostile,) = [fact for fact in facts_of(calls_out("1\x00\x1b" + "2" * 5000)) if isinstance(fact, CalledOut)]
    assert hostile.number == "1" + "2" * 63
