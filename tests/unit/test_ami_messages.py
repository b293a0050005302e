import random

import pytest
from panoramisk.message import Message as Reference

from pbxtrack.ami.messages import MAX_MESSAGE, Message, Parser, encode, text

EVENT = (
    "Event: Newchannel\r\nCallerIDName: Иван Петров ☎\r\nAccountCode: \r\nChanVariable: A=1\r\nChanVariable: B=2: 3\r\n"
    "ChanVariable: C=\r\nApplicationData: a: b:c\r\n\r\n"
).encode()
PARSED: Message = {
    "Event": "Newchannel", "CallerIDName": "Иван Петров ☎", "AccountCode": "", "ChanVariable": ["A=1", "B=2: 3", "C="],
    "ApplicationData": "a: b:c",
}  # fmt: skip


def test_headers_that_come_again_are_lists() -> None:
    assert Parser().feed(EVENT) == [PARSED]


def test_it_reads_what_panoramisk_reads() -> None:
    reference = Reference.from_line(EVENT.decode().strip())
    assert {name: reference[name.lower()] for name in PARSED} == dict(PARSED)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    parser, found = Parser(), []
    data = b"Asterisk Call Manager/11.0.0\r\n" + EVENT * 3
    for start in range(0, len(data), size):
        found += parser.feed(data[start : start + size])
    assert found == [PARSED] * 3
    assert parser.pending == 0


def test_bytes_that_are_no_utf8_cost_only_themselves() -> None:
    (message,) = Parser().feed(b"Event: X\r\nName: Andr\xe9 \xf0\x9f\r\nNext: y\r\n\r\n")
    assert message == {"Event": "X", "Name": "Andr� �", "Next": "y"}


def test_an_overlong_message_is_skipped_and_counted() -> None:
    parser = Parser()
    assert parser.feed(b"Event: A\r\nX: " + b"x" * MAX_MESSAGE + b"\r\n\r\n" + EVENT) == [PARSED]
    assert parser.overlong == 1
    largest = 0
    for _ in range(100):
        assert parser.feed(b"y" * 60_000) == []
        largest = max(largest, parser.pending)
    assert largest <= MAX_MESSAGE
    assert parser.overlong == 2
    assert parser.feed(b"\r\n\r\n" + EVENT) == [PARSED]
    assert parser.overlong == 2


def test_a_terminator_cut_in_pieces_ends_an_overlong_message() -> None:
    parser = Parser()
    parser.feed(b"z" * (MAX_MESSAGE + 1))
    for sign in b"\r\n\r\n":
        parser.feed(bytes([sign]))
    assert parser.feed(EVENT) == [PARSED]


def test_ten_thousand_random_pieces_never_break_it() -> None:
    # Seeded: a failure can be run again. Pieces of real messages among them, so that states are reached.
    source = random.Random(20261122)
    parser, good, largest = Parser(), 0, 0
    pieces = [b"\r\n", b"\r\n\r\n", b": ", b":", b"\r", b"\n", b"Event", EVENT, EVENT[:40], EVENT[40:], b"\xd0", b"\0"]
    for _ in range(10_000):
        if source.random() < 0.5:
            data = source.randbytes(source.randrange(300))
        else:
            data = b"".join(source.choice(pieces) for _ in range(source.randrange(8)))
        for message in parser.feed(data):
            good += message == PARSED
            assert all(isinstance(name, str) and isinstance(value, str | list) for name, value in message.items())
        largest = max(largest, parser.pending)
    assert good > 100
    assert largest <= MAX_MESSAGE
    assert PARSED in parser.feed(b"\r\n\r\n" + EVENT)


def test_actions_are_written_whole() -> None:
    assert encode("DBPut", "a-1", {"Key": "7", "Val": "PJSIP/sales"}) == (
        b"Action: DBPut\r\nActionID: a-1\r\nKey: 7\r\nVal: PJSIP/sales\r\n\r\n"
    )
    assert encode("X", "1", {"Variable": ["a=1", "b=2"]}).count(b"Variable: ") == 2


@pytest.mark.parametrize("value", ["a\r\nAction: Originate", "a\nb", "a\rb", "a\0b"])
def test_a_line_break_cannot_be_sent(value: str) -> None:
    for fields in ({"Val": value}, {value: "x"}, {"Val": ["ok", value]}):
        with pytest.raises(ValueError, match="line break") as caught:
            encode("DBPut", "1", fields)
        assert "Originate" not in str(caught.value)


def test_a_header_that_is_missing_or_repeated() -> None:
    assert [text(PARSED, name) for name in ("Event", "Nothing", "ChanVariable")] == ["Newchannel", "", "A=1"]
    assert text({"Empty": []}, "Empty") == ""
