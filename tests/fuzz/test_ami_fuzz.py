"""Whatever Asterisk, or something in its place, sends: no exception, no more memory than allowed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pbxtrack.ami.messages import MAX_MESSAGE, Parser
from pbxtrack.ami.translate import _PREFIXES, Translator
from pbxtrack.calls.events import MAX_TEXT, details, restore
from pbxtrack.calls.lifecycle import outcome, project
from pbxtrack.calls.reading import MAX_ID

NAMES = st.sampled_from([*_PREFIXES, "Newstate", "Cdr", ""])
IDS = st.sampled_from(["1795322452.1", "1795322452.2", "1795322452.3", "pbx-1795322452.9", "x", ""])
HEADERS = st.sampled_from([
    *(f"{prefix}{name}" for prefix in ("", "Dest", "Transferer", "OrigTransferer")
      for name in ("Uniqueid", "Linkedid", "Channel", "ChanVariable")),
    "Timestamp", "CallerIDNum", "CallerIDName", "DialStatus", "Cause", "BridgeUniqueid", "Extension", "Result",
])  # fmt: skip
VARIABLES = st.sampled_from([
    "PBXTRACK_DID=74951230100", "PBXTRACK_DID=", "PBXTRACK_CALL=pbx1-1795322452.1", "PBXTRACK_CALL=pbx9-7",
    "PBXTRACK_CALL=pbx1-", "PBXTRACK_FALLBACK=timeout", "PBXTRACK_PRES=prohib", "=", "PBXTRACK_DID",
])  # fmt: skip
VALUES = st.one_of(st.text(), IDS, VARIABLES, st.sampled_from(["RINGING", "ANSWER", "Success", "Down", "16", "1e400"]))
ANYTHING = st.dictionaries(st.one_of(HEADERS, st.text()), st.one_of(VALUES, st.lists(VALUES)))
LIKELY = st.fixed_dictionaries(
    {"Event": NAMES, "Uniqueid": IDS, "Linkedid": IDS, "DestUniqueid": IDS, "DestLinkedid": IDS, "BridgeUniqueid": IDS},
    optional={
        "ChanVariable": st.one_of(VARIABLES, st.lists(VARIABLES)),
        "Timestamp": st.one_of(st.floats(0, 1e12).map(str), st.text()),
        "CallerIDNum": st.text(),
        "CallerIDName": st.text(),
        "DialStatus": st.sampled_from(["RINGING", "ANSWER", "BUSY", ""]),
        "Cause": st.text(),
        "ChannelStateDesc": st.sampled_from(["Down", "Ring", "Up"]),
        "Result": st.just("Success"),
        "TransfererUniqueid": IDS,
        "TransfererLinkedid": IDS,
    },
)


@settings(max_examples=200)
@given(st.lists(st.one_of(ANYTHING, LIKELY, LIKELY), max_size=40))
def test_the_translator_stands_any_event(events: list[dict[str, str | list[str]]]) -> None:
    translator = Translator("pbx1", most_calls=3, most_others=3, most_held_facts=10)
    facts = [fact for event in events for fact in translator.feed(event)]
    assert len(translator.calls) <= 6
    for fact in facts:
        assert 0 < len(fact.linkedid) <= MAX_ID
        assert len(fact.leg) <= MAX_ID
        data = details(fact)
        for value in data.values():
            assert not isinstance(value, str) or (len(value) <= MAX_TEXT and "\0" not in value)
        assert restore(fact.kind, node=fact.node, linkedid=fact.linkedid, at=fact.at, leg=fact.leg, data=data) == fact
    for linkedid in {fact.linkedid for fact in facts}:
        became = outcome(project(fact for fact in facts if fact.linkedid == linkedid))
        assert became.talk_seconds >= 0
        assert became.ringing_seconds >= 0


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from([b"\r\n\r\n", b"\r\n", b"Event: X", b": "]))))
def test_pieces_do_not_matter_to_the_parser(pieces: list[bytes]) -> None:
    parser = Parser()
    found = [message for piece in pieces for message in parser.feed(piece)]
    assert found == Parser().feed(b"".join(pieces))
    assert parser.pending <= MAX_MESSAGE
