"""Whatever breaks, callers reach the line and the log is right: a short run of `make chaos`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.run import Rounds
from tests.chaos.world import world

ON_POSTGRESQL = (
    ("every pbxtrack killed",),
    ("every pbxtrack restarted in turn",),
    ("FastAGI's processes frozen", "PostgreSQL killed"),
    ("PostgreSQL mute", "AMI cut off"),
    ("a pbxtrack killed", "AMI mute"),
    ("Asterisk killed",),
)
ON_SQLITE = (
    ("every pbxtrack killed", "AMI cut off"),
    ("SQLite locked",),
)
_FAULTS = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def two_on_postgresql() -> Iterator[Rounds]:
    with world("postgresql") as made:
        yield Rounds(made, "short")


@pytest.fixture(scope="module")
def one_on_sqlite() -> Iterator[Rounds]:
    with world("sqlite") as made:
        yield Rounds(made, "short")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("names", ON_POSTGRESQL, ids=" + ".join)
def test_no_call_is_lost_and_none_is_missing_from_the_log(two_on_postgresql: Rounds, names: tuple[str, ...]) -> None:
    _play(two_on_postgresql, names)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("names", ON_SQLITE, ids=" + ".join)
def test_so_it_is_on_sqlite(one_on_sqlite: Rounds, names: tuple[str, ...]) -> None:
    _play(one_on_sqlite, names)


def _play(rounds: Rounds, names: tuple[str, ...]) -> None:
    done = rounds.play([_FAULTS[name] for name in names], calls=8)
    print(done)
    assert done.found.wrong == []
    assert done.found.counts["calls"] == 8
    assert rounds.website.refused == []
    assert rounds.website.leased
