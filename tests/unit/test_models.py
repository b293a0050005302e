"""How a call is divided among visits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.calls.models import WHOLE, Model, Share, credit


@pytest.mark.parametrize(
    ("model", "count", "brought", "credited"),
    [
        (Model.LAST, 3, 1, {2: 1}),
        (Model.LAST_NON_DIRECT, 3, 1, {1: 1}),
        (Model.LAST_NON_DIRECT, 2, None, {1: 1}),
        (Model.FIRST, 4, 1, {0: 1}),
        (Model.LINEAR, 4, 1, {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.25}),
        (Model.POSITION, 1, None, {0: 1}),
        (Model.POSITION, 2, None, {0: 0.5, 1: 0.5}),
        (Model.POSITION, 4, None, {0: 0.4, 1: 0.1, 2: 0.1, 3: 0.4}),
    ],
)
def test_who_is_credited(model: Model, count: int, brought: int | None, credited: dict[int, float]) -> None:
    assert credit(count, brought, model) == [Share(place, round(part * WHOLE)) for place, part in credited.items()]


@given(st.integers(1, 300), st.sampled_from(Model), st.data())
def test_a_call_is_credited_once(count: int, model: Model, data: st.DataObject) -> None:
    brought = data.draw(st.none() | st.integers(0, count - 1))
    shares = credit(count, brought, model)
    assert sum(share.parts for share in shares) == WHOLE
    assert all(0 <= share.place < count and share.parts >= 0 for share in shares)


@pytest.mark.parametrize("count", range(1, 13))
def test_up_to_twelve_visits_share_exactly(count: int) -> None:
    assert {share.parts for share in credit(count, None, Model.LINEAR)} == {WHOLE // count}
    assert len({share.parts for share in credit(count + 2, None, Model.POSITION)[1:-1]}) == 1


def test_what_is_over_goes_to_the_first() -> None:
    parts = [share.parts for share in credit(13, None, Model.LINEAR)]
    assert sum(parts) == WHOLE
    assert parts == sorted(parts, reverse=True)
    assert parts[0] - parts[-1] == 1
