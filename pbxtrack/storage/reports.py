"""Reports: sums of roll-ups where they are up to date, and of the rows themselves where they are not.

What is read must be of one moment: a snapshot (:meth:`pbxtrack.storage.database.Database.reading`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, func, select

from pbxtrack.calls.models import Model
from pbxtrack.reports.figures import Packed, Sums, figures, repack, unpack
from pbxtrack.reports.money import Money, Row, money_figures
from pbxtrack.reports.periods import EVER, NEVER, Parts, Span, Zone
from pbxtrack.reports.questions import By, Question
from pbxtrack.storage.credit import parts_of_call
from pbxtrack.storage.money import all_money, money_of
from pbxtrack.storage.rollups import HOURS, documents, months_kept, parts_of, rollup
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tables import UtcTime, rollup_hours
from pbxtrack.storage.tally import Found, answered, by_hour
from pbxtrack.storage.times import rfc3339
from pbxtrack.utc import moved

MAX_ROWS = 1_000
"""Rows of a site's report that are told unless another limit is asked for."""


@dataclass(frozen=True, slots=True)
class Period:
    """Of which calls: from ``since`` on and before ``until``, whenever unless given; of these sites (keys), or all."""

    since: datetime | None = None
    until: datetime | None = None
    keys: Sequence[str] = ()
    # Roll-ups are left alone, and all is read from the rows: what tests and benchmarks compare with.
    raw: bool = field(default=False, kw_only=True)

    @property
    def span(self) -> Span:
        return Span(max(self.since or EVER, EVER), min(self.until or NEVER, NEVER))

    def before(self) -> Period:
        """As long a time just before this one. Only of one that begins and ends."""
        assert self.since is not None
        assert self.until is not None
        return Period(moved(self.since, self.since - self.until), self.since, self.keys, raw=self.raw)


def answers(
    connection: Connection, question: Question, period: Period, model: Model, limit: int = MAX_ROWS
) -> list[dict[str, Any]]:
    """Of each site a row for each value of the dimensions: those with most calls first, ``limit`` at most.

    What nobody can tell is None. ``share`` is of all of the site's calls. Where the report tells money, ``channel`` is
    that of a row which holds only costs that tell no more.
    """
    items = []
    whole = parts_of_call(question)
    for site in _sites(connection, period):
        found = _found(connection, question, model, site)
        total = sum(sums.calls for sums in found.values())
        rows = _rows(connection, question, model, site, found)
        for row, money in rows[:limit]:
            sums = found.get(row.values, Sums()) if row.channel is None else Sums()
            item = {"site": site.key, **dict(zip(question.dimensions, row.values, strict=True))}
            item |= figures(sums, whole, total)
            if question.money:
                item |= {"channel": row.channel} if "channel" not in item else {}
                item |= {"currency": site.currency, **money_figures(sums, whole, money)}
            items.append(item)
    return items


def _rows(
    connection: Connection, question: Question, model: Model, site: _Site, found: Mapping[tuple[Any, ...], Sums]
) -> list[tuple[Row, Money]]:
    """A report's rows in their order, with their money: those that calls make, and those that only money does."""
    money = {Row(values): Money() for values in found}
    if question.money:
        money = money_of(connection, question, model, site.id, site.span, site.zone, found)

    def place(item: tuple[Row, Money]) -> tuple[int, int, list[str]]:
        row, of_row = item
        return (
            -(found[row.values].calls if row.values in found and not row.channel else 0),
            -(of_row.cost or 0),
            row.order,
        )

    return sorted(money.items(), key=place)


def hours_of_week(connection: Connection, period: Period) -> list[dict[str, Any]]:
    """Of each site a row for each hour of the week in which there were calls, by the site's clocks; Monday is 1."""

    def place(begins: datetime, zone: Zone) -> tuple[int, int]:
        local = zone.local(begins)
        return local.isoweekday(), local.hour

    items = []
    for site in _sites(connection, period):
        found = _in_time(connection, site, ("weekday", "hour"), place)
        total = sum(sums.calls for sums in found.values())
        items += [
            {"site": site.key, "weekday": weekday, "hour": hour, **figures(sums, 1, total)}
            for (weekday, hour), sums in sorted(found.items())
        ]
    return items


def trend(connection: Connection, period: Period, by: By) -> list[dict[str, Any]]:
    """Of each site a row for each step in which there were calls, by time; ``begins`` is by the site's clocks."""
    items = []
    for site in _sites(connection, period):
        if by is By.HOUR:
            found = _in_time(connection, site, ("begins",), lambda begins, _: (begins,))
        else:
            found = _in_time(connection, site, ("day",), lambda begins, zone: (zone.day(begins),))
        steps: defaultdict[datetime, Packed] = defaultdict(int)
        for (step,), sums in found.items():
            if by is By.WEEK:
                step -= timedelta(days=step.weekday())
            at = step if by is By.HOUR else site.zone.midnight(step)
            steps[at] += repack(sums)
        total = sum(sums.calls for sums in found.values())
        items += [
            {
                "site": site.key,
                "at": rfc3339(at),
                "begins": _by_clock(at, by, site.zone),
                **figures(unpack(sums), 1, total),
            }
            for at, sums in sorted(steps.items())
        ]
    return items


def totals(connection: Connection, period: Period, *, compare: bool) -> list[dict[str, Any]]:
    """Of each site the figures of all of its calls. ``before``: those of as long a time before, to ``compare``."""
    earlier = _totals(connection, period.before()) if compare else {}
    return [{"site": key, **told, "before": earlier.get(key)} for key, told in _totals(connection, period).items()]


def _totals(connection: Connection, period: Period) -> dict[str, dict[str, Any]]:
    told = {}
    for site in _sites(connection, period):
        sums = _in_time(connection, site, (), lambda begins, zone: ()).get((), Sums())
        money = all_money(connection, site.id, site.span, site.zone)
        told[site.key] = {
            **figures(sums, 1, sums.calls), "currency": site.currency, **money_figures(sums, 1, money)
        }  # fmt: skip
    return told


def _by_clock(at: datetime, by: By, zone: Zone) -> str:
    return f"{zone.local(at):%Y-%m-%dT%H:%M}" if by is By.HOUR else zone.day(at).isoformat()


@dataclass(frozen=True, slots=True)
class _Site:
    """A site, and the parts of the period: ``parts`` None where all is read from the rows."""

    id: int
    key: str
    currency: str
    zone: Zone
    span: Span
    parts: Parts | None


def _sites(connection: Connection, period: Period) -> Iterator[_Site]:
    span = period.span
    for row in live_sites(connection, period.keys):
        parts = None if period.raw else parts_of(connection, row.id, row.timezone, span)
        yield _Site(row.id, row.key, row.currency, Zone(row.timezone), span, parts)


def _found(connection: Connection, question: Question, model: Model, site: _Site) -> Mapping[tuple[Any, ...], Sums]:
    """The sums by the values of the dimensions."""
    of_model = model if question.by_model else None
    found = _rolled_up(connection, rollup(question), question.dimensions, site, of_model)
    if site.parts:
        for _, document in documents(connection, site.id, question.name, site.parts.steps, of_model):
            for values, sums in document:
                found[tuple(values)] += repack(sums)
    for span in site.parts.unknown if site.parts else [site.span]:
        for values, packed in answered(connection, question, model, site.id, span).items():
            found[values] += packed
    return {values: unpack(packed) for values, packed in found.items()}


def _in_time(
    connection: Connection, site: _Site, columns: Sequence[str], place: Callable[[datetime, Zone], tuple[Any, ...]]
) -> Mapping[tuple[Any, ...], Sums]:
    """The sums by these columns of the hours' roll-up; ``place``: their values of the hour that begins so."""
    found = _rolled_up(connection, rollup_hours, columns, site)
    rest = list(site.parts.rest) if site.parts else [site.span]
    if site.parts:
        for _, document in documents(connection, site.id, HOURS, site.parts.steps):
            for begins, sums in document:
                found[place(datetime.fromisoformat(begins), site.zone)] += repack(sums)
        for span in site.parts.partly:
            whole = site.zone.whole_hours(span)
            if whole is None:
                rest.append(span)
                continue
            rest += [Span(span.since, whole.since), Span(whole.until, span.until)]
            asked = {"site": site.id, "day": site.zone.day(whole.since), **whole._asdict()}
            for begins, *sums in connection.execute(_hours_of_day, asked):
                found[place(begins, site.zone)] += repack(sums)
    for span in rest:
        if span.since < span.until:
            for begins, packed in by_hour(connection, site.id, span, site.zone).items():
                found[place(begins, site.zone)] += packed
    return {values: unpack(packed) for values, packed in found.items()}


def _rolled_up(
    connection: Connection, table: Table, columns: Sequence[str], site: _Site, model: Model | None = None
) -> Found:
    """The sums of the days that are rolled up, of whole months where those are."""
    found: Found = defaultdict(int)
    parts = site.parts
    if parts is None:
        return found
    width = len(columns)
    months: list[date] = []
    asked: dict[str, Any] = {"site": site.id}
    if model is not None:
        asked["model"] = model.value
        months = parts.months(months_kept(connection, site.id, table.name.removeprefix("rollup_"), model))
    reads: list[tuple[bool, dict[str, Any]]] = [(True, {"months": months})] if months else []
    for first, end in parts.between(months):
        reads.append((False, {"first": first, "end": end, "without": list(parts.without)}))
    for by_month, one in reads:
        statement = _of_rollup(table, tuple(columns), of_model=model is not None, by_month=by_month)
        for row in connection.execute(statement, asked | one):
            found[tuple(row[:width])] += repack(int(number or 0) for number in row[width:])
    return found


@cache
def _of_rollup(table: Table, names: tuple[str, ...], *, of_model: bool, by_month: bool) -> Select[Any]:
    columns = [table.c[name] for name in names]
    statement = (
        select(*columns, *(func.sum(table.c[name]).label(name) for name in Sums._fields))
        .where(table.c.site_id == bindparam("site"))
        .group_by(*columns)
    )
    if of_model:
        statement = statement.where(table.c.model == bindparam("model"), table.c.of_month.is_(by_month))
    if by_month:
        return statement.where(table.c.day.in_(bindparam("months", expanding=True)))
    return statement.where(
        table.c.day >= bindparam("first"),
        table.c.day < bindparam("end"),
        table.c.day.not_in(bindparam("without", expanding=True)),
    )


_hours_of_day = select(rollup_hours.c.begins, *(rollup_hours.c[name] for name in Sums._fields)).where(
    rollup_hours.c.site_id == bindparam("site"),
    rollup_hours.c.day == bindparam("day"),
    rollup_hours.c.begins >= bindparam("since", type_=UtcTime),
    rollup_hours.c.begins < bindparam("until", type_=UtcTime),
)
