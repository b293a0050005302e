"""Whom a call is attributed to, by what was known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.calls.attribution import Attribution, Method, attribute, weigh
from pbxtrack.calls.curves import PLACES, PRIOR
from pbxtrack.calls.evidence import EarlierCall, Holder, Resolution, Tie
from pbxtrack.pool.model import Lease, NumberKind, NumberOwner, SiteSettings, Visit
from pbxtrack.sources.touch import Touch

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SITE = SiteSettings(1, "shop", "Shop", "PJSIP/sales", hold=30 * MINUTE, hold_guaranteed=3 * MINUTE)
NUMBER = "+74951230100"
OWNER = NumberOwner(NUMBER, 1, NumberKind.POOL, SITE)
CALLER, OTHER = "+79161234567", "+79160000000"


def holder(name: str, began: timedelta, seen: timedelta | None = None, **more: object) -> Holder:
    """A visitor who was shown the number so long ago, and last seen so long ago."""
    seen = began if seen is None else seen
    region, channel = str(more.pop("region", "")), str(more.pop("channel", "Direct"))
    lease = Lease(
        f"lease-{name}", 1, f"visit-{name}", name, NUMBER, 1, 1, NOW - began, NOW - seen, NOW - seen + 3 * MINUTE,
        NOW - seen + 30 * MINUTE, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    visit = Visit(f"visit-{name}", 1, name, NOW - began, NOW - seen, Touch(), channel, region)
    return Holder(lease, visit)


def known(*holders: Holder, caller: str | None = CALLER, calls: Sequence[EarlierCall] = ()) -> Resolution:
    return Resolution(NUMBER, NOW, caller, OWNER, holders, calls)


def earlier(ago: timedelta, caller: str | None, *ties: tuple[str, float], number: str = NUMBER) -> EarlierCall:
    return EarlierCall(NOW - ago, number, caller, [Tie(visitor, f"lease-{visitor}", share) for visitor, share in ties])


def visitor(attribution: Attribution) -> str | None:
    return attribution.visit.visitor if attribution.visit else None


def test_who_holds_the_number_and_is_on_the_page_called() -> None:
    found = attribute(known(holder("present", 2 * MINUTE, MINUTE / 2), holder("before", 5 * HOUR)))
    assert (found.method, visitor(found)) == (Method.LEASE, "present")
    assert found.confidence > 0.95
    assert next(candidate.visitor for candidate in found.candidates) == "present"
    assert "30 seconds before the call" in found.why


def test_who_tapped_the_number_hours_ago_outweighs_who_was_only_shown_it_and_left() -> None:
    keen = holder("keen", 3 * HOUR, taps=(NOW - 3 * HOUR + MINUTE,))
    found = attribute(known(holder("later", 2 * HOUR), keen))
    assert (found.method, visitor(found)) == (Method.PAST_LEASE, "keen")
    assert "tapped or copied" in found.why


def test_a_tap_after_the_call_tells_nothing_of_the_call() -> None:
    after = holder("after", HOUR, taps=(NOW + MINUTE,))
    never = holder("never", HOUR)
    assert weigh(known(after)).shares["after"] == pytest.approx(weigh(known(never)).shares["never"])


def test_a_caller_who_is_known_outranks_the_holder() -> None:
    calls = [earlier(30 * DAY, CALLER, ("first", 0.9))]
    found = attribute(known(holder("present", MINUTE), holder("first", 31 * DAY), calls=calls))
    assert (found.method, visitor(found)) == (Method.CALLER, "first")
    assert 0.85 < found.confidence < 0.95


def test_a_caller_known_from_another_number_is_known_here_too() -> None:
    calls = [earlier(DAY, CALLER, ("came-back", 0.8), ("else", 0.2), number="+74951230199")]
    found = attribute(known(holder("present", MINUTE), holder("came-back", HOUR), calls=calls))
    assert (found.method, visitor(found)) == (Method.CALLER, "came-back")


def test_who_called_before_from_another_phone_is_hardly_this_caller() -> None:
    calls = [earlier(5 * MINUTE, OTHER, ("present", 0.99))]
    shares = weigh(known(holder("present", 10 * MINUTE, 5 * MINUTE), holder("before", HOUR), calls=calls)).shares
    assert (
        shares["present"]
        < weigh(known(holder("present", 10 * MINUTE, 5 * MINUTE), holder("before", HOUR))).shares["present"]
    )


def test_a_withheld_number_is_never_bound_to_a_caller() -> None:
    calls = [earlier(DAY, None, ("first", 0.9))]
    found = attribute(known(holder("present", MINUTE), holder("first", 2 * DAY), caller=None, calls=calls))
    assert (found.method, visitor(found)) == (Method.LEASE, "present")


def test_long_after_everybody_it_was_nobody() -> None:
    found = attribute(known(holder("before", 60 * DAY)))
    assert (found.method, found.visit, found.channel, found.confidence) == (Method.NONE, None, None, 0.0)
    assert [candidate.visitor for candidate in found.candidates] in ([], ["before"])


def test_a_stranger_who_calls_again_is_a_stranger_again() -> None:
    calls = [earlier(DAY, CALLER)]
    found = attribute(known(holder("present", MINUTE), calls=calls))
    assert found.method is Method.NONE


def test_a_visitor_is_one_candidate_however_many_leases() -> None:
    found = attribute(known(holder("same", MINUTE), holder("same", HOUR), holder("other", 2 * HOUR)))
    assert [candidate.visitor for candidate in found.candidates].count("same") == 1


def test_the_callers_region_counts_as_far_as_calls_have_taught() -> None:
    curves = replace(PRIOR, same_region=3.0, other_region=0.5)
    here, there = holder("here", HOUR, region="495"), holder("there", HOUR, region="812")
    even = weigh(known(here, there, caller="+74957654321")).shares
    assert even["here"] == pytest.approx(even["there"])
    taught = weigh(replace(known(here, there, caller="+74957654321"), curves=curves)).shares
    assert taught["here"] == pytest.approx(6 * taught["there"])
    mobile = weigh(replace(known(here, there), curves=curves)).shares
    assert mobile["here"] == pytest.approx(mobile["there"])


def test_the_overflow_number_is_weighed_among_those_who_were_shown_it() -> None:
    overflow = NumberOwner(NUMBER, 2, NumberKind.OVERFLOW, SITE)
    found = attribute(replace(known(holder("keen", 10 * MINUTE, taps=(NOW - MINUTE / 6,))), owner=overflow))
    assert (found.method, visitor(found)) == (Method.OVERFLOW, "keen")


def test_shares_are_probabilities() -> None:
    weighing = weigh(known(*(holder(str(index), index * HOUR) for index in range(1, 20))))
    assert 0 <= weighing.nobody <= 1
    assert sum(weighing.shares.values()) + weighing.nobody == pytest.approx(1)
    assert len(PRIOR.rates) == len(PRIOR.expected) == PLACES


def test_a_doubtful_tie_to_another_number_is_no_certainty_for_this_one() -> None:
    present, other = holder("present", MINUTE, MINUTE / 6), holder("other", 2 * DAY)
    first = weigh(known(present, other))
    calls = [earlier(DAY, CALLER, ("other", 0.04), number="+74951230199")]
    found = weigh(known(present, other, calls=calls))
    assert not found.again
    assert found.possible == first.possible, "there is something to learn from it"
    assert 0.03 < found.shares["other"] < 0.06
    assert found.shares["present"] == pytest.approx(first.shares["present"], rel=0.06)


def test_what_is_said_of_a_known_caller_is_as_sure_as_it_is() -> None:
    calls = [earlier(DAY, CALLER, ("first", 0.6), ("second", 0.4))]
    found = attribute(
        known(holder("present", MINUTE), holder("first", 2 * DAY), holder("second", 3 * DAY), calls=calls)
    )
    assert (found.method, visitor(found)) == (Method.CALLER, "first")
    assert found.why == "The same caller called before, and is the likeliest to have come from this visit (58%)."
    sure = [earlier(DAY, CALLER, ("first", 0.97))]
    found = attribute(known(holder("present", MINUTE), holder("first", 2 * DAY), calls=sure))
    assert found.why == "The same caller called before and belongs to the visit in which this number was shown to them."


def test_of_a_callers_calls_the_latest_to_this_number_tells_most() -> None:
    holders = holder("present", MINUTE), holder("first", 2 * DAY), holder("second", 3 * DAY)
    calls = [
        earlier(HOUR, CALLER, ("second", 0.9), number="+74951230199"),
        earlier(DAY, CALLER, ("first", 0.9)),
        earlier(2 * DAY, CALLER, ("second", 0.9)),
    ]
    assert visitor(attribute(known(*holders, calls=calls))) == "first"
