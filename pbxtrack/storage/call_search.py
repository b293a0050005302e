"""Looking for calls, however many there are: the newest that fit, and what the first of them add up to.

A call log is read from the newest call on, and most of what is asked for is soon found so. What is rare is not: it
would be looked for among all calls. So the calls that may fit are read in runs, each a part of an index in which they
stand in order of time: those of a site, of a site's channel or campaign, with such traits (see
:mod:`pbxtrack.storage.traits`), with a tag, within an hour of a day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    exists,
    false,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy import text as sql
from sqlalchemy.types import TypeEngine

from pbxtrack.reports.periods import Zone
from pbxtrack.storage import traits
from pbxtrack.storage.conditions import INDEXED_DIGITS, ends_with, has_tag, in_hour, last_digits
from pbxtrack.storage.runs import Conditions, Runs, Values, added_up
from pbxtrack.storage.tables import UtcTime, call_tags, calls, sites
from pbxtrack.storage.told import campaign_told, channel_told, is_corrected, is_recorded, is_target, is_unsettled

_LATEST = 2_000  # calls that are looked at first, whatever is asked for
_MOST_DAYS = 4_000  # that are looked through by their hours; one after the other they take as long as a million calls
_NO_SITE = 0  # of calls that are no site's, in indexes

NO_CHANNEL = ""
"""Among the channels of a filter: calls of which nobody knows what brought them."""

_DAY = timedelta(days=1)
_FIGURES = (
    case((is_target, 1), else_=0).label("target"),
    case((is_unsettled, 1), else_=0).label("unsettled"),
    calls.c.talk_seconds.label("talk"),
)
_QUESTIONS = (  # that are answered with yes or no: the filter's field, the bit of traits, what must hold
    ("withheld", traits.WITHHELD, calls.c.caller.is_(None)),
    ("repeat", traits.REPEAT, and_(calls.c.contact_id.is_not(None), calls.c.first.is_(False))),
    ("unique", traits.UNIQUE, calls.c.is_unique),
    ("target", traits.TARGET, is_target),
    ("unsettled", traits.UNSETTLED, is_unsettled),
    ("recording", traits.RECORDED, is_recorded),
)
_other = call_tags.alias("other")

After = tuple[datetime, str]
"""The time and the id of the call that was told last: those that follow are older."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; every condition that is given must hold.

    ``since`` is included, ``until`` is not. Of ``sites`` (keys), ``channels``, ``campaigns``, ``statuses``, ``tags``
    and ``ids`` any one must fit; none: all. One of the channels may be ``NO_CHANNEL``. ``caller`` and ``dialled`` are
    normalised numbers; ``caller_ends`` digits that the caller's ends with; ``withheld`` asks for calls whose caller is
    not known, or for all others. ``hour``: of the day (0–23), by the clocks of the call's site. ``min_confidence`` is a
    probability. What people corrected counts. ``unsettled`` calls were missed, and nobody has spoken with their known
    caller since.
    """

    since: datetime | None = None
    until: datetime | None = None
    sites: Sequence[str] = ()
    channels: Sequence[str] = ()
    campaigns: Sequence[str] = ()
    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    ids: Sequence[str] = ()
    hour: int | None = None
    caller: str | None = None
    caller_ends: str | None = None
    withheld: bool | None = None
    dialled: str | None = None
    repeat: bool | None = None
    unique: bool | None = None
    target: bool | None = None
    unsettled: bool | None = None
    min_confidence: float | None = None
    recording: bool | None = None


class Sums(NamedTuple):
    """Of some calls: how many, of target, that wait for a call back; seconds of talk."""

    calls: int
    target: int
    unsettled: int
    talk_seconds: float


def came_in(
    since: datetime | None, until: datetime | None, at: ColumnElement[Any] = calls.c.started_at
) -> list[ColumnElement[bool]]:
    """The conditions of calls to the company that began, ``at``, from ``since`` on and before ``until``.

    None: whenever.
    """
    conditions: list[ColumnElement[bool]] = [calls.c.outbound.is_(None)]
    if since is not None:
        conditions.append(at >= since)
    if until is not None:
        conditions.append(at < until)
    return conditions


def behind(after: After | None, at: ColumnElement[Any] = calls.c.started_at) -> list[ColumnElement[bool]]:
    """The conditions of calls, which began ``at``, that follow the one told last; None: of all."""
    if after is None:
        return []
    return [at <= after[0], tuple_(at, calls.c.id) < tuple_(*after)]


def search(connection: Connection, which: CallFilter, limit: int, after: After | None = None) -> list[str]:
    """The ids of the newest calls that fit, in order; of those that follow ``after``. All is to be of one moment."""
    return _Search(connection, which).newest(limit, after)


def add_up(connection: Connection, which: CallFilter, at_most: int) -> Sums:
    """What ``at_most`` of the calls that fit add up to, whichever they are."""
    return _Search(connection, which).sums(at_most)


def first_call(connection: Connection, site_id: int) -> datetime | None:
    """When the first call to a site began; None where there is none."""
    return began(connection, [calls.c.site_id == site_id, *came_in(None, None)])


def began(connection: Connection, conditions: Conditions, *, last: bool = False) -> datetime | None:
    """When the first, or the last, of the calls began that meet all of the conditions; None where there is none."""
    at = calls.c.started_at
    return connection.scalar(select(at).where(*conditions).order_by(at.desc() if last else at).limit(1))


def conditions_of(connection: Connection, which: CallFilter) -> Conditions:
    """What must hold of a call."""
    return _Search(connection, which).fits


class _Site(NamedTuple):
    id: int
    timezone: str


class _Search:
    def __init__(self, connection: Connection, which: CallFilter) -> None:
        self._connection, self._which = connection, which
        wanted = select(sites.c.id, sites.c.timezone).order_by(sites.c.id)
        if which.sites:
            wanted = wanted.where(sites.c.key.in_(list(which.sites)))
        self._sites = [_Site(*row) for row in connection.execute(wanted)]
        self._places = [site.id for site in self._sites] + ([] if which.sites else [_NO_SITE])
        of_sites = [_one_of(calls.c.site_id, self._places)] if which.sites else []
        self._came: Conditions = [*came_in(which.since, which.until), *of_sites]
        self.fits: Conditions = [*self._came, *self._conditions(which)]

    def newest(self, limit: int, after: After | None) -> list[str]:
        following = behind(after)
        make_runs = self._runs()
        if make_runs and self._is_in_one_index():
            latest = self._latest(following)
            if latest is None:
                make_runs = None
            elif len(found := self._plain([*following, calls.c.started_at >= latest], limit)) == limit:
                return found
        runs = make_runs() if make_runs else None
        if runs is None:
            return self._plain(following, limit)
        return runs.newest(self._connection, [*self._fits_in(runs), *behind(after, runs.at)], limit)

    def sums(self, at_most: int) -> Sums:
        make_runs = self._runs()
        if make_runs and self._is_in_one_index() and self._latest([]) is None:
            make_runs = None
        runs = make_runs() if make_runs else None
        if runs is None:
            return Sums(*self._connection.execute(added_up(select(*_FIGURES).where(*self.fits).limit(at_most))).one())
        parts = list(runs.sums(self._connection, _FIGURES, self._fits_in(runs), at_most))
        return Sums(*map(sum, zip(*parts, strict=True))) if parts else Sums(0, 0, 0, 0.0)

    def _fits_in(self, runs: Runs) -> Conditions:
        """What must hold of a call of a run: it is of a site already, and has the tag, or is of the hour."""
        which = self._which
        of_run = replace(which, tags=()) if which.tags else replace(which, hour=None)
        return [*came_in(which.since, which.until, runs.at), *self._conditions(of_run)]

    def _is_in_one_index(self) -> bool:
        """Whether an index has the sites' calls in order of time."""
        return len(self._which.sites) < 2

    def _plain(self, more: Conditions, limit: int) -> list[str]:
        """As the database finds them by itself."""
        newest_first = calls.c.started_at.desc(), calls.c.id.desc()
        statement = select(calls.c.id).where(*self.fits, *more).order_by(*newest_first).limit(limit)
        return list(self._connection.scalars(statement))

    def _latest(self, following: Conditions) -> datetime | None:
        """When the latest calls began, whatever they are; None where there are no more than those."""
        newest_first = select(calls.c.started_at).where(*self._came, *following).order_by(calls.c.started_at.desc())
        return self._connection.scalar(newest_first.offset(_LATEST).limit(1))

    def _conditions(self, which: CallFilter) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if which.channels:
            named = _one_of(channel_told, [channel for channel in which.channels if channel != NO_CHANNEL])
            conditions.append(or_(named, channel_told.is_(None)) if NO_CHANNEL in which.channels else named)
        if which.campaigns:
            conditions.append(_one_of(campaign_told, which.campaigns))
        if which.statuses:
            conditions.append(_one_of(calls.c.status, which.statuses))
        if which.ids:
            conditions.append(calls.c.id.in_(list(which.ids)))
        if which.tags:
            conditions.append(has_tag(calls.c.tags, which.tags))
        if which.hour is not None:
            zones = {site.id: literal(site.timezone) for site in self._sites}
            zone = case(zones, value=calls.c.site_id) if zones else None
            conditions.append(false() if zone is None else in_hour(calls.c.started_at, zone, which.hour))
        if which.caller_ends is not None:
            conditions.append(ends_with(calls.c.caller, which.caller_ends))
        if which.caller is not None:
            conditions.append(calls.c.caller == which.caller)
            if not which.sites and len(which.caller) >= INDEXED_DIGITS:  # the index of callers is by sites
                conditions.append(last_digits(calls.c.caller) == which.caller[-INDEXED_DIGITS:])
        if which.dialled is not None:
            conditions.append(calls.c.dialled == which.dialled)
        if which.min_confidence is not None:
            conditions.append(or_(is_corrected, calls.c.confidence >= which.min_confidence))
        for name, _, holds in _QUESTIONS:
            answer = getattr(which, name)
            if answer is not None:
                conditions.append(holds if answer else not_(holds))
        return conditions

    def _runs(self) -> Callable[[], Runs | None] | None:
        """The runs in which all is that fits; None where an index has it at once, or all of a site is asked for."""
        which = self._which
        if which.ids or which.caller or which.dialled or len(which.caller_ends or "") >= INDEXED_DIGITS:
            return None
        if which.tags:
            return self._by_tag
        if which.hour is not None:
            return self._by_hour
        if which.campaigns:
            return lambda: self._by_traits("ix_calls_campaign", traits.CAMPAIGN, which.campaigns)
        if which.channels and NO_CHANNEL not in which.channels:
            return lambda: self._by_traits("ix_calls_channel", traits.CHANNEL, which.channels)
        if {*which.channels} == {NO_CHANNEL}:
            return lambda: self._by_traits("ix_calls_channel", traits.CHANNEL)
        answered = any(getattr(which, name) is not None for name, _, _ in _QUESTIONS)
        if answered or which.channels or which.statuses or which.min_confidence is not None:
            return lambda: self._by_traits("ix_calls_traits")
        return self._by_site if len(which.sites) > 1 else None

    def _by_site(self) -> Runs:
        return Runs(
            {"site": BigInteger()},
            [[site] for site in self._places],
            lambda of: [calls.c.site_id == of["site"]],
            "ix_calls_site_started",
        )

    def _by_tag(self) -> Runs:
        tags = list(dict.fromkeys(self._which.tags))
        first = not_(
            exists().where(  # a call with two of the tags is in two runs: it is taken of one
                _other.c.site_id == call_tags.c.site_id,
                _one_of(_other.c.tag, tags),
                _other.c.tag < call_tags.c.tag,
                _other.c.started_at == call_tags.c.started_at,
                _other.c.call_id == call_tags.c.call_id,
            )
        )
        return Runs(
            {"site": BigInteger(), "tag": String()},
            [*product(self._places, tags)],
            lambda of: [call_tags.c.site_id == of["site"], call_tags.c.tag == of["tag"], first],
            source=calls.join(call_tags, call_tags.c.call_id == calls.c.id),
            at=call_tags.c.started_at,
        )

    def _by_hour(self) -> Runs | None:
        """The hour of each day, of each site; None where those are many."""
        hour = self._which.hour
        assert hour is not None
        days: list[tuple[int, Zone, date]] = []
        for site in self._sites:
            came = [calls.c.site_id == site.id, *self._came]
            last, first = began(self._connection, came, last=True), began(self._connection, came)
            if first is None or last is None:
                continue
            zone = Zone(site.timezone)
            day, until = zone.day(last), zone.day(first)
            if len(days) + (day - until).days > _MOST_DAYS:
                return None
            while day >= until:
                days.append((site.id, zone, day))
                day -= _DAY
        return Runs(
            {"site": BigInteger(), "since": UtcTime(), "until": UtcTime()},
            [(site, *span) for site, zone, day in days for span in zone.when(day, hour)],
            lambda of: [
                calls.c.site_id == of["site"],
                calls.c.started_at >= of["since"],
                calls.c.started_at < of["until"],
            ],
            "ix_calls_site_started",
            in_order=len({site for site, *_ in days}) < 2,
        )

    def _by_traits(
        self, index: str, told: traits.Expression | None = None, values: Sequence[str | None] = (None,)
    ) -> Runs:
        """By traits, of one of the values of what is told, if that is given; of those of no value, if none are."""
        which = self._which
        fits = partial(
            traits.fits,
            statuses=which.statuses,
            bits=sum(bit for name, bit, _ in _QUESTIONS if getattr(which, name) is True),
            without=sum(bit for name, bit, _ in _QUESTIONS if getattr(which, name) is False),
            min_confidence=which.min_confidence,
        )
        rows = [
            {"site": site, "told": value, "traits": one}
            for site, value in product(self._places, dict.fromkeys(values))
            for one in filter(fits, self._known_traits(site, told, value))
        ]
        names: dict[str, TypeEngine[Any]] = {"site": BigInteger(), "told": String(), "traits": BigInteger()}
        if nothing_told := values == (None,):
            del names["told"]

        def is_told(of: Values) -> Conditions:
            if told is None:
                return []
            return [told.is_(None) if nothing_told else told == of["told"]]

        return Runs(
            names,
            [[row[name] for name in names] for row in rows],
            lambda of: [
                of["site"] == traits.SITE,
                *is_told(of),
                of["traits"] == traits.TRAITS,
            ],
            index,
        )

    def _known_traits(self, site: int, told: traits.Expression | None, value: str | None) -> list[int]:
        """Which there are, of a part of the index: each by a step from the one before."""
        part = f"outbound IS NULL AND ({traits.SITE.text}) = :site"
        if told is not None:
            part += f" AND ({told.text}) " + ("IS NULL" if value is None else "= :value")
        least = f"SELECT ({traits.TRAITS.text}) FROM calls WHERE {part} {{}} ORDER BY ({traits.TRAITS.text}) LIMIT 1"  # noqa: S608 (expressions of ours)
        steps = sql(
            f"WITH RECURSIVE known (traits) AS (SELECT ({least.format('')}) UNION ALL"  # noqa: S608 (expressions of ours)
            f" SELECT ({least.format(f'AND ({traits.TRAITS.text}) > known.traits')}) FROM known"
            " WHERE known.traits IS NOT NULL) SELECT traits FROM known WHERE traits IS NOT NULL"
        )
        return list(self._connection.scalars(steps, {"site": site} | ({} if value is None else {"value": value})))


def _one_of(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether it is one of few values: none for which the database would look at all of them at once."""
    return or_(false(), *(column == value for value in values))
