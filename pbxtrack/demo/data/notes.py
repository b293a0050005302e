"""What people wrote on the year's calls, and corrected, with who did when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from pbxtrack.calls.attribution import Method
from pbxtrack.calls.evidence import Correction, Tie
from pbxtrack.calls.ports import CallRecord
from pbxtrack.demo.data.people import BAD_NOTES, GOOD_NOTES, TAGS, WRITERS

_NOTED, _TAGGED, _QUALIFIED = 0.05, 0.04, 0.05  # of the calls that were answered
_CORRECTED = 0.06  # of those of which attribution was in doubt
_DOUBT = 0.8
_BRIEF = 30.0  # s; such a conversation was about something else


@dataclass(slots=True)
class Written:
    """What people say of a call, by column, and the rows of the audit; ``correction``: what later calls go by."""

    values: dict[str, Any] = field(default_factory=dict)
    correction: Correction | None = None
    audit: list[dict[str, Any]] = field(default_factory=list)


class Writers:
    """People who write on some of the calls, soon after them."""

    def __init__(self, random: Random, channels: Sequence[str], until: datetime) -> None:
        self._random, self._channels, self._until = random, channels, until

    def written(self, record: CallRecord) -> Written | None:
        """What they write on a call; None of most."""
        if record.outbound or record.outcome.ended_at is None:
            return None
        said: dict[str, Any] = {}
        chance = self._random.random
        brief = record.outcome.talk_seconds < _BRIEF
        if record.outcome.answered_at:
            if chance() < _NOTED:
                said["note"] = self._random.choice(BAD_NOTES if brief else GOOD_NOTES)
            if chance() < _TAGGED:
                said["tags"] = sorted(self._random.sample(TAGS, self._random.choice((1, 1, 2))))
            if chance() < _QUALIFIED:
                said["qualified"] = not brief
        tie = record.attribution
        if tie and tie.method is not Method.STATIC and tie.confidence < _DOUBT and chance() < _CORRECTED:
            said["attribution"] = self._correction(record)
        return self._signed(record, record.outcome.ended_at, said) if said else None

    def _correction(self, record: CallRecord) -> dict[str, Any]:
        """Another visit that may have been it; else the channel that the caller named when they were asked."""
        tie = record.attribution
        assert tie is not None
        others = [one for one in tie.candidates if tie.visit is None or one.visit != tie.visit.id]
        if others and self._random.random() < 0.6:
            return {"channel": others[0].channel, "visit": others[0].visit}
        return {"channel": self._random.choice(self._channels), "visit": None}

    def _tie(self, record: CallRecord, visit: str | None) -> Tie | None:
        candidates = record.attribution.candidates if record.attribution else ()
        return next((Tie(one.visitor, one.lease, 1.0) for one in candidates if one.visit == visit), None)

    def _signed(self, record: CallRecord, ended_at: datetime, said: Mapping[str, Any]) -> Written:
        at = min(ended_at + timedelta(seconds=30 + self._random.expovariate(1 / 5_400)), self._until)
        who = self._random.choice(WRITERS)
        written = Written({name: value for name, value in said.items() if name != "attribution"})
        if correction := said.get("attribution"):
            written.correction = Correction(correction["channel"], self._tie(record, correction["visit"]))
            written.values |= {
                "corrected_channel": correction["channel"],
                "corrected_visit_id": correction["visit"],
                "corrected_tie": written.correction.tie and written.correction.tie._asdict(),
                "corrected_by": who,
                "corrected_at": at,
            }
        before: Mapping[str, Any] = {"tags": []}
        written.audit = [
            {"call_id": record.call.id, "at": at, "who": who, "field": name, "before": before.get(name), "after": value}
            for name, value in said.items()
        ]
        return written
