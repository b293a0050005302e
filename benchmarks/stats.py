"""Quantiles, intervals, and the process times that they are divided by."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_RESAMPLES = 2_000


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of the values lie."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99, the mean, the extremes and the count, rounded."""
    found = {f"p{part}": quantile(values, part / 100) for part in (50, 90, 99)}
    found |= {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}
    return {name: round(value, 3) for name, value in found.items()} | {"count": len(values)}


def interval(
    rounds: Sequence[Mapping[str, Sequence[float]]], measure: Callable[[Mapping[str, Sequence[float]]], float]
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a measure over whole rounds: calls of one round share its noise."""
    chance = random.Random(1)
    found = []
    for _ in range(_RESAMPLES if len(rounds) > 1 else 1):
        drawn = [rounds[chance.randrange(len(rounds))] for _ in rounds]
        found.append(measure({kind: [value for one in drawn for value in one[kind]] for kind in rounds[0]}))
    return round(quantile(found, 0.025), 3), round(quantile(found, 0.975), 3)


def cpu_ms(pid: int) -> float:
    """The processor time that a process and its children have used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) * _TICK_MS + sum(cpu_ms(int(child)) for child in children)


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median and the extremes of a value for each round."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }
