"""CSV that no spreadsheet takes for formulas, however it divides it."""

from __future__ import annotations

import csv
import io
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbxtrack.spreadsheet import csv_line

ATTACKS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "＝1+1", "＋1+1", "－1+1", "＠SUM(A1)", "﹦1+1")
BEFORE = ("", " ", "\n", "\r\n", "\t", "\u00a0", "\ufeff", "\u200b", "\u3000", "\x00", '"', ' "')
DIVIDERS = (",", ";", "\t", "\n", "\r", "\r\n", "|", '"')
FORMULAS = "=+-@＝＋－＠﹢﹣﹦﹫"


def cells(line: str, divider: str) -> list[str]:
    """As a spreadsheet divides the line: quotes count at a cell's beginning."""
    return [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=divider) for cell in row]


def bare(cell: str) -> str:
    """What a spreadsheet may leave away before it looks what a cell is."""
    return cell.lstrip("".join(BEFORE) + "\r")


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_a_cell_is_a_formula(attack: str) -> None:
    leads = ["", *(f"spring{divider}" for divider in DIVIDERS)]
    for text in (lead + before + attack for lead in leads for before in BEFORE):
        for written, divider in product(",;", ",;\t"):
            line = csv_line(["demo", text, 7], written)
            for cell in cells(line, divider):
                assert not bare(cell).startswith(tuple(FORMULAS)), (divider, line)


@given(st.lists(st.text(alphabet="=+@ab;,\t\n\r\"' \ufeff＝1"), min_size=1, max_size=4))
@example(["x;+1", "*cmd"])
@example(['a;"=b'])
def test_whatever_the_texts_no_cell_is_a_formula(texts: list[str]) -> None:
    for written, divider in product(",;", ",;\t"):
        line = csv_line(["demo", *texts], written)
        assert not any(bare(cell).startswith(tuple(FORMULAS)) for cell in cells(line, divider)[1:])


@pytest.mark.parametrize(
    "value",
    [
        "Yandex Direct",
        "spring, 50% off",
        "a - b",
        "x=1",
        "it's",
        "шины; диски",
        "+74951230100",
        "-5",
        "+0.5",
        "",
        "1;2",
    ],
)
def test_plain_values_stay_as_they_are(value: str) -> None:
    ((_, found),) = csv.reader(io.StringIO(csv_line(["demo", value])))
    assert found == value


def test_a_line_is_csv() -> None:
    assert csv_line(["demo", "a,b", 'say "x"', 7, 0.25, None, True]) == 'demo,"a,b","say ""x""",7,0.25,,True\n'
    assert csv_line(["=1+1", "a;b", "a;=b", "\tx"]) == '\'=1+1,"a;b","a;\'=b","\'\tx"\n'


def test_between_semicolons_fractions_have_commas() -> None:
    assert csv_line(["a,b", "c;d", 0.25, -2.0, 7, None], ";") == '"a,b";"c;d";0,25;-2;7;\n'
    assert csv_line(["a,=1", "1,5"], ";") == '"a,\'=1";"1,5"\n'
    assert csv_line([3604.0, 0.5]) == "3604,0.5\n"
