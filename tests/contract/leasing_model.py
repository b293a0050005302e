"""What leasing promises, in the plainest code that keeps it: what the stores are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from pbxtrack.pool.model import LeaseRequest, Sign

Others = Mapping["Place | None", int]
"""How many numbers of which pool; None: of one that is not known."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
VISIT_GAP = timedelta(minutes=30)


@dataclass(frozen=True)
class Place:
    """What a number is for: a site's pool of a region ("" for anyone), or what is no pool."""

    site: str
    name: str
    region: str = ""
    pool: bool = True


@dataclass(frozen=True)
class Rules:
    """A site's."""

    hold: timedelta
    guaranteed: timedelta
    overflow_number: str


@dataclass(eq=False)
class Number:
    e164: str
    place: Place | None
    free_at: datetime = LONG_AGO
    guaranteed_until: datetime = LONG_AGO
    rests_until: datetime = LONG_AGO
    seq: int = 0
    lease: Lease | None = None  # the last, unless the number was taken away from it


@dataclass(eq=False)
class Visitor:
    site: str
    id: str
    visit: Visit | None = None
    lease: Lease | None = None


@dataclass(eq=False)
class Visit:
    visitor: Visitor
    campaign: str
    region: str
    seen_at: datetime
    events: list[tuple[datetime, str, str]] = field(default_factory=list)
    id: str = ""


@dataclass(eq=False)
class Lease:
    """``id``, and those of its visit and visitor, are empty until the store has told them."""

    visit: Visit
    number: Number | None
    seq: int
    started_at: datetime
    seen_at: datetime
    guaranteed_until: datetime
    ends_at: datetime
    id: str = ""
    tapped: bool = False
    called: bool = False

    def live(self, at: datetime) -> bool:
        return self.started_at <= at < self.ends_at


class Model:
    """Sites, numbers, visitors. Its answers are its own leases, changed in place."""

    def __init__(
        self,
        rules: Mapping[str, Rules],
        places: Sequence[Place],
        numbers: Mapping[str, Place],
        campaigns: Mapping[str, str],
        max_events: int,
        fair_part: int,
        rest: timedelta,
    ) -> None:
        """``campaigns`` by page; empty where the page names none. ``places`` in the order in which they are tried.

        An address may hold one number in ``fair_part``, and always one. A number that was tapped or copied, and whose
        visitor did not call, rests for ``rest``.
        """
        self.rules = rules
        self.places = places
        self.sites = {place.site for place in numbers.values()}
        self.numbers = {e164: Number(e164, place) for e164, place in numbers.items()}
        self.visitors: dict[tuple[str, str], Visitor] = {}
        self.visits: list[Visit] = []
        self.leases: list[Lease] = []
        self._campaigns = campaigns
        self._max_events = max_events
        self._fair_part = fair_part
        self.rest = rest

    def acquire(self, requests: Sequence[LeaseRequest], others: Sequence[Others], now: datetime) -> list[Lease | None]:
        """The lease that each request gets; None where there is no such site.

        ``others``: what visitors of its address hold already; those of the requests themselves name pools by their ids.
        """
        answers: dict[int, Lease] = {}
        waiting = [index for index, request in enumerate(requests) if request.site_key in self.sites]
        while waiting:  # a visitor who asks twice has the second answer after everybody has one
            turn: dict[object, int] = {}
            for index in waiting:
                turn.setdefault((requests[index].site_key, requests[index].visitor or index), index)
            served = self._serve([(requests[index], others[index]) for index in turn.values()], now)
            answers.update(zip(turn.values(), served, strict=True))
            waiting = [index for index in waiting if index not in answers]
        return [answers.get(index) for index in range(len(requests))]

    def _serve(self, asked: Sequence[tuple[LeaseRequest, Others]], now: datetime) -> list[Lease]:
        visits = [self._visit(request, now) for request, _ in asked]
        pools = [self._open(request.site_key, others) for request, others in asked]
        leases = [self._go_on(visit, now, own) for visit, own in zip(visits, pools, strict=True)]
        wants = [(visit.visitor.site, visit.region, own) for visit, own in zip(visits, pools, strict=True)]
        needy = [index for index, lease in enumerate(leases) if lease is None]
        while needy:  # those of one site, region and share together
            group = [index for index in needy if wants[index] == wants[needy[0]]]
            for index in group:
                number = self._best(visits[index].region, pools[index], now)
                leases[index] = (
                    self._begin(visits[index], number, now) if number else self._overflow(visits[index], now)
                )
            needy = [index for index in needy if index not in group]
        return [lease for lease in leases if lease is not None]

    def _visit(self, request: LeaseRequest, now: datetime) -> Visit:
        key = (request.site_key, request.visitor or "")
        visitor = self.visitors.get(key) or Visitor(*key)
        if visitor.id:
            self.visitors[key] = visitor
        campaign = self._campaigns[request.page]
        visit = visitor.visit
        if visit and now - visit.seen_at <= VISIT_GAP and campaign in ("", visit.campaign):
            self._see(visit, now, "view", request.page)
            return visit
        visitor.visit = Visit(visitor, campaign, request.region, now)
        self.visits.append(visitor.visit)
        return visitor.visit

    def _go_on(self, visit: Visit, now: datetime, pools: Sequence[Place]) -> Lease | None:
        """The lease of the number that is the visitor's; or was and nobody had it since, if it is in these pools."""
        last = visit.visitor.lease
        if last is None or last.number is None or not self._has(last):
            return None
        now = max(now, last.started_at)
        if last.live(now):
            if last.visit is visit:
                self._hold_on(last, now)
                return last
            last.ends_at = now
        elif last.number.place not in pools:
            return None
        return self._begin(visit, last.number, now)

    def _has(self, lease: Lease) -> bool:
        """Whether nobody had the lease's number since, and it is still one of the site's pools."""
        number = lease.number
        if number is None or number.lease is not lease or number.place is None:
            return False
        return number.place.pool and number.place.site == lease.visit.visitor.site

    def _best(self, region: str, pools: Sequence[Place], now: datetime) -> Number | None:
        """Of the region's, then of anyone's pools, else of others': rested for longest, else deserted for longest."""
        theirs = [place for place in pools if region and place.region == region]
        anyones = [place for place in pools if not place.region]
        foreign = [place for place in pools if place.region and place not in theirs]
        for suitable in (theirs + anyones, foreign):
            for place in suitable:
                rested = [n for n in self.numbers.values() if n.place == place and n.rests_until <= now]
                if rested:
                    return min(rested, key=lambda number: number.rests_until)
            for place in suitable:
                left = [n for n in self.numbers.values() if n.place == place and n.guaranteed_until <= now]
                if left:
                    return min(left, key=lambda number: number.guaranteed_until)
        return None

    def _open(self, site: str, others: Others) -> Sequence[Place]:
        """The site's pools of which an address may have one more: up to a part of the site's, and half of a pool's."""
        pools = {place: 0 for place in self.places if place.site == site and place.pool}
        for number in self.numbers.values():
            if number.place in pools:
                pools[number.place] += 1
        if sum(others.values()) >= max(1, sum(pools.values()) // self._fair_part):
            return []
        unknown = others.get(None, 0)
        return [place for place, size in pools.items() if unknown + others.get(place, 0) < max(1, size // 2)]

    def _overflow(self, visit: Visit, now: datetime) -> Lease:
        last = visit.visitor.lease
        if last and last.number is None and last.visit is visit and last.live(now):
            self._hold_on(last, now)
            return last
        return self._begin(visit, None, now)

    def _begin(self, visit: Visit, number: Number | None, now: datetime) -> Lease:
        rules = self.rules[visit.visitor.site]
        lease = Lease(visit, number, 0, now, now, now + rules.guaranteed, now + rules.hold)
        if number:
            if number.lease and number.lease.live(now):
                number.lease.ends_at = now
            number.seq += 1
            number.lease, lease.seq = lease, number.seq
            number.free_at, number.guaranteed_until = lease.ends_at, lease.guaranteed_until
            number.rests_until = lease.ends_at
        visit.visitor.lease = lease
        self.leases.append(lease)
        return lease

    def _hold_on(self, lease: Lease, at: datetime, *, call: bool = False) -> None:
        rules = self.rules[lease.visit.visitor.site]
        if not call:  # which tells nothing of the page
            lease.seen_at = max(lease.seen_at, at)
        lease.guaranteed_until = max(lease.guaranteed_until, at + rules.guaranteed)
        lease.ends_at = max(lease.ends_at, at + rules.hold)
        if lease.number:
            lease.number.free_at, lease.number.guaranteed_until = lease.ends_at, lease.guaranteed_until
            rest = self.rest if lease.tapped and not lease.called else timedelta()
            lease.number.rests_until = lease.ends_at + rest

    def _see(self, visit: Visit, at: datetime, event: str | None, page: str) -> None:
        visit.seen_at = max(visit.seen_at, at)
        if event and len(visit.events) < self._max_events:
            visit.events.append((at, event, page))

    def renew(self, signs: Sequence[Sign], now: datetime) -> list[Lease | Literal["foreign"] | None]:
        """The lease that each sign holds on; None where it is gone, "foreign" where it is a site's it may not."""
        answers: list[Lease | Literal["foreign"] | None] = []
        for sign in signs:
            at = sign.at or now
            lease = next((lease for lease in self.leases if lease.id == sign.lease and lease.live(at)), None)
            if lease and lease.visit.visitor.site in self.sites and (lease.number is None or self._has(lease)):
                if sign.sites is not None and lease.visit.visitor.site not in sign.sites:
                    answers.append("foreign")
                    continue
                lease.tapped |= sign.call is None and sign.event in ("tap", "copy")
                lease.called |= bool(sign.call)
                self._hold_on(lease, at, call=sign.call is not None)
                if sign.call is None:
                    self._see(lease.visit, at, sign.event, sign.page)
                answers.append(lease)
            else:
                answers.append(None)
        return answers

    def held(self, moves: Mapping[str, Place | None], now: datetime) -> list[str]:
        """The numbers that a visitor is shown now and that would leave their pool."""
        known = [number for number in self.numbers.values() if number.e164 in moves]
        leaving = [n for n in known if n.place and n.place.pool and n.place != moves[n.e164]]
        return sorted(number.e164 for number in leaving if number.free_at > now)

    def move(self, moves: Mapping[str, Place | None], now: datetime) -> None:
        """Put numbers elsewhere; whoever is shown one has it no more."""
        for e164 in self.held(moves, now):
            number = self.numbers[e164]
            if number.lease and number.lease.live(now):
                number.lease.ends_at = now
            number.lease = None
            number.free_at = number.rests_until = number.guaranteed_until = now
            number.seq += 1
        for e164, place in moves.items():
            if e164 in self.numbers:
                self.numbers[e164].place = place
        for place in self.places:  # numbers never seen before, in the order in which they are written
            for e164 in sorted(e164 for e164, at in moves.items() if at == place and e164 not in self.numbers):
                self.numbers[e164] = Number(e164, place)

    def turning_points(self, now: datetime) -> Sequence[datetime]:
        """When something ends by itself from now on."""
        points = {point for lease in self.leases for point in (lease.ends_at, lease.guaranteed_until)}
        points |= {visit.seen_at + VISIT_GAP for visit in self.visits}
        return sorted(point for point in points if point > now)
