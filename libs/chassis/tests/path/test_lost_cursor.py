"""The document that says how far a partition was applied is gone: nothing is applied, until it is back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from rapport_chassis.consumer import Consumer, CursorLost
from rapport_chassis.runtime import Runtime
from rapport_events.feedback import WaveClosed

from libs.chassis.tests.path.test_assignment import LOGS, PARTITION, record
from libs.chassis.tests.things import note

Opened = Callable[[str], Awaitable[Runtime]]


def consumer_of(target: Runtime) -> Consumer:
    return Consumer(
        group="target",
        handlers={WaveClosed: note},
        new_unit=target.unit,
        commit=target.commit,
        documents=target.documents,
        most_back_off=0.05,
    )


async def tags(target: Runtime) -> list[str]:
    (thing,) = await target.documents.find("things", {"_id": {"in": ["thing"]}})
    return thing["tags"]


async def test_who_begins_finds_that_the_cursor_is_lost(opened: Opened) -> None:
    target = await opened("target")
    before = consumer_of(target)
    await before.assigned([PARTITION], LOGS)
    await before.handle([record(1), record(2)])
    await target.database["cursors"].delete_many({})

    consumer = consumer_of(target)
    with pytest.raises(CursorLost):
        await consumer.assigned([PARTITION], LOGS)
    assert consumer.lost == [str(PARTITION)]
    assert await tags(target) == ["1", "2"]


async def test_who_is_at_work_waits_until_the_cursor_is_back(opened: Opened) -> None:
    target = await opened("target")
    consumer = consumer_of(target)
    await consumer.assigned([PARTITION], LOGS)
    await consumer.handle([record(1), record(2)])
    kept = await target.database["cursors"].find_one_and_delete({"_id": str(PARTITION)})

    busy = asyncio.create_task(consumer.handle([record(3)]))
    while not consumer.lost:
        await asyncio.sleep(0.01)
    assert not busy.done()
    assert await tags(target) == ["1", "2"]
    await target.database["cursors"].insert_one(kept)
    assert await busy == {}
    assert not consumer.lost
    assert await tags(target) == ["1", "2", "3"]
