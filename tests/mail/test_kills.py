"""The relay, killed at each step of a message: what was answered 250 arrives, and is counted once."""

from __future__ import annotations

import smtplib

import pytest

from tests.mail.killed import STEPS
from tests.mail.peers import RelayProcess, Sink, until

MESSAGE = (
    b"From: Ivan <ivan@client.example>\r\nTo: m4@shop.example\r\nSubject: Windows\r\n"
    b"Message-ID: <1@client.example>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0300\r\n\r\nHow much?\r\n.\r\nIvan\r\n"
)


@pytest.mark.parametrize("step", [*STEPS, "at upstream"])
def test_a_message_arrives_though_the_relay_is_killed(relay: RelayProcess, sink: Sink, step: str) -> None:
    relay.start(("tests.mail.killed", step))
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        relay.send(MESSAGE)
    relay.killed()
    relay.start()
    relay.send_until_taken(MESSAGE)
    until(lambda: not relay.waiting(), "the message still waits")
    # Where the upstream had it and nothing here said so yet, it comes twice; that cannot be helped.
    assert len(sink.taken) == (2 if step == "at upstream" else 1)
    assert all(message.endswith(b"\r\n" + MESSAGE) for _, _, message in sink.taken)
    (recorded,) = relay.recorded()
    assert (recorded.relayed_at is not None, recorded.message_id, recorded.channel) == (
        True,
        "<1@client.example>",
        "Billboard",
    )


def test_a_message_that_waits_outlives_a_kill_and_comes_when_the_upstream_is_back(
    relay: RelayProcess, sink: Sink
) -> None:
    sink.stop()
    relay.start()
    for number in range(5):
        relay.send(MESSAGE.replace(b"<1@", b"<%d@" % number))
    relay.send(MESSAGE.replace(b"<1@", b"<0@"))  # the client did not hear the answer
    assert (relay.waiting(), len(relay.recorded()), len(relay.files())) == (5, 5, 5)
    relay.kill()
    relay.start()
    assert relay.waiting() == 5
    sink.start()
    until(lambda: not relay.waiting(), "messages still wait", 60)
    assert sorted(message.partition(b"Message-ID: <")[2][:1] for _, _, message in sink.taken) == [
        b"0", b"1", b"2", b"3", b"4",
    ]  # fmt: skip
    assert all(row.relayed_at for row in relay.recorded())
    until(lambda: not relay.files(), "files are left")


def test_it_is_drained(relay: RelayProcess, sink: Sink) -> None:
    relay.start()
    with relay.client() as idle:
        idle.ehlo()
        relay.send(MESSAGE)
        assert relay.stop() == 0
        assert idle.getreply()[0] == 421
    assert len(sink.taken) == 1
