"""The relay over real connections, with what it keeps in memory: clients of all kinds, and an upstream of all moods."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from pbxtrack.emails.model import Recipient, Resolved
from pbxtrack.mail.files import Files
from pbxtrack.mail.relay import Relay
from pbxtrack.mail.server import Limits, MailServer
from pbxtrack.mail.upstream import Upstream
from pbxtrack.mail.worker import Worker
from pbxtrack.settings import Address
from pbxtrack.testing.mail import MemoryMail
from tests.mail.peers import Sink

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
KNOWN = {
    "m4@shop.example": Resolved("m4@shop.example", 1, "demo", "sales@shop.example", Recipient.STATIC, "Billboard"),
    "sales+a@shop.example": Resolved("sales+a@shop.example", 1, "demo", "sales@shop.example", Recipient.UNRESOLVED),
    "info+a@other.example": Resolved("info+a@other.example", 2, "other", "info@other.example", Recipient.UNRESOLVED),
}
MESSAGE = b"Subject: x\r\nMessage-ID: <1@b>\r\n\r\nx\r\n"


class Rig:
    """A relay whose parts are at hand."""

    def __init__(self, folder: Path, upstream: int, **limits: object) -> None:
        self.clock = AT
        self.store = MemoryMail(KNOWN, AT)
        self.files = Files(folder / "spool")
        self.files.open()
        self.upstream = Upstream(Address("127.0.0.1", upstream), hostname="relay.example", patience=5)
        parts = self.store, self.files, self.upstream
        self.relay = Relay(*parts, hostname="relay.example", deadline=5, now=lambda: self.clock)
        self.worker = Worker(*parts, hostname="relay.example", patience=timedelta(days=5), now=lambda: self.clock)
        default = {"max_bytes": 10_000, "recipients": 3, "sessions": 5, "idle": 5.0, "answer": 10.0}
        self.server = MailServer(
            Address("127.0.0.1", 0),
            self.store.resolve,
            self.relay.accept,
            hostname="relay.example",
            limits=Limits(**{**default, **limits}),  # type: ignore[arg-type]
        )

    def pass_time(self, by: timedelta) -> None:
        """Let it be later, for store and relay."""
        self.clock = self.store.now = self.clock + by


@asynccontextmanager
async def running(folder: Path, sink: Sink, **limits: object) -> AsyncIterator[Rig]:
    rig = Rig(folder, sink.port, **limits)
    await rig.server.start()
    try:
        yield rig
    finally:
        await rig.server.stop()
        await rig.relay.drain()
        rig.upstream.close()
        rig.files.close()


class Client:
    """A client that says whatever it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> str:
        """The next answer's last line; empty once the connection is closed."""
        while line := (await asyncio.wait_for(self.reader.readline(), 10)).decode():
            if line[3] != "-":
                return line.strip()
        return ""

    async def say(self, *lines: bytes) -> str:
        """Say lines one by one; the answer to the last."""
        answer = ""
        for line in lines:
            self.writer.write(line + b"\r\n")
            answer = await self.answer()
        return answer

    async def send(self, data: bytes, *to: bytes, sender: bytes = b"ivan@client.example") -> str:
        """A whole transaction; ``data`` goes as it is, with the end that it has."""
        await self.say(b"MAIL FROM:<%s>" % sender)
        for one in to or (b"m4@shop.example",):
            await self.say(b"RCPT TO:<%s>" % one)
        assert (await self.say(b"DATA")).startswith("354")
        self.writer.write(data)
        return await self.answer()


@asynccontextmanager
async def talking(rig: Rig) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.address.port)
    client = Client(reader, writer)
    try:
        await client.answer()
        await client.say(b"EHLO client.example")
        yield client
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        yield server


@pytest.mark.asyncio
async def test_recipients_are_told_apart_before_the_message(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        await client.say(b"MAIL FROM:<>")
        assert (await client.say(b"RCPT TO:<M4@SHOP.example>")).startswith("250")
        assert (await client.say(b"RCPT TO:<nobody@shop.example>")).startswith("550 5.1.1")
        for bad in (
            b"<a b@c>",
            b"<@>",
            b"<a@b\x00c>",
            b"<\xff@b>",
            b"x",
            b"<a@b",
            b"<a..b@c>",
            b"<" + b"a" * 300 + b"@b>",
        ):
            assert (await client.say(b"RCPT TO:" + bad))[0] == "5", bad
        rig.store.away = True
        assert (await client.say(b"RCPT TO:<sales+a@shop.example>")).startswith("451")
        rig.store.away = False
        await client.say(b"RCPT TO:<sales+a@shop.example>", b"RCPT TO:<info+a@other.example>")
        assert (await client.say(b"RCPT TO:<m4@shop.example>")).startswith("452 4.5.3")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\x00.\r\n", b"\n\n.\r\n"]
)
async def test_nothing_but_the_end_ends_a_message(tmp_path: Path, sink: Sink, end: bytes) -> None:
    smuggled = b"MAIL FROM:<boss@bank.example>\r\nRCPT TO:<m4@shop.example>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n"
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        answer = await client.send(b"Subject: x\r\n\r\nx" + end + smuggled + b".\r\n")
        assert answer[:9] == ("250 2.0.0" if b"\x00" in end else "554 5.6.0")
        assert (await client.say(b"NOOP")).startswith("250")
    assert [sender for sender, _, _ in sink.taken] == ["ivan@client.example"] * (b"\x00" in end)


@pytest.mark.asyncio
async def test_what_comes_behind_a_message_is_the_next_command(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        assert (await client.send(MESSAGE + b".\r\nNOOP\r\nRSET\r\n")).startswith("250 2.0.0")
        assert (await client.answer()).startswith("250")
        assert (await client.answer()).startswith("250")
        assert (await client.send(b".\r\n")).startswith("250 2.0.0")  # no bytes at all
    assert len(sink.taken) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("reply", "answer", "sent", "waits"),
    [
        ("250 2.0.0 Ok", "250 2.0.0 Ok: relayed", 1, 0),
        ("550 5.7.1 Spam", "550 5.7.1 Spam", 0, 0),
        ("451 4.7.1 Greylisted", "250 2.0.0 Ok: queued", 0, 1),
        ("421 4.3.2 Going down", "250 2.0.0 Ok: queued", 0, 1),
    ],
)
async def test_the_upstreams_answer(tmp_path: Path, sink: Sink, reply: str, answer: str, sent: int, waits: int) -> None:
    sink.reply = reply
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        assert (await client.send(MESSAGE + b".\r\n")).startswith(answer)
        assert (len(sink.taken), await rig.store.waiting(), len(rig.files.older(0))) == (sent, waits, waits)
        assert len(rig.store.received) == 1
        sink.reply = "250 2.0.0 Ok"
        await asyncio.sleep(2.1)  # after a failure the upstream is left alone for a moment
        assert (await client.send(MESSAGE + b".\r\n")).startswith("250")  # the same again
        assert (len(sink.taken), await rig.store.waiting(), len(rig.files.older(0))) == (1, 0, 0)
        assert len(rig.store.received) == 1


@pytest.mark.asyncio
async def test_a_message_that_waited_and_is_refused_is_told_to_its_sender(tmp_path: Path, sink: Sink) -> None:
    sink.reply = "451 4.7.1 Greylisted"
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        await client.send(MESSAGE + b".\r\n")
        await client.send(MESSAGE.replace(b"<1@", b"<2@") + b".\r\n", sender=b"")
        sink.reply = "550 5.7.1 Spam"
        rig.pass_time(timedelta(minutes=2))
        assert not await rig.worker.once()
        sink.reply = "250 2.0.0 Ok"
        await rig.worker.once()
        ((sender, to, notice),) = sink.taken  # none for the empty sender
        assert (sender, to) == ("<>", ["ivan@client.example"])
        assert b"Final-Recipient: rfc822; m4@shop.example\r\n" in notice
        assert (await rig.store.waiting(), rig.files.older(0)) == (0, [])


@pytest.mark.asyncio
async def test_what_waits_too_long_is_given_up(tmp_path: Path, sink: Sink) -> None:
    sink.reply = "451 4.7.1 Later"
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        await client.send(MESSAGE + b".\r\n")
        for _ in range(3):
            rig.pass_time(timedelta(hours=2))
            await rig.worker.once()
        assert rig.worker.outcomes["postponed"] == 3
        rig.pass_time(timedelta(days=5))
        await rig.worker.once()
        sink.reply = "250 2.0.0 Ok"
        await rig.worker.once()
        assert b"Delivery time expired" in sink.taken[0][2]


@pytest.mark.asyncio
async def test_one_message_to_two_sites_is_two(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        await client.send(MESSAGE + b".\r\n", b"m4@shop.example", b"sales+a@shop.example", b"info+a@other.example")
        assert sorted(to for _, (to,), _ in sink.taken) == ["info@other.example", "sales@shop.example"]
        assert sorted(site for site, _ in rig.store.received) == [1, 2]


@pytest.mark.asyncio
async def test_without_the_database_or_the_disk_nothing_is_taken(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        await client.say(b"MAIL FROM:<a@b>", b"RCPT TO:<m4@shop.example>", b"DATA")
        rig.store.away = True
        client.writer.write(MESSAGE + b".\r\n")
        assert (await client.answer()).startswith("451")
        rig.store.away = False
        (tmp_path / "spool").rename(tmp_path / "gone")
        assert (await client.send(MESSAGE + b".\r\n")).startswith("451")
        assert (sink.taken, rig.store.rows) == ([], {})


@pytest.mark.asyncio
async def test_loops_and_sizes_are_refused(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        assert (await client.send(b"Delivered-To: pbxtrack-demo@relay.example\r\n\r\nx\r\n.\r\n"))[:9] == "554 5.4.6"
        assert (await client.say(b"MAIL FROM:<a@b> SIZE=10001"))[:3] == "552"
        assert (await client.send(b"x" * 12_000 + b"\r\n.\r\n"))[:9] == "552 5.3.4"
        assert (await client.send(MESSAGE + b".\r\n"))[:3] == "250"
        await client.say(b"MAIL FROM:<a@b>", b"RCPT TO:<m4@shop.example>", b"DATA")
        client.writer.write(b"x" * 30_000)
        assert (await client.answer())[:9] == "552 5.3.4"
        assert await client.answer() == ""
    assert rig.server.in_flight == 0


@pytest.mark.asyncio
async def test_sessions_are_bounded_in_number_and_time(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink, sessions=1, idle=0.3) as rig:
        async with talking(rig) as client:
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.address.port)
            assert (await reader.read())[:3] == b"421"
            writer.close()
            assert await client.answer() == ""  # it said nothing for too long
        async with talking(rig) as client:
            await client.say(b"MAIL FROM:<a@b>", b"RCPT TO:<m4@shop.example>", b"DATA")
            assert await client.answer() == ""
        assert rig.server.sessions == 0


@pytest.mark.asyncio
async def test_who_the_client_is_says_only_a_trusted_front(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        assert (await client.say(b"XCLIENT ADDR=192.0.2.7"))[:3] == "550"
    async with running(tmp_path / "2", sink, fronts=[ip_network("127.0.0.0/8")]) as rig, talking(rig) as client:
        assert (await client.say(b"XCLIENT ADDR=192.0.2.7 HELO=far.example PROTO=ESMTP NAME=[UNAVAILABLE]"))[
            :3
        ] == "220"
        await client.say(b"EHLO client.example")
        assert (await client.send(MESSAGE + b".\r\n"))[:3] == "250"
    assert sink.taken[0][2].startswith(b"Received: from far.example ([192.0.2.7])\r\n")


@pytest.mark.asyncio
async def test_internationalised_mail(tmp_path: Path, sink: Sink) -> None:
    async with running(tmp_path, sink) as rig, talking(rig) as client:
        assert (await client.say("MAIL FROM:<иван@пример.example>".encode()))[:9] == "553 5.6.7"
        assert (await client.say("MAIL FROM:<иван@пример.example> SMTPUTF8".encode()))[:3] == "250"
        await client.say(b"RCPT TO:<m4@shop.example>", b"DATA")
        client.writer.write("Subject: Окна\r\n\r\nx\r\n.\r\n".encode())
        assert (await client.answer())[:9] == "250 2.0.0"
    assert sink.taken[0][0] == "иван@пример.example"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00" * 50, b"GET / HTTP/1.1\r\n\r\n" * 9, b"A" * 200_000, b"\r\n" * 50]
)
async def test_rubbish_does_no_harm(tmp_path: Path, sink: Sink, rubbish: bytes) -> None:
    async with running(tmp_path, sink, idle=1.0) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.address.port)
        writer.write(rubbish)
        said = await asyncio.wait_for(reader.read(), 10)
        assert re.match(rb"220 ", said)
        writer.close()
        async with talking(rig) as client:
            assert (await client.send(MESSAGE + b".\r\n"))[:3] == "250"
