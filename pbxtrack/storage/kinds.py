"""What a call is to those who look for calls, in one value: indexes are of it.

``TRAITS`` is a number made of the answers to every question that the call log's filters ask but by name; ``KIND`` is
the text of channel, campaign and traits. There are few kinds among very many calls, so that the calls of any filters
are found as those of the kinds that fit. Both are expressions of SQL over the columns of ``calls``, which an index has
to have word for word as the query; tests compare what they say with what :mod:`pbxtrack.storage.views` says.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

STATUSES = ("ringing", "talking", "answered", "missed", "busy", "failed", "abandoned")
WITHHELD, REPEAT, UNIQUE, TARGET, UNSETTLED, BAND = 8, 16, 32, 64, 128, 256
"""The bits of traits. The lowest three are a place among ``STATUSES``, or behind them; from BAND on, one of EDGES."""

EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Confidences at which bands begin; the first band is below the first."""

LEAST, MOST = 1000, 4999
"""Traits in a kind have this added, so that they have four digits."""

BETWEEN = "\x1f"  # no channel or campaign has control characters
AFTER = "\x20"  # the character behind it

_LOST = "status IN ('missed', 'busy', 'failed', 'abandoned')"
_IS = {
    WITHHELD: "caller IS NULL",
    REPEAT: "contact_id IS NOT NULL AND NOT first",
    UNIQUE: "is_unique",
    TARGET: "coalesce(qualified, target)",
    UNSETTLED: f"answered_at IS NULL AND settled_by IS NULL AND {_LOST} AND caller IS NOT NULL AND site_id IS NOT NULL",
}
_STATUS = " ".join(f"WHEN '{status}' THEN {place}" for place, status in enumerate(STATUSES))
_BANDS = " ".join(
    f"WHEN confidence >= {edge} THEN {BAND * (place + 1)}" for place, edge in reversed([*enumerate(EDGES)])
)
_TRAITS = (
    f"(CASE status {_STATUS} ELSE {len(STATUSES)} END"
    + "".join(f" + CASE WHEN {condition} THEN {bit} ELSE 0 END" for bit, condition in _IS.items())
    + f" + CASE WHEN corrected_channel IS NOT NULL THEN {BAND * len(EDGES)} {_BANDS} ELSE 0 END)"
)
_CAMPAIGN = "CASE WHEN corrected_channel IS NULL THEN campaign ELSE corrected_campaign END"
_KIND = (
    f"coalesce(corrected_channel, channel, '') || '{BETWEEN}' || coalesce({_CAMPAIGN}, '') || '{BETWEEN}'"
    f" || CAST({_TRAITS} + {LEAST} AS VARCHAR(4))"
)


class Expression(ColumnElement[Any]):
    """An expression over the columns of calls, the only table of its statement. Texts are compared by their bytes."""

    inherit_cache = True
    _traverse_internals = [("text", InternalTraversal.dp_string)]  # noqa: RUF012 (SQLAlchemy's: what tells it from others)

    def __init__(self, text: str, kind: Any) -> None:
        self.text, self.type = text, kind


@compiles(Expression)
def _expression(element: Expression, compiler: SQLCompiler, **_: Any) -> str:
    in_bytes = isinstance(element.type, String) and compiler.dialect.name == "postgresql"
    return f'(({element.text}) COLLATE "C")' if in_bytes else f"({element.text})"


TRAITS = Expression(_TRAITS, Integer())
KIND = Expression(_KIND, String())
SITE = Expression("coalesce(site_id, 0)", Integer())
"""A call's site; 0 for the calls of none."""
