"""Reads a large file in a process of its own: while the calls of one part are compared, the next part is read."""

from __future__ import annotations

import marshal
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pbxtrack.calls.reported import ReportedCall
from pbxtrack.errors import PbxtrackError
from pbxtrack.ledger.files import Part, parts
from pbxtrack.tuning import tune_for_batches

_NEXT = b"next"
_AT_ONCE = 20  # calls
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
    ours, theirs = context.Pipe()
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
        link.send_bytes(_NEXT)
        received = marshal.loads(link.recv_bytes())  # noqa: S302 (our own process sent it)
    except (EOFError, ConnectionError):
        raise PbxtrackError(f"{path}: the process that reads it has ended") from None
    if isinstance(received, str):
        raise PbxtrackError(received)
    return None if received is None else Part([ReportedCall.of(plain) for plain in received[0]], *received[1:])


def _send_parts(link: Connection, path: Path, node: str, zone: tzinfo | None, now: datetime, calls: int) -> None:
    """The process: sends each part, then None, or the text of the error there was. It ends with who reads them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_for_batches()
    try:
        try:
            for part in parts(path, node, zone, now, calls):
                _make(link, part.calls)
                _send(link, ([one.plain() for one in part.calls], *part[1:]))
            _send(link, None)
        except PbxtrackError as error:
            _send(link, str(error))
    except (EOFError, ConnectionError):
        pass


def _make(link: Connection, calls: Sequence[ReportedCall]) -> None:
    """Until the part is asked for, make of its calls what the other process would have to make.

    So the two have the same to do, whether the calls are new, where the other has the most of it, or known.
    """
    for start in range(0, len(calls), _AT_ONCE):
        if link.poll():
            return
        for one in calls[start : start + _AT_ONCE]:
            one.make()


def _send(link: Connection, value: Any) -> None:
    """Send it once it is asked for. Marshal, since both are of the same Python: it takes a fifth of pickle's time."""
    link.recv_bytes()
    link.send_bytes(marshal.dumps(value))
