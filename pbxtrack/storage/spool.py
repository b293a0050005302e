"""Facts on disk, for as long as the database does not take them.

A process writes to a file of its own in the spool's folder, a fact a line, and holds a lock on it. A file that nobody
holds was left by a process that ended: whoever finds it takes it over. A fact may be taken twice (after a crash between
the database's commit and the file's end); facts that are known already change nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy.engine import URL

from pbxtrack.calls.events import Fact, details, microseconds, restore
from pbxtrack.errors import StorageUnavailable
from pbxtrack.words import Words

_AT_ONCE = 1024 * 1024  # bytes of a look: more than a line can have
_FILES = "facts-*.jsonl"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


def spool_folder(data_dir: Path, database: URL) -> Path:
    """Where facts for a database wait. Each has its own: what waits for one must not come into another."""
    query = sorted(pair for pair in database.normalized_query.items() if pair[0] not in ("user", "password"))
    place = f"{database.host}:{database.port}/{database.database}?{query}"
    return data_dir / "spool" / f"{Path(database.database or 'memory').stem}-{zlib.crc32(place.encode()):08x}"


def unusable(folder: Path) -> Words | None:
    """Why facts could not wait in this folder, which need not be there yet; None if they could."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return Words("%(path)s is not a folder", path=there)
    return None if os.access(there, os.W_OK | os.X_OK) else Words("%(path)s cannot be written", path=there)


def strangers(data_dir: Path, own: Path) -> list[Path]:
    """Folders in which facts wait for another database, or for this one by another address."""
    return sorted({file.parent for file in (data_dir / "spool").glob(f"*/{_FILES}") if file.parent != own})


def files_in(folder: Path) -> list[Path]:
    """The files of facts in a spool's folder, whoever's they are."""
    return sorted(folder.glob(_FILES))


class Spool:
    """One process's file of facts, and what others left; ``max_bytes`` bounds the first. Not for two threads at once.

    First in, first out: :meth:`first` gives the oldest facts, :meth:`done` lets go of them.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._own: _File | None = None  # what we add to
        self._left: _File | None = None  # another process's, that we took over
        self._set_aside: set[Path] = set()
        self._given = 0  # facts of our own file that were given last
        self.facts = 0  # in our own file, not done
        self.malformed = 0  # lines that could not be read

    def add(self, facts: Sequence[Fact]) -> None:
        """Keep facts; they are on disk when this returns. Raises StorageUnavailable where there is no room."""
        data = b"".join(_line(fact) for fact in facts)
        try:
            self._own = own = self._own or _new_file(self.folder)
            if own.size + len(data) > self._max_bytes:
                raise StorageUnavailable(f"the spool {self.folder} is full")
            own.append(data)
        except OSError as error:
            raise StorageUnavailable(f"the spool {self.folder} cannot be written: {error.strerror}") from error
        self.facts += len(facts)

    def first(self, most: int) -> list[Fact] | None:
        """The oldest facts, at most so many; the same again until they are done. None: nothing is left, anywhere."""
        if self._left is None and not (self._own and self._own.begun):
            self._left = _abandoned(self.folder, self._set_aside | ({self._own.path} if self._own else set()))
        if self._left is not None:
            try:
                lines = self._left.first(most)
            except OSError as error:
                self._put_aside(self._left, error)
                return self.first(most)
        else:
            lines = self._own.first(most) if self._own else []
        if not lines:
            return None
        self._given = 0 if self._left else len(lines)
        return [fact for line in lines if (fact := self._read(line))]

    def done(self) -> None:
        """The facts given last are in the database."""
        if self._left is not None:
            self._left.done()
            if not self._left.size:
                self._left.close()
                self._left = None
        elif self._own is not None:
            self._own.done()
            self.facts -= self._given

    def close(self) -> None:
        """Let go of the files; what they hold is left for the next process."""
        for file in filter(None, (self._own, self._left)):
            file.close()
        self._own = self._left = None

    def _put_aside(self, file: _File, error: OSError) -> None:
        """A file of another's that cannot be read must not keep ours from the database."""
        log.error("spool_file_not_read", file=str(file.path), reason=error.strerror)
        self._set_aside.add(file.path)
        self._left = None
        with contextlib.suppress(OSError):
            file.close()

    def _read(self, line: bytes) -> Fact | None:
        try:
            kind, node, linkedid, at, leg, data = json.loads(line)
            return restore(
                kind, node=node, linkedid=linkedid, at=_EPOCH + timedelta(microseconds=at), leg=leg, data=data
            )
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            self.malformed += 1  # half a line, mostly: the machine went down as it was written
            log.warning("spooled_fact_not_read", bytes=len(line))
            return None


class _File:
    """A file of lines that is read from its beginning and written at its end; ours alone while it is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Raises BlockingIOError where another process holds it."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = path
        self._descriptor = descriptor
        self._done = self._given = 0  # bytes from the beginning

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    @property
    def begun(self) -> bool:
        """Whether some of it is done."""
        return self._done > 0

    def append(self, data: bytes) -> None:
        size = self.size
        try:
            written = os.pwrite(self._descriptor, data, size)
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], size + written)
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)  # what is told to be missing must not be there later
            raise

    def first(self, most: int) -> list[bytes]:
        lines = os.pread(self._descriptor, _AT_ONCE, self._done).splitlines(keepends=True)
        if len(lines) > 1 and not lines[-1].endswith(b"\n"):
            lines.pop()
        del lines[most:]
        self._given = self._done + sum(map(len, lines))
        return lines

    def done(self) -> None:
        self._done = self._given
        if self._done >= self.size:
            os.ftruncate(self._descriptor, 0)
            self._done = self._given = 0

    def close(self) -> None:
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _new_file(folder: Path) -> _File:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"facts-{secrets.token_hex(6)}.jsonl"
    return _File(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # a caller's number is nobody's else


def _abandoned(folder: Path, but: Collection[Path]) -> _File | None:
    for path in files_in(folder):
        if path in but:
            continue
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            continue  # gone, or another user's
        try:
            file = _File(path, descriptor)
        except OSError:
            os.close(descriptor)
            continue
        if file.size and path.exists():
            log.info("facts_left_by_another", file=path.name)
            return file
        file.close()
    return None


def _line(fact: Fact) -> bytes:
    value = [fact.kind, fact.node, fact.linkedid, microseconds(fact.at), fact.leg, details(fact)]
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
