"""Ids of rows, as addresses have them."""

import pytest

from pbxtrack.storage.pages import MAX_ID, read_id


@pytest.mark.parametrize(("text", "found"), [("1", 1), (str(MAX_ID), MAX_ID)])
def test_a_number_names_a_row(text: str, found: int) -> None:
    assert read_id(text) == found


@pytest.mark.parametrize(
    "text", ["", "0", "007", "-1", "+1", " 1", "1.0", "1e3", "٣", "²", "one", str(MAX_ID + 1), "1" * 5_000]
)
def test_nothing_else_does(text: str) -> None:
    assert read_id(text) is None


def test_what_a_table_cannot_hold_is_none_of_its_ids() -> None:
    assert read_id("100", most=100) == 100
    assert read_id("101", most=100) is None
    assert read_id("0100", most=100) is None
