"""What is said in the lab: by turns, and each time the same."""

from __future__ import annotations

import pytest

from pbxtrack.lab.media import FRAME
from pbxtrack.lab.voices import RATE, SILENCE, TURNS, mulaw, voice


def test_a_voice_is_the_same_each_time_and_another_is_another() -> None:
    assert voice("sales", begins=True) == voice("sales", begins=True)
    assert voice("sales", begins=True) != voice("support", begins=True)


def test_one_is_silent_while_the_other_talks() -> None:
    line, caller = voice("sales", begins=True), voice("caller", begins=False)
    assert len(line) == len(caller) == sum(TURNS) * RATE
    assert len(line) % FRAME == 0
    at = 0
    for index, seconds in enumerate(TURNS):
        turn = slice(at, at := at + round(seconds * RATE))
        talking, listening = (line, caller)[:: 1 if index % 2 == 0 else -1]
        assert set(listening[turn]) == {SILENCE}
        assert sum(sample != SILENCE for sample in talking[turn]) > 0.5 * len(talking[turn])


@pytest.mark.parametrize(
    ("sample", "coded"), [(0, 0xFF), (32_767, 0x80), (-32_768, 0x00), (8, 0xFE), (-8, 0x7E), (1_000, 0xCE)]
)
def test_samples_are_coded_as_itu_t_g711_has_it(sample: int, coded: int) -> None:
    assert mulaw(sample) == coded
