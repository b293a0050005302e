"""Work in a process of its own: reckoning would keep this one's callers and visitors waiting."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterable

import structlog

from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.database import Database

_HUMBLE = 10  # niceness: leases and calls come first

log = structlog.get_logger(__name__)


async def run_aside(module: str, database_url: str, *arguments: str) -> list[str] | None:
    """Run a module whose program is :func:`serve_aside`; the words that it says, None where it failed.

    ``arguments``, which anybody on this machine may see, are the program's.
    """
    apart = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        told, complaint = await apart.communicate(database_url.encode())  # it may hold a password
    finally:
        if apart.returncode is None:
            apart.kill()
            await apart.wait()
    if apart.returncode:
        reason = complaint.decode(errors="replace").strip().splitlines()
        log.warning("work_failed", work=module, reason=reason[-1] if reason else f"exit {apart.returncode}")
        return None
    return told.decode().split()


def serve_aside(work: Callable[[Database], Iterable[object]]) -> int:
    """Do the work once; the database's address is on the standard input, what it says goes to the standard output."""
    os.nice(_HUMBLE)
    try:
        database = Database(sys.stdin.read())
        try:
            print(*work(database), sep="\n")
        finally:
            database.close()
    except PbxtrackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
