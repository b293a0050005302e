"""The relay's parts without a network: where messages end, what is refused, what stands before them, notices."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email.policy import compat32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.emails.model import Recipient, Resolved
from pbxtrack.emails.reading import header_part
from pbxtrack.mail.block import Client, header_block, mark, without_block
from pbxtrack.mail.framing import Framing, refusal
from pbxtrack.mail.notice import notice
from pbxtrack.sources.touch import Touch

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLIENT = Client("192.0.2.1", "client.example", "ESMTP")


def stuffed(message: bytes) -> bytes:
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


_LINES = st.lists(st.sampled_from([b"", b".", b"..", b"x", b".x", b"\n.", b"\r.", b"\n.\n", b"\r", b"MAIL FROM:<a@b>"]))


@given(_LINES, st.lists(st.integers(1, 12)), st.binary(max_size=8))
def test_a_message_is_the_same_however_it_comes_in_pieces(lines: list[bytes], cuts: list[int], rest: bytes) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    sent = stuffed(message) + rest
    framing, left = Framing(10_000), None
    while sent:
        size = cuts.pop() if cuts else len(sent)
        left, sent = framing.feed(sent[:size]), sent[size:]
        if left is not None:
            break
    assert left is not None
    assert (framing.message(), left + sent) == (message, rest)


def test_of_what_is_too_large_only_the_end_is_found() -> None:
    framing = Framing(10)
    assert framing.feed(b"x" * 100) is None
    assert framing.feed(b"\r\n.\r\nQUIT\r\n") == b"QUIT\r\n"
    assert framing.too_large
    exact = Framing(10)
    assert exact.feed(b"12345678\r\n.\r\n") == b""
    assert not exact.too_large


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"A: b\r\n\r\nx\r\n", None),
        (b"", None),
        (b"A: b\r\n\r\nx\n.\nMAIL FROM:<a@b>\r\n", "5.6.0"),
        (b"A: b\r\n\r\nx\r.\r\n", "5.6.0"),
        (b"x" * 100 + b"\r\n", None),
        (b"\r\n" + b"x" * 101 + b"\r\n", "5.6.0"),
        (b"delivered-TO:  Pbxtrack-demo@relay.example \r\n\r\n", "5.4.6"),
        (b"\r\nDelivered-To: pbxtrack-demo@relay.example\r\n", None),
        (b"Received: x\r\n" * 30 + b"\r\n", None),
        (b"Received: x\r\n" * 31 + b"\r\n", "5.4.6"),
    ],
)
def test_refusals(content: bytes, code: str | None) -> None:
    marks = [mark("demo", "Relay.example")]
    found = refusal(content, header_part(content), marks, longest=100, hops=30)
    assert found is None if code is None else found is not None and found.split()[1] == code


@given(st.text(max_size=300), st.text(max_size=300))
def test_the_block_is_ascii_and_nothing_breaks_out_of_it(channel: str, term: str) -> None:
    told = Resolved("m4@shop.example", 1, "demo", "sales@shop.example", Recipient.STATIC, channel, Touch(term=term))
    block = header_block(told, client=CLIENT, hostname="relay.example", message="1", at=AT, nature="personal")
    assert block.isascii()
    lines = block.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) <= 78 for line in lines), lines
    known = (b"Received: ", b"Delivered-To: ", b"X-Pbxtrack-", b" ", b"\t")
    assert all(line.startswith(known) and b"\r" not in line and b"\n" not in line for line in lines)
    assert without_block(block + b"Subject: x\r\n\r\n") == b"Subject: x\r\n\r\n"


def test_what_a_client_calls_itself_is_not_believed() -> None:
    told = Resolved("m4@shop.example", 1, "demo", "sales@shop.example", Recipient.MAILBOX)
    client = Client("192.0.2.1", "a\r\nX: y", "ESMTP")
    block = header_block(told, client=client, hostname="relay.example", message="1", at=AT, nature="personal")
    assert block.startswith(b"Received: from unknown ([192.0.2.1])\r\n\tby relay.example (pbxtrack) with ESMTP id 1;")


def test_a_notice_is_a_delivery_status_without_what_is_known_of_the_visitor() -> None:
    told = Resolved("sales+a@shop.example", 1, "demo", "sales@shop.example", Recipient.MADE, "Ads", visit_id="v1")
    block = header_block(told, client=CLIENT, hostname="relay.example", message="1", at=AT, nature="personal")
    text = notice(
        to="ivan@client.example",
        recipient="sales+a@shop.example",
        reply="452 4.2.2 Mailbox full",
        message=block + b"Subject: Windows\r\n\r\nHow much?\r\n",
        hostname="relay.example",
        id_="2",
        arrived_at=AT,
        now=AT,
    )
    parsed = email.message_from_bytes(text, policy=compat32)
    kinds = [part.get_content_type() for part in parsed.walk()]
    assert kinds == ["multipart/report", "text/plain", "message/delivery-status", "text/plain", "text/plain",
                     "text/rfc822-headers"]  # fmt: skip
    assert b"Status: 5.2.2\r\n" in text
    assert b"Subject: Windows\r\n" in text
    assert b"How much?" not in text
    assert b"X-Pbxtrack" not in text
    assert parsed["Auto-Submitted"] == "auto-replied"
