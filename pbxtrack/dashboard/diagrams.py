"""Pictures of what is not counted by time: what was said against what was so, and curves. As SVG; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_SIDE = 100
_SMALLEST, _LARGEST = 1.3, 3.6  # radii
_HIDDEN = 'aria-hidden="true" focusable="false"'


@dataclass(frozen=True, slots=True)
class Spot:
    """What was ``said`` and what was ``found``, of one each, of so many; ``tip``: in words."""

    said: float
    found: float
    count: int
    tip: str = ""


def reliability(spots: Sequence[Spot]) -> Markup:
    """Spots in a square, larger where they are of more; on the diagonal is what was said rightly."""
    most = max((spot.count for spot in spots), default=0)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_SIDE} {_SIDE}" {_HIDDEN}>',
        f'<line class="before" x1="0" y1="{_SIDE}" x2="{_SIDE}" y2="0"/>',
    ]
    for spot in sorted(spots, key=lambda one: -one.count):
        x, y = spot.said * _SIDE, _SIDE - spot.found * _SIDE
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * math.sqrt(spot.count / most)
        parts.append(f'<line class="off" x1="{x:.2f}" y1="{y:.2f}" x2="{x:.2f}" y2="{_SIDE - x:.2f}"/>')
        parts.append(f'<circle class="spot" cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" data-tip="{escape(spot.tip)}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve by its values at even steps, the first at the left edge. ``kind``: its class."""

    kind: str
    values: Sequence[float]


def curves(of: Sequence[Curve], top: float, tips: Sequence[str]) -> Markup:
    """Curves up to ``top``, over steps of which each has its tip: one fewer than there are values."""
    width = len(tips) * 10
    parts = [f'<svg class="chart" viewBox="0 0 {width} {_SIDE}" preserveAspectRatio="none" {_HIDDEN}>']
    parts += [
        f'<g><rect class="hit" x="{index * 10}" y="0" width="10" height="{_SIDE}" data-tip="{escape(tip)}"/></g>'
        for index, tip in enumerate(tips)
    ]
    for curve in of:
        points = " ".join(
            f"{index * 10},{_SIDE - min(value / top, 1) * _SIDE:.2f}" for index, value in enumerate(curve.values)
        )
        parts.append(f'<polyline class="curve {escape(curve.kind)}" points="{points}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above
