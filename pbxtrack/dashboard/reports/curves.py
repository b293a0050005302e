"""How soon people call: what the site's calls taught of it, and what attribution weighs by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from aiohttp import web
from markupsafe import Markup

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.charts import scale
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.diagrams import Curve, curves
from pbxtrack.dashboard.languages import Format, marked
from pbxtrack.dashboard.reports.frame import as_csv, framed, is_csv
from pbxtrack.storage.curves import shown

STATES: Mapping[str, str] = {
    "keen": marked("tapped or copied the number"),
    "again": marked("have called before"),
    "left": marked("closed the page"),
    "seen": marked("only looked"),
}
"""What people did last, as curves name it, and in words."""

_PICTURES = (("seen", "left", "again"), ("keen",))  # who taps calls so much more often that the others were flat

_UNITS = ((86_400, marked("%s days")), (3_600, marked("%s h")), (60, marked("%s min")), (1, marked("%s s")))
_LABELLED = (60, 600, 3_600, 21_600, 172_800)  # seconds, of the steps' ends


def called_by(steps: Sequence[Mapping[str, float]], state: str) -> list[float]:
    """Which share has called by each step's end if nothing else happened before; nought at the beginning.

    A step tells calls of a thousand people who are still there, for as long as it lasts: those who called are not.
    """
    return [1 - math.exp(-sum_ / 1_000) for sum_ in accumulate((step[state] for step in steps), initial=0.0)]


async def show(asked: Asked) -> web.StreamResponse:
    (found,) = await asked.read(lambda connection: shown(connection, [asked.key]))
    steps = found["steps"]
    if is_csv(asked):
        heads = [asked.text("From, s"), asked.text("To, s")]
        heads += [asked.text("Calls of 1000: %(name)s", name=asked.text(words)) for words in STATES.values()]
        return as_csv(asked, "curves", heads, ([step[name] for name in ("from", "to", *STATES)] for step in steps))
    f = asked.format
    by = {state: called_by(steps, state) for state in STATES}
    ends = [span(asked, step["to"]) for step in steps]
    rows = [(end, [f.percent(by[state][index + 1], 1) for state in STATES]) for index, end in enumerate(ends)]
    return framed(
        asked,
        "curves",
        "curves.html",
        found=found,
        states=STATES,
        charts=[_picture(f, names, by, _tips(asked, rows)) for names in _PICTURES],
        labels=["0", *(end if step["to"] in _LABELLED else "" for step, end in zip(steps, ends, strict=True))],
        rows=rows,
        lengths=_lengths(asked, found["lengths"]),
    )


def _picture(
    f: Format, names: Sequence[str], by: Mapping[str, Sequence[float]], tips: Sequence[str]
) -> tuple[Sequence[str], Markup, list[str]]:
    lines = scale(max(by[name][-1] for name in names) * 100)
    drawn = curves([Curve(name, by[name]) for name in names], lines[-1] / 100, tips)
    return names, drawn, [f.percent(line / 100) for line in reversed(lines)]


def _lengths(asked: Asked, classes: Sequence[Mapping[str, float]]) -> list[tuple[str, float]]:
    """The classes of visits by their length, in words, with how many times as often their visitors call."""
    begins = [span(asked, one["from"]) for one in classes]
    words = [asked.text("Visits of %(first)s to %(last)s", first=one, last=end) for one, end in pairwise(begins)]
    words.append(asked.text("Visits of %(time)s or longer", time=begins[-1]))
    return [(text, one["factor"]) for text, one in zip(words, classes, strict=True)]


def _tips(asked: Asked, rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    return [
        "\n".join(
            [
                asked.text("within %(time)s:", time=end),
                *(f"{share} {asked.text(name)}" for share, name in zip(shares, STATES.values(), strict=True)),
            ]
        )
        for end, shares in rows
    ]


def span(asked: Asked, seconds: float) -> str:
    """A length of time in the largest unit of which it is one at least, to a tenth."""
    for size, text in _UNITS:
        if seconds >= size:
            return asked.format.unit(text, seconds / size, 1)
    return asked.format.number(seconds)


PAGES = (Page(path="/sites/{site}/reports/curves", handler=show),)
