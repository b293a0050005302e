"""Ids: their form, their order, and that no two are alike."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from pbxtrack.ids import new_id

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def test_an_id_begins_with_its_time_in_milliseconds() -> None:
    first = new_id(NOW)
    assert len(first) == 26
    time = 0
    for character in first[:10]:
        time = time * 32 + ALPHABET.index(character)
    assert time == NOW.timestamp() * 1000


def test_ids_made_later_sort_later() -> None:
    made = [new_id(NOW + timedelta(milliseconds=count)) for count in range(2_000)]
    assert made == sorted(made)


def test_the_rest_is_random_and_every_character_as_likely() -> None:
    made = [new_id(NOW)[10:] for _ in range(10_000)]
    assert len(set(made)) == len(made)
    counts = Counter("".join(made))
    assert set(counts) == set(ALPHABET)
    expected = 16 * len(made) / 32
    assert all(abs(count - expected) < 0.1 * expected for count in counts.values()), "seven sigmas"
