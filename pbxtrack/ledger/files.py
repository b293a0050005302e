"""Asterisk's CEL and CDR files, of any age: which of the two one is, and the calls in it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple
from zoneinfo import ZoneInfo

from pbxtrack.calls.events import Fact
from pbxtrack.calls.reported import ReportedCall
from pbxtrack.errors import PbxtrackError
from pbxtrack.ledger import cdr, cel
from pbxtrack.ledger.cdr import CdrReader
from pbxtrack.ledger.cel import CelReader

MAX_LINE = 64 * 1024  # bytes; a longer one is none of Asterisk's
_BLOCK = 256 * 1024  # bytes, read at once
_LOOKED_AT = 100  # lines, to find out what a file is


class NotALedger(PbxtrackError):
    """The file is neither CEL nor CDR."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, unpacked where it is gzip's. Raises PbxtrackError where it cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PbxtrackError(f"{path} cannot be read: {reason}") from None


def lines(file: IO[bytes]) -> Iterator[str]:
    """The lines of a file; of one that is too long, an empty one."""
    rest = b""
    while block := file.read(_BLOCK):
        whole, end, rest = (rest + block).rpartition(b"\n")
        if end:
            for line in whole.decode("utf-8", "replace").split("\n"):
                yield line.rstrip("\r") if len(line) < MAX_LINE else ""
        if len(rest) > MAX_LINE:
            rest = rest[:MAX_LINE]  # of which nothing is used
    if rest:
        yield text(rest) if len(rest) < MAX_LINE else ""


def text(line: bytes) -> str:
    """A line of a file, without its end. Names are what the network sent, so the bytes may be any."""
    return line.rstrip(b"\r\n").decode("utf-8", "replace")


class LedgerFile:
    """A whole file. ``exact`` where it is CEL; ``malformed`` counts lines that say nothing."""

    def __init__(self, source: Iterable[str], name: str, node: str, zone: tzinfo, now: datetime) -> None:
        """``zone`` is that of times without one. Raises NotALedger."""
        self._now = now
        iterator = iter(source)
        first = list(islice(iterator, _LOOKED_AT))
        self._lines = chain(first, iterator)
        self.exact = any(cel.read_row(line) for line in first)
        if not self.exact and not any(cdr.read_row(line, zone) for line in first):
            raise NotALedger(f"{name} is not one of Asterisk's CEL or CDR files" if any(first) else f"{name} is empty")
        self._reader: CelReader | CdrReader = CelReader(node) if self.exact else CdrReader(node, zone)

    @property
    def malformed(self) -> int:
        return self._reader.malformed

    def calls(self) -> Iterator[Sequence[Fact]]:
        """The facts of one call after another."""
        for line in self._lines:
            if over := self._reader.feed(line):
                yield from over
        yield from self._reader.finish(self._now.timestamp())

    @property
    def going_on(self) -> int:
        """Calls whose end is not in the file; known once :meth:`calls` is through."""
        return self._reader.going_on


class Part(NamedTuple):
    """Some of a file's calls. Of the file: whether it is ``exact``, and so far, to its end in the
    last part, the calls that are not over and the lines that say nothing."""

    calls: list[ReportedCall]
    exact: bool
    going_on: int
    malformed: int


def parts(path: Path, node: str, zone: tzinfo | None, now: datetime, calls: int) -> Iterator[Part]:
    """A file's calls, so many at a time. Times without a zone are of this machine's unless one is given.

    Raises PbxtrackError where it cannot be read, or is neither CEL nor CDR.
    """
    with opened(path) as file:
        ledger = LedgerFile(lines(file), str(path), node, zone or _here(), now)
        found = ledger.calls()
        more = True
        while more:
            some = [ReportedCall(facts) for facts in islice(found, calls)]
            more = len(some) == calls
            yield Part(some, ledger.exact, ledger.going_on, ledger.malformed)


def _here() -> tzinfo:
    """This machine's time zone, with its rules, so that summer and winter are told apart."""
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError):
        zone = datetime.now().astimezone().tzinfo
        assert zone is not None
        return zone
