"""How sure attributions are, and how often they were right where that became known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.diagrams import Spot, reliability
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.reports.frame import as_csv, framed, is_csv
from pbxtrack.storage.accuracy import accuracy

FEW = 30
"""Known calls, below which shares of them say little."""
_CLOSE, _FAR = 0.03, 0.1  # calibration errors

TOLD: Mapping[str, str] = {
    "corrected": marked("People corrected the call"),
    "tap": marked("One visitor tapped the number in the half minute before the call"),
    "caller": marked("One of these told of a later call of the same caller"),
}
"""How it became known who called."""

_IN_FILE: Mapping[str, str] = {
    "month": marked("Month"), "calls": marked("Calls"), "attributed": marked("Calls tied to a visitor"),
    "coverage": marked("Tied to a visitor"), "expected_precision": marked("How sure"), "known": marked("Known"),
    "precision": marked("Right, of those tied"), "accuracy": marked("Right, of all known"),
    "brier": marked("Brier score"), "calibration_error": marked("Calibration error (ECE)"),
}  # fmt: skip


async def show(asked: Asked) -> web.StreamResponse:
    period = asked.calls
    whole, *months = await asked.read(lambda connection: accuracy(connection, period.since, period.until, period.keys))
    if is_csv(asked):
        told = [{**month, "known": known(month)} for month in months]
        heads = [asked.text(head) for head in _IN_FILE.values()]
        return as_csv(asked, "accuracy", heads, ([month[name] for name in _IN_FILE] for month in told))
    bands = [band for band in whole["bands"] if band["calls"]]
    return framed(
        asked,
        "accuracy",
        "accuracy.html",
        whole=whole,
        known=known(whole),
        months=[(asked.format.day(f"{month['month']}-01", "LLLL y"), month, known(month)) for month in months],
        bands=bands,
        told=TOLD,
        diagram=reliability(_spots(asked, bands)),
        sentences=[asked.text(sentence) for sentence in verdict(whole)],
    )


def known(row: Mapping[str, Any]) -> int:
    """Of how many calls it is known who made them."""
    return int(sum(row["known"].values()))


def verdict(whole: Mapping[str, Any]) -> list[str]:
    """What the figures mean, for people who do not read such; to be translated."""
    if not whole["calls"]:
        return []
    if not known(whole):
        return [marked("Of no call it became known who made it: whether these attributions are right cannot be said.")]
    found = []
    if known(whole) < FEW:
        found.append(marked("Of few calls it became known who made them: take the shares below as a hint."))
    error, below = whole["calibration_error"], _below(whole)
    doubtful = below is not None and below[1] - below[2] > _FAR
    if error <= _CLOSE:
        found.append(
            marked("Attributions of 90 % and more are as sure as they should be. Doubtful ones are not.")
            if doubtful
            else marked("Attributions are as sure as they should be: what is said matches what was found.")
        )
    elif _said(whole) > _found(whole):
        found.append(
            marked("Attributions are surer than they should be.")
            if error <= _FAR
            else marked("Attributions are much surer than they should be: look at them with care.")
        )
    else:
        found.append(marked("Attributions are right more often than they say."))
    if doubtful:
        found.append(marked("Where they are less sure, they are right less often than they say."))
    found.append(marked("The known calls are no fair sample of all: those that a tap tells of are the easiest."))
    return found


def _below(whole: Mapping[str, Any]) -> tuple[int, float, float] | None:
    """Of the attributions that are not sure: how many, what was said and what was right; None where they are few."""
    bands = [band for band in whole["bands"][:-1] if band["calls"]]
    calls = sum(band["calls"] for band in bands)
    if calls < FEW:
        return None
    return calls, *(sum(band["calls"] * band[name] for band in bands) / calls for name in ("said", "right"))


def _said(whole: Mapping[str, Any]) -> float:
    return float(sum(band["calls"] * band["said"] for band in whole["bands"] if band["calls"]))


def _found(whole: Mapping[str, Any]) -> float:
    return float(sum(band["calls"] * band["right"] for band in whole["bands"] if band["calls"]))


def _spots(asked: Asked, bands: Sequence[Mapping[str, Any]]) -> list[Spot]:
    f = asked.format
    return [
        Spot(
            band["said"],
            band["right"],
            band["calls"],
            asked.text(
                "said: %(said)s\nright: %(right)s\ncalls: %(calls)s",
                said=f.percent(band["said"], 1),
                right=f.percent(band["right"], 1),
                calls=f.number(band["calls"]),
            ),
        )
        for band in bands
    ]


PAGES = (Page(path="/sites/{site}/reports/accuracy", handler=show),)
