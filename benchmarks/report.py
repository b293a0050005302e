"""What a benchmark found: the file that keeps it and the table that shows it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pbxtrack import __version__

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. ``target`` says what it should be, empty where nothing is promised."""

    what: str
    value: str
    target: str = ""
    met: bool | None = None


@dataclass(slots=True)
class Result:
    """A benchmark's outcome: lines for people, data for the file."""

    name: str
    lines: list[Line] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def at_most(what: str, value: float, limit: float, unit: str, note: str = "") -> Line:
    """A line that is met when the value is no more than the limit."""
    shown, limited = (
        (f"{value:.2f}×", f"≤ {limit:g}×") if unit == "×" else (f"{value:+.2f} {unit}", f"≤ {limit:g} {unit}")
    )
    return Line(what, f"{shown}{note}", limited, value <= limit)


def at_least(what: str, value: float, limit: float, note: str = "") -> Line:
    """A line that is met when the ratio is no less than the limit."""
    return Line(what, f"{value:.2f}{note}", f"≥ {limit:g}", value >= limit)


def write(result: Result, *, quick: bool, load_before: float) -> Path:
    """Keep a result, with what is known of where it was measured."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.name}{'-quick' if quick else ''}.json"
    environment = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "pbxtrack": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "quick": quick,
    }
    document = {"benchmark": result.name, "environment": environment | result.data.pop("environment", {})}
    document |= result.data
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def show(results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(title="pbxtrack, measured against doing without it", title_justify="left")
    for heading in ("benchmark", "what", "measured", "target"):
        table.add_column(heading)
    for result in results:
        for index, line in enumerate(result.lines):
            style = {True: "green", False: "red", None: ""}[line.met]
            table.add_row(result.name if index == 0 else "", line.what, f"[{style}]{line.value}[/]" if style else
                          line.value, line.target, end_section=index == len(result.lines) - 1)  # fmt: skip
    Console().print(table)
