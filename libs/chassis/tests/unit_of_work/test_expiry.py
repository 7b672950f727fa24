"""An expiry must not tell the time of what it belongs to."""

from datetime import UTC, datetime

import pytest
from rapport_chassis.documents import midnight_after


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 5, tzinfo=UTC),
        datetime(2026, 1, 5, 13, 47, 11, tzinfo=UTC),
        datetime(2026, 1, 5, 23, 59, 59, 999999, UTC),
    ],
)
def test_every_moment_of_a_day_expires_at_once(moment):
    assert midnight_after(moment) == datetime(2026, 1, 6, tzinfo=UTC)
