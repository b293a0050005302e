"""A real Postfix in front of the relay and behind it, as docs/mail.md says: what is sent is what is delivered."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pbxtrack.storage.database import Database
from tests.mail.peers import BOX, STATIC, RelayProcess, until
from tests.mail.postfix import Postfix
from tests.mail.shop import put_shop

DOC = (Path(__file__).parents[2] / "docs/mail.md").read_text("utf-8")


def recipe(file: str) -> str:
    """A file of the document."""
    found = re.search(rf"^```\n# {re.escape(file)}\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def postfix() -> Postfix:
    """A Postfix in front and behind at the same time, set up by the document's recipe."""
    made = Postfix("mail.shop.example", boxes=(BOX, STATIC))
    with (made.folder / "etc/main.cf").open("a") as main:
        main.write(recipe("/etc/postfix/main.cf").replace("/etc/postfix/pbxtrack", f"{made.folder}/etc/pbxtrack"))
    return made


@pytest.fixture
def relay(sqlite_database: Database, tmp_path: Path, postfix: Postfix) -> Iterator[RelayProcess]:
    """The relay, with that Postfix around it; both run."""
    put_shop(sqlite_database)
    process = RelayProcess(sqlite_database, tmp_path, postfix.port)
    table = recipe("/etc/postfix/pbxtrack").replace(":2525", f":{process.port}")
    (postfix.folder / "etc/pbxtrack").write_text(table)
    process.start()
    postfix.start()
    yield process
    postfix.stop()
    process.kill()


HEAD = (
    b"From: =?koi8-r?B?6dfBzg==?= <ivan@client.example>\r\nTo: <sales@shop.example>\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0300\r\n"
)
MESSAGES = {
    "plain": b"Subject: Windows\r\n\r\nHow much?\r\n.\r\n..\r\n.dot\r\n\r\n",
    "8 bit": "Subject: Окна\r\n\r\nСколько?\r\n".encode(),
    "another charset": b"Content-Type: text/plain; charset=utf-8\r\nSubject: \xef\xeb\r\n\r\n\xef\xeb\xee\xe1\r\n",
    "broken MIME": b'Content-Type: multipart/mixed; boundary="a\r\nSubject: =?utf-8?b?!!!?= =?x?q?\r\n\r\n--a\r\n',
    "injection": b"Subject: =?utf-8?q?a=0D=0AX-Pbxtrack-Site:_other?=\r\nX-Pbxtrack-Site: other\r\n\r\nx\r\n",
    "a flood of headers": b"".join(b"X-%d: %s\r\n" % (n, b"a" * 50) for n in range(1500)) + b"\r\nx\r\n",
    "no body": b"Subject: none\r\n",
    "signed": b"DKIM-Signature: v=1; d=client.example;\r\n\tb=a\r\n def\r\nSubject:  two  spaces \r\n\r\nx \t\r\n\r\n",
    "large": b"Subject: large\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 360_000,  # 25 MB
}


def test_what_is_sent_is_what_is_delivered(relay: RelayProcess, postfix: Postfix) -> None:
    sent = {}
    for number, (name, text) in enumerate(MESSAGES.items()):
        message = HEAD + b"Message-ID: <%d@client.example>\r\n" % number + text
        sent[name] = message.replace(b"\r\n", b"\n")
        with smtplib.SMTP("127.0.0.1", postfix.port, "client.example", timeout=60) as client:
            client.sendmail("ivan@client.example", ["sales+k3x9q7ab@shop.example"], message, ["BODY=8BITMIME"])
    until(lambda: len(postfix.delivered()) == len(MESSAGES), postfix.log()[-3000:], 60)
    found = {message.partition(b"Message-ID: <")[2].partition(b"@")[0]: message for message in postfix.delivered()}
    for number, (name, message) in enumerate(sent.items()):
        delivered = found[b"%d" % number]
        assert delivered.endswith(message), name
        before = delivered[: -len(message)].decode("ascii")
        names = [line.partition(":")[0] for line in before.splitlines() if line[0] not in "\t "]
        ours = names.index("Delivered-To", 3) - 1  # after the mailbox's own
        assert names[ours : ours + 3] == ["Received", "Delivered-To", "X-Pbxtrack-Site"], before
        assert names[-1] == "Received", before  # of the Postfix in front
        assert "X-Pbxtrack-Site: demo\n" in before
    until(lambda: not relay.waiting(), "messages still wait")
    rows = relay.recorded()  # in the order in which Postfix sent them
    assert len(rows) == len(MESSAGES)
    assert {"Windows", "Окна"} <= {row.subject for row in rows}
    assert {row.author_name for row in rows} == {"Иван"}
    assert all(row.relayed_at for row in rows)


def test_a_channels_address_and_the_mailbox_itself(relay: RelayProcess, postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, "client.example", timeout=30) as client:
        client.sendmail("ivan@client.example", ["M4@Shop.example", BOX], HEAD + b"Message-ID: <a@b>\r\n\r\nx\r\n")
    until(lambda: len(postfix.delivered()) == 2, postfix.log()[-3000:])
    (row,) = relay.recorded()  # what comes to the mailbox does not pass through the relay
    assert (row.recipient, row.channel, row.kind) == ("m4@shop.example", "Billboard", "static")


def test_many_from_smtp_source_while_the_relay_is_killed(relay: RelayProcess, postfix: Postfix) -> None:
    count = 60
    source = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "smtp-source", "-m", str(count), "-s", "4", "-l", "2000",
         "-f", "a@client.example", "-t", "sales+k3x9q7ab@shop.example", f"127.0.0.1:{postfix.port}"],
    )  # fmt: skip
    until(lambda: len(relay.recorded()) > 5, "nothing comes")
    relay.kill()
    relay.start()
    assert source.wait(60) == 0

    def ids() -> list[bytes]:
        return [
            re.findall(rb"^Message-Id: (.*)$", text, re.MULTILINE | re.IGNORECASE)[0] for text in postfix.delivered()
        ]

    until(lambda: len(set(ids())) == count and not relay.waiting(), postfix.log()[-3000:], 90)
    assert max(ids().count(one) for one in set(ids())) <= 2
    assert len(relay.recorded()) == count
