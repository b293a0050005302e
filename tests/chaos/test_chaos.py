"""Whatever breaks, callers reach the line and the log is right: a short run of `make chaos`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.run import Rounds
from tests.chaos.world import world

ROUNDS = (
    ("both pbxtracks killed",),
    ("both pbxtracks restarted in turn",),
    ("FastAGI's processes frozen", "PostgreSQL killed"),
    ("PostgreSQL mute", "AMI cut off"),
    ("one pbxtrack killed", "AMI mute"),
    ("Asterisk killed",),
)
_FAULTS = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def rounds() -> Iterator[Rounds]:
    with world() as made:
        yield Rounds(made, "short")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("names", ROUNDS, ids=" + ".join)
def test_no_call_is_lost_and_none_is_missing_from_the_log(rounds: Rounds, names: tuple[str, ...]) -> None:
    done = rounds.play([_FAULTS[name] for name in names], calls=8)
    print(done)
    assert done.found.wrong == []
    assert done.found.counts["calls"] == 8
    assert rounds.website.refused == []
    assert rounds.website.leased
