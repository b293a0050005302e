"""Keeps the process that answers Asterisk: starts it, hears what it tells, replaces it when it ends or hangs.

Answering has a process of its own because nothing else that the service does (recording, listening, leasing) may then
delay a caller: not by using the interpreter, not by a defect.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from pbxtrack.agi.server import OUTCOMES, address_of, bind
from pbxtrack.agi.worker import Setup, decode_arrived, encode_setup
from pbxtrack.calls.events import CallArrived
from pbxtrack.errors import PbxtrackError
from pbxtrack.settings import Address

_ADDRESS_LIMIT = 1.0  # s
_START_LIMIT = 20.0  # s, on a machine that does much else
_STOP_LIMIT = 8.0  # s; its sessions end within five
_LAST_WORDS = 1.0  # s for a process that has lost its link
_ASK_EVERY = 1.0  # s between questions for a sign of life
_SILENT = 5  # questions without any answer after which it is held to hang
_RETRY, _RETRY_MOST = 0.1, 5.0  # s

log = structlog.get_logger(__name__)


class AgiProcess:
    """FastAGI at ``address``, answered by a process of its own. ``heard`` is told of every call's arrival."""

    def __init__(self, setup: Setup, address: Address, heard: Callable[[CallArrived], None]) -> None:
        self._setup, self._address, self._heard = setup, address, heard
        self._bound: socket.socket | None = None  # until the process has it
        self._keeper: asyncio.Task[None] | None = None
        self._link: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopping = False
        self._unanswered = 0
        self._outcomes: Counter[str] = Counter()  # of the present process, as it told last
        self._outcomes_before: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))  # of those that ended
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def address(self) -> Address:
        """Where it listens; the real port where 0 was asked for."""
        return self._address

    @property
    def ready(self) -> bool:
        """Whether calls are answered."""
        return self._ready.is_set() and self._unanswered < _SILENT

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How sessions ended, of all processes together: what one that was killed did not tell is not in it.

        Some second behind; it only grows.
        """
        return {outcome: n + self._outcomes[outcome] for outcome, n in self._outcomes_before.items()}

    async def start(self) -> None:
        """Begin to answer. Raises PbxtrackError when the address cannot be had or the process does not start."""
        self._bound = await self._bind()
        self._address = address_of(self._bound)
        self._keeper = asyncio.create_task(self._keep())
        waits = [asyncio.create_task(event.wait()) for event in (self._ready, self._ended)]
        await asyncio.wait(waits, timeout=_START_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not self._ready.is_set():
            await self.stop()
            raise PbxtrackError("the process that answers FastAGI did not start")

    async def _bind(self) -> socket.socket:
        """A service, or a process of ours, that was killed a moment ago may still hold the address."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ADDRESS_LIMIT
        while True:
            try:
                return bind(self._address)
            except PbxtrackError:
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Take no new call, let those under way be answered, hear of them, and end the process."""
        self._stopping = True
        if self._bound is not None:
            self._bound.close()
        if self._link is not None and not self._link.is_closing():
            self._link.write_eof()
        if self._keeper is None:
            return
        done, _ = await asyncio.wait([self._keeper], timeout=_STOP_LIMIT)
        if not done:
            log.error("agi_process_does_not_end")
            self._kill()
            self._keeper.cancel()
            await asyncio.wait([self._keeper], timeout=1)

    async def _keep(self) -> None:
        pause = _RETRY
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            try:
                await self._run()
            except Exception:
                log.exception("agi_process_lost")
            self._ready.clear()
            self._ended.set()
            if self._stopping:
                return
            lived = asyncio.get_running_loop().time() - began
            pause = _RETRY if lived > _RETRY_MOST else min(pause * 2, _RETRY_MOST)
            log.error("agi_process_ended", code=self.process.returncode if self.process else None, again_in=pause)
            await asyncio.sleep(pause)

    async def _run(self) -> None:
        """One process, from its start to its end."""
        # Ours is closed as soon as the process has it: when the process ends calls are refused, which the dialplan
        # notices at once, until the next one is ready and listens. Else they would wait for it.
        bound, self._bound = self._bound or await self._bind(), None
        ours, theirs = socket.socketpair()
        descriptors = bound.fileno(), theirs.fileno()
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "pbxtrack.agi.worker", *map(str, descriptors),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=descriptors,
                start_new_session=True,  # the kernel shares processors between sessions
            )  # fmt: skip
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            bound.close()
        self.starts += 1
        self._unanswered = 0
        self._outcomes_before.update(self._outcomes)
        self._outcomes.clear()
        reader, self._link = await asyncio.open_connection(sock=ours)
        asking = asyncio.create_task(self._ask(self._link))
        try:
            self._link.write(encode_setup(self._setup))
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    self._hear(json.loads(line))
        finally:
            asking.cancel()
            self._link.close()
            if not self._stopping:
                await self._end()
            await self.process.wait()

    def _hear(self, message: dict[str, Any]) -> None:
        self._unanswered = 0
        if "outcomes" in message:
            self._outcomes = Counter(message["outcomes"])
        if "arrived" in message:
            self._heard(decode_arrived(message["arrived"]))
        elif "ready" in message:
            self._ready.set()

    async def _ask(self, link: asyncio.StreamWriter) -> None:
        """Ask for signs of life; end a process that gives none: in its hands calls wait for the dialplan's limit."""
        await self._ready.wait()
        while True:
            await asyncio.sleep(_ASK_EVERY)
            if self._unanswered >= _SILENT:
                log.error("agi_process_hangs")
                self._kill()
                return
            self._unanswered += 1
            link.write(b"\n")

    async def _end(self) -> None:
        """Without a link it is of no use; it goes by itself, or is killed."""
        assert self.process is not None
        try:
            await asyncio.wait_for(self.process.wait(), _LAST_WORDS)
        except TimeoutError:
            self._kill()

    def _kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
