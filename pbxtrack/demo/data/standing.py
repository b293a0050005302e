"""How the year's calls stand among their caller's others, all of them at once.

The rules are those of :mod:`pbxtrack.storage.standing`, which works it out for a few calls from what is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pbxtrack.calls.lifecycle import LOST
from pbxtrack.calls.ports import CallRecord
from pbxtrack.storage.standing import Standing

_Answer = tuple[datetime, str]  # when, and the call's id


def standings(records: Sequence[CallRecord], unique_days: int | None) -> dict[str, Standing]:
    """By the calls' ids; ``records`` are all calls of one site, and those that were made to its callers, by time."""
    by_caller: defaultdict[str, list[CallRecord]] = defaultdict(list)
    called: defaultdict[str, list[CallRecord]] = defaultdict(list)
    for record in records:
        if record.outbound:
            called[record.outbound].append(record)
        elif record.caller:
            by_caller[record.caller].append(record)
    found = {record.call.id: Standing(False, False, None, None) for record in records}
    for caller, own in by_caller.items():
        found |= _of_caller(own, called[caller], timedelta(days=unique_days) if unique_days else None)
    return found


def _of_caller(
    own: Sequence[CallRecord], called: Sequence[CallRecord], apart: timedelta | None
) -> Iterable[tuple[str, Standing]]:
    previous: datetime | None = None
    listed = []
    for index, record in enumerate(own):
        at = record.call.started_at
        unique = previous is None or (apart is not None and at - previous > apart)
        settlers: list[_Answer] = []
        if record.outcome.status in LOST:
            later = [other for other in called if _place(other) > _place(record)]
            settlers = [*_first_answer(own[index + 1 :]), *_first_answer(later)]
        settled_at, settled_by = min(settlers, default=(None, None))
        listed.append((record.call.id, Standing(previous is None, unique, settled_by, settled_at)))
        previous = at
    return listed


def _place(record: CallRecord) -> tuple[datetime, str]:
    return record.call.started_at, record.call.id


def _first_answer(records: Iterable[CallRecord]) -> list[_Answer]:
    for record in records:
        if record.outcome.answered_at:
            return [(record.outcome.answered_at, record.call.id)]
    return []
