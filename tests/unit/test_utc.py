"""Times that are moved stay times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.utc import moved

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("at", "by", "found"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), -DAY, datetime(2026, 11, 22, tzinfo=UTC)),
        (FIRST + DAY, -DAY, FIRST),
        (FIRST, -DAY, FIRST),
        (LAST, DAY, LAST),
        (LAST, -DAY, LAST - DAY),
        (FIRST, timedelta.max, LAST),
    ],
)
def test_a_time_is_moved_as_far_as_there_are_times(at: datetime, by: timedelta, found: datetime) -> None:
    assert moved(at, by) == found
