"""The curve of a pool's sizes as an SVG picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from pbxtrack.replay.sizes import Outcome

_WIDTH, _HEIGHT = 720, 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 60, 50, 180, 50  # margins
_COLOURS = ("#0b6e99", "#c4501b", "#4c7a34", "#7a3e9d", "#8a6d00")
_STEPS = 10


def picture(outcomes: Sequence[Outcome], title: str) -> str:
    """What became of each size: a line for each hold of the share of calls that were right, and a dashed one of the
    visitors who found no number. An SVG document.
    """
    most = max((one.numbers for one in outcomes), default=1)
    holds = sorted({one.hold for one in outcomes})
    parts = [*_axes(most), _text(_LEFT, _TOP - 24, title, size=15)]
    for index, hold in enumerate(holds):
        colour = _COLOURS[index % len(_COLOURS)]
        of_hold = sorted((one for one in outcomes if one.hold == hold), key=lambda one: one.numbers)
        right = [(one.numbers, one.accuracy) for one in of_hold if one.accuracy is not None]
        parts += _line(right, most, colour, "")
        parts += _line([(one.numbers, one.blocking) for one in of_hold], most, colour, "5 4")
        name = f"hold {hold.total_seconds() / 60:g} min"
        parts.append(_text(_WIDTH - _RIGHT + 14, _TOP + 16 + 20 * index, name, colour))
    below = _TOP + 16 + 20 * len(holds)
    parts.append(_text(_WIDTH - _RIGHT + 14, below + 10, "— calls right", "#333"))
    parts.append(_text(_WIDTH - _RIGHT + 14, below + 30, "- - visitors who find none", "#333"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _x(numbers: float, most: int) -> float:
    return round(_LEFT + numbers / most * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axes(most: int) -> Iterable[str]:
    for step in range(0, _STEPS + 1, 2):
        share = step / _STEPS
        yield (
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(share)}" y2="{_y(share)}" stroke="#ddd" '
            'stroke-width="1"/>'
        )
        yield _text(_LEFT - 8, _y(share) + 4, f"{share:.0%}", anchor="end")
    for step in range(5):
        numbers = round(most * step / 4)
        yield _text(_x(numbers, most), _HEIGHT - _BOTTOM + 20, f"{numbers:,}", anchor="middle")
    yield _text(_x(most / 2, most), _HEIGHT - 10, "numbers in the pool", anchor="middle")


def _line(points: Sequence[tuple[int, float]], most: int, colour: str, dashes: str) -> Iterable[str]:
    drawn = " ".join(f"{_x(numbers, most)},{_y(share)}" for numbers, share in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
    for numbers, share in points:
        yield f'<circle cx="{_x(numbers, most)}" cy="{_y(share)}" r="3" fill="{colour}"/>'


def _text(x: float, y: float, text: str, colour: str = "#333", *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
