"""Amounts, days and files of costs: what can be read in one way only, and what is lost nowhere."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.money.amounts import MAX_AMOUNT, of_number, read_amount, rounded, shown, told
from pbxtrack.money.cost_file import MAX_BYTES, MAX_LINES, MAX_WRONG, read_costs, read_day
from pbxtrack.money.costs import Cost, checked, completed
from pbxtrack.money.deals import DealStatus, times

DAY = timedelta(days=1)
MARCH = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SIMPLE = "date,channel,cost\n2026-03-01,Ads,1.50\n"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0), ("12", 1200), ("12.5", 1250), ("12,05", 1205), ("1 234,50", 123450), ("1\xa0234\xa0567", 123456700),
        ("1,234.50", 123450), ("1.234.567,89", 123456789), ("12.340000", 1234), ("99 ₽", 9900), ("$5.10", 510),
        ("RUB 7", 700), ("7 EUR", 700), ("1 200 руб.", 120000), ("1'000.00", 100000), ("10000000000", MAX_AMOUNT),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_people_write_it(text: str, amount: int) -> None:
    assert read_amount(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", " ", "-5", "−5", "1,234", "1.234", "1.2.3", "12.345", "1 23", "five", "1e5", "٣", "10000000001", "9" * 400],
)
def test_what_may_be_two_amounts_or_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|must be"):
        read_amount(text)


@given(st.integers(0, MAX_AMOUNT))
def test_what_is_told_and_shown_is_read_the_same(amount: int) -> None:
    number = told(amount)
    assert number is not None
    assert of_number(number) == amount
    assert read_amount(shown(amount)) == amount


@given(st.dictionaries(st.integers(), st.integers(0, 10**9), max_size=9), st.integers(1, 1000))
def test_rounded_parts_add_up(parts: dict[int, int], of: int) -> None:
    found = rounded(parts, of)
    assert sum(found.values()) == sum(parts.values()) // of
    assert all(parts[key] // of <= found[key] <= parts[key] // of + 1 for key in parts)


@given(st.integers(0, 10**6), st.integers(0, 40), st.lists(st.integers(-5, 50), min_size=1, max_size=5))
def test_a_span_is_divided_without_loss(amount: int, more: int, cuts: list[int]) -> None:
    cost = Cost(MARCH, MARCH + more * DAY, "Ads", amount)
    ends = [MARCH - 9 * DAY, *(MARCH + cut * DAY for cut in sorted(cuts)), MARCH + 99 * DAY]
    assert sum(cost.part(first, end) for first, end in itertools.pairwise(ends)) == amount
    days = [cost.part(MARCH + day * DAY, MARCH + (day + 1) * DAY) for day in range(more + 1)]
    assert days == sorted(days, reverse=True)
    assert max(days) - min(days) <= 1


def test_a_channel_tells_what_its_costs_leave_out() -> None:
    said = {"source": "", "medium": "", "campaign": "x", "term": ""}
    assert completed(said, {"source": "Google", "medium": "c*"}) == {**said, "source": "google"}
    assert completed({**said, "source": "bing"}, {"source": "google"})["source"] == "bing"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-22", date(2026, 11, 22)), ("22.11.2026", date(2026, 11, 22)), ("1.2.2026", date(2026, 2, 1)),
        ("11/22/2026", date(2026, 11, 22)), ("22/11/2026", date(2026, 11, 22)), ("05/05/2026", date(2026, 5, 5)),
        ("22.11.2026 0:00:00", date(2026, 11, 22)),
    ],
)  # fmt: skip
def test_a_day_is_read(text: str, day: date) -> None:
    assert read_day(text) == day


@pytest.mark.parametrize("text", ["11/12/2026", "30.02.2026", "2026-13-01", "22.11.26", "today", "", "13/13/2026"])
def test_what_may_be_two_days_or_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="day"):
        read_day(text)


@pytest.mark.parametrize("divider", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_a_file_is_read_however_it_is_written(divider: str, encoding: str) -> None:
    lines = [
        ["Дата", "Канал", "Кампания", "Источник", '"Расход, руб."', "Клики"],
        ["01.03.2026", "Яндекс Директ", 'диваны "уют", до 5; скидка', "YANDEX", '"1 234,50"', "7"],
        ["Итого", "", "", "", '"1 234,50"', "7"],
        ["", "", "", "", "", ""],
        ["02.03.2026", "Яндекс Директ", "", "", "3", "1"],
    ]
    lines[1][2] = '"' + lines[1][2].replace('"', '""') + '"'
    found = read_costs("\r\n".join(divider.join(line) for line in lines).encode(encoding))
    assert found.wrong == []
    assert found.costs == [
        (2, Cost(MARCH, MARCH, "Яндекс Директ", 123450, "yandex", "", 'диваны "уют", до 5; скидка')),
        (5, Cost(MARCH + DAY, MARCH + DAY, "Яндекс Директ", 300)),
    ]
    assert (found.passed_over, found.totals) == (["Клики"], 1)


def test_what_is_wrong_is_told_with_its_line() -> None:
    text = (
        "Report of March\n\nfirst,last,campaign,cost\n2026-03-01,2026-03-31,a,5\n2026-03-31,2026-03-01,a,5\n"
        '2026-03-01,2026-03-31,"b\nb",1\n2026-03-01,2026-03-31,a,7\n2026-03-01,2026-03-31,c\n03/04/2026,x,c,1\n'
        f"2026-03-01,2026-03-31,{'d' * 257},1\n2026-03-01,2026-03-31,\0,1\n"
    )
    found = read_costs(text.encode(), "Radio")
    assert [(line, cost.campaign) for line, cost in found.costs] == [(4, "a"), (6, "b\nb")]
    assert [(wrong.line, wrong.what.split(":")[0]) for wrong in found.wrong] == [
        (5, "the last day, 2026-03-01, is before the first, 2026-03-31"),
        (8, "has the same days, channel and campaign as line 4"),
        (9, "there is no amount"),
        (10, "'03/04/2026' may be two days; write 2026-03-04 or the other"),
        (11, "the campaign is longer than 256 characters"),
        (12, "the campaign holds a character that is not allowed"),
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no line of headings"), (b"\x98\xff", "neither UTF-8 nor"), (b"a,b\n1,2\n", "no line of headings"),
        (b"date,cost\n2026-03-01,5\n", "no column of the channel"), (b"channel,cost\nAds,5\n", "column of the date"),
        (b"date,first,channel,cost\n", "not both"), (b"first,channel,cost\n", "both the first and the last"),
        (b"date,channel\n", "no column of the cost"), (b"date,channel,cost,spend\n", "'cost' and 'spend' say the same"),
        (SIMPLE.encode() + b'"' + b"x" * 200_000, "after line 2 the file is no CSV"),
        (b"x" * (MAX_BYTES + 1), "larger than 10 MB"), (b"\xff\xfex", "neither"),
        (b"PK\x03\x04\x14\x00\x06", "an Excel file"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * MAX_BYTES, "CSV UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_told_in_a_sentence(content: bytes, what: str) -> None:
    found = read_costs(content)
    assert [what in wrong.what for wrong in found.wrong] == [True], found.wrong


def test_a_file_is_read_up_to_a_limit() -> None:
    lines = [f"2026-03-01,Ads,{at},1" for at in range(MAX_LINES)]
    most = "\n".join(["date,channel,campaign,cost", *lines])
    assert len(read_costs(most.encode()).costs) == MAX_LINES
    assert "more than 100,000 lines" in read_costs(f"{most}\n2026-03-01,Ads,x,1".encode()).wrong[0].what
    assert len(read_costs(("date,channel,cost\n" + "x,Ads,1\n" * 2_000).encode()).wrong) == MAX_WRONG


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (SIMPLE + text).encode("utf-8", "ignore")))
def test_no_bytes_whatever_break_the_reader(content: bytes) -> None:
    for _, cost in read_costs(content).costs:
        assert checked(cost) == cost


def test_a_deals_times_follow_its_status() -> None:
    later = NOW + DAY
    found = {status: times(status, NOW, None, None, later) for status in DealStatus}
    assert [one.at for one in found.values()] == [NOW, later, later]
    assert times(DealStatus.WON, NOW, None, NOW, later).won_at == NOW
    assert times(DealStatus.WON, NOW, NOW, None, later).closed_at == NOW
    for status, won_at, closed_at in (
        (DealStatus.OPEN, None, NOW),
        (DealStatus.OPEN, NOW, None),
        (DealStatus.LOST, NOW, NOW),
    ):
        with pytest.raises(ValueError, match="has no"):
            times(status, NOW, won_at, closed_at, later)
