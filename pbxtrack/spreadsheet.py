"""CSV that no spreadsheet takes for formulas: names of campaigns, pages and channels come from whoever visits.

A cell that begins with ``= + - @`` is a formula, quoted or not; ``'`` before it makes it a text ("CSV Injection" of
OWASP; ASVS 1.2.10). Where lists are divided by semicolons, as in Russia and Germany, a spreadsheet divides a line of
commas at semicolons, which quotes between commas do not hinder, and elsewhere one of semicolons at commas: so each part
of a text is looked at as a cell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

BOM = "\ufeff"
"""Stands before the first line: without it Excel takes the file for one of its country's old encodings."""

_BEGIN_FORMULAS = ("=", "+", "-", "@")
_OTHERS = {",": re.compile(r"([;\t\r\n])"), ";": re.compile(r"([,\t\r\n])")}
"""What else may divide cells or lines; what divides them, within quotes, divides nothing anywhere."""
_QUOTED = re.compile(r'[",;\t\r\n]')
_PLAIN = re.compile(r'[0-9A-Za-zА-Яа-яЁё][^",;\t\r\n]*')  # as most are: nothing to do
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")  # telephone numbers, too: they stay as they are


def csv_line(values: Iterable[object], divider: str = ",") -> str:
    """A line of CSV; nothing for None.

    ``divider``: a comma or a semicolon; between semicolons fractions are written with a comma, as they are read there.
    """
    return divider.join(_cell(value, divider) for value in values) + "\n"


def csv_lines(columns: Sequence[Sequence[object]], divider: str = ",") -> str:
    """Lines of CSV, of values by columns, each of values of one type: what many lines tell is written once."""
    return "".join(
        line + "\n" for line in map(divider.join, zip(*(_cells(one, divider) for one in columns), strict=True))
    )


def _cells(column: Sequence[object], divider: str) -> Iterator[str]:
    cells = {value: _cell(value, divider) for value in set(column)}
    return map(cells.__getitem__, column)


def _cell(value: object, divider: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        told = str(int(value)) if value.is_integer() else str(value)
        return told.replace(".", ",") if divider == ";" else told
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value):
        return value
    text = _safe(value, _OTHERS[divider])
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _safe(text: str, others: re.Pattern[str]) -> str:
    if _NUMBER.fullmatch(text):
        return text
    safe = "".join(f"'{part}" if _is_formula(part) else part for part in others.split(text))
    return f"'{safe}" if safe.startswith(("\t", "\r", "\n")) else safe


def _is_formula(part: str) -> bool:
    """Whether a formula begins it, behind what a spreadsheet leaves away: blanks, quotes, signs that are not seen.

    Some take the forms of ``=`` of other widths for the same.
    """
    for sign in part:
        if unicodedata.normalize("NFKC", sign).startswith(_BEGIN_FORMULAS):
            return True
        if not (sign.isspace() or sign == '"' or unicodedata.category(sign) in ("Cc", "Cf")):
            return False
    return False
