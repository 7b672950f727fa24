"""Exactly one effect per event over a real broker: across restarts, replays, a lost topic and a poison record."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from rapport_chassis.brokers import KafkaLog, connection
from rapport_chassis.committer import TooLarge
from rapport_chassis.consumer import Consumer
from rapport_chassis.journal import Partition
from rapport_chassis.metrics import LAG
from rapport_chassis.records import number_of
from rapport_chassis.relay import Relay
from rapport_chassis.runtime import Runtime
from rapport_chassis.subscription import Subscription
from rapport_chassis.write_set import WriteSet
from rapport_events.catalog import TOPICS
from rapport_events.envelope import Envelope
from rapport_events.feedback import WaveClosed

from libs.chassis.tests.things import Things, closed, count_up, note

TOPIC = "feedback.wave"
PARTITIONS = [Partition(TOPIC, n) for n in range(TOPICS[TOPIC].partitions)]
Opened = Callable[[str], Awaitable[Runtime]]


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


def relay_of(runtime: Runtime) -> Relay:
    return Relay(runtime.journal, lambda: KafkaLog.connect(runtime.settings, [TOPIC]), PARTITIONS)


@asynccontextmanager
async def consuming(
    runtime: Runtime, batch: int = 5_000, commit: Callable[[WriteSet], Awaitable[None]] | None = None
) -> AsyncIterator[Consumer]:
    consumer = Consumer(
        group=runtime.name,
        handlers={WaveClosed: note},
        new_unit=runtime.unit,
        commit=commit or runtime.commit,
        documents=runtime.documents,
    )
    settings = runtime.settings.model_copy(update={"consumer_batch": batch})
    subscription = Subscription(settings, consumer, [TOPIC])
    await subscription.start()
    try:
        yield consumer
    finally:
        await subscription.stop()


async def write(runtime: Runtime, things: list[str], times: int) -> None:
    async def one(thing: str) -> None:
        for _ in range(times):
            await runtime.perform(lambda unit: count_up(thing, unit))

    await asyncio.gather(*(one(thing) for thing in things))


async def send_all(relay: Relay) -> None:
    while await relay.drain():
        pass


async def tags(runtime: Runtime, things: list[str]) -> dict[str, list[str]]:
    found = await runtime.documents.find("things", {"_id": {"in": things}})
    return {d["_id"]: d["tags"] for d in found}


async def fresh_topic(runtime: Runtime) -> None:
    """Every test begins with an empty topic: the broker is shared."""
    admin = AIOKafkaAdminClient(**connection(runtime.settings))
    await admin.start()
    if TOPIC in await admin.list_topics():
        await admin.delete_topics([TOPIC])

        async def gone() -> bool:
            return TOPIC not in await admin.list_topics()

        await until(gone)
    await admin.close()


def new_things(count: int) -> list[str]:
    return [f"{uuid.uuid4().hex[:8]}-{n}" for n in range(count)]


async def test_every_event_takes_effect_once_and_in_order(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(20)
    relay = relay_of(source)
    await write(source, things, 5)
    await send_all(relay)
    expected = {thing: [str(n) for n in range(1, 6)] for thing in things}

    async def applied() -> bool:
        return await tags(target, things) == expected

    async with consuming(target):
        await until(applied)
    # Everything once more, with the numbers it has: nothing changes, and what is new still arrives behind it.
    for partition in PARTITIONS:
        await relay.resend(partition, 1)
    await write(source, things, 1)
    await send_all(relay)
    expected = {thing: [str(n) for n in range(1, 7)] for thing in things}
    async with consuming(target):
        await until(applied)
    await relay.disconnect()


async def test_numbers_on_the_topic_are_dense(opened: Opened) -> None:
    source = await opened("source")
    await fresh_topic(source)
    relays = [relay_of(source), relay_of(source)]
    things = new_things(30)
    await write(source, things, 3)
    await asyncio.gather(*(send_all(relay) for relay in relays))
    seen = await numbers(source)
    assert sum(len(set(n)) for n in seen.values()) == 90
    for found in seen.values():
        first = list(dict.fromkeys(found))
        assert first == list(range(1, len(first) + 1))
    for relay in relays:
        await relay.disconnect()


async def numbers(runtime: Runtime) -> dict[int, list[int]]:
    """The numbers of each partition as a stranger reads them from the topic."""
    reader = AIOKafkaConsumer(**connection(runtime.settings), auto_offset_reset="earliest")
    places = [TopicPartition(TOPIC, p.number) for p in PARTITIONS]
    await reader.start()
    reader.assign(places)
    ends = await reader.end_offsets(places)
    seen: dict[int, list[int]] = {p.number: [] for p in PARTITIONS}
    while any([await reader.position(place) < end for place, end in ends.items()]):
        for place, records in (await reader.getmany(timeout_ms=200)).items():
            seen[place.partition].extend(number_of(r.headers) or 0 for r in records)
    await reader.stop()
    return seen


async def test_a_topic_that_was_lost_is_filled_again_with_the_same_numbers(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(10)
    relay = relay_of(source)
    await write(source, things, 4)
    await send_all(relay)
    before = await numbers(source)

    async def applied() -> bool:
        return all(len(found) == wanted for found in (await tags(target, things)).values()) and len(
            await tags(target, things)
        ) == len(things)

    wanted = 4
    async with consuming(target):
        await until(applied)
    await relay.disconnect()
    await fresh_topic(source)
    await send_all(relay)  # connecting anew finds the empty log
    assert await numbers(source) == before
    await write(source, things, 1)
    await send_all(relay)
    wanted = 5
    async with consuming(target):
        await until(applied)
    assert await tags(target, things) == {thing: ["1", "2", "3", "4", "5"] for thing in things}
    await relay.disconnect()


async def test_an_event_no_broker_takes_holds_up_its_aggregate_alone(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(6)
    relay = relay_of(source)
    await write(source, things, 1)
    # No request can put this there: `journal.entry` refuses it.
    huge = {"envelope.data.title": "x" * 5_000_000}
    await source.database["journal"].update_one({"key": things[0]}, {"$set": huge})
    await write(source, things, 1)
    await send_all(relay)

    async def applied() -> bool:
        letters = await target.letters.counts()
        rest = {thing: ["1", "2"] for thing in things[1:]}
        return await tags(target, things) == rest and letters == {"dead": 1, "parked": 1, "replay": 0}

    async with consuming(target):
        await until(applied)
    await relay.disconnect()


async def test_a_batch_that_no_transaction_takes_is_taken_apart(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(40)
    relay = relay_of(source)
    await write(source, things, 1)
    await send_all(relay)
    refused = []

    async def commit(write_set: WriteSet) -> None:
        if len(write_set) > 9:  # eight things and a cursor or more
            refused.append(len(write_set))
            raise TooLarge("it is more than fits the store's cache at once")
        await target.commit(write_set)

    async def applied() -> bool:
        return await tags(target, things) == {thing: ["1"] for thing in things}

    async with consuming(target) as consumer:
        consumer.commit = commit
        await until(applied)
    assert refused
    assert await target.letters.counts() == {"dead": 0, "parked": 0, "replay": 0}
    await relay.disconnect()


async def test_what_is_unsent_is_read_a_reply_at_a_time(opened: Opened) -> None:
    source = await opened("source")
    things = new_things(30)
    await write(source, things, 1)
    await source.database["journal"].update_many({}, {"$set": {"envelope.data.title": "x" * 880_000}})
    found = await source.journal.unsent(1_000)
    assert 10 < len(found) < 20, "a reply has 16 MB"
    assert [e["pos"] for e in found] == sorted(e["pos"] for e in found)
    assert len(await source.journal.unsent(3)) == 3


@pytest.mark.catalogue("Z8")
async def test_poison_is_buried_and_its_neighbours_flow(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(6)
    relay = relay_of(source)
    await write(source, things, 1)
    await send_all(relay)
    producer = AIOKafkaProducer(**connection(source.settings))
    await producer.start()
    # All is right about it, but no relay sent it.
    told = closed(things[0], 7)
    _, value, headers = Envelope.of(told, id="x", source="x", time=datetime.now(UTC), correlationid="x").to_kafka()
    foreign = value, headers
    for place in PARTITIONS:
        for value, headers in (
            (b"not json", []),
            (None, []),
            (b"{}", [("ce_id", b"\xff\xfe")]),
            (b"{}", [("ce_sequence", b"-1"), ("ce_type", b"feedback.wave.closed.v1")]),
            foreign,
        ):
            await producer.send_and_wait(TOPIC, value, key=things[0].encode(), headers=headers, partition=place.number)
    await producer.stop()
    await write(source, things, 1)
    await send_all(relay)

    async def applied() -> bool:
        return await tags(target, things) == {thing: ["1", "2"] for thing in things}

    async with consuming(target):
        await until(applied)
    letters = await target.letters.all()
    assert len(letters) == 5 * len(PARTITIONS)
    assert {letter["reason"] for letter in letters} == {"unreadable"}
    await relay.disconnect()


async def test_lag_grows_while_a_batch_takes_long(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(6)
    relay = relay_of(source)
    goes_on = asyncio.Event()

    async def slowly(event: WaveClosed, unit: Things) -> None:
        await goes_on.wait()
        await note(event, unit)

    await write(source, things, 1)
    await send_all(relay)
    consumer = Consumer(
        group="target",
        handlers={WaveClosed: slowly},
        new_unit=target.unit,
        commit=target.commit,
        documents=target.documents,
    )
    subscription = Subscription(target.settings, consumer, [TOPIC])
    await subscription.start()

    def lag() -> float:
        return sum(sample.value for metric in LAG.collect() for sample in metric.samples)

    async def known() -> bool:
        return lag() == len(things)

    async def grown() -> bool:
        return lag() == 2 * len(things)

    async def applied() -> bool:
        return lag() == 0 and await tags(target, things) == {thing: ["1", "2"] for thing in things}

    await until(known)
    await write(source, things, 1)
    await send_all(relay)
    await until(grown)
    goes_on.set()
    await until(applied)
    await subscription.stop()
    await relay.disconnect()


async def test_an_event_that_fails_holds_up_its_own_aggregate_only_and_is_replayed_in_order(opened: Opened) -> None:
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things = new_things(6)
    relay = relay_of(source)
    broken = things[0]
    refuse = True

    async def sometimes(event: WaveClosed, unit: Things) -> None:
        if refuse and event.wave_id == broken:
            raise ValueError("cannot be applied")
        await note(event, unit)

    await write(source, things, 3)
    await send_all(relay)
    consumer = Consumer(
        group="target",
        handlers={WaveClosed: sometimes},
        new_unit=target.unit,
        commit=target.commit,
        documents=target.documents,
    )
    subscription = Subscription(target.settings, consumer, [TOPIC])
    await subscription.start()

    async def others() -> bool:
        return await tags(target, things) == {t: ["1", "2", "3"] for t in things[1:]}

    async def letters() -> bool:
        return await target.letters.counts() == {"dead": 1, "parked": 2, "replay": 0}

    await until(others)
    await until(letters)
    refuse = False
    assert await target.letters.ask_replay(by="tester") == 3

    async def all_of_them() -> bool:
        return await tags(target, things) == {t: ["1", "2", "3"] for t in things}

    await until(all_of_them)
    assert await target.letters.counts() == {"dead": 0, "parked": 0, "replay": 0}
    await subscription.stop()
    await relay.disconnect()


async def test_a_consumer_whose_routine_for_the_group_has_died_is_connected_anew(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where brokers died under a connection, and uvloop said so in its own way: no KafkaError, and so the end."""
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    things, relay = new_things(3), relay_of(source)
    died = asyncio.Event()
    look_up = AIOKafkaClient.coordinator_lookup
    start = AIOKafkaConsumer.start
    started: list[AIOKafkaConsumer] = []

    async def seen(reader: AIOKafkaConsumer) -> None:
        started.append(reader)
        await start(reader)

    async def closed_under_it(client: AIOKafkaClient, *what: Any) -> Any:
        if died.is_set():
            return await look_up(client, *what)
        died.set()
        raise RuntimeError("the handle is closed")

    async def applied() -> bool:
        return await tags(target, things) == {thing: [str(n) for n in range(1, last + 1)] for thing in things}

    await write(source, things, 2)
    await send_all(relay)
    last = 2
    monkeypatch.setattr(AIOKafkaConsumer, "start", seen)
    async with consuming(target):
        await until(applied)
        monkeypatch.setattr(AIOKafkaClient, "coordinator_lookup", closed_under_it)
        group = started[0]._coordinator
        group.coordinator_dead()
        await asyncio.wait_for(died.wait(), 30)
        await write(source, things, 2)
        await send_all(relay)
        last = 4
        await until(applied)
    assert isinstance(group._coordination_task.exception(), KafkaError)
    await relay.disconnect()
