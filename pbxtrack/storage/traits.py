"""What a call is to those who look for calls, in one number: indexes are of it (ix_calls_traits and others).

``TRAITS`` holds the answers to every question of the call log's filters that has few answers. There are some hundreds
of such numbers among very many calls, so that the calls of any filters are found as those of the numbers that fit.
All here are expressions of SQL over the columns of ``calls``, which an index has to have word for word as the query.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

STATUSES = ("ringing", "talking", "answered", "missed", "busy", "failed", "abandoned")
WITHHELD, REPEAT, UNIQUE, TARGET, UNSETTLED, RECORDED, BAND = 8, 16, 32, 64, 128, 256, 512
"""The bits of traits. The lowest three are a place among ``STATUSES``, or behind them; from BAND on a band."""

EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Confidences at which bands begin; the first band, 0, is below the first. A correction is in the last."""

_LOST = "status IN ('missed', 'busy', 'failed', 'abandoned')"
_IS = {
    WITHHELD: "caller IS NULL",
    REPEAT: "contact_id IS NOT NULL AND NOT first",
    UNIQUE: "is_unique",
    TARGET: "coalesce(qualified, target)",
    UNSETTLED: f"answered_at IS NULL AND settled_by IS NULL AND {_LOST} AND caller IS NOT NULL AND site_id IS NOT NULL",
    RECORDED: "recording IS NOT NULL AND answered_at IS NOT NULL",
}
_STATUS = " ".join(f"WHEN '{status}' THEN {place}" for place, status in enumerate(STATUSES))
_BANDS = " ".join(
    f"WHEN confidence >= {edge} THEN {BAND * (place + 1)}" for place, edge in reversed([*enumerate(EDGES)])
)
_TRAITS = (
    f"CASE status {_STATUS} ELSE {len(STATUSES)} END"
    + "".join(f" + CASE WHEN {condition} THEN {bit} ELSE 0 END" for bit, condition in _IS.items())
    + f" + CASE WHEN corrected_channel IS NOT NULL THEN {BAND * len(EDGES)} {_BANDS} ELSE 0 END"
)


class Expression(ColumnElement[Any]):
    """An expression over the columns of calls, the only table of its statement that has columns of these names."""

    inherit_cache = True
    _traverse_internals = [("text", InternalTraversal.dp_string)]  # noqa: RUF012 (SQLAlchemy's: what tells it from others)

    def __init__(self, text: str, kind: Any) -> None:
        self.text, self.type = text, kind


@compiles(Expression)
def _expression(element: Expression, compiler: SQLCompiler, **_: Any) -> str:
    return f"({element.text})"


SITE = Expression("coalesce(site_id, 0)", Integer())
"""A call's site; 0 for the calls of none."""

TRAITS = Expression(_TRAITS, Integer())
CHANNEL = Expression("coalesce(corrected_channel, channel)", String())
CAMPAIGN = Expression("CASE WHEN corrected_channel IS NULL THEN campaign ELSE corrected_campaign END", String())


def fits(
    traits: int,
    *,
    statuses: Collection[str] = (),
    bits: int = 0,
    without: int = 0,
    min_confidence: float | None = None,
) -> bool:
    """Whether calls of these traits may be among those with one of the statuses (none: any), and so on.

    They have all of the ``bits``, and none of those ``without``. Of a band through which ``min_confidence`` goes only
    some calls fit.
    """
    if traits & bits != bits or traits & without:
        return False
    place = traits % WITHHELD
    if statuses and (place == len(STATUSES) or STATUSES[place] not in statuses):
        return False
    band = traits // BAND
    return min_confidence is None or band == len(EDGES) or EDGES[band] > min_confidence
