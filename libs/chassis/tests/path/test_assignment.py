"""Partitions are given to a consumer while it is still busy with what it read before."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rapport_chassis.consumer import Consumer
from rapport_chassis.journal import Partition
from rapport_chassis.runtime import Runtime
from rapport_chassis.write_set import WriteSet
from rapport_events.envelope import Envelope
from rapport_events.feedback import WaveClosed

from libs.chassis.tests.things import closed, note

PARTITION = Partition("feedback.wave", 0)
LOGS = {PARTITION.topic: "a log"}


@dataclass(frozen=True, slots=True)
class Record:
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    topic: str = PARTITION.topic
    partition: int = PARTITION.number


def record(number: int) -> Record:
    """The event of this number, where a log that begins with it has it."""
    envelope = Envelope.of(
        closed("thing", number), id=f"e{number}", source="x", time=datetime.now(UTC), correlationid="x"
    )
    return Record(number - 1, *replace(envelope, sequence=number).to_kafka())


async def test_what_was_read_before_is_left_to_the_new_assignment(
    opened: Callable[[str], Awaitable[Runtime]],
) -> None:
    target = await opened("target")
    tried, goes_on = asyncio.Event(), asyncio.Event()

    async def commit(write_set: WriteSet) -> None:
        if not goes_on.is_set():
            tried.set()
            await goes_on.wait()
            raise ConnectionError
        await target.commit(write_set)

    consumer = Consumer(
        group="target",
        handlers={WaveClosed: note},
        new_unit=target.unit,
        commit=commit,
        documents=target.documents,
    )
    goes_on.set()
    await consumer.assigned([PARTITION], LOGS)
    await consumer.handle([record(1), record(2)])
    goes_on.clear()
    busy = asyncio.create_task(consumer.handle([record(3), record(4)]))
    await tried.wait()
    given = asyncio.create_task(consumer.assigned([PARTITION], LOGS))
    goes_on.set()
    assert await given == {PARTITION: 1}
    assert await busy == {}, "what it was busy with is read again from the place that was given"
    assert await consumer.handle([record(2), record(3), record(4)]) == {}
    assert consumer.positions[PARTITION].number == 4
    (thing,) = await target.documents.find("things", {"_id": {"in": ["thing"]}})
    assert thing["tags"] == ["1", "2", "3", "4"]
