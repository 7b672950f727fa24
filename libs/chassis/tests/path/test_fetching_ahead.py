"""What follows is fetched while a batch is applied. Whatever moves the place to read from meanwhile, nothing gets lost."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer
from rapport_chassis.brokers import connection, ensure_topics
from rapport_chassis.relay import Relay
from rapport_chassis.runtime import Runtime
from rapport_chassis.write_set import WriteSet
from rapport_events.envelope import Envelope
from structlog.testing import capture_logs

from libs.chassis.tests.path.test_kafka import (
    PARTITIONS,
    TOPIC,
    Opened,
    consuming,
    fresh_topic,
    new_things,
    relay_of,
    send_all,
    tags,
    until,
    write,
)
from libs.chassis.tests.things import closed

BATCH = 10
"""Few records, so that a backlog is many batches, each fetched while the one before is applied."""

HELD = (5, 15, 25)
"""Commits of the first member that wait until another one has joined."""


async def put(runtime: Runtime, partition: int, thing: str, numbers: Iterable[int]) -> None:
    """A thing's events on its partition, in an order that no relay would send them in."""
    producer = AIOKafkaProducer(**connection(runtime.settings))
    await producer.start()
    for number in numbers:
        envelope = Envelope.of(
            closed(thing, number), id=f"{thing}.{number}", source="x", time=datetime.now(UTC), correlationid="x"
        )
        key, value, headers = replace(envelope, sequence=number).to_kafka()
        await producer.send(TOPIC, value, key=key, headers=headers, partition=partition)
    await producer.stop()


async def backlog(opened: Opened, things: int, times: int) -> tuple[Runtime, Relay, list[str]]:
    """Who has all of it to apply, the relay that has sent it, and the things it is about."""
    source, target = await opened("source"), await opened("target")
    await fresh_topic(source)
    made = new_things(things)
    relay = relay_of(source)
    await write(source, made, times)
    await send_all(relay)
    return target, relay, made


def gaps(said: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Partitions that lacked a number, as the log tells it, and the number."""
    return [(line["partition"], line["missing"]) for line in said if line["event"].startswith("gap: ")]


async def test_a_backlog_is_applied_once_and_in_order_while_members_come_and_go(opened: Opened) -> None:
    target, relay, things = await backlog(opened, things=20, times=15)
    for partition in PARTITIONS:
        await relay.resend(partition, 1)
    expected = {thing: [str(n) for n in range(1, 16)] for thing in things}

    goes_on = asyncio.Event()
    commits = 0

    async def commit(write_set: WriteSet) -> None:
        nonlocal commits
        commits += 1
        if commits in HELD:
            goes_on.clear()
        await goes_on.wait()
        await target.commit(write_set)

    async def held() -> bool:
        return not goes_on.is_set() or await applied()

    async def applied() -> bool:
        return await tags(target, things) == expected

    goes_on.set()
    with capture_logs() as said:
        async with consuming(target, BATCH, commit):
            for _ in HELD:
                await until(held)
                async with consuming(target, BATCH) as other:

                    async def shared(other=other) -> bool:
                        return bool(other.positions)

                    await until(shared)
                    goes_on.set()
            await until(applied)
    assert gaps(said) == []
    assert not [line for line in said if "from the beginning" in line["event"]]
    await relay.disconnect()


async def test_reading_again_from_elsewhere_loses_nothing_of_what_was_fetched_ahead(opened: Opened) -> None:
    target = await opened("target")
    await fresh_topic(target)
    await ensure_topics(target.settings, [TOPIC])
    last = 150
    things = new_things(2)
    # Whichever partition comes first: its last record closes a gap at its beginning, and those of the other lie ready.
    for partition, thing in enumerate(things):
        await put(target, partition, thing, [*range(1, 30), *range(31, last + 1), 30])
    expected = {thing: [str(n) for n in range(1, last + 1)] for thing in things}

    async def applied() -> bool:
        return await tags(target, things) == expected

    with capture_logs() as said:
        async with consuming(target, BATCH):
            await until(applied)
    assert sorted(gaps(said)) == [(f"{TOPIC}/0", 30), (f"{TOPIC}/1", 30)]


async def test_who_ends_amid_a_backlog_leaves_the_rest_to_its_successor(opened: Opened) -> None:
    target, relay, things = await backlog(opened, things=10, times=20)
    expected = {thing: [str(n) for n in range(1, 21)] for thing in things}

    async def so_far() -> int:
        return sum(map(len, (await tags(target, things)).values()))

    before = -1
    while before < 200:
        async with consuming(target, BATCH):

            async def further(before=before) -> bool:
                return await so_far() > max(before, 0)

            await until(further)
        now = await so_far()
        assert now > before
        before = now
    assert await tags(target, things) == expected
    await relay.disconnect()
