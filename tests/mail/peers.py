"""The relay as a process of its own, and a server that takes its messages."""

from __future__ import annotations

import os
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from sqlalchemy import select

from pbxtrack.storage.database import Database
from pbxtrack.storage.tables import emails, spool

BOX = "sales@shop.example"
STATIC = "m4@shop.example"
_PATIENCE = 30.0  # s


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], what: str, patience: float = _PATIENCE) -> Any:
    """What ``true`` gives once that is something."""
    deadline = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Sink:
    """A server that keeps what it is sent. ``reply`` is its answer to a message."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.reply = "250 2.0.0 Ok"
        self.taken: list[tuple[str, list[str], bytes]] = []  # sender, recipients, message
        self._controller: Controller | None = None

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a message, if it is taken."""
        if self.reply.startswith("2"):
            self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.reply

    def start(self) -> None:
        """Answer."""
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True, data_size_limit=2**27
        )
        self._controller.start()

    def stop(self) -> None:
        """Be away."""
        if self._controller:
            self._controller.stop()
            self._controller = None

    def __enter__(self) -> Sink:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RelayProcess:
    """`pbxtrack serve mail`, which may be killed and started again."""

    def __init__(self, database: Database, folder: Path, upstream: int, **settings: str) -> None:
        self.database = database
        self.port = free_port()
        self.log = folder / "relay.log"
        others = {name: value for name, value in os.environ.items() if not name.startswith("PBXTRACK_")}
        own = {
            "DATA_DIR": str(folder / "data"),
            "DATABASE__URL": database.url.render_as_string(hide_password=False),
            "MAIL__LISTEN": f"127.0.0.1:{self.port}",
            "MAIL__UPSTREAM": f"127.0.0.1:{upstream}",
            "MAIL__HOSTNAME": "relay.example",
            **settings,
        }
        self._environment = others | {f"PBXTRACK_{name}": value for name, value in own.items()}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, program: Sequence[str] = ("pbxtrack",)) -> None:
        """Run it, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", *program, "serve", "mail"],
                env=self._environment, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until(lambda: self._is_up() and listens(self.port), "the relay does not answer")

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text("utf-8", "replace")
        return True

    def killed(self) -> None:
        """Wait until it has killed itself."""
        assert self._process is not None
        assert self._process.wait(_PATIENCE) == -9, self.log.read_text("utf-8", "replace")
        self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(_PATIENCE)
        self._process = None
        return code

    def client(self) -> smtplib.SMTP:
        """A connection to it."""
        return smtplib.SMTP("127.0.0.1", self.port, "client.example", timeout=30)

    def send(self, message: bytes, to: Sequence[str] = (STATIC,), sender: str = "ivan@client.example") -> None:
        """Hand a message in, as it is; raises smtplib's errors. It does not need to be refused for all recipients."""
        with self.client() as client:
            client.sendmail(sender, to, message, ["SMTPUTF8"] if not message.isascii() else [])

    def send_until_taken(self, message: bytes) -> None:
        """Hand a message in again and again, as mail servers do."""

        def taken() -> bool:
            try:
                self.send(message)
            except smtplib.SMTPResponseException as error:
                if error.smtp_code >= 500:
                    raise
                return False
            return True

        until(taken, "the message is not taken")

    def waiting(self) -> int:
        """How many messages wait."""
        with self.database.reading() as connection:
            return len(connection.execute(select(spool).where(spool.c.done_at.is_(None))).all())

    def recorded(self) -> Sequence[Any]:
        """The messages that are recorded."""
        with self.database.reading() as connection:
            return connection.execute(select(emails).order_by(emails.c.id)).all()

    def files(self) -> list[str]:
        """The messages in its spool."""
        return sorted(path.name for path in self._folder.glob("data/mail/*/*") if path.name != "place")
