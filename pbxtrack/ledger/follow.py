"""Follows a CEL file while Asterisk writes it, through rotation, truncation and half-written lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from pbxtrack.calls.events import Fact
from pbxtrack.ledger.cel import CelReader
from pbxtrack.ledger.files import MAX_LINE, text

_AT_ONCE = 4 * 1024 * 1024  # bytes of a step, some thousand calls

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a file is read: every call that begins before it is known. ``file`` names it whatever its path."""

    file: str
    offset: int


class CelFollower:
    """The calls in one Asterisk's CEL file, each once it is over.

    Start it where another left off: at the :attr:`position` that was kept with the calls up to there. A file that was
    rotated meanwhile is found beside its successor, by its inode.
    """

    def __init__(self, path: Path, node: str, since: Position | None = None) -> None:
        self._path = path
        self._since = since
        self._reader = CelReader(node)
        self._file: IO[bytes] | None = None
        self._name = ""
        self._read = 0
        self._quiet = False

    @property
    def malformed(self) -> int:
        """Lines that say nothing."""
        return self._reader.malformed

    @property
    def position(self) -> Position | None:
        """Where to begin again; None before anything was read."""
        if not self._name:
            return self._since
        oldest = self._reader.oldest
        return oldest if isinstance(oldest, Position) else Position(self._name, self._read)

    def step(self) -> list[Sequence[Fact]]:
        """The calls that are over, of what was written since the last step. Raises OSError."""
        if self._file is None and not self._open():
            return []
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._read:
            log.warning("the CEL file was cut short; it is read from its beginning", file=str(self._path))
            self._file.seek(0)
            self._read = 0
        calls, more = self._lines(self._file)
        if more:
            self._quiet = False
            return calls
        if self._replaced():
            # Asterisk writes to the old file until it is told to reopen: only at its end the new one is begun. Calls
            # that go on are continued there.
            self.close()
            self._since = None
        elif self._quiet:
            calls += self._reader.ended()
        self._quiet = True
        return calls

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> bool:
        path = self._path
        if self._since is not None and _name(path) != self._since.file:
            path = next((old for old in _siblings(path) if _name(old) == self._since.file), path)
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            return False
        self._name = _name(path)
        offset = self._since.offset if self._since and self._since.file == self._name else 0
        self._read = offset if offset <= os.fstat(self._file.fileno()).st_size else 0
        self._file.seek(self._read)
        return True

    def _lines(self, file: IO[bytes]) -> tuple[list[Sequence[Fact]], bool]:
        """(the calls, whether anything was written) of the next whole lines."""
        calls: list[Sequence[Fact]] = []
        end = self._read + _AT_ONCE
        begin = self._read
        while self._read < end:
            data = file.readline(MAX_LINE)
            if not data.endswith(b"\n") and len(data) < MAX_LINE:
                file.seek(self._read)  # half a line: the rest will come
                break
            calls += self._reader.feed(text(data), Position(self._name, self._read))
            self._read += len(data)
        return calls, self._read > begin

    def _replaced(self) -> bool:
        """Whether another file stands at the path, with something in it."""
        try:
            return _name(self._path) != self._name and self._path.stat().st_size > 0
        except FileNotFoundError:
            return False


def _name(path: Path) -> str:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def _siblings(path: Path) -> list[Path]:
    """What the file may have been renamed to."""
    return [old for old in path.parent.glob(f"{path.name}*") if old != path and old.is_file()]
