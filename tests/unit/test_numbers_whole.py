"""Callers whose numbers are whole are not read again: the result must be the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pbxtrack import numbers


@given(st.from_regex(r"\+(?:7[3-9]|1[2-9])[0-9]{9}", fullmatch=True), st.sampled_from(["RU", "US", "DE"]))
def test_a_whole_number_is_what_phonenumbers_makes_of_it(text: str, region: str) -> None:
    assert numbers._WHOLE.fullmatch(text)
    assert numbers.read_caller(text, region) == numbers.Number.parse(text, region).e164
