"""The demonstration's table: each call and the advertising that brought it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pbxtrack.demo.run import Played

_STATUS_STYLE = {
    "ringing": "yellow",
    "talking": "bold green",
    "answered": "green",
    "missed": "red",
    "busy": "magenta",
    "abandoned": "dark_orange",
    "failed": "bold red",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """``keep``: columns with the lowest go first where the terminal is narrow."""

    heading: str
    keep: int
    right: bool = False


_COLUMNS = (
    _Column("Caller", 8),
    _Column("Dialled", 7),
    _Column("Channel", 9),
    _Column("Campaign", 1),
    _Column("Method", 2),
    _Column("Sure", 4, right=True),
    _Column("Status", 9),
    _Column("Ring", 5, right=True),
    _Column("Talk", 6, right=True),
    _Column("Hung up by", 3),
    _Column("Right", 9),
)
_GAP = 2  # characters between columns


def call_table(plays: Sequence[Played], width: int) -> Table:
    """One row a call, in the order of the script; a call that nobody has placed yet is left out.

    Columns that do not fit into ``width`` characters are left out whole: half a number is worse than none.
    """
    rows = [_row(played, played.logged) for played in plays if played.logged]
    shown = _fitting(rows, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP, 0, 0))
    for index in shown:
        table.add_column(_COLUMNS[index].heading, justify="right" if _COLUMNS[index].right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(row[index] for index in shown))
    return table


def _fitting(rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    widths = [
        max([len(column.heading), *(row[index].cell_len for row in rows)]) + _GAP + 1
        for index, column in enumerate(_COLUMNS)
    ]
    shown = list(range(len(_COLUMNS)))
    while sum(widths[index] for index in shown) > width and len(shown) > 1:
        shown.remove(min(shown, key=lambda index: _COLUMNS[index].keep))
    return shown


def _row(played: Played, call: Mapping[str, Any]) -> list[Text]:
    attribution = call["attribution"]
    known = attribution["channel"] is not None
    verdict = Text("")
    if played.faults:
        verdict = Text("✗", style="bold red")
    elif played.complete:
        verdict = Text("✓", style="green")
    # Text, not markup: what callers and advertisers send is shown as it is, never interpreted.
    return [
        Text(call["caller"] or "withheld"),
        Text(call["dialled"]),
        Text(attribution["channel"] or "–", style="bold" if known else "dim"),
        Text((attribution["campaign"] or "")[:14]),
        Text(attribution["method"].replace("_", " "), style="dim"),
        Text(f"{attribution['confidence']:.0%}" if known else "–"),
        Text(call["status"], style=_STATUS_STYLE.get(call["status"], "")),
        Text(_seconds(call["ringing_seconds"])),
        Text(_seconds(call["talk_seconds"])),
        Text(call["hung_up_by"] or ""),
        verdict,
    ]


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value else "–"
