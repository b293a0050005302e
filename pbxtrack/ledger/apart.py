"""Reads a large file in a process of its own: while the calls of one part are compared, the next part is read."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from datetime import datetime, tzinfo
from multiprocessing.connection import Connection
from pathlib import Path

from pbxtrack.errors import PbxtrackError
from pbxtrack.ledger.files import Part, parts
from pbxtrack.tuning import tune_for_batches

_SMALL = 1024 * 1024  # bytes; less is read sooner than a process is there


def read_parts(path: Path, node: str, zone: tzinfo | None, now: datetime, calls: int) -> Iterator[Part]:
    """What :func:`~pbxtrack.ledger.files.parts` gives, quicker. Raises what that raises."""
    try:
        small = path.stat().st_size <= _SMALL
    except OSError:
        small = True  # which is told of when it is opened
    return (parts if small else _parts_apart)(path, node, zone, now, calls)


def _parts_apart(path: Path, node: str, zone: tzinfo | None, now: datetime, calls: int) -> Iterator[Part]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_parts, args=(theirs, path, node, zone, now, calls), daemon=True)
    process.start()
    theirs.close()
    try:
        while (part := _received(ours, path)) is not None:
            yield part
    finally:
        ours.close()
        process.join()


def _received(link: Connection, path: Path) -> Part | None:
    try:
        received: Part | PbxtrackError | None = link.recv()
    except EOFError:
        raise PbxtrackError(f"{path}: the process that reads it has ended") from None
    if isinstance(received, PbxtrackError):
        raise received
    return received


def _send_parts(link: Connection, path: Path, node: str, zone: tzinfo | None, now: datetime, calls: int) -> None:
    """The process: sends each part, then None, or the error that there was. It ends with who reads them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_for_batches()
    try:
        try:
            for part in parts(path, node, zone, now, calls):
                link.send(part)
            link.send(None)
        except PbxtrackError as error:
            link.send(error)
    except BrokenPipeError:
        pass
