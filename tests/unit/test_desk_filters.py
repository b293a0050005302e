"""What the address of the call log asks for, and how it is said; which columns somebody sees."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from multidict import MultiDict

from pbxtrack.calls.lifecycle import Status
from pbxtrack.dashboard import columns, filters
from pbxtrack.dashboard.filters import CHOICES, NAMES, STATUS_NAMES, Filters, chips, read
from pbxtrack.dashboard.languages import LANGUAGES, Format, translations
from pbxtrack.dashboard.periods import choose
from pbxtrack.reports.periods import Zone

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
MOSCOW = Zone("Europe/Moscow")
ALL = (
    "channel=Radio&channel=Avito&campaign=spring&status=missed&status=busy&tag=vip&caller=45-67&dialled=84951230001"
    "&unsettled=true&target=false&unique=true&repeat=false&recording=true&min_confidence=0.9&hour=9"
)


def asked(query: str) -> Filters:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return read(MultiDict((name, value) for name, _, value in pairs))


def test_an_address_is_read_whole_and_written_again() -> None:
    wanted = asked(ALL)
    assert set(wanted.query) == set(NAMES)
    which = wanted.which(choose({"period": "today"}, MOSCOW, NOW), "shop", "RU")
    assert (which.since, which.until) == (
        datetime(2026, 3, 9, 21, tzinfo=UTC),
        datetime(2026, 3, 10, 21, tzinfo=UTC),
    )
    assert (which.sites, which.channels, which.statuses) == (["shop"], ("Radio", "Avito"), ("missed", "busy"))
    assert (which.caller_ends, which.dialled, which.hour) == ("4567", "+74951230001", 9)
    again = MultiDict[str]()
    for name, value in wanted.query.items():
        for one in value if isinstance(value, tuple) else [value]:
            again.add(name, str(one).lower() if isinstance(one, bool) else str(one))
    assert read(again) == wanted


@pytest.mark.parametrize(
    "query",
    [
        "status=lost", "hour=24", "hour=-1", "hour=٣", "min_confidence=1.5", "min_confidence=nan", "target=yes",
        "recording=", "caller=", "caller=  ", "campaign=", "tag=" + "x" * 301, "campaign=a\x00b", "colour=red",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_not_asked_for(query: str) -> None:
    assert asked(query) == Filters()


def test_calls_of_no_channel_are_asked_for_by_an_empty_one() -> None:
    wanted = asked("channel=&channel=Radio")
    assert (wanted.channel, wanted.query) == (("", "Radio"), {"channel": ("", "Radio")})
    chip, _ = chips(wanted, str, Format("en", "UTC", "RU"), "RU")
    assert (chip.value, chip.rest) == ("Unknown", asked("channel=Radio"))


def test_no_address_asks_for_more_than_twenty_of_a_kind() -> None:
    assert len(asked("&".join(f"tag={n}" for n in range(100))).tag) == 20


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("8 (916) 123-45-67", {"caller": "+79161234567"}),
        ("79161234567", {"caller": "+79161234567"}),
        ("45-67", {"caller_ends": "4567"}),
        ("…45-67".strip("…"), {"caller_ends": "4567"}),
        ("123 45 67", {"caller_ends": "1234567"}),
        ("101", {"caller_ends": "101"}),
        ("7", {"caller": "7"}),
        ("alice", {"caller": "alice"}),
        ("withheld", {"withheld": True}),
        ("12%_", {"caller": "12_"}),
    ],
)
def test_a_number_is_looked_for_as_it_is_remembered(typed: str, expected: dict[str, object]) -> None:
    which = Filters(caller=typed).which(choose({}, MOSCOW, NOW), "shop", "RU")
    found = {"caller": which.caller, "caller_ends": which.caller_ends, "withheld": which.withheld}
    assert found == {"caller": None, "caller_ends": None, "withheld": None} | expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_filter_is_said_and_can_be_taken_away_alone(language: str) -> None:
    wanted = asked(ALL)
    said = chips(wanted, translations(language).gettext, Format(language, "Europe/Moscow", "RU"), "RU")
    assert len(said) == 15
    assert all(chip.name and chip.value for chip in said)
    for chip in said:
        assert chip.rest != wanted
        assert sum(map(_size, chip.rest.query.values())) == sum(map(_size, wanted.query.values())) - 1
    for _ in said:
        wanted = chips(wanted, str, Format("en", "UTC", "RU"), "RU")[0].rest
    assert wanted == Filters()


def _size(value: object) -> int:
    return len(value) if isinstance(value, tuple) else 1


def test_what_somebody_reads_has_a_name() -> None:
    assert set(STATUS_NAMES) == {status.value for status in Status}
    assert set(CHOICES) <= set(NAMES)


def test_columns_are_shown_in_their_order_whatever_was_chosen() -> None:
    assert "source" not in columns.shown({})
    chosen = columns.chosen({"theme": "dark"}, ["tags", "status", "<script>", 3])
    assert chosen["theme"] == "dark"
    assert columns.shown(chosen) == ["status", "tags"]
    assert columns.shown(columns.chosen(chosen, [])) == []
    assert columns.shown({"call_columns": "all"}) == columns.shown({})


def test_an_hour_is_written_as_clocks_show_it() -> None:
    assert filters.hour_name(9) == "9:00–9:59"
