"""What became known of calls, beside their attributions: read from the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, and_, bindparam, select

from pbxtrack.calls.attribution import Method
from pbxtrack.calls.evidence import CALLER_BINDING
from pbxtrack.calls.truth import Made, Tap, truths
from pbxtrack.reports.goodness import Goodness, Judged
from pbxtrack.reports.periods import Span
from pbxtrack.storage.prepared import Among, Prepared
from pbxtrack.storage.rows import EPOCH
from pbxtrack.storage.tables import UtcTime, calls, leases, numbers, visits
from pbxtrack.utc import moved

_AT_ONCE = timedelta(days=30)
_LEASES = 2  # before a call, in which a tap may be that tells of it: a number is nobody else's so soon after a tap


class _Said(NamedTuple):
    """A call, and what the attribution said of it: ``visitor`` None for nobody."""

    made: Made
    visitor: str | None
    confidence: float


_said, _told, _before = visits.alias("said"), visits.alias("told"), leases.alias("before")
_in_time = (
    calls.c.site_id == bindparam("site"),
    calls.c.outbound.is_(None),
    calls.c.started_at >= bindparam("since", type_=UtcTime),
    calls.c.started_at < bindparam("until", type_=UtcTime),
    calls.c.method != Method.STATIC.value,
)
_of_callers = Among(calls.c.caller, "callers")


def _calls(*conditions: ColumnElement[bool]) -> Prepared:
    statement = (
        select(
            calls.c.started_at,
            calls.c.dialled,
            calls.c.caller,
            calls.c.confidence,
            _said.c.visitor_id.label("visitor"),
            _told.c.visitor_id.label("corrected"),
        )
        .outerjoin_from(calls, _said, _said.c.id == calls.c.visit_id)
        .outerjoin(_told, and_(_told.c.id == calls.c.corrected_visit_id, calls.c.corrected_channel.is_not(None)))
        .where(*_in_time, *conditions)
    )
    return Prepared(statement, many=True)


def _taps(*conditions: ColumnElement[bool]) -> Prepared:
    """Taps on the numbers that were called, of leases that began shortly before."""
    latest = (
        select(_before.c.id)
        .where(_before.c.number_id == numbers.c.id, _before.c.started_at <= calls.c.started_at)
        .order_by(_before.c.started_at.desc())
        .limit(_LEASES)
        .correlate(numbers, calls)
    )
    statement = (
        select(numbers.c.e164, leases.c.id, leases.c.visitor_id, leases.c.taps)
        .join_from(calls, numbers, numbers.c.e164 == calls.c.dialled)
        .join(leases, leases.c.id.in_(latest))
        .where(*_in_time, leases.c.site_id == bindparam("site"), leases.c.taps.is_not(None), *conditions)
    )
    return Prepared(statement, many=True)


_all_calls, _calls_of_callers = _calls(), _calls(_of_callers)
_all_taps, _taps_before_callers = _taps(), _taps(_of_callers)


def judged(
    connection: Connection, site_id: int, span: Span, place: Callable[[datetime], Any]
) -> defaultdict[Any, Goodness]:
    """How good the attributions of a site's calls to leased numbers were, by the places of the calls' times.

    Calls to numbers that were static then are certain, and not in it.
    """
    found: defaultdict[Any, Goodness] = defaultdict(Goodness)
    for part in _parts(connection, site_id, span):
        for made, one in _judge(connection, site_id, part):
            goodness = found[place(made.at)]
            goodness.judge(one)
            goodness.tells += crc32(repr(made).encode())
    return found


def _parts(connection: Connection, site_id: int, span: Span) -> Iterator[Span]:
    """No more at once than can be held in memory."""
    of_site = calls.c.site_id == site_id, calls.c.started_at >= span.since, calls.c.started_at < span.until
    first = connection.scalar(select(calls.c.started_at).where(*of_site).order_by(calls.c.started_at).limit(1))
    while first is not None and first < span.until:
        until = min(moved(first, _AT_ONCE), span.until)
        yield Span(first, until)
        first = (
            until
            if connection.scalar(select(calls.c.started_at).where(*of_site, calls.c.started_at >= until).limit(1))
            else None
        )


def _judge(connection: Connection, site_id: int, span: Span) -> Iterator[tuple[Made, Judged]]:
    asked = {"site": site_id, **span._asdict()}
    said = _read(_all_calls.all(connection, asked))
    taps = list(_all_taps.all(connection, asked))
    callers = sorted({one.made.caller for one in said if one.made.caller})
    # So much later another call may tell of one.
    after = {**asked, "since": span.until, "until": moved(span.until, CALLER_BINDING), "callers": callers}
    later = _read(_calls_of_callers.all(connection, after))
    taps += _taps_before_callers.all(connection, after)
    told = truths([one.made for one in (*said, *later)], _by_number(taps))
    for one, truth in zip(said, told, strict=False):
        right = truth is not None and one.visitor == truth.visitor
        yield one.made, Judged(one.visitor is not None, one.confidence, truth and truth.by, right)


def _read(rows: Iterable[Any]) -> list[_Said]:
    return [
        _Said(Made(row.started_at, row.dialled, row.caller, row.corrected), row.visitor, row.confidence) for row in rows
    ]


def _by_number(rows: Iterable[Any]) -> dict[str, Sequence[Tap]]:
    found: defaultdict[str, set[Tap]] = defaultdict(set)
    for row in rows:
        found[row.e164] |= {Tap(EPOCH + timedelta(microseconds=tap), row.visitor_id) for tap in row.taps}
    return {number: sorted(taps) for number, taps in found.items()}
