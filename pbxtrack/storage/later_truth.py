"""What later calls tell of earlier ones, kept by days: it is looked at once more each day until no call can tell more.

A mark says that a day's own calls changed, and not that a call of a later day tells something new of them. So the
days of the last months are judged again when a day is over; and where a day's calls tell other things than before,
those of which they may tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, exists, select, update

from pbxtrack.calls.evidence import CALLER_BINDING
from pbxtrack.reports.goodness import Goodness
from pbxtrack.reports.periods import Zone
from pbxtrack.storage.folded import Folded
from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.judging import judged
from pbxtrack.storage.tables import rollup_accuracy

_DAY = timedelta(days=1)
_TELLS = timedelta(days=CALLER_BINDING.days + 2)  # a call of a day, after the beginning of one so long ago
_kept = rollup_accuracy.c
_insert = Gathered(rollup_accuracy.insert())
_due = (_kept.site_id == bindparam("site"), _kept.final.is_(False), _kept.made_on < bindparam("today"))


def due(connection: Connection, site_id: int, today: date) -> bool:
    """Whether there are days that are to be judged again."""
    return bool(connection.scalar(select(exists().where(*_due)), {"site": site_id, "today": today}))


def read(connection: Connection, site_id: int, zone: Zone, today: date, most: int) -> list[dict[str, Any]]:
    """Judge some days again: the latest of those that are due, and those just before them."""
    statement = select(_kept.day).where(*_due).order_by(_kept.day.desc()).limit(most)
    days = list(connection.scalars(statement, {"site": site_id, "today": today}))
    run = [day for nth, day in enumerate(days) if day == days[0] - nth * _DAY]
    if not run:
        return []
    found = judged(connection, site_id, zone.span(run[-1], run[0] + _DAY), zone.day)
    return [_row(site_id, day, found[day], today) for day in run]


def write(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what was found of days."""
    for row in rows:
        connection.execute(delete(rollup_accuracy).where(_kept.site_id == row["site_id"], _kept.day == row["day"]))
    _insert.run(connection, rows)


def changed(connection: Connection, site_id: int, days: Sequence[date], folded: Folded, today: date) -> None:
    """Keep what a fold found of days on end. Where their calls tell something new, earlier days are judged again."""
    of_days = _kept.day >= days[0], _kept.day <= days[-1]
    kept = select(_kept.day, _kept.tells).where(_kept.site_id == site_id, *of_days)
    before = {row.day: row.tells for row in connection.execute(kept)}
    rows = [_row(site_id, day, folded.goodness.get(day) or Goodness(), today) for day in days]
    write(connection, rows)
    other = [row["day"] for row in rows if row["day"] in before and before[row["day"]] != row["tells"]]
    if other:
        earlier = _kept.day >= other[0] - _TELLS, _kept.day < other[-1]
        again = update(rollup_accuracy).where(_kept.site_id == site_id, *earlier, _kept.day.not_in(days))
        connection.execute(again.values(final=False, made_on=_kept.day))


def _row(site_id: int, day: date, found: Goodness, today: date) -> dict[str, Any]:
    return {
        "site_id": site_id,
        "day": day,
        "made_on": today,
        "final": day + _TELLS <= today,
        "tells": found.tells,
        "found": orjson.dumps(found.numbers).decode(),
    }
