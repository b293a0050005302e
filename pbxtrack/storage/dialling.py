"""The calls to each number of a site, and those of strangers among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import Connection, Select, bindparam, case, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Text

from pbxtrack.calls.attribution import Method
from pbxtrack.reports.periods import Parts, Span, Zone
from pbxtrack.storage.rollups import NUMBERS, documents, months_kept, parts_of
from pbxtrack.storage.tables import UtcTime, calls, rollup_numbers


@dataclass(slots=True)
class Dialled:
    """Calls to a number. ``strange``: most likely of nobody who was shown it.

    ``callers``: who those were, one None for all who hid their numbers; ``days``: on how many days they called.
    """

    calls: int = 0
    strange: int = 0
    days: int = 0
    callers: set[str | None] = field(default_factory=set)

    def add(self, other: Dialled) -> None:
        """Add the calls of other days."""
        days = self.days + other.days
        self.add_of_day(other)
        self.days = days

    def add_of_day(self, other: Dialled) -> None:
        """Add other calls of the same day."""
        self.days = max(self.days, other.days)
        self.calls += other.calls
        self.strange += other.strange
        self.callers |= other.callers


ByNumber = dict[str, Dialled]

_is_strange = (calls.c.method == Method.NONE.value) & calls.c.corrected_visit_id.is_(None)
_stranger = case((_is_strange, calls.c.caller))
_strange_at = case((_is_strange, calls.c.started_at))
_heard = (
    select(calls.c.dialled, _strange_at.label("at"), _stranger.label("caller"), func.count().label("calls"))
    .where(
        calls.c.site_id == bindparam("site"),
        calls.c.outbound.is_(None),
        calls.c.dialled.is_not(None),
        calls.c.started_at >= bindparam("since", type_=UtcTime),
        calls.c.started_at < bindparam("until", type_=UtcTime),
    )
    .group_by(calls.c.dialled, _strange_at, _stranger)
)


class _Joined(FunctionElement[Any]):
    """The lists of a group, with commas between."""

    type = Text()
    inherit_cache = True


@compiles(_Joined, "sqlite")
def _joined_on_sqlite(element: _Joined, compiler: SQLCompiler, **options: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **options)})"


@compiles(_Joined)
def _joined(element: _Joined, compiler: SQLCompiler, **options: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **options)}, ',')"


def heard(connection: Connection, site_id: int, span: Span, zone: Zone) -> dict[date, ByNumber]:
    """The calls to each number, of each day; as the rows say."""
    found: defaultdict[date, defaultdict[str, Dialled]] = defaultdict(lambda: defaultdict(Dialled))
    begins = zone.day(span.since)
    for number, at, caller, count in connection.execute(_heard, {"site": site_id, **span._asdict()}):
        if at is None:
            found[begins][number].calls += count  # of which nothing is told by days
            continue
        of_day = found[zone.day(at)][number]
        of_day.add_of_day(Dialled(count, count, 1, {caller}))
    return {day: dict(numbers) for day, numbers in found.items()}


def merged(days: Iterable[ByNumber]) -> ByNumber:
    """The calls of different days."""
    return _by_number(days, Dialled.add)


def of_one_day(parts: Iterable[ByNumber]) -> ByNumber:
    """The calls of a day, of those of its parts."""
    return _by_number(parts, Dialled.add_of_day)


def _by_number(parts: Iterable[ByNumber], add: Callable[[Dialled, Dialled], None]) -> ByNumber:
    found: defaultdict[str, Dialled] = defaultdict(Dialled)
    for numbers in parts:
        for number, one in numbers.items():
            add(found[number], one)
    return found


def document(numbers: Mapping[str, Dialled]) -> list[Any]:
    """What is kept of a step."""
    return [[number, one.calls, one.strange, _sorted(one.callers)] for number, one in numbers.items()]


def rows_of(numbers: Mapping[str, Dialled], **own: Any) -> list[dict[str, Any]]:
    """The rows of a day, or a month."""
    return [
        {
            **own,
            "number": number,
            "calls": one.calls,
            "strange": one.strange,
            "days": one.days,
            "callers": orjson.dumps(_sorted(one.callers)).decode(),
        }
        for number, one in numbers.items()
    ]


def kept(connection: Connection, site_id: int, first: date, end: date, without: Iterable[date] = ()) -> ByNumber:
    """The calls of whole days that are rolled up, from the first on and before the end but those ``without``."""
    asked = {"site": site_id, "first": first, "end": end, "without": list(without)}
    return _read(connection, _of_days, asked)


def calls_to_numbers(connection: Connection, site_id: int, timezone: str, span: Span, *, raw: bool) -> ByNumber:
    """The calls of some time to each number of a site; ``raw``: roll-ups are left alone."""
    zone = Zone(timezone)
    parts = None if raw else parts_of(connection, site_id, timezone, span)
    days: defaultdict[date, defaultdict[str, Dialled]] = defaultdict(lambda: defaultdict(Dialled))
    for rest in parts.unknown if parts else [span]:
        for day, numbers in heard(connection, site_id, rest, zone).items():
            for number, one in numbers.items():
                days[day][number].add_of_day(one)
    if parts is None:
        return merged(days.values())
    for at, steps in documents(connection, site_id, NUMBERS, parts.steps):
        of_day = days[zone.day(at)]
        for number, count, strange, callers in steps:
            of_day[number].add_of_day(Dialled(count, strange, 1 if strange else 0, set(callers)))
    return merged([*days.values(), *_whole(connection, site_id, parts)])


def _whole(connection: Connection, site_id: int, parts: Parts) -> Iterator[ByNumber]:
    """Of the days that are rolled up, and the months that all of is."""
    months = parts.months(months_kept(connection, site_id, NUMBERS))
    if months:
        yield _read(connection, _of_months, {"site": site_id, "months": months})
    for first, end in parts.between(months):
        yield kept(connection, site_id, first, end, parts.without)


def _read(connection: Connection, statement: Select[Any], asked: Mapping[str, Any]) -> ByNumber:
    return {
        number: Dialled(count, strange, days, set(chain.from_iterable(orjson.loads(f"[{lists or ''}]"))))
        for number, count, strange, days, lists in connection.execute(statement, asked)
    }


def _summed(*, of_month: bool) -> Select[Any]:
    columns = rollup_numbers.c
    lists = _Joined(case((columns.strange > 0, columns.callers)))
    sums = [func.sum(column) for column in (columns.calls, columns.strange, columns.days)]
    return (
        select(columns.number, *sums, lists)
        .where(columns.site_id == bindparam("site"), columns.of_month.is_(of_month))
        .group_by(columns.number)
    )


_of_months = _summed(of_month=True).where(rollup_numbers.c.day.in_(bindparam("months", expanding=True)))
_of_days = _summed(of_month=False).where(
    rollup_numbers.c.day >= bindparam("first"),
    rollup_numbers.c.day < bindparam("end"),
    rollup_numbers.c.day.not_in(bindparam("without", expanding=True)),
)


def _sorted(callers: Iterable[str | None]) -> list[str | None]:
    return sorted(callers, key=lambda caller: caller or "")
