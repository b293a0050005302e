"""The callers' ledger against the call log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.callers import QUEUE, Placed

TALK_TOLERANCE = 0.5  # s


@dataclass
class Found:
    """What a comparison found: how many calls of each kind, and of each that is wrong what is wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    linkedids: list[str] = field(default_factory=list)  # of the wrong ones

    def note(self, kind: str, call: Placed, entry: Mapping[str, Any] | None) -> None:
        """A call that is not as it should be."""
        self.counts[kind] += 1
        self.wrong.append(f"{kind}: {call} logged as {entry}")
        if entry is not None:
            self.linkedids.append(entry["pbx"]["linkedid"])


def compare(
    placed: Sequence[Placed], log: Sequence[Mapping[str, Any]], asterisk_gone: Sequence[tuple[float, float]]
) -> Found:
    """Every call of the callers, and what the log says of it."""
    found = Found()
    for call in placed:
        entries = [entry for entry in log if entry["caller"] == call.caller]
        found.counts["calls"] += 1
        cut = _was_cut(call, asterisk_gone)
        found.counts["cut with Asterisk"] += cut
        # Whoever leaves a queue at once has called nobody.
        if not call.rows and not cut and call.dialled != QUEUE:
            found.note("not forwarded", call, entries[0] if entries else None)
        if not entries:
            # A call that came while Asterisk was not there, or that it took with it before it was anybody's, is none.
            if call.rows:
                found.note("missing", call, None)
            continue
        if len(entries) > 1:
            found.note("twice", call, entries[1])
        _compare(found, call, entries[0], cut)
    return found


def _compare(found: Found, call: Placed, entry: Mapping[str, Any], cut: bool) -> None:
    found.counts["fallback"] += bool(entry["pbx"].get("fallback"))
    attribution = entry["attribution"] or {}
    if (attribution.get("channel"), attribution.get("visit")) != (call.channel, call.visit):
        found.note("wrong attribution", call, entry)
    if not entry["ended_at"]:
        found.note("not ended", call, entry)
    elif call.saw is not None and not cut:
        if entry["status"] != call.ended_as:
            found.note("wrong status", call, entry)
        elif not _plausible(entry["talk_seconds"], call.talk_times):
            found.note("wrong talk time", call, entry)


def _plausible(logged: float, seen: Sequence[float]) -> bool:
    """On a busy machine Asterisk tells one end of the other's BYE late: the truth is between the two."""
    return min(seen) - TALK_TOLERANCE <= logged <= max(seen) + TALK_TOLERANCE


def _was_cut(call: Placed, gone: Sequence[tuple[float, float]]) -> bool:
    """Whether some of the call was while Asterisk was not there: whoever called then, or talked then, was cut."""
    if call.saw is None:
        return bool(gone)
    end = call.saw.ended_at or float("inf")
    return any(call.saw.invited_at <= back and end >= left for left, back in gone)


def delays(placed: Sequence[Placed]) -> list[float]:
    """Seconds from each caller's INVITE to the line's."""
    return [
        min(row["invited_at"] for row in call.rows) - call.saw.invited_at
        for call in placed
        if call.saw is not None and call.rows and call.dialled != QUEUE  # which plays music first
    ]
