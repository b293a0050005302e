"""STARTTLS, in the relay as it runs, with the event loop that it runs on."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from pbxtrack.storage.database import Database
from tests.mail.peers import STATIC, RelayProcess, Sink
from tests.mail.shop import put_shop


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost, with its key in the same file."""
    file = tmp_path / "relay.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(file), "-out", str(tmp_path / "certificate.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + (tmp_path / "certificate.pem").read_bytes())
    return file


def test_a_message_over_tls(sqlite_database: Database, tmp_path: Path, sink: Sink, certificate: Path) -> None:
    put_shop(sqlite_database)
    relay = RelayProcess(sqlite_database, tmp_path, sink.port, MAIL__CERTIFICATE=str(certificate))
    relay.start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
        with relay.client() as client:
            client._host = "localhost"  # type: ignore[attr-defined]  # whose certificate is expected
            client.starttls(context=context)
            client.ehlo()
            assert not client.has_extn("starttls")
            assert not client.has_extn("auth")
            for number in range(2):
                client.sendmail("ivan@client.example", [STATIC], b"Subject: %d\r\n\r\n%s" % (number, b"x\r\n" * 90_000))
    finally:
        relay.kill()
    assert len(sink.taken) == 2
    assert b" with ESMTPS id " in sink.taken[0][2]
