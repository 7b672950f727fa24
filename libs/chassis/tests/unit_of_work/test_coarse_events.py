"""An event of which only the day may be known: what the journal and the document keep of it."""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from rapport_chassis.memory import Memory
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork
from rapport_events.feedback import WaveClosed

NOW = datetime(2026, 1, 5, 13, 47, 11, 123456, tzinfo=UTC)
TOMORROW = int(datetime(2026, 1, 6, tzinfo=UTC).timestamp() * 1_000_000)
DAY_US = int(timedelta(days=1).total_seconds() * 1_000_000)


@dataclass(slots=True, kw_only=True)
class Note:
    id: str
    version: int = 0


class Notes(UnitOfWork):
    notes = repository("notes", Note)


def closed(ordinal):
    return WaveClosed(wave_id="a", instrument_code="x", ordinal=ordinal, closed_on=date(2026, 1, 5))


async def note_coarsely(_, unit):
    unit.notes.add(Note(id="a"))
    return unit.emit(closed(1), coarse=True, traced=False)


async def note_finely(_, unit):
    note = await unit.notes.get("a")
    unit.notes.save(note)
    unit.emit(closed(2))


async def test_the_journal_keeps_the_day_and_no_more():
    memory = Memory(Notes, now=NOW)
    event_id = await memory.run(note_coarsely, None)
    entry = memory.journal[0]
    assert entry["_id"] == event_id
    assert uuid.UUID(event_id).version == 4
    assert uuid.UUID(entry["envelope"]["correlationid"]).version == 4
    assert entry["envelope"]["time"] == "2026-01-05T00:00:00Z"
    assert TOMORROW <= entry["pos"] < TOMORROW + DAY_US
    assert memory.documents.collections["notes"]["a"]["pos"] == entry["pos"]
    assert "13:47" not in repr(memory.journal) + repr(memory.documents.collections)
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-7", repr(memory.journal))


async def test_nothing_leads_to_the_request():
    memory = Memory(Notes, now=NOW)
    request = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1)
    )
    with use_span(NonRecordingSpan(request)):
        await memory.run(note_coarsely, None)
        await memory.run(note_finely, None)
    first, second = memory.journal
    assert "0af7651916cd43dd" not in repr(first)
    assert "0af7651916cd43dd" in second["envelope"]["traceparent"]


async def test_two_of_the_same_moment_do_not_show_it_in_their_places():
    places = set()
    for _ in range(3):
        memory = Memory(Notes, now=NOW)
        await memory.run(note_coarsely, None)
        places.add(memory.journal[0]["pos"])
    assert len(places) == 3


async def test_a_later_event_of_the_aggregate_still_comes_later():
    memory = Memory(Notes, now=NOW)
    await memory.run(note_coarsely, None)
    await memory.run(note_finely, None)
    first, second = memory.journal
    assert first["pos"] < second["pos"]
    assert second["envelope"]["time"] == "2026-01-05T13:47:11.123456Z"
