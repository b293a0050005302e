"""E-mail addresses: made, and compared."""

from __future__ import annotations

import re

import pytest

from pbxtrack.emails.address import folded, mailboxes_of
from pbxtrack.ids import new_token
from pbxtrack.pool.policy import made_address


@pytest.mark.parametrize(
    ("mailbox", "separator", "made"),
    [
        ("sales@shop.example", "+", "sales+0123456789@shop.example"),
        ("Sales@shop.example", ".", "sales.0123456789@shop.example"),
        ("a+b.c@shop.example", "+", "a+b.c+0123456789@shop.example"),
        ("s" * 53 + "@shop.example", "+", "s" * 53 + "+0123456789@shop.example"),
        ("s" * 54 + "@shop.example", "+", None),
        ("s" * 40 + "@" + "d" * 202, "+", "s" * 40 + "+0123456789@" + "d" * 202),
        ("s" * 40 + "@" + "d" * 203, "+", None),
    ],
)
def test_an_address_is_made_of_the_mailbox_where_it_is_not_too_long(
    mailbox: str, separator: str, made: str | None
) -> None:
    assert made_address(mailbox, separator, "0123456789") == made
    assert made is None or folded(made) == made


def test_tokens_are_lower_case_base_32_and_all_different() -> None:
    tokens = {new_token() for _ in range(10_000)}
    assert len(tokens) == 10_000
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{10}", token) for token in tokens)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Sales+K3X9Q@Shop.Example", "sales+k3x9q@shop.example"),
        ('"sales+k3x9q"@shop.example', "sales+k3x9q@shop.example"),
        ('"sal\\es"@shop.example', "sales@shop.example"),
        ("sales@Магазин.рф", "sales@xn--80aairftm.xn--p1ai"),
        ("sales@XN--80AAIRFTM.XN--P1AI", "sales@xn--80aairftm.xn--p1ai"),
        ("\N{KELVIN SIGN}@shop.example", None),
        ("продажи@shop.example", None),
        ("sales", None),
        ("@shop.example", None),
        ("sales@", None),
        ("", None),
        ("sales@.рф", None),
        ("s" * 65 + "@shop.example", None),
        ("sales@" + "d" * 250, None),
        ("sa\0les@shop.example", None),
    ],
)
def test_addresses_are_compared_however_they_are_written(written: str, expected: str | None) -> None:
    assert folded(written) == expected


def test_of_which_mailboxes_an_address_may_have_been_made() -> None:
    assert list(mailboxes_of("a.b+c@x.example")) == [("a@x.example", "."), ("a.b@x.example", "+")]
    assert list(mailboxes_of("+a@x.example")) == []
