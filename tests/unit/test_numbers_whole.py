"""What is left out of reading and writing numbers, since it costs time, changes no result."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbxtrack import numbers


@given(st.from_regex(r"\+(?:7[3-9]|1[2-9])[0-9]{9}", fullmatch=True), st.sampled_from(["RU", "US", "DE"]))
def test_a_whole_number_is_what_phonenumbers_makes_of_it(text: str, region: str) -> None:
    assert numbers._WHOLE.fullmatch(text)
    assert numbers.read_caller(text, region) == numbers.Number.parse(text, region).e164


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.integers(0, 99))
@example("RU", 0)
def test_a_number_is_shown_as_phonenumbers_writes_it(region: str, last: int) -> None:
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        known = phonenumbers.example_number_for_type(region, kind)
        if known is None:
            continue
        e164 = phonenumbers.format_number(known, phonenumbers.PhoneNumberFormat.E164)[:-2] + f"{last:02}"
        for shown_in in (region, "RU", "US"):
            assert numbers.Number(e164).display(shown_in) == numbers._formatted(e164, shown_in)


@pytest.mark.parametrize(
    ("e164", "shown"),
    [("+74951230100", "8 (495) 123-01-00"), ("+74951230199", "8 (495) 123-01-99"), ("+4930123456", "+49 30 123456")],
)
def test_a_number_is_shown_as_people_of_the_region_write_it(e164: str, shown: str) -> None:
    assert numbers.Number(e164).display("RU") == shown
