"""What the lab's phone reads and writes."""

import pytest

from pbxtrack.lab import sip
from pbxtrack.lab.treatment import DEFAULT, Treatment

INVITE = (
    b"INVITE sip:sales@127.0.0.1:5071 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK0\r\n"
    b'f: "J\xc3\xb6rg \\"x\\"" <sip:+79161234567@127.0.0.1>;tag=a\r\n'
    b"To: <sip:sales@127.0.0.1>\r\n"
    b"i: id1\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Subject: one\r\n"
    b" two\r\n"
    b"Content-Length: 3\r\n\r\nv=0"
)


def test_a_request_is_read_with_compact_and_folded_headers() -> None:
    message = sip.parse(INVITE)

    assert (message.method, message.uri, message.body) == ("INVITE", "sip:sales@127.0.0.1:5071", "v=0")
    assert message.get("call-id") == "id1"
    assert message.cseq == (7, "INVITE")
    assert message.get("subject") == "one two"
    assert sip.name_of(message.get("from")) == 'Jörg "x"'
    assert sip.user_of(message.get("from")) == "+79161234567"


def test_an_answer_copies_what_it_must_and_tags_the_line() -> None:
    response = sip.parse(sip.render(sip.answer(sip.parse(INVITE), 486, "b")))

    assert (response.status, response.method) == (486, "")
    assert len(response.all("via")) == 2
    assert response.get("to") == "<sip:sales@127.0.0.1>;tag=b"
    assert (response.get("call-id"), response.cseq) == ("id1", (7, "INVITE"))
    assert response.get("content-length") == "0"


def test_a_second_tag_is_never_added() -> None:
    request = sip.parse(INVITE.replace(b"To: <sip:sales@127.0.0.1>", b"To: <sip:sales@127.0.0.1>;tag=mine"))

    assert sip.answer(request, 200, "other").get("to").endswith(";tag=mine")


@pytest.mark.parametrize(
    "data", [b"", b"rubbish", b"INVITE sip:x SIP/2.0\r\n\r\n", b"SIP/2.0 abc\r\nCSeq: 1 X\r\n\r\n"]
)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(sip.BadMessage):
        sip.parse(data)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("<sip:a@b>", ""),
        ("Ivan <sip:a@b>", "Ivan"),
        ('"" <sip:a@b>', ""),
        ('"J\xf6rg" <sip:a@b>', "Jörg"),
        ("sip:a@b", ""),
    ],
)
def test_display_names(header: str, name: str) -> None:
    assert sip.name_of(header) == name


@pytest.mark.parametrize(
    "treatment",
    [DEFAULT, Treatment("c", "missed", 0, 1, "line", 603, "support", "sales", True), Treatment(call="a b&c=d;e")],
)
def test_a_treatment_survives_its_header(treatment: Treatment) -> None:
    assert Treatment.from_header(treatment.header()) == treatment


def test_a_header_of_another_maker_is_the_default() -> None:
    assert Treatment.from_header("") == DEFAULT
    assert Treatment.from_header("ring=soon&x=y") == DEFAULT
