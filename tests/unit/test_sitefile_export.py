"""Exporting and reading again gives the same sites, whatever is in them."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbxtrack.sitefile.diff import diff
from pbxtrack.sitefile.export import quote, to_toml
from pbxtrack.sitefile.model import Channel, Pool, Site, ascending, duration_text, ranges
from pbxtrack.sitefile.parse import parse
from pbxtrack.sitefile.values import duration
from pbxtrack.sources.touch import MATCHABLE
from pbxtrack.storage import migrate
from pbxtrack.storage import sites as storage
from pbxtrack.storage.database import Database

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
labels = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
lines = st.sampled_from(["PJSIP/sales", "Local/7@ctx/n&PJSIP/a", "PJSIP/t/sip:+7495@10.0.0.1:5060"])
spans = st.integers(60, 2_592_000).map(lambda seconds: timedelta(seconds=seconds))
subscribers = st.integers(0, 400).map(lambda last: f"+7495123{last:04}")


@st.composite
def sites(draw: st.DrawFn) -> list[Site]:
    numbers = draw(st.lists(subscribers, unique=True, max_size=60))
    taken = iter(numbers)

    def some(most: int) -> tuple[str, ...]:
        return ascending(number for _, number in zip(range(draw(st.integers(0, most))), taken, strict=False))

    def emails(prefix: str) -> tuple[str, ...]:
        return tuple(f"{prefix}-{index}@shop.example" for index in range(draw(st.integers(0, 2))))

    def channel(name: str, number: int, site: int) -> Channel:
        match = draw(st.dictionaries(st.sampled_from(MATCHABLE), any_text, max_size=3))
        static, own = emails(f"c{site}-{number}"), some(3)
        return Channel(name, match or ({} if static or own else {"source": "x"}), own, static, draw(st.none() | lines))

    found = []
    for index, key in enumerate(draw(st.lists(st.sampled_from(["a", "b-c", "d_1"]), unique=True, max_size=3))):
        hold, email = draw(spans), draw(st.sampled_from([None, "sales@shop.example"]))
        names = draw(st.lists(labels, unique=True, max_size=3))
        found.append(
            Site(
                key=key,
                name=draw(labels),
                line=draw(lines),
                origins=tuple(draw(st.lists(st.sampled_from(["https://a.example", "http://[::1]:8000"]), max_size=1))),
                replace=draw(st.sampled_from([(), ("+74999999999",)])),
                record=draw(st.booleans()),
                whisper=draw(st.booleans()),
                timezone=draw(st.sampled_from(["UTC", "Europe/Moscow"])),
                currency=draw(st.sampled_from(["RUB", "EUR"])),
                hold=hold,
                hold_guaranteed=min(hold, draw(spans)),
                target_talk=draw(st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds))),
                unique_days=draw(st.none() | st.integers(1, 3_650)),
                overflow_number=next(taken, None) if draw(st.booleans()) else None,
                email=email,
                email_separator=draw(st.sampled_from("+.")),
                pools=tuple(
                    Pool(
                        name,
                        some(30),
                        tuple(draw(st.lists(labels, unique=True, max_size=2))),
                        emails(f"p{index}-{number}") if email else (),
                    )
                    for number, name in enumerate(names)
                ),
                channels=tuple(channel(name, number, index) for number, name in enumerate(names)),
            )
        )
    return found


@given(sites())
def test_export_then_parse_gives_the_same_sites(wanted: list[Site]) -> None:
    again = parse(to_toml(wanted).encode(), "exported.toml", "RU")
    assert again == wanted
    assert diff(wanted, again) == []


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples: any state is applied on whatever the one before left."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('kept')}/pbxtrack.db")
    migrate.upgrade(database)
    yield database
    database.close()


@settings(max_examples=40, deadline=None)
@given(sites())
def test_apply_then_export_then_apply_changes_nothing(kept: Database, wanted: list[Site]) -> None:
    with kept.transaction() as connection:
        storage.apply(connection, wanted, (), NOW)
    with kept.transaction() as connection:
        found = storage.read_sites(connection)
        again = parse(to_toml(found).encode(), "exported.toml", "RU")
        assert found == wanted
        assert storage.plan(connection, again, NOW).changes == []


@given(any_text)
def test_any_text_is_quoted_as_toml_reads_it(text: str) -> None:
    assert tomllib.loads(f"x = {quote(text)}") == {"x": text}


def test_control_characters_are_escaped() -> None:
    assert quote('\x00\x1b\x7f\n"\\€') == r'"\u0000\u001b\u007f\n\"\\€"'


@given(st.integers(0, 10_000_000).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_duration_is_written_as_it_is_read(span: timedelta) -> None:
    assert duration(duration_text(span)) == span


def test_runs_of_numbers_become_ranges() -> None:
    assert ranges(["+74951230103", "+74951230100", "+74951230101", "+7495123010"]) == [
        ("+7495123010", "+7495123010"),
        ("+74951230100", "+74951230101"),
        ("+74951230103", "+74951230103"),
    ]
    assert ranges([]) == []


def test_a_run_is_cut_where_a_range_would_be_too_long() -> None:
    many = [f"+{number}" for number in range(74950000000, 74950100001)]
    assert ranges(many) == [("+74950000000", "+74950099999"), ("+74950100000", "+74950100000")]
