"""Records are as old as their events, and never older than today."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from rapport_chassis.relay import Record, _record
from rapport_events.envelope import Envelope

from libs.chassis.tests.things import DAY, closed


def record_of(moment: datetime) -> Record:
    envelope = Envelope.of(closed("a", 1), id="e-1", source="/test", time=moment, correlationid="c-1")
    return _record(replace(envelope).structured(), 7)


def test_what_the_retention_would_take_at_once_is_told_as_of_today() -> None:
    """An empty cluster is filled again from journals that reach back further than its retention."""
    today = int(time.time() // 86_400) * 86_400_000
    told = record_of(DAY.replace(year=2020)).timestamp
    assert today <= told <= today + 86_400_000
    assert told % 86_400_000 == 0, "no finer than the day"


def test_what_is_new_keeps_its_time() -> None:
    now = datetime.now(UTC)
    assert record_of(now).timestamp == int(now.timestamp() * 1000)
