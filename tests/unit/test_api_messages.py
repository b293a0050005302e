"""What the API says of a body that it cannot read."""

from __future__ import annotations

import pytest

from pbxtrack.api.routing import _message


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Invalid JSON: EOF while parsing a value", "EOF while parsing a value"),
        ("Field required", "field required"),
        ("Value error, must be a number.", "must be a number"),
    ],
)
def test_an_abbreviation_keeps_its_case(message: str, said: str) -> None:
    assert _message({"type": "x", "msg": message}) == said
