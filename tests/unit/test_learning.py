"""What a site's calls teach."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from pbxtrack.calls.attribution import Possible, Weighing
from pbxtrack.calls.curves import EDGES, PLACES, PRIOR, STEPS, State, length_of, place_of, step_of
from pbxtrack.calls.learning import (
    Exposure,
    Lessons,
    Silence,
    learn,
    steps_exposure,
    visitors_exposure,
    worth_learning,
)
from tests.unit.test_attribution import HOUR, holder

SHOWN = holder("somebody", HOUR)


def test_steps_are_found_by_time() -> None:
    assert [step_of(seconds) for seconds in (-1, 0, 9.9, 10, 59, 60, 10**9)] == [0, 0, 0, 1, 2, 3, STEPS - 1]
    assert place_of(State.KEEN, 10) == 2 * STEPS + 1


def test_time_is_spent_in_each_step_up_to_the_age() -> None:
    spent = steps_exposure([5.0, 45.0, 10.0**9])
    assert spent[:3] == [25.0, 40.0, 45.0]  # 5+10+10, 20+20, 15+30
    assert sum(steps_exposure([EDGES[-1]])) == pytest.approx(EDGES[-1])


def test_an_open_page_is_heard_every_minute() -> None:
    exposure = visitors_exposure([Silence("Direct", live=120.0, length=length_of(120), state=State.LEFT, age=15.0)])
    assert exposure.keys() == {("Direct", None), ("Direct", length_of(120))}
    assert exposure["Direct", None][:3] == pytest.approx([20.0, 40.0, 60.0])
    assert exposure["Direct", length_of(120)][STEPS : STEPS + 3] == pytest.approx([10.0, 5.0, 0.0])


def test_a_visits_length_tells_once_it_is_over() -> None:
    spent = visitors_exposure([Silence("", 5.0, 0, State.SEEN, 80.0), Silence("", 700.0, 4, State.KEEN, 80.0)])
    assert spent["", length_of(5)][:5] == [0, 0, 0, 20.0, 0], "up to a minute after a sign the page may be open"
    assert spent["", None][3] == 0
    assert spent["", None][2 * STEPS : 2 * STEPS + 5] == [10, 20, 30, 20, 0], "whoever tapped is known by that"
    assert [length_of(seconds) for seconds in (-1, 0, 19.9, 20, 599, 600, 1e6)] == [0, 0, 0, 1, 3, 4, 4]


def test_visits_of_a_length_that_call_more_often_are_learned() -> None:
    place = place_of(State.LEFT, 400)
    calls = [
        Weighing({}, {}, again=False, possible=[Possible(SHOWN, place, length, 1.0, None)])
        for length in [0] * 40 + [3] * 400
    ]
    spent = [0.0] * PLACES
    spent[place] = 400_000.0
    curves = PRIOR
    for _ in range(5):
        curves = learn(Lessons(calls, [], Exposure({("", 0): spent, ("", 3): spent}, [0.0] * STEPS, 1e6)), curves)
    assert curves.lengths[3] / curves.lengths[0] == pytest.approx(10, rel=0.3)
    assert curves.weight(place, "", 3, None) > 5 * curves.weight(place, "", 0, None)
    assert curves.weight(place, "", None, None) == curves.rates[place]


def test_without_calls_there_is_nothing_to_unlearn() -> None:
    learned = learn(Lessons([], [], Exposure({}, [0.0] * STEPS, 0.0)))
    assert learned.rates == pytest.approx(PRIOR.rates)
    assert learned.version == PRIOR.version + 1


def _weighing(*places: int) -> Weighing:
    return Weighing({}, {}, again=False, possible=[Possible(SHOWN, place, None, 1.0, None) for place in places])


def test_curves_are_found_though_nobody_says_who_called() -> None:
    """Silences of two lengths; who is in the one calls ten times as often. Learned from who may have called alone."""
    chance = Random(1)
    often, seldom = place_of(State.SEEN, 45), place_of(State.SEEN, 5_000)
    calls = []
    for _ in range(2_000):  # beside each call: one of each length, of whom the call was one's by their rates
        calls.append(_weighing(often, seldom) if chance.random() < 0.5 else _weighing(often))
    spent = [0.0] * PLACES
    spent[often], spent[seldom] = 2_000 / 1e-3, 1_000 / 1e-3
    curves = PRIOR
    for _ in range(20):
        curves = learn(Lessons(calls, [], Exposure({("Direct", None): spent}, [0.0] * STEPS, 1e8)), curves)
    assert curves.rates[often] > 20 * curves.rates[seldom]  # as many calls came when nobody was in the other silence
    assert curves.rates[often] == pytest.approx(1e-3, rel=0.1)


def test_channels_whose_visitors_call_more_often_are_learned() -> None:
    place = place_of(State.SEEN, 45)
    eager = [
        Weighing({}, {}, again=False, possible=[Possible(holder("x", HOUR, channel="Eager"), place, None, 1.0, None)])
        for _ in range(300)
    ]
    idle = [
        Weighing({}, {}, again=False, possible=[Possible(holder("y", HOUR, channel="Idle"), place, None, 1.0, None)])
        for _ in range(100)
    ]
    spent = [0.0] * PLACES
    spent[place] = 400_000.0
    lessons = Lessons(
        [*eager, *idle], [], Exposure({("Eager", None): spent, ("Idle", None): spent}, [0.0] * STEPS, 1e6)
    )
    curves = PRIOR
    for _ in range(5):
        curves = learn(lessons, curves)
    assert curves.channels["Eager"] / curves.channels["Idle"] == pytest.approx(3, rel=0.2)


def test_learning_waits_for_more_calls() -> None:
    assert [worth_learning(0, 49), worth_learning(0, 50), worth_learning(100, 149), worth_learning(100, 150)] == [
        False, True, False, True,
    ]  # fmt: skip


def test_whoever_is_said_to_have_called_did() -> None:
    often, seldom = place_of(State.SEEN, 5), place_of(State.SEEN, 5_000)
    exposure = Exposure({("", None): [1e6] * PLACES}, [0.0] * STEPS, numbers=1e6)
    doubtful = learn(Lessons([_weighing(often, seldom)] * 200, [], exposure))
    told = replace(_weighing(seldom), somebody=True)
    known = learn(Lessons([told] * 200, [], exposure))
    assert known.rates[seldom] > 5 * doubtful.rates[seldom]
    assert known.strangers < doubtful.strangers


def test_late_on_it_is_all_the_same_how_the_page_was_left() -> None:
    late, early = place_of(State.LEFT, 4_000), place_of(State.LEFT, 100)
    spent = [0.0] * PLACES
    for place in (late, early, late - STEPS, early - STEPS):
        spent[place] = 1e6
    curves = learn(
        Lessons(
            [_weighing(late)] * 100 + [_weighing(early)] * 100, [], Exposure({("", None): spent}, [0.0] * STEPS, 1e9)
        )
    )
    assert curves.rates[late - STEPS] == pytest.approx(curves.rates[late], rel=0.2)
    assert curves.rates[early] > 5 * curves.rates[early - STEPS]
