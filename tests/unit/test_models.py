"""Which visit a call is credited to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.calls.models import Model, Touchpoint, credit

AD, SEARCH, MAIL, DIRECT = (
    Touchpoint("Ad"),
    Touchpoint("Search"),
    Touchpoint("Mail"),
    Touchpoint("Direct", direct=True),
)


@pytest.mark.parametrize(
    ("model", "visits", "credited"),
    [
        (Model.LAST, [AD, SEARCH, DIRECT], {"Direct": 1}),
        (Model.LAST_NON_DIRECT, [AD, SEARCH, DIRECT], {"Search": 1}),
        (Model.LAST_NON_DIRECT, [DIRECT, DIRECT], {"Direct": 1}),
        (Model.FIRST, [AD, SEARCH, DIRECT], {"Ad": 1}),
        (Model.LINEAR, [AD, AD, SEARCH, DIRECT], {"Ad": 0.5, "Search": 0.25, "Direct": 0.25}),
        (Model.POSITION, [AD], {"Ad": 1}),
        (Model.POSITION, [AD, SEARCH], {"Ad": 0.5, "Search": 0.5}),
        (Model.POSITION, [AD, MAIL, DIRECT, SEARCH], {"Ad": 0.4, "Mail": 0.1, "Direct": 0.1, "Search": 0.4}),
    ],
)
def test_who_is_credited(model: Model, visits: list[Touchpoint], credited: dict[str, float]) -> None:
    assert credit(visits, model) == pytest.approx(credited)


@given(st.lists(st.sampled_from([AD, SEARCH, MAIL, DIRECT]), min_size=1, max_size=30), st.sampled_from(Model))
def test_a_call_is_credited_once(visits: list[Touchpoint], model: Model) -> None:
    assert sum(credit(visits, model).values()) == pytest.approx(1)


@pytest.mark.parametrize("model", Model)
def test_without_visits_nobody_is(model: Model) -> None:
    assert credit([], model) == {}
