"""Why a visit has its source and its channel, as people are told who set up channels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.sources.explain import Told, explain
from pbxtrack.sources.touch import MATCHABLE, ChannelRule, channel_of, read_touch

RULES = (
    ChannelRule("Numbers only", {}),
    ChannelRule("Clicks", {"click_id": "g*", "campaign": "*brand*"}),
    ChannelRule("Brand", {"source": "yandex", "campaign": "*brand*"}),
    ChannelRule("All of Yandex", {"source": "yandex"}),
)
SHOP = ["shop.example"]


@pytest.mark.parametrize(
    ("page", "referrer", "told"),
    [
        ("https://shop.example/?utm_source=x&gclid=1", "https://www.google.com/", Told.UTM),
        ("https://shop.example/#utm_source=x", "", Told.UTM),
        ("https://shop.example/?gclid=1", "https://mail.example/", Told.CLICK_ID),
        ("https://shop.example/?utm_campaign=x", "https://www.google.com/", Told.REFERRER),
        ("https://shop.example/?fbclid=1", "https://www.google.com/", Told.REFERRER),
        ("https://shop.example/", "https://blog.example/", Told.REFERRER),
        ("https://shop.example/", "https://www.shop.example/cart", Told.OWN),
        ("https://shop.example/", "", Told.NOTHING),
        ("nonsense", "nonsense", Told.NOTHING),
    ],
)
def test_what_told_the_source(page: str, referrer: str, told: Told) -> None:
    assert explain(page, referrer, SHOP, RULES).told is told


def test_each_channel_is_tried_until_one_fits() -> None:
    found = explain("https://shop.example/?utm_source=yandex&utm_campaign=sale&yclid=5", "", SHOP, RULES)
    assert [(one.name, one.field, one.glob, one.value) for one in found.tries] == [
        ("Clicks", "click_id", "g*", "yclid"),
        ("Brand", "campaign", "*brand*", "sale"),
        ("All of Yandex", None, "", ""),
    ]
    assert (found.rule, found.channel) == ("All of Yandex", "All of Yandex")


def test_where_none_fits_a_built_in_channel_is_told() -> None:
    found = explain("https://shop.example/", "https://www.google.com/", SHOP, RULES)
    assert (found.rule, found.channel) == (None, "Organic search")
    assert all(one.field for one in found.tries)


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.lists(st.dictionaries(st.sampled_from(MATCHABLE), st.sampled_from(["*", "", "g*", "(direct)"])), max_size=4),
)
def test_it_is_the_channel_that_a_visit_would_have(page: str, referrer: str, matches: list[dict[str, str]]) -> None:
    rules = [ChannelRule(str(n), match) for n, match in enumerate(matches)]
    found = explain(page, referrer, SHOP, rules)
    assert found.touch == read_touch(page, referrer, SHOP)
    assert found.channel == channel_of(found.touch, rules)
    assert found.rule is None or found.rule == found.channel
