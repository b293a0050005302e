"""How visits began: addresses of pages and referrers, read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.sources.touch import MAX_VALUE, ChannelRule, channel_of, read_touch

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("page", "referrer", "source", "medium", "channel"),
    [
        (f"{SHOP}/?utm_source=Yandex&utm_medium=CPC", "", "yandex", "cpc", "Paid: yandex"),
        (f"{SHOP}/?gclid=x", "https://www.google.com/", "google", "cpc", "Paid: google"),
        (f"{SHOP}/?yclid=7", "", "yandex", "cpc", "Paid: yandex"),
        (f"{SHOP}/", "https://www.google.com/search?q=sofa", "google", "organic", "Organic search"),
        (f"{SHOP}/", "https://ya.ru", "yandex", "organic", "Organic search"),
        (f"{SHOP}/", "https://M.VK.com/feed", "vk", "social", "Social"),
        (f"{SHOP}/", "https://t.me/shop", "telegram", "messenger", "Messengers"),
        (f"{SHOP}/", "https://chatgpt.com/", "chatgpt", "ai", "AI assistants"),
        (f"{SHOP}/", "https://mail.google.com/mail", "gmail", "email", "E-mail"),
        (f"{SHOP}/", "https://blog.example/post", "blog.example", "referral", "Referral"),
        (f"{SHOP}/", "https://not-linkedin.com/", "not-linkedin.com", "referral", "Referral"),
        (f"{SHOP}/", "https://linkedin.com.evil.example/", "linkedin.com.evil.example", "referral", "Referral"),
        (f"{SHOP}/", "", "(direct)", "(none)", "Direct"),
        (f"{SHOP}/a", f"{SHOP}/b", "(direct)", "(none)", "Direct"),
        (f"{SHOP}/a", "https://www.shop.example/b", "(direct)", "(none)", "Direct"),
        ("shop.example/?utm_source=flyer", "", "flyer", "", "Other campaigns"),
        ("", "", "(direct)", "(none)", "Direct"),
    ],
)
def test_where_a_visit_came_from(page: str, referrer: str, source: str, medium: str, channel: str) -> None:
    touch = read_touch(page, referrer, own_hosts=["shop.example"])
    assert (touch.source, touch.medium, channel_of(touch)) == (source, medium, channel)


def test_the_first_of_the_sites_rules_that_fits_is_the_channel() -> None:
    rules = [
        ChannelRule("Brand", {"source": "yandex", "campaign": "brand*"}),
        ChannelRule("Direct", {"source": "yandex", "medium": "cpc"}),
        ChannelRule("Clicks", {"click_id": "gclid"}),
    ]
    page = f"{SHOP}/?utm_source=yandex&utm_medium=cpc&utm_campaign="
    assert channel_of(read_touch(page + "Brand-msk"), rules) == "Brand"
    assert channel_of(read_touch(page + "other"), rules) == "Direct"
    assert channel_of(read_touch(f"{SHOP}/?gclid=1"), rules) == "Clicks"


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_read(page: str, referrer: str) -> None:
    touch = read_touch(page, referrer)
    assert channel_of(touch)


@pytest.mark.parametrize(
    ("page", "referrer"),
    [
        (f"{SHOP}/", f"https://{'a' * 5000}.example/"),
        (f"{SHOP}/?utm_source={'İ' * 256}", ""),
        (f"{SHOP}/?utm_campaign={'x' * 8000}&" + "&".join(f"p{index}=1" for index in range(900)), ""),
        (f"{SHOP}/?utm_source=a%00b\x00", "\x00"),
        ("http://[::1", "http://[bad"),
    ],
)
def test_what_is_kept_is_bounded_and_printable(page: str, referrer: str) -> None:
    touch = read_touch(page, referrer)
    for value in (touch.source, touch.medium, touch.campaign):
        assert len(value) <= MAX_VALUE
        assert value.isprintable()
