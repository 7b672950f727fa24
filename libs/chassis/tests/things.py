"""A small service of the tests: things that are counted, over events the catalogue really has."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from rapport_chassis.documents import Index
from rapport_chassis.repository import repository
from rapport_chassis.unit_of_work import UnitOfWork
from rapport_events.feedback import WaveClosed


@dataclass(slots=True, kw_only=True)
class Thing:
    id: str
    count: int = 0
    words: str | None = None
    tags: list[str] | None = None
    version: int = 0


class Things(UnitOfWork):
    things = repository("things", Thing, sealed=("words",), subject="id")


INDEXES = (Index("things", ("count", "id")),)
DAY = datetime(2026, 1, 5, tzinfo=UTC)


def closed(thing: str, ordinal: int) -> WaveClosed:
    """An event of the aggregate `thing`; `ordinal` tells them apart."""
    return WaveClosed(wave_id=thing, instrument_code="x", ordinal=ordinal, closed_on=date(2026, 1, 5))


async def count_up(thing_id: str, unit: Things) -> Thing:
    """Count a thing and tell it."""
    thing = await unit.things.get(thing_id)
    if thing is None:
        thing = Thing(id=thing_id)
        unit.things.add(thing)
    thing.count += 1
    unit.things.save(thing)
    unit.emit(closed(thing_id, thing.count))
    return thing


async def note(event: WaveClosed, unit: Things) -> None:
    """A consumer whose state shows any loss, doubling or disorder: it keeps the ordinals as they come."""
    thing = await unit.things.get(event.wave_id)
    if thing is None:
        thing = Thing(id=event.wave_id, tags=[])
        unit.things.add(thing)
    thing.tags = [*(thing.tags or []), str(event.ordinal)]
    unit.things.save(thing)
