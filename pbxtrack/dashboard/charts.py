"""Pictures of figures, as SVG that scales with the page: no script, no styles of their own. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDE = 10  # units of a bar with its gap
_TALL = 100
_PLAIN = 'preserveAspectRatio="none" aria-hidden="true" focusable="false"'


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of a trend: how many, how many of them are dark, what was before, what it says and where it leads.

    ``alarm``: something went wrong in it.
    """

    value: float
    dark: float = 0
    before: float | None = None
    tip: str = ""
    href: str | None = None
    alarm: bool = False


def scale(most: float) -> Sequence[int]:
    """Where lines are drawn for values up to ``most``: whole numbers, three or four of them besides nought."""
    most = max(most, 1)
    step = max(1, 10 ** math.floor(math.log10(most)))
    while most / step > 4:
        step *= 2 if str(step)[0] in "15" else 2.5 if str(step)[0] == "2" else 2
        step = int(step)
    while most / step < 2 and step > 1 and step % 2 == 0:
        step //= 2
    return [step * n for n in range(math.ceil(most / step) + 1)]


def bars(of: Sequence[Bar], top: float, limit: float | None = None) -> Markup:
    """Bars side by side, up to ``top``, with the time before as a line; and a level line at ``limit``."""
    width = max(len(of), 1) * _WIDE
    gap = 1.5 if len(of) <= 62 else 0.6
    parts = [f'<svg class="chart" viewBox="0 0 {width} {_TALL}" {_PLAIN}>']
    for index, bar in enumerate(of):
        x = index * _WIDE
        parts.append(f'<a href="{escape(bar.href)}" tabindex="-1">' if bar.href else "<g>")
        parts.append(f'<rect class="hit" x="{x}" y="0" width="{_WIDE}" height="{_TALL}" data-tip="{escape(bar.tip)}"/>')
        for value, kind in ((bar.value, "light"), (bar.dark, "dark")):
            if value > 0:
                high = value / top * _TALL
                parts.append(
                    f'<rect class="{kind}" x="{x + gap:g}" y="{_TALL - high:.2f}" width="{_WIDE - 2 * gap:g}" '
                    f'height="{high:.2f}"/>'
                )
        if bar.alarm:
            parts.append(f'<rect class="alarm" x="{x + gap:g}" y="0" width="{_WIDE - 2 * gap:g}" height="4"/>')
        parts.append("</a>" if bar.href else "</g>")
    before = [
        f"{index * _WIDE + _WIDE / 2:g},{_TALL - min(bar.before / top, 1) * _TALL:.2f}"
        for index, bar in enumerate(of)
        if bar.before is not None
    ]
    if len(before) > 1:
        parts.append(f'<polyline class="before" points="{" ".join(before)}"/>')
    if limit is not None:
        y = _TALL - limit / top * _TALL
        parts.append(f'<line class="limit" x1="0" x2="{width}" y1="{y:.2f}" y2="{y:.2f}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


@dataclass(frozen=True, slots=True)
class Point:
    """What curves have at one place: shares of one, None where there is nothing to tell; and what it says."""

    shares: Sequence[float | None]
    tip: str = ""


def curves(of: Sequence[Point], kinds: Sequence[str], marked: int | None = None) -> Markup:
    """A curve of each kind through the points, which stand side by side; and a line up at the ``marked`` one."""
    step = _TALL * 10 / max(len(of) - 1, 1)
    parts = [f'<svg class="chart" viewBox="0 0 {_TALL * 10} {_TALL}" {_PLAIN}>']
    for index, point in enumerate(of):
        left, right = max(0, (index - 0.5) * step), min((index + 0.5) * step, _TALL * 10)
        parts.append(
            f'<g><rect class="hit" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{_TALL}" '
            f'data-tip="{escape(point.tip)}"/></g>'
        )
    if marked is not None:
        x = marked * step
        parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_TALL}"/>')
    for place, kind in enumerate(kinds):
        found = [(index, point.shares[place]) for index, point in enumerate(of)]
        drawn = [f"{index * step:.1f},{_TALL - share * _TALL:.2f}" for index, share in found if share is not None]
        parts.append(f'<polyline class="curve {kind}" points="{" ".join(drawn)}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


def share(value: float | None) -> Markup:
    """A bar that is so much of its cell; ``value`` of one."""
    width = max(0.0, min(value or 0.0, 1.0)) * 100
    rest, part = '<rect class="rest" width="100" height="4"/>', f'<rect class="part" width="{width:.2f}" height="4"/>'
    return Markup(f'<svg class="share" viewBox="0 0 100 4" {_PLAIN}>{rest}{part}</svg>')  # noqa: S704 - numbers
