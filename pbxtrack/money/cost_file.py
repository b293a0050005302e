"""Costs from a CSV file, such as advertising systems and spreadsheets write: read, and told what is wrong in it.

Nothing is written anywhere: what was read is shown to people first.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pbxtrack.money.amounts import read_amount
from pbxtrack.money.costs import DETAILS, Cost, checked
from pbxtrack.numbers import shorten
from pbxtrack.wrong import Wrong

MAX_BYTES = 10_000_000
MAX_LINES = 100_000
MAX_WRONG = 1_000
"""Lines that are told to be wrong, at most."""

HEADINGS: Mapping[str, Sequence[str]] = {
    "date": ("date", "day", "дата", "день"),
    "first": ("first", "first day", "from", "start", "start date", "с", "начало", "дата начала", "первый день"),
    "last": ("last", "last day", "to", "end", "end date", "по", "конец", "дата окончания", "последний день"),
    "channel": ("channel", "advertising channel", "канал", "рекламный канал"),
    "source": ("source", "utm_source", "источник"),
    "medium": ("medium", "utm_medium", "тип трафика"),
    "campaign": ("campaign", "utm_campaign", "campaign name", "кампания", "рекламная кампания", "название кампании"),
    "term": ("term", "utm_term", "keyword", "ключевое слово", "ключевая фраза", "фраза"),
    "amount": ("amount", "cost", "spend", "расход", "расходы", "сумма", "стоимость", "затраты"),
}
"""What a column's heading may be, in any case; what follows a comma or a bracket in it is left away."""

_OF_HEADING = {heading: name for name, headings in HEADINGS.items() for heading in headings}
_DIVIDERS = (";", "\t", ",")
_BEFORE = 20  # lines that a title and the like may take before the headings
_TOTAL = re.compile(r"(итого?|всего|total)\b", re.IGNORECASE)
_ISO, _DOTS, _SLASHES = (
    re.compile(form, re.ASCII)
    for form in (r"(\d{4})-(\d\d)-(\d\d)", r"(\d\d?)\.(\d\d?)\.(\d{4})", r"(\d\d?)/(\d\d?)/(\d{4})")
)
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # .xlsx, .xls: how archives and OLE files begin
_MIDNIGHT = re.compile(r"[ T]0?0:00(:00)?(\.0+)?$")


@dataclass(frozen=True, slots=True)
class WrongLine:
    """What is wrong, and in which line of the file: the first is 1."""

    line: int
    error: Wrong

    @property
    def what(self) -> str:
        """It in English."""
        return str(self.error)


@dataclass(slots=True)
class CostFile:
    """What was read: costs with their lines; what is wrong, the first :data:`MAX_WRONG` lines of it.

    ``passed_over``: headings of columns that say nothing about costs; ``totals``: lines of sums, which are left out.
    """

    costs: list[tuple[int, Cost]] = field(default_factory=list)
    wrong: list[WrongLine] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    totals: int = 0


def read_costs(content: bytes, channel: str | None = None, named: Callable[[str], str] = str) -> CostFile:
    """Read a file's bytes. ``channel``: that of lines that name none; ``named``: what a channel written so is called.

    Divided by commas, semicolons or tabs; UTF-8, UTF-16 with its mark, or Windows-1251. Two lines of the same days and
    dimensions are wrong: one of them would replace the other.
    """
    found = CostFile()
    if content.startswith(_EXCEL):
        error = Wrong("this is an Excel file, not CSV; in Excel choose File, Save As, “CSV UTF-8”, and take that file")
        found.wrong.append(WrongLine(1, error))
        return found
    if len(content) > MAX_BYTES:
        found.wrong.append(WrongLine(1, Wrong("the file is larger than %(most)s MB", most=MAX_BYTES // 1_000_000)))
        return found
    try:
        text = _decoded(content)
    except UnicodeDecodeError:
        found.wrong.append(WrongLine(1, Wrong("the file is neither UTF-8 nor Windows-1251")))
        return found
    try:
        _read(text, channel, named, found)
    except Wrong as error:
        found.wrong.append(WrongLine(1, error))
    return found


def read_day(text: str) -> date:
    """A day: ``2026-11-22``, ``22.11.2026``, or with slashes where that is one day only. Else ValueError."""
    plain = _MIDNIGHT.sub("", text.strip())
    if found := _ISO.fullmatch(plain):
        year, month, day = map(int, found.groups())
    elif found := _DOTS.fullmatch(plain):
        day, month, year = map(int, found.groups())
    elif found := _SLASHES.fullmatch(plain):
        one, other, year = map(int, found.groups())
        if one <= 12 and other <= 12 and one != other:
            raise Wrong(
                "%(value)s may be two days; write %(day)s or the other",
                value=repr(shorten(text)),
                day=f"{year}-{one:02}-{other:02}",
            )
        day, month = (one, other) if one > 12 else (other, one)
    else:
        raise Wrong("%(value)s is no day; write 2026-11-22 or 22.11.2026", value=repr(shorten(text)))
    try:
        return date(year, month, day)
    except ValueError:
        raise Wrong("%(value)s is a day that does not exist", value=repr(shorten(text))) from None


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1251")


def _read(text: str, channel: str | None, named: Callable[[str], str], found: CostFile) -> None:
    divider, begins = _headings(text)
    columns: dict[str, int] = {}
    seen: dict[str, int] = {}
    for line, cells in _lines(text, divider):
        if line < begins:
            continue
        if line == begins:
            columns = _columns(cells, found, channel)
            continue
        if line - begins > MAX_LINES:
            raise Wrong("the file has more than %(most)s lines", most=f"{MAX_LINES:,}")
        if not any(cell.strip() for cell in cells):
            continue
        if _is_total(cells, columns):
            found.totals += 1
            continue
        try:
            told = {name: cells[at].strip() if at < len(cells) else "" for name, at in columns.items()}
            cost = _cost(told, named(told.get("channel") or channel or ""))
            if (same := seen.setdefault(cost.key, line)) != line:
                raise Wrong(
                    "has the same days, channel and campaign as line %(line)s: add them up, or tell apart", line=same
                )
        except Wrong as error:
            if len(found.wrong) < MAX_WRONG:
                found.wrong.append(WrongLine(line, error))
            continue
        found.costs.append((line, cost))


def _is_total(cells: Sequence[str], columns: Mapping[str, int]) -> bool:
    """Whether the line is a sum of others: it says so where a day should be, or has no day and begins so."""
    at = columns["date" if "date" in columns else "first"]
    day = cells[at].strip() if at < len(cells) else ""
    return _TOTAL.match(day or cells[0].strip()) is not None


def _lines(text: str, divider: str) -> Iterator[tuple[int, list[str]]]:
    """The lines with something in them: where each begins, and its cells. ValueError where the file is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider)
    before = 0
    try:
        for cells in reader:
            if cells:
                yield before + 1, cells
            before = reader.line_num
    except csv.Error as error:
        raise Wrong("after line %(line)s the file is no CSV: %(error)s", line=before, error=error) from None


def _headings(text: str) -> tuple[str, int]:
    """What divides columns, and the line of their headings: those that tell most."""
    best = (0, "", 0)
    for divider in _DIVIDERS:
        for line, cells in _lines(text, divider):
            if line > _BEFORE:
                break
            known = {name for cell in cells if (name := _OF_HEADING.get(_plain(cell)))}
            if len(known) > best[0] and known & {"date", "first", "amount"}:
                best = (len(known), divider, line)
    if not best[0]:
        raise Wrong("there is no line of headings, such as: date, channel, campaign, cost")
    return best[1], best[2]


def _plain(heading: str) -> str:
    told = re.split(r"[,(]", heading.casefold().replace("ё", "е"))[0]
    return " ".join(told.split())


def _columns(headings: Sequence[str], found: CostFile, channel: str | None) -> dict[str, int]:
    columns: dict[str, int] = {}
    for at, heading in enumerate(headings):
        name = _OF_HEADING.get(_plain(heading))
        if name is None:
            if heading.strip():
                found.passed_over.append(shorten(heading.strip()))
        elif name in columns:
            raise Wrong(
                "the columns %(one)s and %(other)s say the same",
                one=repr(shorten(headings[columns[name]])),
                other=repr(shorten(heading)),
            )
        else:
            columns[name] = at
    if ("date" in columns) == ("first" in columns):
        raise Wrong("there must be a column of the date, or columns of the first and the last day, and not both")
    if ("first" in columns) != ("last" in columns):
        raise Wrong("there must be columns of both the first and the last day, or one of the date")
    if "amount" not in columns:
        raise Wrong("there is no column of the cost")
    if "channel" not in columns and not channel:
        raise Wrong("there is no column of the channel")
    return columns


def _cost(cells: Mapping[str, str], channel: str) -> Cost:
    first, last = (read_day(cells[name if "first" in cells else "date"]) for name in ("first", "last"))
    return checked(
        Cost(
            first,
            last,
            channel,
            read_amount(cells["amount"]),
            **{name: cells.get(name, "") for name in DETAILS},
        )
    )
