"""Work that one process at a time does, of all that share a database."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from pbxtrack.errors import StorageUnavailable
from pbxtrack.storage import duties
from pbxtrack.storage.database import Database

_EVERY = 1.0  # s between words of the holder, and looks of the others
_PATIENCE = 2.0  # s for the database
_HAND_OVER = 3.0  # s for another process to take over
_OVERLAP = 1.0  # s that both do the work: the new one must first log in

T = TypeVar("T")

log = structlog.get_logger(__name__)


def this_process() -> str:
    """A name for this process that no other has, nor will have: where it runs, its id there, something random."""
    return f"{_place()}/{os.getpid()}/{secrets.token_hex(4)}"


def _place() -> str:
    """A machine, or a container on it, whose process ids are its own."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()[:60]}/{namespace.stat().st_ino if namespace.exists() else ''}"


def is_gone(process: str) -> bool:
    """Whether a process was here and is no more; of one elsewhere nothing is known."""
    place, _, pid = process.rpartition("/")[0].rpartition("/")
    return place == _place() and Path("/proc/self").exists() and not Path(f"/proc/{pid}").exists()


class Duty:
    """A duty, and this process's part in it: to do it, or to stand by until whoever does is gone.

    ``able`` says whether this process could. While the database does not answer each process that can does the work:
    what two do is recorded once. ``work`` is begun anew with each turn, and cancelled at its end.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        database: Database,
        me: str,
        *,
        able: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self._work, self._database, self._me, self._able = work, database, me, able
        self._leaving = False
        self.held = False
        self.stands_by = False  # another process has it

    async def run(self) -> None:
        """Stand by, and do the work whenever it is ours, until cancelled."""
        while True:
            self.stands_by = not self._able() or await self._claim() is False
            if self.stands_by:
                await asyncio.sleep(_EVERY)
                continue
            self.held = True
            try:
                await self._serve()
            except Exception:  # a defect of ours must not end it for good
                log.exception("duty_failed", duty=self.name)
                await asyncio.sleep(_EVERY)
            finally:
                self.held = False

    async def hand_over(self) -> None:
        """Let another process take over where one stands by, and go on until it has; :meth:`run` is to be cancelled."""
        self._leaving = True
        if not self.held or not await self._ask(lambda connection: duties.release(connection, self.name, self._me)):
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _HAND_OVER
        while loop.time() < deadline:
            if await self._ask(lambda connection: duties.is_taken(connection, self.name, self._me)):
                await asyncio.sleep(_OVERLAP)
                return
            await asyncio.sleep(_EVERY / 5)

    async def _serve(self) -> None:
        """Do the work until another process has it."""
        work = asyncio.ensure_future(self._work())
        try:
            while True:
                done, _ = await asyncio.wait([work], timeout=_EVERY)
                if done:
                    return work.result()
                if not self._leaving and await self._claim() is False:
                    log.warning("duty_taken_by_another", duty=self.name)  # we were not heard of for too long
                    return None
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _claim(self) -> bool | None:
        """Whether it is ours; None where that cannot be known."""
        holder = await self._ask(lambda connection: duties.claim(connection, self.name, self._me))
        if holder is None:
            return None
        if holder != self._me and is_gone(holder):  # killed: there is no need to wait until it is missed
            await self._ask(partial(duties.release, duty=self.name, me=holder))
            return await self._ask(lambda connection: duties.claim(connection, self.name, self._me)) == self._me
        return holder == self._me

    async def _ask(self, question: Callable[[Connection], T]) -> T | None:
        """None when the database does not answer."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._database.write(question)
        except (StorageUnavailable, TimeoutError):
            return None
