"""Messages on disk, from before they are acknowledged until the upstream has taken them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from pbxtrack.ids import new_id

_PLACE = "place"
_MESSAGE, _SENT, _UNFINISHED = ".eml", ".sent", ".tmp"
_WRITERS = 4


class Files:
    """A folder of messages. ``place`` names it for good, so that others that share the database know it from theirs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="mail-spool")
        self.place = ""

    def open(self) -> None:
        """Make the folder, and its name. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        named = self.folder / _PLACE
        if not named.exists():
            made = self.folder / f"{_PLACE}-{os.getpid()}{_UNFINISHED}"
            _write(made, new_id(datetime.now(UTC)).encode())
            with contextlib.suppress(FileExistsError):  # another process named it
                os.link(made, named)
            made.unlink()
            self._settle()
        self.place = named.read_text("ascii")

    async def keep(self, name: str, *parts: bytes) -> None:
        """Write a message; it is durable when this returns. Raises OSError."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._keep, name, parts)

    def read(self, name: str) -> bytes | None:
        """A message; None if it is not there. Raises OSError."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def was_sent(self, name: str) -> bool:
        """Whether the upstream has taken it, and the database was not told yet."""
        return self._path(name, _SENT).exists()

    def sent(self, name: str) -> None:
        """Note that the upstream has taken a message: it must not go twice, even if the database cannot be told."""
        with contextlib.suppress(FileNotFoundError):
            self._path(name).rename(self._path(name, _SENT))

    def drop(self, name: str) -> None:
        """Forget a message."""
        for kind in (_MESSAGE, _SENT):
            self._path(name, kind).unlink(missing_ok=True)

    def older(self, seconds: float) -> list[str]:
        """The messages that have been here for so long; what was left half written is removed."""
        until = time.time() - seconds
        names: set[str] = set()
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.suffix not in (_MESSAGE, _SENT, _UNFINISHED) or path.stat().st_mtime > until:
                    continue
                if path.suffix == _UNFINISHED:
                    path.unlink()
                else:
                    names.add(path.stem)
        return sorted(names)

    def close(self) -> None:
        """Let what is being written come to its end."""
        self._threads.shutdown()

    def _keep(self, name: str, parts: tuple[bytes, ...]) -> None:
        unfinished = self._path(name, _UNFINISHED)
        try:
            _write(unfinished, *parts)
            unfinished.rename(self._path(name))
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        self._settle()

    def _settle(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str, kind: str = _MESSAGE) -> Path:
        return self.folder / f"{name}{kind}"


def _write(path: Path, *parts: bytes) -> None:
    with open(path, "xb", opener=_private) as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)  # what people write is for its owner alone
