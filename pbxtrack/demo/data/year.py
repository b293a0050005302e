"""A company's year on a simulated clock: visitors are leased numbers, people call, calls are attributed.

Leasing, the making of calls from facts and attribution are production's own code. What is here is who comes and calls.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from math import log
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from pbxtrack.calls.attribution import Weighing, attribute, decide, earlier_call, weigh
from pbxtrack.calls.events import Fact, from_microseconds, microseconds
from pbxtrack.calls.evidence import SURE_ENOUGH
from pbxtrack.calls.held import held_in
from pbxtrack.calls.lifecycle import LOST, Status, outcome, project
from pbxtrack.calls.ports import CallRecord
from pbxtrack.demo.data.conversations import PATIENCE, TIMEOUT, Exchange, Went
from pbxtrack.demo.data.notes import Written
from pbxtrack.demo.data.people import HOSTILE_SHARE, HOSTILE_TAGS, Phone, Phones, pick
from pbxtrack.demo.data.plan import SECOND, Company, Printed, Rhythm, Source
from pbxtrack.ids import id_of
from pbxtrack.pool.model import EventKind, Lease, LeaseGrant, LeaseRequest, NumberKind, Sign, SiteSettings, Visit
from pbxtrack.pool.service import acquire, renew
from pbxtrack.testing.memory import MemoryLeases

MAX_WEIGHINGS = 5_000
"""Calls that the curves are learned from, the latest: as many as the service learns from."""

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0

# Of the calls: after a visit of the website; to a channel's own number; to a pool's number by somebody who was never
# shown it. Some of the second make room for calls that follow from others: calls back, and people who call again.
_KINDS = (("website", 0.52), ("printed", 0.43), ("stranger", 0.05))
_DELAYS = ((0.5, 90.0), (0.22, 300.0), (0.12, 1_200.0), (0.11, 4 * _HOUR), (0.05, 2 * _DAY))  # share, mean s to a call
_LEAKED = 2  # numbers of each company's pools got around
_LEAK_BEGINS, _LEAK_SHARE = 0.35, 0.7
_RETURNS = 0.17  # of visits, by people who were there before
_REMEMBERED = 400  # visitors who may come back
_MAILINGS = 8  # a year: then many come within minutes, and the pools are used up
_OPEN = ((Status.ANSWERED, 0.80), (Status.ABANDONED, 0.085), (Status.MISSED, 0.065), (Status.BUSY, 0.04))
_SHUT = ((Status.MISSED, 0.62), (Status.ABANDONED, 0.33))  # the rest fails, in either


@dataclass(slots=True)
class Person:
    """A visitor. ``number``: what the website showed them last; ``until``: when they have done what they are about."""

    visitor: str
    region: str
    mobile: bool
    phone: Phone | None
    number: str = ""
    until: int = 0


@dataclass(slots=True)
class Made:
    """A call of the year, with the facts that it was made of, and what people wrote on it. ``phone``: the caller's."""

    record: CallRecord
    facts: Sequence[Fact]
    phone: Phone | None
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class _Coming:
    """A visit that is going to be; ``calls_at``: when its visitor calls, if they do."""

    source: Source
    calls_at: int | None = None


class Memory(MemoryLeases):
    """Leasing in memory, whose every row can be told afterwards."""

    @property
    def visits(self) -> Mapping[str, Visit]:
        """By their ids, in the order of their beginning."""
        return self._visits

    @property
    def all_leases(self) -> Mapping[str, Lease]:
        """By their ids, in the order of their beginning."""
        return self._leases

    @property
    def latest(self) -> Mapping[str, tuple[str, str]]:
        """The latest visit and lease of each visitor."""
        return {visitor: (self._leases[lease].visit, lease) for visitor, lease in self._latest.items()}

    def number_times(self, number: str) -> tuple[int, datetime, datetime, datetime]:
        """``seq``, ``free_at``, ``rests_until`` and ``guaranteed_until`` of a pool's number."""
        one = self._by_e164[number]
        return one.seq, one.free_at, one.rests_until, one.guaranteed_until


@dataclass(slots=True)
class Lived:
    """What happened: calls in the order of their beginning; ``weighings`` and ``gaps`` are for learning."""

    calls: list[Made] = field(default_factory=list)
    weighings: deque[Weighing] = field(default_factory=lambda: deque(maxlen=MAX_WEIGHINGS))


class Year:
    """A company's year. The same arguments give the same year."""

    def __init__(
        self,
        company: Company,
        site: SiteSettings,
        calls: int,
        visits: int,
        until: datetime,
        phones: Phones,
        exchange: Exchange,
        random: Random,
        *,
        copies: int,
        hostile: bool,
    ) -> None:
        self.company, self.site, self._random = company, site, random
        self._phones, self._exchange = phones, exchange
        self._copies, self._hostile = copies, hostile
        self.planned_visits = visits
        base = company.sized(visits, 1)
        self._pooled = [number for pool in base.pools for number in pool.numbers]
        self.pools = {",".join(pool.regions): pool.numbers for pool in base.pools}
        self.static = {number: channel.name for channel in base.channels for number in channel.numbers}
        self.memory = Memory(site, self.pools, self.static)
        self.lived = Lived()
        self._numbers_of = {channel: number for number, channel in self.static.items()}
        self._zone = ZoneInfo(company.site.timezone)
        self._rhythm = Rhythm(company, until, random)
        self._leaked = random.sample(self._pooled, min(_LEAKED, len(self._pooled)))
        self._order = count()
        self._events: list[tuple[int, int, Callable[[int, Any], None], Any]] = []
        self._visitors: deque[Person] = deque(maxlen=_REMEMBERED)
        self._spare = self._owed = 0  # calls that are not made where others follow from calls
        self._plan(calls, visits)

    def live(self, told: Callable[[int], None]) -> None:
        """Let the year happen; ``told`` hears now and then how many calls there were."""
        while self._events:
            at, _, act, what = heapq.heappop(self._events)
            act(at, what)
            if len(self.lived.calls) % 100 == 0:
                told(len(self.lived.calls))

    @property
    def legs(self) -> int:
        """How many legs Asterisk has counted."""
        return self._exchange.legs

    def _plan(self, calls: int, visits: int) -> None:
        """What is known beforehand; the rest follows from it."""
        sources = {calling: self._choice(self.company.sources, calling=calling) for calling in (False, True)}
        website = 0
        for at in self._rhythm.moments(calls, self._random):
            kind = pick(self._random, _KINDS)
            if kind == "website":
                website += 1
                delay = self._random.choices(_DELAYS, [share for share, _ in _DELAYS])[0][1]
                begins = at - int((8 + self._random.expovariate(1 / delay)) * SECOND)
                self._at(max(begins, self._rhythm.begin), self._visit, _Coming(sources[True](at), at))
            else:
                self._spare += kind == "printed"
                self._at(at, self._printed if kind == "printed" else self._stranger, None)
        for at in self._rhythm.moments(max(0, visits - website), self._random):
            self._at(at, self._visit, _Coming(sources[False](at)))
        self._plan_mailings()
        heapq.heapify(self._events)

    def _plan_mailings(self) -> None:
        mail = Source(1.0, tags={"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "sale"})
        year = self._rhythm.end - self._rhythm.begin
        for mailing in range(_MAILINGS):
            at = self._rhythm.begin + int((mailing + 0.6) * year / _MAILINGS)
            at = self._opening(at)
            for _ in range(2 * len(self._pooled)):
                at += int(self._random.expovariate(len(self._pooled) / 120) * SECOND)
                if at < self._rhythm.end:
                    self._at(at, self._visit, _Coming(mail, self._extra(at, 0.2, 90.0)))

    def _choice(self, sources: Sequence[Source], *, calling: bool) -> Callable[[int], Source]:
        """Picks a source by the moment. Campaigns begin and end at some hour of a day, so hours are near enough."""

        def choose(at: int) -> Source:
            part = self._rhythm.part(at)
            return self._random.choices(sources, [source.weight(part, calling=calling) for source in sources])[0]

        return choose

    def _at(self, at: int, act: Callable[[int, Any], None], what: Any) -> None:
        self._events.append((at, next(self._order), act, what))

    def _later(self, at: int, act: Callable[[int, Any], None], what: Any) -> None:
        heapq.heappush(self._events, (at, next(self._order), act, what))

    # Visits

    def _visit(self, at: int, coming: _Coming) -> None:
        person = self._returning(at) or self._somebody(at)
        source = coming.source
        page = self._random.choice(self.company.pages[1:6] if source.tags else self.company.pages)
        request = LeaseRequest(
            self.site.key, self._address(source, page), source.referrer, person.visitor, person.region
        )
        (grant,) = acquire(self.memory, [request], from_microseconds(at))
        assert isinstance(grant, LeaseGrant)
        person.number = grant.number or ""
        self._visitors.append(person)
        lasts = int(self._random.lognormvariate(log(100), 1.0) * SECOND)
        person.until = max(at + lasts, coming.calls_at or 0)
        if coming.calls_at is not None:
            self._later(coming.calls_at, self._caller, person)
            person.phone = person.phone or self._phones.phone(person.region)
            if person.mobile and coming.calls_at - at < self.site.hold.total_seconds() * SECOND:
                lasts = coming.calls_at - at + int(self._random.uniform(5, 40) * SECOND)
                tap = coming.calls_at - int(self._random.uniform(2, 7) * SECOND)
                self._sign(grant.lease, tap, self._random.choice((EventKind.TAP, EventKind.TAP, EventKind.COPY)))
        self._look_around(grant.lease, at, lasts)

    def _look_around(self, lease: Lease, at: int, lasts: int) -> None:
        seen = at
        while (seen := seen + int(self._random.uniform(25, 140) * SECOND)) < at + lasts:
            page = f"{self.company.site.origins[0]}{self._random.choice(self.company.pages)}"
            self._sign(lease, seen, EventKind.VIEW, page)
        if self._random.random() < 0.65:
            self._sign(lease, at + lasts, EventKind.LEAVE)

    def _sign(self, lease: Lease, at: int, event: EventKind, page: str = "") -> None:
        if at < self._rhythm.end:
            self._later(at, self._give_sign, Sign(lease.id, event, page, at=from_microseconds(at)))

    def _give_sign(self, at: int, sign: Sign) -> None:
        renew(self.memory, [sign], from_microseconds(at))

    def _returning(self, at: int) -> Person | None:
        if not self._visitors or self._random.random() >= _RETURNS:
            return None
        person = self._random.choice(self._visitors)
        return person if person.until < at else None

    def _somebody(self, at: int) -> Person:
        visitor = id_of(at // 1_000, self._random.getrandbits(60) << 20)
        region = pick(self._random, self.company.regions)
        return Person(visitor, region, self._random.random() < 0.55, None)

    def _address(self, source: Source, page: str) -> str:
        """The address that a visit begins with, as advertising systems write it."""
        query = [f"{name}={value}" for name, value in source.tags.items()]
        if self._hostile and source.tags and self._random.random() < HOSTILE_SHARE:
            query[-1] = f"utm_campaign={self._random.choice(HOSTILE_TAGS)}"
        if source.terms:
            query.append(f"utm_term={self._random.choice(source.terms).replace(' ', '+')}")
        if source.contents:
            query.append(f"utm_content={self._random.choice(source.contents)}")
        if source.click_id:
            query.append(f"{source.click_id}={self._random.getrandbits(63):019}")
        return f"{self.company.site.origins[0]}{page}" + (f"?{'&'.join(query)}" if query else "")

    # Calls

    def _caller(self, at: int, person: Person) -> None:
        self._call(at, person.number, person.phone, 140.0)

    def _printed(self, at: int, _: None) -> None:
        self._spare -= 1
        if self._owed:  # it makes room for another
            self._owed -= 1
            return
        part = self._rhythm.part(at)
        weights = [printed.weight(part) for printed in self.company.printed]
        found: Printed = self._random.choices(self.company.printed, weights)[0]
        phone = self._phones.phone(pick(self._random, self.company.regions))
        self._call(at, self._numbers_of[found.channel], phone, 120.0)

    def _stranger(self, at: int, _: None) -> None:
        got_around = self._rhythm.part(at) >= _LEAK_BEGINS and self._random.random() < _LEAK_SHARE
        number = self._random.choice(self._leaked if got_around else self._pooled)
        self._call(at, number, self._phones.phone(""), 22.0)

    def _extra(self, at: int, chance: float, mean: float, *, opening: bool = False) -> int | None:
        """When a call follows, if one does: ``mean`` seconds later, on average. Another one is not made for it.

        ``opening``: not while the company is closed.
        """
        if self._random.random() >= chance or self._owed >= self._spare:
            return None
        at += int((20 + self._random.expovariate(1 / mean)) * SECOND)
        if opening:
            at = self._opening(at)
        if at >= self._rhythm.end:
            return None
        self._owed += 1
        return at

    def _call(self, at: int, dialled: str, phone: Phone | None, talk: float) -> None:
        owner = self.memory.owner(dialled)
        assert owner is not None
        caller = phone.e164(self._copies, 0) if phone else None
        went = self._went(at, self.site.channel_lines.get(owner.channel or ""), talk)
        name = phone.name if phone else None
        record = self.company.site.record
        facts = self._exchange.came_in(at, dialled, caller, name, went, queue=self.company.queue, record=record)
        call = project(facts)
        known = self.memory.resolve(dialled, call.started_at, caller)
        if owner.kind is NumberKind.STATIC:
            attribution = attribute(known)
        else:
            weighing = weigh(known)
            attribution = decide(known, weighing)
            self.lived.weighings.append(weighing)
            self.memory.called(earlier_call(call.started_at, dialled, caller, attribution.candidates))
        made = CallRecord(
            call,
            outcome(call),
            dialled,
            caller,
            self.site.id,
            target_talk=self.site.target_talk,
            attribution=attribution,
            held=held_in(known),
        )
        self.lived.calls.append(Made(made, facts, phone))
        if attribution.lease is not None and attribution.confidence >= SURE_ENOUGH:
            self._prolong(at, Sign(attribution.lease, at=call.started_at, call=caller is not None))
            ended = made.outcome.ended_at
            assert ended is not None
            self._later(microseconds(ended), self._prolong, Sign(attribution.lease, at=ended, call=caller is not None))
        if phone is not None:
            self._follow(made, phone)

    def _prolong(self, _: int, sign: Sign) -> None:
        assert sign.at is not None
        renew(self.memory, [sign], sign.at)

    def _follow(self, lost: CallRecord, phone: Phone) -> None:
        """Whoever was missed is called back, or calls again; some whom somebody spoke with call again, too."""
        assert lost.outcome.ended_at is not None
        at = microseconds(lost.outcome.ended_at)
        if lost.outcome.status in LOST:
            if (then := self._extra(self._opening(at), 0.36, 25 * _MINUTE, opening=True)) is not None:
                self._later(then, self._call_back, (lost, phone))
            elif (then := self._extra(at, 0.33, 9 * _MINUTE)) is not None:
                self._later(then, self._again, (lost, phone))
        elif (then := self._extra(at, 0.11, 5 * _DAY, opening=True)) is not None:
            self._later(then, self._again, (lost, phone))

    def _again(self, at: int, before: tuple[CallRecord, Phone]) -> None:
        record, phone = before
        assert record.dialled is not None
        self._call(at, record.dialled, phone, 170.0)

    def _call_back(self, at: int, before: tuple[CallRecord, Phone]) -> None:
        record, phone = before
        assert record.caller is not None
        answers = self._random.random() < 0.78
        rang = self._random.uniform(3, 25) if answers else self._random.uniform(20, 45)
        operator = self._random.choice(self.company.operators)
        status = Status.ANSWERED if answers else Status.ABANDONED
        went = Went(status, rang, self._talk(at, 110.0), (operator,), self._random.random() < 0.5)
        facts = self._exchange.called_out(at, record.caller, went)
        call = project(facts)
        self.lived.calls.append(Made(CallRecord(call, outcome(call), outbound=record.caller), facts, phone))

    def _went(self, at: int, line: str | None, talk: float) -> Went:
        """How a call goes, by the hour. ``line``: the one that rings, if it is not the operators'."""
        local = from_microseconds(at).astimezone(self._zone)
        opens, closes = self.company.hours
        chances = _OPEN if opens <= local.hour < closes else _SHUT
        weighed = [*chances, (Status.FAILED, 1 - sum(share for _, share in chances))]
        status = self._random.choices([status for status, _ in weighed], [share for _, share in weighed])[0]
        operators = self._rung(status, line)
        rang = {
            Status.ANSWERED: min(self._random.lognormvariate(log(7), 0.6), PATIENCE if self.company.queue else 45.0),
            Status.ABANDONED: 2 + self._random.expovariate(1 / 16) % 50,
            Status.MISSED: TIMEOUT,
        }.get(status, 0.0)
        return Went(status, rang, self._talk(at, talk), operators, self._random.random() < 0.62)

    def _rung(self, status: Status, line: str | None) -> Sequence[str]:
        if line is not None:
            return (line,)
        # The first ones answer more than the last ones.
        everybody = self.company.operators
        weights = range(len(everybody) + 2, 2, -1)
        found = list(dict.fromkeys(self._random.choices(everybody, weights, k=4)))
        if not self.company.queue or status is Status.MISSED:
            return found[:2]
        return found[: self._random.choices((1, 2, 3), (0.75, 0.19, 0.06))[0]]

    def _talk(self, at: int, usual: float) -> float:
        """Seconds of talk, about as many as usual; over before the year is."""
        left = (self._rhythm.end - at) / SECOND
        return min(self._random.lognormvariate(log(usual), 0.85), 2_400.0, max(left, 5.0))

    def _opening(self, at: int) -> int:
        """This moment, or when somebody is there next."""
        local = from_microseconds(at).astimezone(self._zone)
        opens, closes = self.company.hours
        if opens <= local.hour < closes:
            return at
        hours = (opens - local.hour) % 24
        return at + int((hours * _HOUR - local.minute * _MINUTE + self._random.uniform(0, 40 * _MINUTE)) * SECOND)
