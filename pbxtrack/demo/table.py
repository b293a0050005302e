"""The demonstration's table: each call and the advertising that brought it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def call_table(plays: Sequence[Played]) -> Table:
    """One row a call, in the order of the script; a call that nobody has placed yet is left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in (
        ("Caller", "left"), ("Dialled", "left"), ("Advertising", "left"), ("Campaign", "left"), ("How", "left"),
        ("Sure", "right"), ("Status", "left"), ("Rang", "right"), ("Talked", "right"),
        ("Ended by", "left"), ("", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for played in plays:
        if played.logged:
            table.add_row(*_row(played, played.logged))
    return table


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
