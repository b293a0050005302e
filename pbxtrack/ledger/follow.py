"""Follows a CEL file while Asterisk writes it, through rotation, truncation and half-written lines."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from pbxtrack.calls.events import Fact
from pbxtrack.ledger.cel import CelReader
from pbxtrack.ledger.files import MAX_LINE, text

_AT_ONCE = 4 * 1024 * 1024  # bytes of a step, some thousand calls

_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a file is read: every call that begins before it is known.

    ``file`` names it whatever its path: by its inode, and by its first line, since inodes are used again.
    """

    file: str
    offset: int


class CelFollower:
    """The calls in one Asterisk's CEL file, each once it is over.

    Start it where another left off: at the :attr:`position` that was kept with the calls up to there. Files that were
    rotated meanwhile are found beside the present one, and read in their order, unless they were packed.
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
        if _name(self._file) != self._name:
            log.warning("the CEL file was begun anew; it is read from its beginning", file=str(self._path))
            self._begin(self._file, 0)
        calls, more = self._lines(self._file)
        if more:
            self._quiet = False
            return calls
        if self._successor(self._file) is not None:
            # Asterisk writes to the old file until it is told to reopen: only at its end the next one is begun. Calls
            # that go on are continued there.
            self._open()
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
        """Open the file to read next: where we left off, else the one that comes after it, else Asterisk's present."""
        path: Path | None = self._path
        offset = 0
        if self._file is not None:
            path = self._successor(self._file)
        elif self._since is not None:
            kept = next((old for old in self._family() if _name_of(old) == self._since.file), None)
            if kept is None:
                log.warning("the CEL file read last is gone; `import-cdr` adds what it had", file=str(self._path))
            else:
                path, offset = kept, self._since.offset
        if path is None or not _name_of_present(path):
            return False
        self.close()
        self._file = path.open("rb")
        self._since = None
        self._begin(self._file, offset)
        return True

    def _begin(self, file: IO[bytes], offset: int) -> None:
        self._name = _name(file)
        self._read = offset if offset <= os.fstat(file.fileno()).st_size else 0
        file.seek(self._read)

    def _family(self) -> list[Path]:
        """The file and what it may have been renamed to, the oldest first."""
        found = [
            path
            for path in self._path.parent.glob(f"{self._path.stem}*")
            if path.is_file() and path.suffix not in _PACKED
        ]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def _successor(self, file: IO[bytes]) -> Path | None:
        """The file that was begun next after this one; None as long as this one is the last."""
        if _name_of_present(self._path) in ("", self._name):
            return None
        written = os.fstat(file.fileno()).st_mtime_ns
        later = [
            path
            for path in self._family()
            if path.stat().st_mtime_ns >= written and (name := _name_of(path)) and name != self._name
        ]
        return next(iter(later), None)

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
            begin_of_line, self._read = self._read, self._read + len(data)
            calls += self._feed(text(data), Position(self._name, begin_of_line))
        return calls, self._read > begin

    def _feed(self, line: str, place: Position) -> list[Sequence[Fact]]:
        try:
            return list(self._reader.feed(line, place))
        except Exception:  # a defect of ours must not cost the next line
            log.exception("a line of the CEL file could not be read", file=str(self._path), offset=place.offset)
            return []


def _name_of_present(path: Path) -> str:
    """As :func:`_name_of`, of the file that Asterisk writes: that it cannot be read must be told. Raises OSError."""
    try:
        with path.open("rb") as file:
            return _name(file)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return ""  # the first call makes it


def _name_of(path: Path) -> str:
    """What the file is known by; empty for one that is not there, or has not one whole line yet."""
    try:
        return _name_of_present(path)
    except OSError:
        return ""


def _name(file: IO[bytes]) -> str:
    first = os.pread(file.fileno(), MAX_LINE, 0).partition(b"\n")
    if not first[1]:
        return ""
    found = os.fstat(file.fileno())
    return f"{found.st_dev}:{found.st_ino}:{zlib.crc32(first[0]):08x}"
