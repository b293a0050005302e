"""Messages as their headers tell of them: whatever they hold, reading does not fail."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.emails.model import Nature, Received
from pbxtrack.emails.nature import nature_of
from pbxtrack.emails.reading import received, text_of

AT = datetime(2026, 11, 23, tzinfo=UTC)


def read(content: bytes, sender: str = "ivan@client.example") -> Received:
    return received(content, sender=sender, at=AT, to=[], keep_body=True)


@pytest.mark.parametrize(
    ("headers", "sender", "nature"),
    [
        ({}, "a@b", Nature.PERSONAL),
        ({"auto-submitted": "no"}, "a@b", Nature.PERSONAL),
        ({"auto-submitted": "auto-replied (vacation)"}, "a@b", Nature.AUTO_REPLY),
        ({"auto-submitted": "auto-replied"}, "", Nature.AUTO_REPLY),
        ({"x-autoreply": "yes"}, "a@b", Nature.AUTO_REPLY),
        ({"precedence": "auto_reply"}, "a@b", Nature.AUTO_REPLY),
        ({"auto-submitted": "auto-generated"}, "a@b", Nature.BULK),
        ({"auto-submitted": "auto-generated", "in-reply-to": "<1@b>"}, "a@b", Nature.AUTO_REPLY),
        ({"precedence": "Bulk"}, "a@b", Nature.BULK),
        ({"list-unsubscribe": "<mailto:x@y>"}, "a@b", Nature.BULK),
        ({}, "", Nature.BOUNCE),
        ({"from": "Mail System <MAILER-DAEMON@b>"}, "a@b", Nature.BOUNCE),
        ({"content-type": 'multipart/report; boundary=x; report-type="delivery-status"'}, "a@b", Nature.BOUNCE),
        ({"content-type": "multipart/report; report-type=disposition-notification"}, "", Nature.AUTO_REPLY),
    ],
)
def test_natures(headers: dict[str, str], sender: str, nature: Nature) -> None:
    assert nature_of(headers, sender) is nature


def test_headers_are_decoded_and_bounded() -> None:
    found = read(
        b"From: =?utf-8?b?0JjQstCw0L0=?=\r\n =?utf-8?q?_P=2E?= <Ivan@Client.example>\r\n"
        b"Subject: =?koi8-r?B?78vOwQ==?= and =?nonsense?q?x?= =?utf-8?q?a=0D=0ABcc:_x=00?=\r\n"
        b"Message-ID: <1@client.example>\r\nIn-Reply-To: <0@shop.example>\r\n"
        b"Content-Type: text/plain; charset=windows-1251\r\n\r\n\xcf\xf0\xe8\xe2\xe5\xf2\r\n"
    )
    assert (found.author, found.author_name) == ("Ivan@Client.example", "Иван P.")
    assert found.subject == "Окна and =?nonsense?q?x?=a Bcc: x"
    assert (found.message_id, found.in_reply_to) == ("<1@client.example>", "<0@shop.example>")
    assert found.body == "Привет"


def test_an_address_in_an_encoded_word_is_not_the_author() -> None:
    found = read(b"From: =?utf-8?q?boss=40bank.example?= <thief@evil.example>\r\n\r\n")
    assert (found.author, found.author_name) == ("thief@evil.example", "boss@bank.example")


def test_a_message_that_comes_again_has_the_same_fingerprint() -> None:
    message = b"From: a@b\r\nMessage-ID: <1@b>\r\nDate: today\r\n\r\nx\r\n"
    front = b"Received: from x\r\n"
    assert read(message).fingerprint == read(front + message).fingerprint
    assert read(message).fingerprint != read(message, "other@b").fingerprint
    assert read(message).fingerprint != read(message.replace(b"<1@", b"<2@")).fingerprint
    plain = b"From: a@b\r\n\r\nx\r\n"
    assert read(plain).fingerprint != read(plain + b"y\r\n").fingerprint


@given(st.binary(max_size=300), st.sampled_from([b"From: ", b"Subject: ", b"Content-Type: multipart/mixed; ", b""]))
def test_nothing_makes_reading_fail(content: bytes, before: bytes) -> None:
    found = read(before + content)
    for text in (found.author, found.author_name, found.subject, found.message_id):
        assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in text)
        text.encode("utf-8")
    (found.body or "").encode("utf-8")


@given(st.text(max_size=200))
def test_any_text_becomes_one_line(raw: str) -> None:
    assert len(text_of(raw, 40)) <= 40
    assert "\n" not in text_of(raw, 40)
