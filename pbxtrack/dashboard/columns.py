"""The columns of the call log: which there are, and which somebody wants to see. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pbxtrack.dashboard.languages import marked

COLUMNS: Mapping[str, str] = {
    "channel": marked("Channel"),
    "status": marked("Status"),
    "ringing": marked("Rang for"),
    "talk": marked("Talk"),
    "signs": marked("Note, recording"),
    "source": marked("Source"),
    "campaign": marked("Campaign"),
    "term": marked("Keyword"),
    "dialled": marked("Dialled"),
    "answered_by": marked("Answered by"),
    "marks": marked("Marks"),
    "tags": marked("Tags"),
}
"""By name, with their heads. When a call was and whose it is are always shown, before them."""

_NOT_AT_FIRST = frozenset({"source", "term"})
_CHOICE = "call_columns"


def shown(choices: Mapping[str, Any]) -> Sequence[str]:
    """The columns of somebody with these choices, in order."""
    chosen = choices.get(_CHOICE)
    if isinstance(chosen, list):
        return [name for name in COLUMNS if name in chosen]
    return [name for name in COLUMNS if name not in _NOT_AT_FIRST]


def chosen(choices: Mapping[str, Any], names: Iterable[object]) -> dict[str, Any]:
    """The choices with others of the columns."""
    wanted = set(map(str, names))
    return {**choices, _CHOICE: [name for name in COLUMNS if name in wanted]}
