"""A site's own traffic, as it was recorded, as the events of a trace; and what it is at its busiest.

Whom a call came from is not known but by what people said. Else it is drawn by lot, each as probably as attribution
said: were the likeliest taken, those who call late, whom it is hardest to tell, would be too few. Heartbeats are not
kept, so a visit gives them once a minute until its last sign of life. A call that nobody was said to have made, or
that people said a channel brought and no visit, rings a number of the pool by turns.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any

from sqlalchemy import Connection, select

from pbxtrack.calls.attribution import Method
from pbxtrack.ids import earliest_id
from pbxtrack.pool.model import EventKind
from pbxtrack.pool.policy import HEARTBEAT, VISIT_GAP
from pbxtrack.replay.trace import Called, Event, Renewed, Visited
from pbxtrack.storage.tables import calls, sites, visit_events, visits


@dataclass(frozen=True, slots=True)
class Traffic:
    """What happened on a site in a time. ``strangers``: calls of nobody who was shown the number; they have no visit
    and no number yet. ``busiest``: visits in the hour in which most began; ``visit``: how long one lasted on average.
    """

    visits: Sequence[Visited]
    signs: Sequence[Renewed]
    calls: Sequence[Called]
    strangers: Sequence[Called]
    busiest: int
    visit: timedelta

    def events(self, pool: Sequence[str]) -> Iterator[Event]:
        """All of it by time, for a pool of these numbers."""
        strange = [
            Called(call.at, call.call, call.caller, None, pool[index % len(pool)])
            for index, call in enumerate(self.strangers if pool else ())
        ]
        return heapq.merge(self.visits, self.signs, self.calls, strange, key=attrgetter("at"))


def read_traffic(connection: Connection, site: str, since: datetime, until: datetime) -> Traffic:
    """The traffic of a site (its key), of visits that began in that time, and until its end."""
    began = [
        visits.c.site_id == select(sites.c.id).where(sites.c.key == site).scalar_subquery(),
        visits.c.id >= earliest_id(since),  # which sort by time, and have the index
        visits.c.started_at >= since,
        visits.c.started_at < until,
    ]
    deeds: defaultdict[str, list[tuple[datetime, EventKind]]] = defaultdict(list)
    for deed in connection.execute(
        select(visit_events.c.visit_id, visit_events.c.at, visit_events.c.kind)
        .join_from(visit_events, visits, visits.c.id == visit_events.c.visit_id)
        .where(*began, visit_events.c.at < until)
        .order_by(visit_events.c.visit_id, visit_events.c.id)
    ):
        deeds[deed.visit_id].append((deed.at, EventKind(deed.kind)))
    visited: dict[str, Visited] = {}
    signs: list[Renewed] = []
    hours: Counter[int] = Counter()
    lasted = 0.0
    rows = connection.execute(
        select(
            visits.c.id, visits.c.visitor_id, visits.c.started_at, visits.c.seen_at, visits.c.region, visits.c.page,
            visits.c.referrer,
        ).where(*began).order_by(visits.c.started_at, visits.c.id)
    )  # fmt: skip
    for row in rows:
        did = deeds[row.id]
        seen = _seen(row.seen_at, max([row.started_at, *(time for time, _ in did)]), until)
        at, last = (row.started_at - since).total_seconds(), (seen - since).total_seconds()
        visited[row.id] = Visited(at, row.id, row.visitor_id, row.page, row.referrer, row.region)
        signs += _heartbeats(row.id, at, last)
        signs += [Renewed(max((time - since).total_seconds(), at), row.id, event) for time, event in did]
        hours[int(at // 3_600)] += 1
        lasted += last - at
    signs.sort(key=attrgetter("at"))
    known, strangers = _calls(connection, site, since, until, visited)
    return Traffic(
        list(visited.values()),
        signs,
        known,
        strangers,
        max(hours.values(), default=0),
        timedelta(seconds=lasted / (len(visited) or 1)),
    )


def _seen(seen: datetime, did: datetime, until: datetime) -> datetime:
    """A visit's last sign of life in that time; where its own is much later, as long as one goes on after a deed.

    Then a clock was wrong: signs a minute apart until that time could be millions.
    """
    return min(seen if seen <= until + VISIT_GAP else did + VISIT_GAP, until)


def _heartbeats(visit: str, at: float, last: float) -> Iterator[Renewed]:
    every = HEARTBEAT.total_seconds()
    beats = int((last - at) // every)
    for beat in range(1, beats + 1):
        yield Renewed(at + beat * every, visit, None)
    if last > at + beats * every:
        yield Renewed(last, visit, None)


def _calls(
    connection: Connection, site: str, since: datetime, until: datetime, visited: dict[str, Visited]
) -> tuple[list[Called], list[Called]]:
    """(those of visits, those of strangers); calls of visits before ``since`` are neither."""
    known: list[Called] = []
    strangers: list[Called] = []
    corrected = calls.c.corrected_channel.is_not(None)
    rows = connection.execute(
        select(
            calls.c.id,
            calls.c.started_at,
            calls.c.caller,
            calls.c.candidates,
            calls.c.corrected_visit_id,
            corrected.label("corrected"),
        )
        .join_from(calls, sites, sites.c.id == calls.c.site_id)
        .where(
            sites.c.key == site,
            calls.c.started_at >= since,
            calls.c.started_at < until,
            calls.c.outbound.is_(None),
            calls.c.method != Method.STATIC.value,
        )
        .order_by(calls.c.started_at, calls.c.id)
    )
    drawn: dict[str, str] = {}  # the visitors that callers are
    for row in rows:
        at = (row.started_at - since).total_seconds()
        visit = row.corrected_visit_id if row.corrected else _drawn(row, drawn)
        if visit is None:
            strangers.append(Called(at, row.id, row.caller, None, None))
        elif visit in visited and at >= visited[visit].at:
            known.append(Called(at, row.id, row.caller, visit, None))
    return known, strangers


def _drawn(call: Any, drawn: dict[str, str]) -> str | None:
    """The visit of one of those who may have made a call, the same each time; None for nobody who is known."""
    candidates = call.candidates
    if found := next((one for one in candidates if one["visitor"] == drawn.get(call.caller)), None):
        return str(found["visit"])
    lot = Random(call.id).random()  # noqa: S311
    for one in candidates:
        lot -= one["confidence"]
        if lot < 0:
            if call.caller:
                drawn[call.caller] = one["visitor"]
            return str(one["visit"])
    return None
