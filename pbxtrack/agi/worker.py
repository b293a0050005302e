"""The process that answers Asterisk and does nothing else: ``python -m pbxtrack.agi.worker LISTENER LINK``.

Both arguments are file descriptors: the socket to listen on for FastAGI, and one end of a pair whose other end the
service holds (:mod:`pbxtrack.agi.process`). Over the link, a JSON value a line:

- the service sends a :class:`Setup`, then an empty line now and then, which asks for a sign of life;
- the worker sends ``{"ready": true}``, every call's arrival, and signs of life, with how its sessions ended.

The end of the link, however it comes, is the end of the worker: what is under way is answered, and it goes. If the
service is killed the kernel ends it at once, even where it hangs: else it would keep the address from the next one.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
import uvloop

from pbxtrack import logs
from pbxtrack.agi.handler import Resolve
from pbxtrack.agi.server import AgiServer
from pbxtrack.calls.events import CallArrived
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.database import Database
from pbxtrack.tuning import tune

_TELL_AFTER = 0.03  # s; by then the call is on its way, and telling takes no processor from its answer
_PR_SET_PDEATHSIG = 1  # prctl(2)
_MAX_UNSENT = 4 * 1024 * 1024  # bytes, some ten thousand arrivals that the service did not take

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker must know. ``deadline`` in seconds."""

    database_url: str
    region: str
    default_node: str
    deadline: float
    max_sessions: int
    log_level: str
    log_format: str


def encode(value: Mapping[str, Any]) -> bytes:
    """A line of the link."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def encode_setup(setup: Setup) -> bytes:
    """The link's first line, from the service."""
    return encode(asdict(setup))


def encode_arrived(arrived: CallArrived) -> bytes:
    """A call's arrival as a line of the link."""
    return encode({"arrived": {**asdict(arrived), "at": arrived.at.isoformat()}})


def decode_arrived(value: Mapping[str, Any]) -> CallArrived:
    """The arrival that the worker told of."""
    return CallArrived(**{**value, "at": datetime.fromisoformat(value["at"])})


class Worker:
    """Answers on ``listener`` as ``setup`` says, and tells of it on the link."""

    def __init__(self, setup: Setup, listener: socket.socket, link: asyncio.StreamWriter) -> None:
        self._link = link
        self._unsent: list[CallArrived] = []
        self._lost = 0
        self._database = Database(setup.database_url)
        self._resolve = Resolve(self._database, self._hear, default_node=setup.default_node, region=setup.region)
        self._server = AgiServer(self._resolve, listener, deadline=setup.deadline, max_sessions=setup.max_sessions)

    async def run(self, service: asyncio.StreamReader) -> None:
        """Answer until the service is gone or says that it is enough."""
        await self._resolve.rehearse()
        await self._server.start()
        tune()
        self._link.write(encode({"ready": True}))
        try:
            while await service.readline():
                self._link.write(encode({"alive": True, "outcomes": self._server.outcomes}))
        except ConnectionError:
            log.debug("the service is gone")
        await self._server.stop()
        self._tell()
        if not self._link.is_closing():
            self._link.write(encode({"outcomes": self._server.outcomes}))
        try:
            await self._link.drain()
        except ConnectionError:
            log.debug("the service is gone")
        self._link.close()
        self._database.close()

    def _hear(self, arrived: CallArrived) -> None:
        if not self._unsent:
            asyncio.get_running_loop().call_later(_TELL_AFTER, self._tell)
        self._unsent.append(arrived)

    def _tell(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not unsent or self._link.is_closing():
            return
        if self._link.transport.get_write_buffer_size() > _MAX_UNSENT:
            # The AMI listener hears of the same calls.
            self._lost += len(unsent)
            log.error("arrivals_not_told", calls=self._lost)
            return
        self._link.write(b"".join(encode_arrived(arrived) for arrived in unsent))


async def _work(listener: socket.socket, link: socket.socket) -> None:
    service, writer = await asyncio.open_connection(sock=link)
    line = await service.readline()
    if not line:
        return
    setup = Setup(**json.loads(line))
    logs.configure(setup.log_level, setup.log_format)
    await Worker(setup, listener, writer).run(service)


def _end_with_the_service() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run a worker on the descriptors named on the command line."""
    _end_with_the_service()
    # The link alone says when to end: a terminal's Ctrl-C, or a supervisor that signals the whole group, is for the
    # service, which then lets us finish.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    listener, link = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    try:
        uvloop.run(_work(listener, link))
    except PbxtrackError as error:
        sys.exit(f"pbxtrack: {error}")


if __name__ == "__main__":
    main()
