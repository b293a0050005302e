"""A CEL file is followed through everything that happens to a log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbxtrack.calls.events import Fact
from pbxtrack.ledger.cel import CelReader
from pbxtrack.ledger.follow import CelFollower, Position

FIXTURE = (Path(__file__).parents[1] / "fixtures" / "ledger" / "cel.csv").read_bytes()
ALL = 18  # calls in it
Follow = Callable[..., CelFollower]


class Log:
    """The file, as Asterisk writes it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pbxtrack.csv"
        self._left = FIXTURE

    def write(self, length: int | None = None) -> None:
        """Append the next bytes, or all that are left."""
        piece = self._left if length is None else self._left[:length]
        self._left = self._left[len(piece) :]
        with self.path.open("ab") as file:
            file.write(piece)

    def line_end(self, length: int) -> int:
        """So many of the next bytes, up to the end of a line: Asterisk begins a file with a whole one."""
        return self._left.index(b"\n", length) + 1

    def rotate(self, to: str = "pbxtrack.csv.0") -> None:
        self.path.rename(self.path.with_name(to))


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    with ExitStack() as stack:
        yield lambda *since: stack.enter_context(closing(CelFollower(tmp_path / "pbxtrack.csv", "pbx1", *since)))


def drain(follower: CelFollower, steps: int = 4) -> list[str]:
    """The calls' linkedids, until nothing more comes."""
    found: list[Sequence[Fact]] = []
    quiet = 0
    while quiet < steps:
        calls = follower.step()
        found += calls
        quiet = 0 if calls else quiet + 1
    return [facts[0].linkedid for facts in found]


def test_there_is_no_file_yet(tmp_path: Path, follow: Follow) -> None:
    log, follower = Log(tmp_path), follow()
    assert not drain(follower)
    assert follower.position is None
    log.write()
    assert len(drain(follower)) == ALL


@settings(deadline=None, max_examples=30)
@given(pieces=st.lists(st.integers(1, 9_000), max_size=12))
def test_half_lines_wait_for_their_other_half(tmp_path_factory: pytest.TempPathFactory, pieces: list[int]) -> None:
    log = Log(tmp_path_factory.mktemp("cel"))
    found = []
    with closing(CelFollower(log.path, "pbx1")) as follower:
        for piece in pieces:
            log.write(piece)
            found += [facts[0].linkedid for facts in follower.step()]
        log.write()
        found += drain(follower)
    assert len(found) == len(set(found)) == ALL
    assert follower.malformed == 0


@pytest.mark.parametrize("at", range(0, len(FIXTURE), 4_321))
def test_who_begins_again_at_the_kept_position_misses_no_call(tmp_path: Path, follow: Follow, at: int) -> None:
    log, first = Log(tmp_path), follow()
    log.write(at)
    found = drain(first)
    first.close()
    log.write()
    found += drain(follow(first.position))
    assert len(set(found)) == ALL


@pytest.mark.parametrize("at", [0, 9_000, 20_000])
def test_rotation_while_it_is_followed(tmp_path: Path, follow: Follow, at: int) -> None:
    log, follower = Log(tmp_path), follow()
    log.write(at)
    found = drain(follower)
    log.rotate()
    with log.path.with_name("pbxtrack.csv.0").open("ab") as old:  # Asterisk was not told yet to begin a new one
        line_end = log._left.index(b"\n") + 1
        old.write(log._left[:line_end])
        log._left = log._left[line_end:]
    log.write()
    found += drain(follower)
    assert len(found) == len(set(found)) == ALL, "calls that went on were continued"
    position = follower.position
    assert position is not None
    assert f":{log.path.stat().st_ino}:" in position.file


@pytest.mark.parametrize("names", [["csv.0"], ["csv.1", "csv.0"], ["20261122.csv", "20261123.csv", "csv.2"]], ids=str)
def test_rotation_while_nobody_followed(tmp_path: Path, follow: Follow, names: list[str]) -> None:
    log, first = Log(tmp_path), follow()
    log.write(log.line_end(15_000))
    found = drain(first)
    for name in names:
        log.write(log.line_end(9_000))
        os.utime(log.path, ns=(0, time.time_ns()))  # some kernels' clocks for files are coarse
        log.rotate(f"pbxtrack{'.' if name.startswith('csv') else '-'}{name}")
    log.write()
    found += drain(follow(first.position))
    assert len(found) == len(set(found)) == ALL


@pytest.mark.parametrize("followed", [True, False])
def test_a_file_that_was_begun_anew_in_place_is_read_from_its_beginning(
    tmp_path: Path, follow: Follow, followed: bool
) -> None:
    """It may have grown past the old place already."""
    log, first = Log(tmp_path), follow()
    log.write(log.line_end(9_000))
    found = drain(first)
    os.truncate(log.path, 0)
    log.write()
    found += drain(first if followed else follow(first.position))
    assert len(set(found)) >= ALL - 1  # a call that went on at the copy may have lost its beginning


def test_a_defect_costs_no_other_line(tmp_path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    log, follower = Log(tmp_path), follow()
    feed = CelReader.feed
    failing = iter([True])

    def fails_once(reader: CelReader, line: str, place: object = None) -> Iterator[Sequence[Fact]]:
        if next(failing, False):
            raise RuntimeError("a defect")
        yield from feed(reader, line, place)

    monkeypatch.setattr(CelReader, "feed", fails_once)
    log.write()
    assert len(drain(follower)) == ALL


def test_a_file_that_is_cut_short_is_read_from_its_beginning(tmp_path: Path, follow: Follow) -> None:
    log, follower = Log(tmp_path), follow()
    log.write()
    assert len(drain(follower)) == ALL
    os.truncate(log.path, 0)
    assert not drain(follower)
    log._left = FIXTURE
    log.write()
    assert len(drain(follower)) == ALL


def test_a_position_of_another_file_counts_for_nothing(tmp_path: Path, follow: Follow) -> None:
    log = Log(tmp_path)
    log.write()
    assert len(drain(follow(Position("0:0", 10**9)))) == ALL


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert CelFollower(tmp_path / "pbxtrack.csv", "pbx1").step() == []  # the first call makes it
    with pytest.raises(IsADirectoryError):
        CelFollower(tmp_path, "pbx1").step()
    with pytest.raises(FileNotFoundError):
        CelFollower(tmp_path / "nowhere" / "pbxtrack.csv", "pbx1").step()
