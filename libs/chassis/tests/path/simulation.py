"""A simulated world around the real relay and the real consumer, where anything may happen at any await.

Real: `Relay`, `Consumer`, the unit of work with its repositories and positions. Simulated: the journal, the brokers and
the two stores, as dictionaries that keep their rules and may take long, die, or lose an answer. What happens is decided
by dice from one seed, so a world can be lived again:

- kill -9 at any await, of a relay or a consumer; successors come while zombies that were only frozen come back late;
- an answer that is lost though the effect is there, and a send that arrives long after its sender has given up;
- writers whose clocks are an hour off, in both directions, and jump back;
- brokers that lose the end of a partition, a topic that is made anew, a cluster that is replaced by an empty one.

A `Rules` names the parts that are real; the planted bugs replace one each.
"""

import asyncio
import random
from collections.abc import Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from rapport_chassis.consumer import Consumer
from rapport_chassis.errors import Conflict, Unavailable
from rapport_chassis.journal import Batch, Partition
from rapport_chassis.memory import Memory
from rapport_chassis.records import number_of
from rapport_chassis.relay import Record, RecordsLost, Relay
from rapport_chassis.unit_of_work import Circumstances
from rapport_chassis.write_set import WriteSet
from rapport_events.catalog import TOPICS
from rapport_events.feedback import WaveClosed

from libs.chassis.tests.things import DAY, Things, count_up, note

TOPIC = "feedback.wave"
PARTITIONS = [Partition(TOPIC, n) for n in range(TOPICS[TOPIC].partitions)]
THINGS = ("thing-0", "thing-1", "thing-2", "thing-5")
ROUNDS = 4
TURNS = 120
"""Turns of the event loop in a round: long enough for a relay to do something, too short for all of them to end."""
MOST_IDLE = 40
"""Turns between two passes of a relay."""
MOST_POLLS = 300
"""Polls after which a consumer in calm times must have read everything."""


class Killed(BaseException):
    """kill -9 of the one who runs: nothing may catch it."""


@dataclass
class Chaos:
    """Decides at every await what happens there, from one seed."""

    dice: random.Random
    kill: float = 0.02
    lose: float = 0.03
    late: float = 0.03
    freeze: float = 0.01
    calm: bool = False
    killed: int = 0
    lost: int = 0
    frozen: list[asyncio.Future[None]] = field(default_factory=list)
    zombies: int = 0

    async def moment(self) -> None:
        """Others run; perhaps this one never does again, or much later."""
        await asyncio.sleep(0)
        if self.calm:
            return
        chance = self.dice.random()
        if chance < self.kill:
            self.killed += 1
            raise Killed
        if chance < self.kill + self.freeze:
            self.zombies += 1
            thawed = asyncio.get_running_loop().create_future()
            self.frozen.append(thawed)
            await thawed
        elif chance > 0.5:
            await asyncio.sleep(0)

    async def answer(self) -> None:
        """The effect is there; its answer may be lost, with or without the one who waits for it."""
        await self.moment()
        if not self.calm and self.dice.random() < self.lose:
            self.lost += 1
            raise ConnectionError("no answer")

    def thaw(self) -> None:
        for thawed in self.frozen:
            if not thawed.done():
                thawed.set_result(None)
        self.frozen.clear()


@dataclass
class WorldJournal:
    """The journal's rules over dictionaries; every call can die before and after its effect."""

    chaos: Chaos
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: dict[tuple[Partition, int], Batch] = field(default_factory=dict)

    async def unsent(self, limit: int, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        await self.chaos.moment()
        waiting = (e for id_, e in self.stored.items() if e.get("unsent") and id_ not in without)
        return sorted(waiting, key=lambda e: e["pos"])[:limit]

    async def entries(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        await self.chaos.moment()
        return [self.stored[i] for i in ids]

    async def last_batch(self, partition: Partition, *, below: int | None = None) -> Batch | None:
        await self.chaos.moment()
        mine = [b for b in self._batches(partition) if below is None or b.first < below]
        return mine[-1] if mine else None

    async def batches(self, partition: Partition, *, first_from: int, limit: int) -> list[Batch]:
        await self.chaos.moment()
        return [b for b in self._batches(partition) if b.next > first_from][:limit]

    def _batches(self, partition: Partition) -> list[Batch]:
        return sorted((b for (p, _), b in self.taken.items() if p == partition), key=lambda b: b.first)

    async def reserve(self, batch: Batch) -> bool:
        await self.chaos.moment()
        if (batch.partition, batch.first) in self.taken:
            return False
        self.taken[batch.partition, batch.first] = batch
        await self.chaos.answer()
        return True

    async def first_elsewhere(self, partition: Partition, log: str) -> int | None:
        await self.chaos.moment()
        return next((b.first for b in self._batches(partition) if b.log != log), None)

    async def finish(self, *batches: Batch) -> None:
        await self.chaos.moment()
        for batch in batches:
            for id_ in batch.ids:
                self.stored[id_].pop("unsent", None)
        for batch in batches:
            await self.chaos.moment()
            reserved = self.taken[batch.partition, batch.first]
            self.taken[batch.partition, batch.first] = replace(reserved, offset=batch.offset, log=batch.log)
        await self.chaos.answer()

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
    """The brokers: what is appended stays, until they lose it."""

    chaos: Chaos
    partitions: dict[Partition, list[Record]] = field(default_factory=lambda: {p: [] for p in PARTITIONS})
    late: list[tuple[Partition, Sequence[Record]]] = field(default_factory=list)
    """Sends that nobody waits for any more, and that arrive all the same."""
    ever: list[tuple[Partition, Record]] = field(default_factory=list)
    """Everything that was ever appended, whatever became of it."""
    cluster: int = 1
    topic: int = 1

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        records = list(records)
        await self.chaos.moment()
        if not self.chaos.calm and self.chaos.dice.random() < self.chaos.late:
            self.late.append((partition, records))
            raise ConnectionError("timed out")
        end = self._put(partition, records)
        await self.chaos.answer()
        return end - len(records), end - 1

    async def identities(self) -> dict[str, str]:
        await self.chaos.moment()
        return self.named()

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        await self.chaos.moment()
        return {p: len(self.partitions[p]) for p in partitions}

    async def holds(self, partition: Partition, offset: int, number: int) -> bool:
        await self.chaos.moment()
        found = self.partitions[partition][offset : offset + 1]
        return bool(found) and number_of(found[0].headers) == number

    async def close(self) -> None: ...

    def named(self) -> dict[str, str]:
        return {TOPIC: f"cluster {self.cluster}/topic {self.topic}"}

    def lose_the_cluster(self) -> None:
        self.cluster += 1
        self.late.clear()
        self.make_the_topic_anew()

    def make_the_topic_anew(self) -> None:
        self.topic += 1
        for records in self.partitions.values():
            records.clear()

    def lose_the_end(self) -> None:
        """The broker comes back without the last records of a partition, and with it died what was on its way to it."""
        written = [records for records in self.partitions.values() if records]
        if written:
            records = self.chaos.dice.choice(written)
            del records[max(0, len(records) - self.chaos.dice.randint(1, 8)) :]
        self.late.clear()

    def arrive(self) -> None:
        """What was late is late no longer."""
        self.chaos.dice.shuffle(self.late)
        for partition, records in self.late:
            self._put(partition, records)
        self.late.clear()

    def read(self, partition: Partition, offset: int, count: int) -> list[Kept]:
        records = self.partitions[partition]
        start = offset if offset <= len(records) else 0  # out of range: earliest
        return [
            Kept(partition.topic, partition.number, start + i, r.key, r.value, r.headers)
            for i, r in enumerate(records[start : start + count])
        ]

    def _put(self, partition: Partition, records: Sequence[Record]) -> int:
        self.partitions[partition].extend(records)
        self.ever.extend((partition, record) for record in records)
        return len(self.partitions[partition])


@dataclass(frozen=True)
class Rules:
    """The code that lives in a world: the real one, or one with a planted bug."""

    relay: type[Relay] = Relay
    consumer: type[Consumer] = Consumer
    unit: type[Things] = Things
    journal: type[WorldJournal] = WorldJournal
    log: type[WorldLog] = WorldLog


@dataclass
class World:
    """The service that tells, its journal, the log, and the service that listens."""

    seed: int
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        self.chaos = Chaos(random.Random(self.seed))
        self.journal = self.rules.journal(self.chaos)
        self.log = self.rules.log(self.chaos)
        self.source: Memory[Things] = Memory(self.rules.unit, now=DAY)
        self.target: Memory[Things] = Memory(Things, now=DAY)
        self.tasks: list[asyncio.Task[None]] = []

    async def write(self, count: int) -> None:
        for _ in range(count):
            self.source.now = DAY + timedelta(seconds=self.chaos.dice.randint(-3600, 3600))
            await self.source.run(count_up, self.chaos.dice.choice(THINGS))
            for entry in self.source.journal[len(self.journal.stored) :]:
                self.journal.stored[entry["_id"]] = dict(entry)
            await asyncio.sleep(0)

    def relaying(self) -> Relay:
        async def connect() -> WorldLog:
            await self.chaos.moment()
            return self.log

        return self.rules.relay(
            self.journal,
            connect,
            PARTITIONS,
            limit=self.chaos.dice.randint(1, 7),
            look_every=0 if self.chaos.calm else self.chaos.dice.choice((0, 1)),
        )

    async def relay(self) -> None:
        """A relay's life, as `Relay.run` has it; while it is idle, others may overtake it."""
        relay = self.relaying()
        for _ in range(6):
            try:
                await relay.drain()
            except (ConnectionError, RecordsLost):
                await relay.disconnect()
            for _ in range(self.chaos.dice.randint(0, MOST_IDLE)):
                await asyncio.sleep(0)

    async def drained(self) -> None:
        relay = self.relaying()
        for _ in range(100):
            try:
                if not await relay.drain():
                    return
            except RecordsLost:
                await relay.disconnect()
        raise AssertionError("the relay never comes to an end")

    async def consume(self) -> None:
        consumer = self.consumer()
        places = await consumer.assigned(PARTITIONS, await self.log.identities())
        for _ in range(6):
            await self.poll(consumer, places)

    def consumer(self) -> Consumer:
        async def commit(write_set: WriteSet) -> None:
            await self.chaos.moment()
            self.target.apply(write_set)
            await self.chaos.answer()

        def unit(circumstances: Circumstances) -> Things:
            return Things(self.target.documents, self.target.keyring, circumstances)

        return self.rules.consumer(
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
        if records:
            places.update(await consumer.handle(records))

    async def consumed(self) -> None:
        consumer = self.consumer()
        places = await consumer.assigned(PARTITIONS, await self.log.identities())
        for _ in range(MOST_POLLS):
            await self.poll(consumer, places)
            ends = [places[p] >= len(self.log.partitions[p]) for p in PARTITIONS]
            if all(ends) and not consumer.gaps:
                return
        raise AssertionError(f"gaps never closed: {consumer.gaps}")

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Somebody who may be killed, or meet what only time cures; a successor comes later."""

        async def alone() -> None:
            try:
                await work
            except (Killed, ConnectionError, Conflict, Unavailable):
                return

        self.tasks.append(asyncio.create_task(alone()))

    async def live(self, *, lossy: bool) -> None:
        """Rounds in which all of them run at once, then calm: everyone who is left ends, and a last relay drains.

        lossy: the brokers lose what they acknowledged, from time to time.
        """
        dice = self.chaos.dice
        for _ in range(ROUNDS):
            for _ in range(dice.randint(1, 2)):
                self.begin(self.relay())
            for _ in range(dice.randint(0, 2)):
                self.begin(self.consume())
            await self.write(dice.randint(1, 8))
            for _ in range(dice.randint(1, TURNS)):
                await asyncio.sleep(0)
            if lossy and dice.random() < 0.5:
                dice.choice((self.log.lose_the_cluster, self.log.make_the_topic_anew, self.log.lose_the_end))()
            if dice.random() < 0.5:
                self.log.arrive()
            if dice.random() < 0.5:
                self.chaos.thaw()
        self.chaos.calm = True
        self.chaos.thaw()
        await asyncio.gather(*self.tasks)
        self.log.arrive()
        await self.drained()

    # What is looked at from outside --------------------------------------------------------------------------------

    def numbers(self) -> dict[Partition, list[int]]:
        return {p: [int(dict(r.headers)["ce_sequence"]) for r in records] for p, records in self.log.partitions.items()}

    def told(self) -> set[tuple[Partition, bytes, bytes]]:
        """(partition, id, number) of everything that ever was in a log."""
        return {(p, h["ce_id"], h["ce_sequence"]) for p, r in self.log.ever if (h := dict(r.headers))}

    def there(self) -> set[str]:
        """The ids of what is in the log now."""
        return {dict(r.headers)["ce_id"].decode() for records in self.log.partitions.values() for r in records}

    def effects(self) -> dict[str, list[str]]:
        return {id_: d["tags"] for id_, d in self.target.documents.collections.get("things", {}).items()}

    def expected(self) -> dict[str, list[str]]:
        things = self.source.documents.collections.get("things", {})
        return {id_: [str(n) for n in range(1, d["count"] + 1)] for id_, d in things.items()}


def _nobody_hears(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """How a task ended that one who was killed had begun, is told to nobody; anything else is."""
    if not isinstance(context.get("exception"), Killed | ConnectionError):
        loop.default_exception_handler(context)


async def survives(seed: int, *, lossy: bool, rules: Rules | None = None) -> World:
    """A world lived to its end. Raises AssertionError where something was lost, doubled or out of order."""
    asyncio.get_running_loop().set_exception_handler(_nobody_hears)
    world = World(seed, rules or Rules())
    await world.live(lossy=lossy)
    written = set(world.journal.stored)
    assert not any(e.get("unsent") for e in world.journal.stored.values()), "something stays unsent"
    assert world.there() == written, "the log lacks an event, or has one too many"
    assert len({(p, number) for p, _, number in world.told()}) == len(written), "a number was given twice"
    assert len(world.told()) == len(written), "an event has two numbers"
    for partition, numbers in world.numbers().items():
        first = list(dict.fromkeys(numbers))
        wanted = list(range(1, len(first) + 1))
        assert (sorted(first) if lossy else first) == wanted, f"first occurrences of {partition}: {first}"
    await world.consumed()
    assert world.effects() == world.expected(), "effects are not what happened, once and in order"
    return world
