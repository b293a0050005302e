"""How visits began: addresses of pages and referrers, read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.sitefile.parse import parse
from pbxtrack.sources import address, kinds
from pbxtrack.sources.address import MAX_PARAMETERS, MAX_URL
from pbxtrack.sources.touch import MATCHABLE, MAX_VALUE, ChannelRule, Touch, channel_of, read_touch

DOCUMENT = (Path(__file__).parents[2] / "docs/sources.md").read_text("utf-8")
SHOP = "https://shop.example"
ANDROID = "android-app://"


def read(page: str, referrer: str = "") -> Touch:
    return read_touch(page, referrer, own_hosts=["shop.example", "xn--80aairftm.xn--p1ai"])


@pytest.mark.parametrize(
    ("page", "referrer", "source", "medium", "channel"),
    [
        # campaign parameters
        ("/?utm_source=Yandex&utm_medium=CPC", "", "yandex", "cpc", "Paid: yandex"),
        ("/?utm_source=vk&utm_medium=social", "https://www.google.com/", "vk", "social", "Social"),
        ("/?utm_source=news&utm_medium=email", "https://mail.google.com/", "news", "email", "E-mail"),
        ("/?utm_source=flyer", "", "flyer", "", "Other campaigns"),
        ("/?utm_source=flyer", "https://www.google.com/", "flyer", "", "Other campaigns"),
        ("/?utm_medium=banner", "https://blog.example/", "blog.example", "banner", "Paid: blog.example"),
        ("/?utm_source=", "https://ya.ru/", "yandex", "organic", "Organic search"),
        ("/?utm_source=chatgpt.com", "", "chatgpt.com", "ai", "AI assistants"),
        ("/?utm_source=chatgpt.com.evil.example", "", "chatgpt.com.evil.example", "", "Other campaigns"),
        # click ids of advertisements
        ("/?gclid=x", "https://www.google.com/", "google", "cpc", "Paid: google"),
        ("/?GCLID=x", "", "google", "cpc", "Paid: google"),
        ("/?gbraid=x", "", "google", "cpc", "Paid: google"),
        ("/?wbraid=x", "", "google", "cpc", "Paid: google"),
        ("/?dclid=x", "", "google", "cpc", "Paid: google"),
        ("/?gad_source=1", "https://www.google.com/", "google", "cpc", "Paid: google"),
        ("/?gad_source=1&gad_campaignid=2&utm_source=agency", "", "agency", "cpc", "Paid: agency"),
        ("/?sznclid=x", "", "seznam", "cpc", "Paid: seznam"),
        ("/?yclid=7", "", "yandex", "cpc", "Paid: yandex"),
        ("/?ymclid=7", "", "yandex", "cpc", "Paid: yandex"),
        ("/?_openstat=ZGlyZWN0LnlhbmRleC5ydTsx", "", "yandex", "cpc", "Paid: yandex"),
        ("/?msclkid=7", "", "bing", "cpc", "Paid: bing"),
        ("/?ttclid=7", "", "tiktok", "cpc", "Paid: tiktok"),
        ("/?twclid=7", "", "x", "cpc", "Paid: x"),
        ("/?li_fat_id=7", "", "linkedin", "cpc", "Paid: linkedin"),
        ("/?rdt_cid=7", "", "reddit", "cpc", "Paid: reddit"),
        ("/?epik=7", "", "pinterest", "cpc", "Paid: pinterest"),
        ("/?rb_clickid=7", "", "vk", "cpc", "Paid: vk"),
        ("/?admitad_uid=7", "", "admitad", "cpa", "Paid: admitad"),
        ("/?gclid=", "", "(direct)", "(none)", "Direct"),
        ("/?utm_source=agency&gclid=x", "", "agency", "cpc", "Paid: agency"),
        ("/?utm_medium=video&gclid=x", "", "google", "video", "Other campaigns"),
        # click ids that every link has: nobody need have paid
        ("/?fbclid=x", "", "facebook", "social", "Social"),
        ("/?fbclid=x", "https://l.instagram.com/", "instagram", "social", "Social"),
        ("/?fbclid=x", "https://t.me/shop", "telegram", "messenger", "Messengers"),
        ("/?fbclid=x", "https://blog.example/", "facebook", "social", "Social"),
        ("/?fbclid=x&utm_source=fb&utm_medium=cpc", "", "fb", "cpc", "Paid: fb"),
        ("/?ysclid=x", "", "yandex", "organic", "Organic search"),
        ("/?ysclid=x&yclid=1", "", "yandex", "cpc", "Paid: yandex"),
        ("/?mc_cid=x", "", "mailchimp", "email", "E-mail"),
        # pages of advertisements
        ("/", "https://yabs.yandex.ru/", "yandex", "cpc", "Paid: yandex"),
        ("/", "https://googleads.g.doubleclick.net/", "google", "cpc", "Paid: google"),
        ("/", "https://syndicatedsearch.goog/", "google", "cpc", "Paid: google"),
        # search
        ("/", "https://www.google.com/search?q=sofa", "google", "organic", "Organic search"),
        ("/", "https://www.google.com.ua/", "google", "organic", "Organic search"),
        ("/", "https://google.co.uk", "google", "organic", "Organic search"),
        ("/", "https://google.evil/", "google.evil", "referral", "Referral"),
        ("/", "https://google.evil.com/", "google.evil.com", "referral", "Referral"),
        ("/", "https://ya.ru", "yandex", "organic", "Organic search"),
        ("/", "https://www.yandex.ru./", "yandex", "organic", "Organic search"),
        ("/", "HTTPS://YANDEX.COM.TR:443/search", "yandex", "organic", "Organic search"),
        ("/", "https://notyandex.ru/", "notyandex.ru", "referral", "Referral"),
        ("/", "https://yandex.ru.evil.com/", "yandex.ru.evil.com", "referral", "Referral"),
        ("/", "https://yandex.ru@evil.com/", "evil.com", "referral", "Referral"),
        ("/", "https://evil.com/yandex.ru", "evil.com", "referral", "Referral"),
        ("/", "https://evil.com?https://yandex.ru/", "evil.com", "referral", "Referral"),
        ("/", "https://evil.com\\.yandex.ru/", "evil.com", "referral", "Referral"),
        ("/", "https://уandex.ru/", "уandex.ru", "referral", "Referral"),  # the first letter is Cyrillic
        ("/", "https://go.mail.ru/search", "mailru", "organic", "Organic search"),
        ("/", "https://docs.google.com/document", "google-docs", "referral", "Referral"),
        ("/", "https://petalsearch.com/", "petal", "organic", "Organic search"),
        ("/", "https://search.seznam.cz/", "seznam", "organic", "Organic search"),
        ("/", "https://suche.gmx.net/web", "gmx", "organic", "Organic search"),
        ("/", "https://ntp.msn.com/", "bing", "organic", "Organic search"),
        # search engines' hosts that are something else, as a whole or in parts
        ("/", "https://news.google.com/", "google-news", "referral", "Referral"),
        ("/", "https://search.google.com/search-console", "google-services", "referral", "Referral"),
        ("/", "https://yandex.ru/maps/org/shop/1/", "yandex-maps", "referral", "Referral"),
        ("/", "https://m.yandex.kz/Maps", "yandex-maps", "referral", "Referral"),
        ("/", "https://yandex.ru/maps?oid=1", "yandex-maps", "referral", "Referral"),
        ("/", "https://yandex.ru/mapsandmore", "yandex", "organic", "Organic search"),
        ("/", "https://yandex.ru/search/maps", "yandex", "organic", "Organic search"),
        ("/", "https://yandex.ru/?maps", "yandex", "organic", "Organic search"),
        ("/", "https://yandex.ru/market/", "yandex-market", "referral", "Referral"),
        ("/", "https://www.google.co.uk/maps/place/x", "google-maps", "referral", "Referral"),
        ("/", "https://mail.google.com/maps", "gmail", "email", "E-mail"),
        ("/", "https://evil.com/yandex.ru/maps", "evil.com", "referral", "Referral"),
        ("/", "https://www.bing.com/chat?q=sofa", "copilot", "ai", "AI assistants"),
        ("/", "https://x.com/i/grok", "grok", "ai", "AI assistants"),
        ("/", "https://x.com/i/groks", "x", "social", "Social"),
        ("/", f"{ANDROID}com.google.android.googlequicksearchbox/", "google", "organic", "Organic search"),
        # assistants
        ("/", "https://chatgpt.com/", "chatgpt", "ai", "AI assistants"),
        ("/", "https://www.perplexity.ai/search", "perplexity", "ai", "AI assistants"),
        ("/", "https://copilot.microsoft.com/", "copilot", "ai", "AI assistants"),
        ("/", "https://gemini.google.com/app", "gemini", "ai", "AI assistants"),
        ("/", "https://claude.ai/", "claude", "ai", "AI assistants"),
        ("/", "https://alice.yandex.ru/", "alice", "ai", "AI assistants"),
        ("/", "https://alice.ya.ru/", "alice", "ai", "AI assistants"),
        ("/", "https://chat.deepseek.com/", "deepseek", "ai", "AI assistants"),
        ("/?utm_source=copilot.com", "", "copilot.com", "ai", "AI assistants"),
        ("/?utm_source=yandex.ru/maps", "", "yandex.ru/maps", "referral", "Referral"),
        # social networks and messengers
        ("/", "https://M.VK.com/feed", "vk", "social", "Social"),
        ("/", "https://l.facebook.com/l.php?u=x", "facebook", "social", "Social"),
        ("/", f"{ANDROID}com.linkedin.android", "linkedin", "social", "Social"),
        ("/", "https://not-linkedin.com/", "not-linkedin.com", "referral", "Referral"),
        ("/", "https://linkedin.com.evil.example/", "linkedin.com.evil.example", "referral", "Referral"),
        ("/", "https://chat.me/", "chat.me", "referral", "Referral"),
        ("/", "https://ok.ru/", "ok", "social", "Social"),
        ("/", "https://dzen.ru/a/x", "dzen", "social", "Social"),
        ("/", "https://l.threads.com/", "threads", "social", "Social"),
        ("/", "https://go.bsky.app/", "bluesky", "social", "Social"),
        ("/", "https://mastodon.online/@shop", "mastodon", "social", "Social"),
        ("/", "https://ru.pinterest.com/", "pinterest", "social", "Social"),
        ("/", "https://pinterest.ch/", "pinterest", "social", "Social"),
        ("/", "https://web.max.ru/", "max", "messenger", "Messengers"),
        ("/", "https://t.me/shop", "telegram", "messenger", "Messengers"),
        ("/", "https://web.telegram.org/", "telegram", "messenger", "Messengers"),
        ("/", "https://wa.me/74951230100", "whatsapp", "messenger", "Messengers"),
        ("/", "https://web.whatsapp.com/", "whatsapp", "messenger", "Messengers"),
        ("/", "https://www.viber.com/", "viber", "messenger", "Messengers"),
        ("/", f"{ANDROID}org.telegram.messenger/", "telegram", "messenger", "Messengers"),
        # mail
        ("/", "https://mail.google.com/mail", "gmail", "email", "E-mail"),
        ("/", "https://e.mail.ru/inbox", "mailru-mail", "email", "E-mail"),
        ("/", "https://mail.yandex.kz/", "yandex-mail", "email", "E-mail"),
        ("/", "https://outlook.live.com/mail/0/", "outlook", "email", "E-mail"),
        ("/", "https://email.seznam.cz/", "seznam-mail", "email", "E-mail"),
        ("/", f"{ANDROID}com.google.android.gm/", "gmail", "email", "E-mail"),
        # other sites
        ("/", "https://blog.example/post", "blog.example", "referral", "Referral"),
        ("/", "http://user:pass@Blog.Example:8080/", "blog.example", "referral", "Referral"),
        ("/", "//blog.example/path", "blog.example", "referral", "Referral"),
        ("/", "blog.example/path", "blog.example", "referral", "Referral"),
        ("/", "http://[2001:DB8::1]:8080/", "2001:db8::1", "referral", "Referral"),
        ("/", "http://[yandex.ru]/", "(direct)", "(none)", "Direct"),
        ("/", "http://intranet/wiki", "intranet", "referral", "Referral"),
        ("/", "https://мебель.рф/", "мебель.рф", "referral", "Referral"),
        ("/", "https://XN--90ahbyb4h.xn--p1ai/", "мебель.рф", "referral", "Referral"),
        ("/", "https://мебель。рф/", "мебель.рф", "referral", "Referral"),
        ("/", "https://xn--99999999/", "xn--99999999", "referral", "Referral"),
        ("/", f"{ANDROID}com.example.reader/", "com.example.reader", "referral", "Referral"),
        # oneself, and nobody
        ("/a", f"{SHOP}/b", "(direct)", "(none)", "Direct"),
        ("/a", "https://www.shop.example/b", "(direct)", "(none)", "Direct"),
        ("/a", "https://МАГАЗИН.рф/", "(direct)", "(none)", "Direct"),
        ("/a", "https://xn--80aairftm.xn--p1ai/", "(direct)", "(none)", "Direct"),
        ("/a", "https://notshop.example/", "notshop.example", "referral", "Referral"),
        ("/", "", "(direct)", "(none)", "Direct"),
        ("/", "about:blank", "(direct)", "(none)", "Direct"),
        ("/", "mailto:anna@blog.example", "(direct)", "(none)", "Direct"),
        ("/", "file:///C:/shop.html", "(direct)", "(none)", "Direct"),
        ("/", "chrome-extension://abcdef/", "(direct)", "(none)", "Direct"),
        ("/", "https://evil.com／.yandex.ru/", "(direct)", "(none)", "Direct"),
        ("/", f"https://{'a' * 250}.example/", "(direct)", "(none)", "Direct"),  # longer than a name can be
        ("/", "Not an address. At all", "(direct)", "(none)", "Direct"),
    ],
)
def test_where_a_visit_came_from(page: str, referrer: str, source: str, medium: str, channel: str) -> None:
    touch = read(SHOP + page, referrer)
    assert (touch.source, touch.medium, channel_of(touch)) == (source, medium, channel)


@pytest.mark.parametrize(
    "page",
    [
        "https://shop.example/?utm_source=x",
        "HTTP://anna:secret@SHOP.example:8080/a/b?utm_source=x",
        "//shop.example/path?utm_source=x",
        "shop.example/?utm_source=x",
        "shop.example?utm_source=x#top",
        "shop.example:8080?utm_source=x",
        "/path?utm_source=x",
        "?utm_source=x",
        "https://shop.example/?UTM_SOURCE=X",
        "https://shop.example/?utm%5Fsource=x",
        "https://shop.example/?utm_source=&utm_source=%20&utm_source=x&utm_source=y",
        "https://shop.example/?&&=&a&utm_source=x&",
        "https://shop.example/#utm_source=x",
        "https://shop.example/?utm_source=#utm_source=x",
        "https://shop.example/?page=2#/sofas?utm_source=x",
        "https://shop.example/?utm_source=x#utm_source=y",
        " \u00a0https://shop.example/?utm_source=x\r\n",
        "http://[::1?utm_source=x",
    ],
)
def test_a_source_is_read_from_any_way_to_write_an_address(page: str) -> None:
    touch = read(page)
    assert touch.source == "x"
    assert touch.tagged


def test_a_fragment_is_read_only_if_the_query_has_no_campaign() -> None:
    assert read(f"{SHOP}/?utm_source=x#utm_campaign=other").campaign == ""
    assert read(f"{SHOP}/?gclid=1#utm_campaign=sale").campaign == "sale"


@pytest.mark.parametrize(
    ("raw", "campaign"),
    [
        ("summer+sale%21", "summer sale!"),
        ("a%2Bb", "a+b"),
        ("диван", "диван"),
        ("%D0%B4%D0%B8%D0%B2%D0%B0%D0%BD", "диван"),
        ("%25D0%25B4%25D0%25B8%25D0%25B2%25D0%25B0%25D0%25BD", "диван"),  # encoded twice
        ("%25D0%25B4%25D0%25B8%2520%25D0%25B2", "ди в"),
        ("%25E4%25E8", "%E4%E8"),  # encoded twice, but what is inside is not UTF-8
        ("%2500", "%00"),
        ("%E4%E8%E2%E0%ED", "диван"),  # windows-1251
        ("%e4%e8%e2%e0%ed+%F3%E3%EB%EE%E2%EE%E9", "диван угловой"),
        ("%D0%B4%D0%B8%D0", "ди"),  # cut in the middle of a letter
        ("%98", "\N{REPLACEMENT CHARACTER}"),  # in no encoding
        ("диван%E4", "диван"),  # two encodings in one value: the half letter goes
        ("50%", "50%"),
        ("50%25", "50%"),
        ("50%25+off", "50% off"),
        ("%zz%D0%B4%", "%zzд%"),
        ("a;b;utm_term=c", "a;b;utm_term=c"),
        ("a=b=c", "a=b=c"),
        ("a%00b\x00c%0Ad", "abcd"),
        ("a\ud800b%ED%A0%80c", "abн Ђc"),  # no surrogate is let in
        ("  a  ", "a"),
        # what an advertising system should have replaced: people must see their mistake
        ("{keyword}", "{keyword}"),
        ("{{campaign.name}}", "{{campaign.name}}"),
        ("%7Bcampaign_id%7D", "{campaign_id}"),
        ("%7B%7Bad.id%7D%7D", "{{ad.id}}"),
        ("__CAMPAIGN_NAME__", "__CAMPAIGN_NAME__"),
    ],
)
def test_values_are_decoded(raw: str, campaign: str) -> None:
    assert read(f"{SHOP}/?utm_source=x&utm_campaign={raw}&utm_term=last").campaign == campaign


def test_all_of_a_campaign_is_read() -> None:
    touch = read(
        f"{SHOP}/sofas?utm_source=yandex&utm_medium=cpc&utm_campaign=Brand-msk&utm_term=диван&utm_content=ad1&yclid=1"
    )
    assert (touch.campaign, touch.term, touch.content) == ("Brand-msk", "диван", "ad1")
    assert touch.click_ids == {"yclid": "1"}


@pytest.mark.parametrize(
    ("page", "referrer", "tagged"),
    [
        ("/?utm_source=vk&utm_medium=social", "", True),
        ("/?utm_medium=email", "", True),
        ("/?gclid=1", "", True),
        ("/", "https://www.google.com/", False),
        ("/?utm_source=", "", False),
        ("/b", f"{SHOP}/a", False),
    ],
)
def test_what_the_address_names_begins_a_visit(page: str, referrer: str, tagged: bool) -> None:
    assert read(SHOP + page, referrer).tagged is tagged


def test_the_first_of_the_sites_rules_that_fits_is_the_channel() -> None:
    rules = [
        ChannelRule("Brand", {"source": "yandex", "campaign": "brand*"}),
        ChannelRule("Direct", {"source": "yandex", "medium": "cpc"}),
        ChannelRule("Clicks", {"click_id": "gclid"}),
        ChannelRule("Friends", {"source": "мебель.рф"}),
    ]
    page = f"{SHOP}/?utm_source=yandex&utm_medium=cpc&utm_campaign="
    assert channel_of(read_touch(page + "Brand-msk"), rules) == "Brand"
    assert channel_of(read_touch(page + "other"), rules) == "Direct"
    assert channel_of(read_touch(f"{SHOP}/?gclid=1"), rules) == "Clicks"
    assert channel_of(read_touch(f"{SHOP}/", "https://xn--90ahbyb4h.xn--p1ai/"), rules) == "Friends"
    assert channel_of(read_touch(f"{SHOP}/", "https://ya.ru/"), rules) == "Organic search"


@pytest.mark.parametrize("written", ["мебель.рф", "Мебель.РФ", "xn--90ahbyb4h.xn--p1ai", "XN--90ahbyb4h.xn--p1ai"])
@pytest.mark.parametrize("sent", ["мебель.рф", "xn--90ahbyb4h.xn--p1ai"])
@pytest.mark.parametrize(
    ("field", "glob", "page", "referrer"),
    [
        ("source", "{}", "/", "https://{}/sofas"),
        ("source", "*{}", "/", "https://shop.{}/"),
        ("source", "{}", "/?utm_source={}", ""),
        ("referrer", "https://{}/*", "/", "https://{}/sofas"),
        ("referrer", "https://{}*", "/", "https://{}/sofas"),
        ("page", "https://{}/?", "https://{}/a", ""),
    ],
)
def test_rules_may_spell_a_host_in_both_ways(
    written: str, sent: str, field: str, glob: str, page: str, referrer: str
) -> None:
    rules = [ChannelRule("Partner", {field: glob.format(written)})]
    assert channel_of(read_touch(page.format(sent), referrer.format(sent)), rules) == "Partner"
    assert channel_of(read_touch(page.format("x.example"), referrer.format("xn--80a.example")), rules) != "Partner"


def test_rules_fit_what_they_say() -> None:
    def fits(match: dict[str, str], page: str) -> bool:
        return channel_of(read_touch(f"{SHOP}{page}"), [ChannelRule("Rule", match)]) == "Rule"

    assert fits({"campaign": ""}, "/")
    assert not fits({"campaign": ""}, "/?utm_campaign=x")
    assert fits({"campaign": "SALE"}, "/?utm_campaign=Sale")
    assert fits({"campaign": "s?le[12]"}, "/?utm_campaign=Sale1")
    assert not fits({"campaign": "s?le[!12]"}, "/?utm_campaign=Sale1")
    assert fits({"click_id": "g*"}, "/?yclid=1&gclid=1")
    assert not fits({"click_id": "G*"}, "/?gclid=1")
    assert not fits({"click_id": "g*", "campaign": "x"}, "/?gclid=1")
    assert not fits({}, "/")


PAID = (
    *(
        "cpc",
        "cpc-search",
        "cpc_yandex",
        "yandex_cpc",
        "yandexcpc",
        "cpm",
        "cpv",
        "cpo",
        "ppc",
        "ppc_brand",
        "ppcbrand",
    ),
    *(
        "paid",
        "paid-social",
        "paidsearch",
        "social_paid",
        "social-paid",
        "retargeting",
        "yandex-retargeting",
        "remarketing",
    ),
    *("display", "display-ads", "banner", "banner_300x250", "interstitial"),
)
UNPAID = ("", "organic", "social", "unpaid", "prepaid", "email", "email_banner", "bannering", "hcp", "copy", "tcp-ip")


@pytest.mark.parametrize("medium", [*PAID, *UNPAID])
def test_paid_media(medium: str) -> None:
    channel = channel_of(read(f"{SHOP}/?utm_source=x&utm_medium={medium.upper()}"))
    assert channel.startswith("Paid: ") == (medium in PAID)


# Text that is nearly an address comes closer to the edges than any text does.
PIECES = (
    *("https:", "//", "www.", "xn--", "google.com", "android-app:", "[", "]", "@", ":", "\\", "?", "&", "=", "#", ";"),
    *("utm_source", "utm_campaign", "gclid", "%", "%25", "%D0", "%E4", "+", " ", "\ud800", "\x00"),
)
addresses = st.one_of(
    st.text(max_size=300),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join),
)


@given(addresses, addresses, st.lists(addresses, max_size=2))
def test_any_text_is_read_and_what_is_kept_is_bounded(page: str, referrer: str, own_hosts: list[str]) -> None:
    touch = read_touch(page, referrer, own_hosts)
    assert channel_of(touch)
    for value in (touch.source, touch.medium, touch.campaign, touch.term, touch.content, *touch.click_ids.values()):
        assert len(value) <= MAX_VALUE
        assert value == value.strip()
        assert value.isprintable()
    assert read_touch(touch.page, touch.referrer, own_hosts) == touch  # reading what was kept tells the same


HOSTILE = (
    *(
        "utm_source=",
        "utm_medium=",
        "utm_campaign=",
        "gclid=",
        "UTM%5FSOURCE=",
        "&",
        "&&",
        "&a=1",
        "=",
        "?",
        "#",
        "/",
        ".",
    ),
    *(
        "%25D0%25B4",
        "%D0%B4",
        "%E4%E8",
        "%",
        "%25",
        "%2525",
        "%u0434",
        "+",
        "xn--",
        "xn--a.",
        "www.",
        "@",
        "[",
        "]",
        ":",
    ),
    *(
        "\u202e",
        "\u200f",
        "\u2066",
        "\ud800",
        "\udfff",
        "\x00",
        "\r\n",
        "\u2028",
        "\ufeff",
        "İ",
        "ſ",
        "ﷺ",
        "Ⅷ",
        "💩",
        "。",
    ),
)
long_texts = st.lists(
    st.tuples(st.sampled_from(HOSTILE), st.sampled_from((1, 2, 3, 100, 10_000))).map(
        lambda run: (run[0] * run[1])[:10_000]
    ),
    max_size=8,
).map("".join)
globs = st.lists(
    st.sampled_from(("*", "?", "[", "]", "[!a]", "a", ".", "xn--", "xn--p1ai", "я", "\\", "İ")), max_size=20
)
rule_sets = st.lists(
    st.dictionaries(st.sampled_from(MATCHABLE), globs.map("".join)).map(lambda match: ChannelRule("Rule", match)),
    max_size=3,
)


@given(long_texts, long_texts, long_texts, rule_sets)
def test_long_hostile_text_is_read_and_what_is_kept_is_bounded(
    start: str, query: str, referrer: str, rules: list[ChannelRule]
) -> None:
    touch = read_touch(f"{start}?{query}", referrer, ["shop.example", start])
    assert channel_of(touch, rules)
    assert len(touch.click_ids) <= len(kinds.click_ids())
    values = (touch.source, touch.medium, touch.campaign, touch.term, touch.content, *touch.click_ids.values())
    assert max(map(len, values)) <= MAX_VALUE
    assert max(len(touch.page), len(touch.referrer)) <= MAX_URL
    for value in (*values, touch.page, touch.referrer):
        assert value.isprintable()
        value.encode()


def test_of_repeated_parameters_the_first_counts_however_many_there_are() -> None:
    query = "&".join(f"utm_source=s{index}&UTM_CAMPAIGN=c{index}&gclid={index}" for index in range(10_000))
    touch = read(f"{SHOP}/?{query}")
    assert (touch.source, touch.campaign, touch.click_ids) == ("s0", "c0", {"gclid": "0"})


@pytest.mark.parametrize("mark", ["\u202e", "\u200f", "\u2066", "\u200b", "\ufeff", "\x00", "\x1b", "\ud800"])
def test_marks_that_nobody_sees_are_removed(mark: str) -> None:
    touch = read(f"{SHOP}/?utm_source=a{mark}b&utm_campaign=c{mark}d", f"https://blog{mark}.example/")
    assert (touch.source, touch.campaign, touch.referrer) == ("ab", "cd", "https://blog.example/")
    assert read(f"{SHOP}/", f"https://blog{mark}.example/").source == "blog.example"


@given(addresses)
def test_no_part_of_reading_an_address_raises(text: str) -> None:
    parts = address.split(text)
    address.host(parts)
    address.parameters(parts.query, {"utm_source"})
    address.decoded(text)


names = st.sampled_from(sorted(kinds.hosts()))
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda label: label != "www")


@given(names, labels)
def test_hosts_are_compared_by_label(known: str, label: str) -> None:
    def from_host(host: str) -> tuple[str, str]:
        touch = read_touch(f"{SHOP}/", f"https://{host}/path")
        return touch.source, touch.medium

    def longest(host: str) -> tuple[str, str]:
        parts = host.split(".")
        tails = [tuple(parts[start:]) for start in range(len(parts))]
        by_labels = {tuple(name.split(".")): origin for name, origin in kinds.hosts().items()}
        return next((by_labels[tail] for tail in tails if tail in by_labels), (host, "referral"))

    assert from_host(known) == kinds.hosts()[known]
    assert from_host(known.upper()) == kinds.hosts()[known]
    for host in (f"{label}.{known}", f"{label}{known}", f"{known}.{label}.example", f"{known}{label}"):
        assert from_host(host) == longest(host)
    assert from_host(f"{known}.evil.example") == (f"{known}.evil.example", "referral")


def test_only_so_many_parameters_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    filler = "&".join("%61=1" for _ in range(MAX_PARAMETERS - 1))
    assert read(f"{SHOP}/?{filler}&utm_source=x").source == "x"
    assert read(f"{SHOP}/?{filler}&a=1&utm_source=x").source == "(direct)"

    read_characters: list[int] = []
    decoded = address.decoded

    def counting(raw: str) -> str:
        read_characters.append(len(raw))
        return decoded(raw)

    monkeypatch.setattr(address, "decoded", counting)
    for pair in ("utm_source=", "utm_source=%20&", "%", "%25", "utm_campaign=%E4%", "&", "gclid=+&", "%61=%&"):
        read_characters.clear()
        read(f"{SHOP}/?{pair * MAX_URL}#{pair * MAX_URL}")
        assert len(read_characters) <= 4 * MAX_PARAMETERS  # name and value, of the query and of the fragment
        assert sum(read_characters) <= MAX_URL


@pytest.mark.parametrize(
    ("page", "referrer"),
    [
        (f"{SHOP}/", f"https://{'a' * 5000}.example/"),
        (f"{SHOP}/?utm_source={'İ' * 256}", ""),
        (f"{SHOP}/?utm_campaign={'x' * 8000}&" + "&".join(f"p{index}=1" for index in range(900)), ""),
        (f"{SHOP}/?utm_source=a%00b\x00", "\x00"),
        (f"{SHOP}/?utm_campaign={'%25D0%25B4' * 800}", ""),
        (f"{SHOP}/", "https://" + "xn--a." * 1300),
        (f"{SHOP}/", f"https://{'ﷺ' * 240}.example/"),  # one character that folds to eighteen
        ("http://[::1", "http://[bad"),
    ],
)
def test_what_is_kept_is_bounded_and_printable(page: str, referrer: str) -> None:
    touch = read_touch(page, referrer)
    for value in (touch.source, touch.medium, touch.campaign):
        assert len(value) <= MAX_VALUE
        assert value.isprintable()


def test_the_built_in_lists_are_as_they_are_compared() -> None:
    for name, origin in kinds.hosts().items():
        assert address.host(address.split(f"https://{name}/")) == name
        assert origin.medium in {"cpc", "organic", "ai", "social", "messenger", "email", "referral"}
    for name, parts in kinds.pages().items():
        assert name in kinds.hosts()
        for path, origin in parts:
            assert path == path.lower()
            assert read_touch("", f"https://{name}{path}").medium == origin.medium
    by_name = [name for name, _ in kinds.hosts_and_pages()]
    assert len(by_name) == len(set(by_name))  # in one list only
    for name in kinds.click_ids():
        assert name == name.lower()
        assert read(f"{SHOP}/?{name}=1").click_ids == {name: "1"}


def test_the_document_names_every_click_id_and_kind() -> None:
    rows = [line.strip("|").split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| `")]
    cells = [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]
    named = {name: (row[1][0], row[2][0]) for row in cells if len(row[2]) == 1 for name in row[0]}
    assert named == kinds.click_ids()
    channels = {row[1][0]: row[0][0] for row in cells if not row[2]}
    assert set(channels) == {origin.medium for origin in kinds.hosts().values()} | {"cpc", "(none)"}
    for medium, channel in channels.items():
        assert channel_of(Touch(source="SOURCE", medium=medium)) == channel


def test_the_documents_paid_media_are_paid() -> None:
    section = DOCUMENT.partition("### Paid media")[2].partition("###")[0]
    introduction, *rules = section.split("\n- ")
    assert len(rules) == 3
    for example in re.findall(r"`([^`]+)`", "".join(rule.partition(": ")[2] for rule in rules)):
        assert kinds.is_paid(example)
    for example in re.findall(r"`([^`]+)`", introduction):
        assert not kinds.is_paid(example)


def test_the_documents_rules_are_a_site_file() -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    (site,) = parse(example.encode(), "shop.toml", "RU")
    rules = [ChannelRule(channel.name, channel.match) for channel in site.channels]
    assert channel_of(read(f"{SHOP}/?fbclid=1"), rules) == "Facebook Ads"
    assert channel_of(read(f"{SHOP}/", "https://xn--90ahbyb4h.xn--p1ai/"), rules) == "Partners"
    assert channel_of(read(f"{SHOP}/", "https://forum.example/"), rules) == "Forums"


def test_the_documents_limits_are_the_real_ones() -> None:
    limits = DOCUMENT.partition("**Limits**")[2]
    for limit in (MAX_URL, MAX_PARAMETERS, MAX_VALUE, address.MAX_HOST):
        assert f"{limit:,} " in limits
