"""Days of time zones, and how a period is taken apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.reports.periods import Known, Parts, Span, Zone, month_after

ZONES = ["Europe/Moscow", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia",
         "Australia/Lord_Howe", "America/St_Johns"]  # fmt: skip
DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)
times = st.datetimes(datetime(2005, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)
zones = st.sampled_from(ZONES)


@given(zones, times)
def test_a_time_is_in_one_day(zone_name: str, at: datetime) -> None:
    zone = Zone(zone_name)
    day = zone.day(at)
    assert zone.midnight(day) <= at < zone.midnight(day + DAY)


@given(st.sampled_from([*ZONES, "Pacific/Chatham", "Antarctica/Troll"]), times)
def test_a_time_is_in_the_hour_of_its_day_that_clocks_show(zone_name: str, at: datetime) -> None:
    zone = Zone(zone_name)
    hour = zone.local(at).hour
    of_day = [(shown, span) for shown in range(24) for span in zone.when(zone.day(at), shown)]
    assert [shown for shown, span in of_day if span.since <= at < span.until] == [hour]
    assert all(later.since >= earlier.until for later, earlier in pairwise(zone.when(zone.day(at), hour)))


@pytest.mark.parametrize("at", [datetime.min, datetime(1900, 1, 1), datetime(2999, 12, 31), datetime.max])  # noqa: DTZ001, DTZ901 (made aware below)
def test_times_that_no_call_has_are_on_some_day(at: datetime) -> None:
    assert Zone("Pacific/Apia").day(at.replace(tzinfo=UTC))


def test_a_day_without_midnight_begins_when_clocks_are_put_forward() -> None:
    zone = Zone("America/Sao_Paulo")
    begins = zone.midnight(date(2018, 11, 4))
    assert (zone.local(begins).hour, zone.local(begins - INSTANT).hour) == (1, 23)


@given(
    zones,
    st.tuples(times, times).map(sorted),
    st.tuples(times, times).map(sorted),
    st.lists(times, max_size=5),
    st.sets(st.integers(-48, 24)),
    st.none() | st.timedeltas(timedelta(days=-3), timedelta(days=3)),
)
def test_a_period_is_its_parts(
    zone_name: str,
    period: list[datetime],
    rolled_up: list[datetime],
    changes: list[datetime],
    hours: set[int],
    near_end: timedelta | None,
) -> None:
    zone = Zone(zone_name)
    first, end = map(zone.day, rolled_up)
    changed = [Span(at, at + timedelta(hours=1)) for at in changes]
    of_days = [hour for nth in (2, 1, 0) for hour in zone.hours(end - nth * DAY, zone.midnight(end + DAY))]
    steps = [of_days[hour] for hour in sorted({hour % len(of_days) for hour in hours})]
    since, until = period[0], period[0] + min(period[1] - period[0], timedelta(days=400))
    if near_end is not None:  # where the hours are
        until = max(since, zone.midnight(end) + near_end)
        since = max(since, until - timedelta(days=4))
    parts = Known(first, end, changed, steps).parts(Span(since, until), zone)
    assert set(parts.steps) <= set(steps)
    assert not any(one.since < step.until and step.since < one.until for one in changed for step in parts.steps)
    for span in parts.partly:
        day = zone.day(span.since)
        assert first <= day < end
        assert zone.span(day, day + DAY).until >= span.until
        assert not any(one.since < zone.midnight(day + DAY) and one.until > zone.midnight(day) for one in changed)
    days = [parts.first + nth * DAY for nth in range((parts.end - parts.first).days)]
    whole = [zone.span(day, day + DAY) for day in days if day not in parts.without]
    spans = sorted([*parts.unknown, *parts.steps, *whole])
    assert sum((span.until - span.since for span in spans), timedelta()) == until - since
    assert all(one.until <= other.since for one, other in pairwise(spans))
    assert not any(
        day not in parts.without and span.since < zone.midnight(day + DAY) and span.until > zone.midnight(day)
        for day in days
        for span in changed
    )


@given(st.dates(date(2025, 1, 1), date(2027, 1, 1)), st.integers(0, 500), st.sets(st.integers(0, 500), max_size=3))
def test_days_are_in_a_month_or_between_months(first: date, count: int, without: set[int]) -> None:
    end = first + count * DAY
    parts = Parts(first, end, {first + nth * DAY for nth in without if nth < count}, ())
    kept = [date(2024 + nth // 12, nth % 12 + 1, 1) for nth in range(48)]
    months = parts.months(kept)
    runs = [*parts.between(months), *((month, month_after(month)) for month in months)]
    days = [begin + nth * DAY for begin, before in runs for nth in range((before - begin).days)]
    assert sorted(days) == [first + nth * DAY for nth in range(count)]
    assert not any(begin <= day < month_after(begin) for begin in months for day in parts.without)


@given(zones, times)
def test_the_hours_of_a_day_are_all_of_it(zone_name: str, at: datetime) -> None:
    zone = Zone(zone_name)
    day = zone.day(at)
    begins, end = zone.span(day, day + DAY)
    hours = zone.hours(day, end)
    assert (hours[0].since, hours[-1].until) == (begins, end)
    assert all(one.until == other.since for one, other in pairwise(hours))
    assert len(zone.hours(day, at)) == (at - begins) // timedelta(hours=1)


@given(zones, times, st.timedeltas(timedelta(), DAY), st.timedeltas(timedelta(), DAY))
def test_whole_hours_are_those_that_clocks_showed(
    zone_name: str, at: datetime, since: timedelta, until: timedelta
) -> None:
    zone = Zone(zone_name)
    begins, end = zone.span(zone.day(at), zone.day(at) + DAY)
    span = Span(begins + min(since, until), min(begins + max(since, until), end))
    whole = zone.whole_hours(span)
    if whole is None:
        clocks = {zone.local(begins + nth * timedelta(hours=1)).utcoffset() for nth in range(25)}
        assert len(clocks) > 1 or span.until - span.since < timedelta(hours=2)
        return
    assert span.since <= whole.since < whole.until <= span.until
    assert (whole.since - span.since, span.until - whole.until) < (timedelta(hours=1), timedelta(hours=1))
    assert [zone.hour(edge) for edge in whole] == list(whole)
