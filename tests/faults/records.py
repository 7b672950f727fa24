"""Records that come twice, in another order, or all over again; and cursors that are gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaProducer
from rapport_chassis.records import number_of
from rapport_events.envelope import Envelope

from tests.faults.armed import Order
from tests.faults.catalogue import fault
from tests.faults.scene import PATIENCE, Scene
from tests.integration.rapport import Place, until

RESPONSES, STAKEHOLDERS = "feedback.response", "registry.stakeholder"
READER = "measures-worker"
"""It hears of both."""
LAST = 100
"""Records of each partition that come again."""


@fault("F20", "the last records of every partition put on the topics again by a stranger: each twice, then all of them")
async def duplicates(scene: Scene) -> int:
    reader = scene.process(READER)
    dropped = await scene.metric(reader, "rapport_consumer_duplicate_events_total")
    count = 0
    async with strangers_producer(scene) as producer:
        for place, records in (await scene.rapport.records((RESPONSES, STAKEHOLDERS))).items():
            ours = [record for record in records if number_of(record.headers) is not None][-LAST:]
            again = [*(record for record in ours for _ in range(2)), *ours]
            await put(producer, place, [(r.key, r.value, list(r.headers)) for r in again])
            count += len(again)

    async def all_dropped() -> bool:
        return await scene.metric(reader, "rapport_consumer_duplicate_events_total") >= dropped + count

    await until(all_dropped, seconds=PATIENCE, what=f"{count} records are dropped by their numbers")
    return count


@fault("F21", "two events of an aggregate put on the topic in the wrong order: the later one waits, and it is told")
async def out_of_order(scene: Scene) -> int:
    scene.freeze("registry-worker")
    readers = (READER, "engagement-worker")
    first, entries, late = await two_of_one_aggregate(scene)
    place = entries[late]["topic"], entries[late]["partition"]
    scene.disordered.add(place)
    records = [
        replace(Envelope.from_structured(entry["envelope"]), sequence=number).to_kafka()
        for number, entry in enumerate(entries, first)
    ]
    missing = first + late

    async def gaps() -> list[int | None]:
        return [(await scene.status(scene.process(n))).get("gaps", {}).get(f"{place[0]}/{place[1]}") for n in readers]

    async def told() -> bool:
        return await gaps() == [missing] * len(readers)

    async with strangers_producer(scene) as producer:
        await put(producer, place, records[:late] + records[late + 1 :])
        await until(told, seconds=PATIENCE, what=f"both tell that number {missing} is missing in {place}")
        for service in ("measures", "engagement"):
            cursor = (await scene.rapport.cursors(service))[place]
            assert cursor["number"] == missing - 1, f"{service} went past what it lacks: {cursor}"
        await put(producer, place, [records[late]])

    async def closed() -> bool:
        cursors = [(await scene.rapport.cursors(service))[place] for service in ("measures", "engagement")]
        return all(cursor["number"] >= first + len(entries) - 1 for cursor in cursors)

    await until(closed, seconds=PATIENCE, what="the gap is closed and everything behind it applied")
    scene.thaw("registry-worker")
    return 1


async def two_of_one_aggregate(scene: Scene) -> tuple[int, list[dict[str, Any]], int]:
    """A batch that the frozen relay has numbered and not sent, with two events of one aggregate in it.

    The number of its first event, its entries, and which of them is the earlier one of the two.
    """
    journal, batches = (scene.rapport.mongo["registry"][name] for name in ("journal", "journal_batches"))
    of_two = [
        {"$match": {"unsent": True, "topic": STAKEHOLDERS}},
        {"$group": {"_id": "$key", "events": {"$sum": 1}}},
        {"$match": {"events": {"$gt": 1}}},
    ]
    while True:

        async def waiting() -> list[dict[str, Any]]:
            return await (await journal.aggregate(of_two)).to_list()

        await until(waiting, seconds=PATIENCE, what="two events of a stakeholder wait for the relay")

        async def thaw() -> None:
            scene.thaw("registry-worker")

        await asyncio.gather(scene.strike("registry-worker", Order("append", act="freeze")), thaw())
        async for batch in batches.find({"topic": STAKEHOLDERS, "offset": None}):
            stored = {d["_id"]: d async for d in journal.find({"_id": {"$in": batch["ids"]}})}
            entries = [stored[id_] for id_ in batch["ids"]]
            keys = [entry["key"] for entry in entries]
            earlier = next((i for i, key in enumerate(keys) if key in keys[i + 1 :]), None)
            if earlier is not None:
                return batch["first"], entries, earlier


@fault(
    "F22",
    "measures read all topics again from offset 0; then some of their cursors are deleted: nothing is applied, it is told",
    limits="a deleted cursor is put back by hand, as the alarm asks (or a projection is made anew): see ADR 0017",
)
async def from_the_beginning(scene: Scene) -> int:
    cursors = scene.rapport.mongo["measures"]["cursors"]
    ends = await scene.rapport.ends(scene.rapport.consumed["measures"])
    async with ended(scene, READER):
        await cursors.update_many({}, {"$set": {"offset": 0, "seen": 0}})

    async def read_again() -> bool:
        return all([d["offset"] >= ends[d["topic"], d["partition"]] async for d in cursors.find({})])

    await until(read_again, seconds=PATIENCE, what="everything has been read again")

    places = [d["_id"] async for d in cursors.find({"topic": RESPONSES})]
    chosen = scene.dice.sample(places, scene.dice.randint(1, len(places)))
    if scene.dice.random() < 0.5:
        async with ended(scene, READER):
            kept = [await cursors.find_one_and_delete({"_id": id_}) for id_ in chosen]
    else:
        kept = [await cursors.find_one_and_delete({"_id": id_}) for id_ in chosen]
    reader = scene.process(READER)

    async def told() -> bool:
        return "the cursor is lost" in reader.said

    await until(told, seconds=PATIENCE, what="it is told that a cursor is lost")
    before = await scene.counted()
    await scene.acknowledges(15)
    assert await scene.counted() == before, "something was counted without a cursor"
    await cursors.insert_many([document for document in kept if document is not None])
    return 1 + len(chosen)


@asynccontextmanager
async def ended(scene: Scene, name: str) -> AsyncIterator[None]:
    """End a process in order; what is done within is done before it is started again."""
    process = scene.process(name)
    gone = process.pid
    scene.terminate(name)

    async def away() -> bool:
        return process.pid != gone

    await until(away, seconds=PATIENCE, what=f"{name} has ended")
    yield


@asynccontextmanager
async def strangers_producer(scene: Scene) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**scene.platform.stack.endpoints.kafka, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def put(
    producer: AIOKafkaProducer, place: Place, records: Sequence[tuple[bytes, bytes, list[tuple[str, bytes]]]]
) -> None:
    """Append in this order, and wait until all of it is there."""
    topic, partition = place
    sent = [
        await producer.send(topic, value, key=key, headers=headers, partition=partition)
        for key, value, headers in records
    ]
    await asyncio.gather(*sent)
