"""A day of calls as Asterisk writes it down: a CEL and a CDR file of any length, the same for the same seed.

Each call is one of those that a real Asterisk recorded (``fixtures/ledger``), at another time, drawn out, with other
legs, by another caller to another number. Calls overlap, and their rows stand between each other's.
"""

from __future__ import annotations

import csv
import heapq
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

FIXTURES = Path(__file__).parent / "fixtures" / "ledger"

_OF_A_HUNDRED = {
    "answered_caller": 30, "answered_line": 22, "abandoned": 10, "missed": 8, "group": 8, "name": 5, "recorded": 4,
    "busy": 3, "queue": 2, "blind": 2, "withheld": 1, "eight": 1, "group_busy": 1, "queue_abandoned": 1, "local": 1,
    "nobody": 1,
}  # fmt: skip
_HOURS = (8.0, 20.0, 11.5)  # of the day: the first call, the last, and when there are most
_MARK = re.compile(
    r"(?P<time>[0-9]{10}\.[0-9]{6})|(?P<leg>[0-9]{10}\.[0-9]{1,5})(?![0-9])|(?<=-)(?P<channel>[0-9a-f]{8})(?=[;\"])"
    r"|(?P<bridge>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|(?P<caller>\+79161000000)|(?P<dialled>[+8]7?495123000[0-9])"
)


class _Row(NamedTuple):
    at: float  # s since the call began
    text: str  # to be filled in
    legs: tuple[str, ...]  # that it speaks of
    cdr: bool


class _Shape(NamedTuple):
    rows: list[_Row]
    times: dict[str, float]
    channels: list[str]
    bridges: list[str]


@dataclass(slots=True)
class _Call:
    shape: _Shape
    begun: float
    slower: float
    values: dict[str, str] = field(default_factory=dict)


def write(folder: Path, day: datetime, calls: int, numbers: Sequence[str], seed: int = 1) -> tuple[Path, Path]:
    """Write the files of that many calls to these numbers, on a day that begins then; (CEL, CDR)."""
    paths = folder / "cel.csv", folder / "cdr.csv"
    with paths[0].open("w", encoding="utf-8") as cel, paths[1].open("w", encoding="utf-8") as cdr:
        for line, is_cdr in _lines(day.timestamp(), calls, numbers, Random(seed)):
            (cdr if is_cdr else cel).write(line + "\n")
    return paths


def _lines(day: float, calls: int, numbers: Sequence[str], chance: Random) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is a CDR, in the order in which Asterisk writes them."""
    shapes = _shapes()
    kinds = chance.choices(list(_OF_A_HUNDRED), list(_OF_A_HUNDRED.values()), k=calls)
    starts = sorted(day + 3600 * chance.triangular(*_HOURS) for _ in range(calls))
    waiting: list[tuple[float, int, int, _Call]] = []
    legs = channels = 0
    for number, (begun, kind) in enumerate(zip([*starts, float("inf")], [*kinds, ""], strict=True)):
        while waiting and waiting[0][0] <= begun:
            at, _, index, call = heapq.heappop(waiting)
            row = call.shape.rows[index]
            for leg in row.legs:
                if leg not in call.values:  # Asterisk counts legs in the order of their making
                    call.values[leg] = f"{int(at)}.{legs}"
                    legs += 1
            yield row.text % call.values, row.cdr
        if not kind:
            return
        call = _Call(shapes[kind], begun, chance.lognormvariate(3, 0.7))
        for name in call.shape.channels:
            call.values[name] = f"{channels:08x}"
            channels += 1
        call.values |= {name: f"{begun + at * call.slower:.6f}" for name, at in call.shape.times.items()}
        call.values |= {name: str(UUID(int=chance.getrandbits(128))) for name in call.shape.bridges}
        call.values["caller"] = f"+7916{chance.randrange(calls):07d}"
        call.values["dialled"] = chance.choice(numbers)
        call.values["national"] = "8" + call.values["dialled"][2:]
        for index, row in enumerate(call.shape.rows):
            heapq.heappush(waiting, (begun + row.at * call.slower, number, index, call))


def _shapes() -> dict[str, _Shape]:
    heard: dict[str, dict[str, Any]] = json.loads((FIXTURES / "heard.json").read_text("utf-8"))
    cel = (FIXTURES / "cel.csv").read_text("utf-8").splitlines()
    cdr = (FIXTURES / "cdr.csv").read_text("utf-8").splitlines()
    return {
        kind: _shape(
            [line for line in cel if f'"{heard[kind]["linkedid"]}"' in line],
            [line for line in cdr if f'"{heard[kind]["linkedid"]}"' in line],
        )
        for kind in _OF_A_HUNDRED
    }


def _shape(cel: Sequence[str], cdr: Sequence[str]) -> _Shape:
    begun = float(next(csv.reader(cel))[1])
    names: dict[str, dict[str, str]] = {"time": {}, "leg": {}, "channel": {}, "bridge": {}}

    def slot(found: re.Match[str]) -> str:
        kind = found.lastgroup or ""
        if kind in names:
            return f"%({names[kind].setdefault(found[0], f'{kind}{len(names[kind])}')})s"
        return "%(national)s" if found[0].startswith("8") else f"%({kind})s"

    rows = []
    for line in [*cel, *cdr]:
        text = _MARK.sub(slot, line.replace("%", "%%"))
        legs = tuple(name for name in names["leg"].values() if f"%({name})s" in text)
        times = [float(found["time"]) - begun for found in _MARK.finditer(line) if found["time"]]
        rows.append(_Row(max(times), text, legs, line in cdr))
    times_of = {name: float(text) - begun for text, name in names["time"].items()}
    return _Shape(rows, times_of, list(names["channel"].values()), list(names["bridge"].values()))
