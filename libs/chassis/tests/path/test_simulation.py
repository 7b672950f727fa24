"""The relay and the cursor in a simulated world where anything may die at any await.

Several relays (some frozen for long, some killed), writers with clocks that jump, acknowledgements that get lost, a
log that is replaced by an empty one, consumers that are killed or replaced without knowing it. What must hold, seen
from the log and the stored state alone: the first occurrences of each partition are 1, 2, 3 …; no event is lost;
the events of an aggregate keep their order; every event takes effect once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapport_chassis import journal
from rapport_chassis.consumer import Consumer
from rapport_chassis.errors import Conflict, Unavailable
from rapport_chassis.journal import Batch, Partition
from rapport_chassis.memory import Memory
from rapport_chassis.relay import Record, Relay
from rapport_chassis.unit_of_work import Circumstances
from rapport_chassis.write_set import WriteSet
from rapport_events.catalog import TOPICS
from rapport_events.feedback import WaveClosed

from libs.chassis.tests.things import DAY, Things, count_up, note

TOPIC = "feedback.wave"
PARTITIONS = [Partition(TOPIC, n) for n in range(TOPICS[TOPIC].partitions)]


class Killed(BaseException):
    """kill -9 of the one who runs: nothing may catch it."""


@dataclass
class Chaos:
    """Decides at every await what happens there, from one seed."""

    dice: random.Random
    kill: float = 0.03
    lose: float = 0.03
    freeze: float = 0.05
    calm: bool = False
    killed: int = 0

    async def moment(self) -> None:
        """Others run; perhaps this one never does again, or much later."""
        if self.calm:
            await asyncio.sleep(0)
            return
        for _ in range(self.dice.randint(0, 2) if self.dice.random() > self.freeze else 40):
            await asyncio.sleep(0)
        if self.dice.random() < self.kill:
            self.killed += 1
            raise Killed

    async def answer_lost(self) -> None:
        """The effect is there, the answer is not."""
        await self.moment()
        if not self.calm and self.dice.random() < self.lose:
            raise ConnectionError("no answer")


@dataclass
class WorldJournal:
    """The journal's rules over dictionaries; every call can die before and after its effect."""

    chaos: Chaos
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: dict[tuple[Partition, int], Batch] = field(default_factory=dict)

    async def unsent(self, limit: int) -> list[dict[str, Any]]:
        await self.chaos.moment()
        return sorted((e for e in self.stored.values() if e.get("unsent")), key=lambda e: e["pos"])[:limit]

    async def entries(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        await self.chaos.moment()
        return [self.stored[i] for i in ids]

    async def last_batch(self, partition: Partition) -> Batch | None:
        await self.chaos.moment()
        found = await self.batches(partition)
        return found[-1] if found else None

    async def batches(self, partition: Partition, *, first_from: int = 1) -> list[Batch]:
        await self.chaos.moment()
        mine = sorted((b for (p, _), b in self.taken.items() if p == partition), key=lambda b: b.first)
        return [b for b in mine if b.next > first_from]

    async def reserve(self, batch: Batch) -> bool:
        await self.chaos.moment()
        if (batch.partition, batch.first) in self.taken:
            return False
        self.taken[batch.partition, batch.first] = batch
        await self.chaos.answer_lost()
        return True

    async def first_elsewhere(self, partition: Partition, log: str) -> int | None:
        return next((b.first for b in await self.batches(partition) if b.log != log), None)

    async def finish(self, batch: Batch) -> None:
        await self.chaos.moment()
        for id_ in batch.ids:
            self.stored[id_].pop("unsent", None)
        await self.chaos.moment()
        self.taken[batch.partition, batch.first] = batch
        await self.chaos.answer_lost()

    async def backlog(self, cap: int) -> tuple[int, int | None]:
        return min(cap, len(self.stored)), None

    async def asked_republish(self) -> list[tuple[Partition, int]]:
        return []

    async def republished(self, partition: Partition, first: int) -> None: ...


@dataclass(frozen=True)
class Kept:
    """A record as a consumer reads it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass
class WorldLog:
    """The brokers: what is appended stays, until the cluster is lost."""

    chaos: Chaos
    partitions: dict[Partition, list[Record]] = field(default_factory=lambda: {p: [] for p in PARTITIONS})
    cluster: int = 1

    async def append(self, partition: Partition, records: Sequence[Record]) -> int:
        await self.chaos.moment()
        place = len(self.partitions[partition])
        self.partitions[partition].extend(records)
        await self.chaos.answer_lost()
        return place

    async def identity(self) -> str:
        await self.chaos.moment()
        return f"cluster {self.cluster}"

    async def end(self, partition: Partition) -> int:
        await self.chaos.moment()
        return len(self.partitions[partition])

    async def close(self) -> None: ...

    def lose_everything(self) -> None:
        self.cluster += 1
        for records in self.partitions.values():
            records.clear()

    def read(self, partition: Partition, offset: int, count: int) -> list[Kept]:
        records = self.partitions[partition]
        start = offset if offset <= len(records) else 0  # out of range: earliest
        return [
            Kept(partition.topic, partition.number, start + i, r.key, r.value, r.headers)
            for i, r in enumerate(records[start : start + count])
        ]


async def as_if_alone(work: Callable[[], Awaitable[object]]) -> None:
    """Somebody who may be killed, or meet what only time cures; a successor comes later."""
    try:
        await work()
    except (Killed, ConnectionError, Conflict, Unavailable):
        return


@dataclass
class World:
    """The service that tells, its journal, the log, and the service that listens."""

    seed: int
    chaos: Chaos = field(init=False)
    source: Memory[Things] = field(default_factory=lambda: Memory(Things, now=DAY))
    target: Memory[Things] = field(default_factory=lambda: Memory(Things, now=DAY))

    def __post_init__(self) -> None:
        self.chaos = Chaos(random.Random(self.seed))
        self.journal = WorldJournal(self.chaos)
        self.log = WorldLog(self.chaos)
        self.things = [f"thing-{n}" for n in range(5)]

    async def write(self, count: int) -> None:
        for _ in range(count):
            skewed = DAY + timedelta(seconds=self.chaos.dice.randint(-3600, 3600))
            self.source.now = skewed
            await self.source.run(count_up, self.chaos.dice.choice(self.things))
            for entry in self.source.journal[len(self.journal.stored) :]:
                self.journal.stored[entry["_id"]] = dict(entry)
            await asyncio.sleep(0)

    async def relay(self) -> None:
        async def connect() -> WorldLog:
            await self.chaos.moment()
            return self.log

        relay = Relay(self.journal, connect, PARTITIONS, limit=self.chaos.dice.randint(1, 7), look_every=0)
        for _ in range(6):
            await relay.drain()

    async def drained(self) -> None:
        async def connect() -> WorldLog:
            return self.log

        relay = Relay(self.journal, connect, PARTITIONS)
        while await relay.drain():
            pass

    async def consume(self) -> None:
        consumer = self.consumer()
        places = await consumer.assigned(PARTITIONS, await self.log.identity())
        for _ in range(8):
            await self.poll(consumer, places)

    def consumer(self) -> Consumer:
        async def commit(write_set: WriteSet) -> None:
            await self.chaos.moment()
            self.target.apply(write_set)
            await self.chaos.answer_lost()

        def unit(circumstances: Circumstances) -> Things:
            return Things(self.target.documents, self.target.keyring, circumstances)

        return Consumer(
            group="target",
            handlers={WaveClosed: note},
            new_unit=unit,
            commit=commit,
            documents=self.target.documents,
            back_off=0,
            most_back_off=0,
        )

    async def poll(self, consumer: Consumer, places: dict[Partition, int]) -> None:
        await self.chaos.moment()
        records: list[Kept] = []
        for partition in PARTITIONS:
            found = self.log.read(partition, places[partition], self.chaos.dice.randint(1, 9))
            records.extend(found)
            if found:
                places[partition] = found[-1].offset + 1
            elif (again := consumer.look_again(partition)) is not None:
                places[partition] = again
        places.update(await consumer.handle(records))

    async def consumed(self) -> None:
        consumer = self.consumer()
        places = await consumer.assigned(PARTITIONS, await self.log.identity())
        for _ in range(400):
            await self.poll(consumer, places)
            ends = [places[p] >= len(self.log.partitions[p]) for p in PARTITIONS]
            if all(ends) and not consumer.gaps:
                return
        raise AssertionError(f"gaps never closed: {consumer.gaps}")

    def numbers(self) -> dict[Partition, list[int]]:
        return {p: [int(dict(r.headers)["ce_sequence"]) for r in records] for p, records in self.log.partitions.items()}

    def told(self) -> set[tuple[bytes, bytes]]:
        """(id, number) of everything in the log."""
        records = [dict(r.headers) for found in self.log.partitions.values() for r in found]
        return {(headers["ce_id"], headers["ce_sequence"]) for headers in records}

    def effects(self) -> dict[str, list[str]]:
        return {id_: d["tags"] for id_, d in self.target.documents.collections.get("things", {}).items()}

    def expected(self) -> dict[str, list[str]]:
        things = self.source.documents.collections.get("things", {})
        return {id_: [str(n) for n in range(1, d["count"] + 1)] for id_, d in things.items()}


async def live(seed: int, *, lose_cluster: bool) -> World:
    world = World(seed)
    for _ in range(6):
        relays = [as_if_alone(world.relay) for _ in range(world.chaos.dice.randint(1, 3))]
        consumers = [as_if_alone(world.consume) for _ in range(world.chaos.dice.randint(0, 2))]
        await asyncio.gather(world.write(world.chaos.dice.randint(1, 12)), *relays, *consumers)
        if lose_cluster and world.chaos.dice.random() < 0.3:
            world.log.lose_everything()
    world.chaos.calm = True
    await world.drained()
    await world.drained()
    return world


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_the_log_holds_every_event_in_the_order_of_its_number(seed: int) -> None:
    world = asyncio.run(live(seed, lose_cluster=False))
    for partition, numbers in world.numbers().items():
        first = list(dict.fromkeys(numbers))
        assert first == list(range(1, len(first) + 1)), partition
    assert len(world.told()) == len(world.journal.stored), "an event has two numbers"
    told = {id_ for records in world.log.partitions.values() for r in records for k, id_ in r.headers if k == "ce_id"}
    assert told == {id_.encode() for id_ in world.journal.stored}
    assert not any(e.get("unsent") for e in world.journal.stored.values())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), lose_cluster=st.booleans())
def test_every_event_takes_effect_once_and_in_order(seed: int, lose_cluster: bool) -> None:  # noqa: FBT001
    async def whole() -> World:
        world = await live(seed, lose_cluster=lose_cluster)
        await world.consumed()
        return world

    world = asyncio.run(whole())
    assert world.effects() == world.expected()


def test_the_simulation_does_kill() -> None:
    """A world in which nothing happens would prove nothing."""
    killed = sum(asyncio.run(live(seed, lose_cluster=False)).chaos.killed for seed in range(20))
    assert killed > 20


def test_positions_of_an_aggregate_never_run_backwards() -> None:
    async def positions() -> list[int]:
        memory = Memory(Things, now=DAY)
        for hours in (0, -1, 2, -5):
            memory.now = DAY + timedelta(hours=hours)
            await memory.run(count_up, "one")
        return [entry["pos"] for entry in memory.journal]

    found = asyncio.run(positions())
    assert found == sorted(set(found))
    assert journal.partition_of(TOPIC, "one") == journal.partition_of(TOPIC, "one")
