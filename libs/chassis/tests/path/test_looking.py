"""Every now and then the relay asks the brokers what they still have, and new events do not wait for the answer."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from rapport_chassis import relay as relay_module
from rapport_chassis.journal import Partition
from rapport_chassis.records import number_of
from rapport_chassis.relay import Record, RecordsLost, Relay

from libs.chassis.tests.path.simulation import PARTITIONS, Rules, World, WorldLog

PASSES = 30
EVENTS = 20


@dataclass
class Hesitant(WorldLog):
    """Brokers that take everything, and say what they have only when they are let."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def identities(self) -> dict[str, str]:
        await self.answers.wait()
        return await super().identities()

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        await self.answers.wait()
        return await super().ends(partitions)


def numbers(log: WorldLog) -> dict[Partition, list[int | None]]:
    return {p: sorted({number_of(r.headers) for r in records}, key=str) for p, records in log.partitions.items()}


async def asked(world: World, log: Hesitant) -> Relay:
    """A relay that is connected, has sent some events, and whose question is not answered."""

    async def connect() -> WorldLog:
        return log

    world.chaos.calm = True
    log.answers.set()
    relay = Relay(world.journal, connect, PARTITIONS, look_every=0)
    await world.write(EVENTS)
    while await relay.drain():
        pass
    log.answers.clear()
    return relay


async def passes(relay: Relay) -> None:
    async with asyncio.timeout(10):
        for _ in range(PASSES):
            await relay.drain()
            await asyncio.sleep(0)


async def test_events_are_sent_while_the_brokers_do_not_answer() -> None:
    world = World(1, Rules(log=Hesitant))
    assert isinstance(world.log, Hesitant)
    relay = await asked(world, world.log)
    before = sum(map(len, numbers(world.log).values()))
    await world.write(EVENTS)
    async with asyncio.timeout(10):
        while await relay.drain():
            pass
    assert sum(map(len, numbers(world.log).values())) == before + EVENTS
    await relay.disconnect()


@pytest.mark.parametrize("lose", [WorldLog.lose_the_cluster, WorldLog.make_the_topic_anew, WorldLog.lose_the_end])
async def test_what_was_lost_meanwhile_is_sent_again_once_they_answer(lose) -> None:
    world = World(2, Rules(log=Hesitant))
    assert isinstance(world.log, Hesitant)
    relay = await asked(world, world.log)
    before = numbers(world.log)
    async with asyncio.timeout(10):
        await relay.drain()  # asks
    lose(world.log)
    assert numbers(world.log) != before
    world.log.answers.set()
    await passes(relay)
    assert numbers(world.log) == before
    await relay.disconnect()


@dataclass
class Silent(WorldLog):
    """Brokers that take what they are sent, and say so only when they are let: never, where the topic is no more."""

    says: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        found = await super().append(partition, records)
        await self.says.wait()
        return found


@pytest.mark.parametrize("lose", [WorldLog.lose_the_cluster, WorldLog.make_the_topic_anew])
async def test_a_send_to_a_log_that_is_no_more_is_given_up(lose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "SLOW", 0.01)
    world, relay = sending(4)
    await world.write(EVENTS)
    async with asyncio.timeout(10):
        draining = asyncio.create_task(relay.drain())
        while not any(world.log.partitions.values()):
            await asyncio.sleep(0)
        lose(world.log)
        with pytest.raises(RecordsLost):
            await draining
        await relay.disconnect()
        world.log.says.set()
        while await relay.drain():
            pass
    assert sum(map(len, numbers(world.log).values())) == EVENTS
    await relay.disconnect()


async def test_a_send_that_only_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "SLOW", 0.01)
    world, relay = sending(5)
    await world.write(EVENTS)
    async with asyncio.timeout(10):
        draining = asyncio.create_task(relay.drain())
        assert await asyncio.wait({draining}, timeout=0.1) == (set(), {draining})
        world.log.says.set()
        assert await draining == EVENTS
    assert len(world.log.ever) == EVENTS
    await relay.disconnect()


def sending(seed: int) -> tuple[World, Relay]:
    world = World(seed, Rules(log=Silent))
    world.chaos.calm = True

    async def connect() -> WorldLog:
        return world.log

    return world, Relay(world.journal, connect, PARTITIONS)


async def test_why_they_did_not_answer_is_told() -> None:
    world = World(3, Rules(log=Hesitant))
    assert isinstance(world.log, Hesitant)
    relay = await asked(world, world.log)

    async def broken() -> dict[str, str]:
        raise ConnectionError("the brokers are gone")

    world.log.identities = broken  # type: ignore[method-assign]
    world.log.answers.set()
    with pytest.raises(ConnectionError, match="gone"):
        await passes(relay)
    await relay.disconnect()
