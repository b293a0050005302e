"""Who is counted, and how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from pbxtrack.api.origins import normal_origin
from pbxtrack.api.shares import Shares
from pbxtrack.pool.model import Others
from pbxtrack.web.client_address import ClientAddresses
from pbxtrack.web.limits import Limiter, Rate

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PROXIES = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_steadily() -> None:
    clock = Clock()
    limiter = Limiter(Rate(3, 60.0), clock=clock)
    assert [limiter.take("a").allowed for _ in range(4)] == [True, True, True, False]
    assert limiter.take("b").allowed
    clock.now += 19
    refused = limiter.take("a")
    assert (refused.allowed, refused.headers["Retry-After"]) == (False, "1")
    clock.now += 1
    assert limiter.take("a").allowed
    assert not limiter.take("a").allowed
    clock.now += 3600
    passed = limiter.take("a")
    assert passed.headers == {
        "RateLimit-Policy": "3;w=60",
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "2",
        "RateLimit-Reset": "20",
    }


def test_the_least_recently_used_bucket_is_forgotten() -> None:
    limiter = Limiter(Rate(1, 60.0), buckets=2, clock=Clock())
    for key in ("a", "b", "a", "c"):
        limiter.take(key)
    assert not limiter.take("a").allowed
    assert limiter.take("b").allowed


def test_no_rate_is_no_limit() -> None:
    limiter = Limiter(None)
    assert all(limiter.take("a").allowed for _ in range(1000))
    assert limiter.take("a").headers == {}


def test_a_share_is_of_a_site_an_address_and_a_pool_and_counts_each_visitor_once() -> None:
    shares = Shares()
    until = NOW + timedelta(minutes=30)
    for visitor, pool in (("a", 1), ("b", 2), ("b", 2)):
        shares.holds("shop", "x", visitor, pool, until)
    shares.holds("shop", "y", "c", 1, until)
    shares.holds("cafe", "x", "d", 1, until)
    with shares.asking("shop", "x", NOW) as first, shares.asking("shop", "x", NOW) as second:
        assert first == Others(2, {1: 1, 2: 1})
        assert second == Others(3, {1: 1, 2: 1})
        assert [second.of(pool) for pool in (1, 2, 3)] == [2, 2, 1], "what is asked for may be any pool's"
    with shares.asking("shop", "x", until) as later:
        assert later == Others()


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # no proxy of ours: anybody can write that
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, rubbish"], "unknown"),
        ("10.0.0.1", ["198.51.100.1:5678"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::/64"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::/64"),
        ("10.0.0.1", ["198.51.100.1,"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["", ",,,"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (None, [], "local"),
        ("", ["198.51.100.1"], "local"),
    ],
)
def test_the_address_is_the_nearest_that_no_proxy_of_ours_has(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    assert ClientAddresses(PROXIES).of(peer, tuple(forwarded)) == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("http://localhost:8000", "http://localhost:8000"),
    ],
)
def test_origins_are_compared_as_browsers_write_them(written: str, meant: str) -> None:
    assert normal_origin(written) == meant
