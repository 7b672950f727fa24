"""What was sent one by one is sent again in rows: there may be millions of it, and new events wait behind it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from rapport_chassis.journal import Batch, Partition
from rapport_chassis.records import number_of
from rapport_chassis.relay import Record, Relay
from rapport_chassis.runtime import Runtime

from libs.chassis.tests.path.simulation import PARTITIONS, Rules, World, WorldLog

EVENTS = 40


@dataclass
class Watched(WorldLog):
    rows: list[int] = field(default_factory=list)

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        records = list(records)
        self.rows.append(len(records))
        return await super().append(partition, records)


@dataclass
class Shared(Watched):
    """Another relay's record comes to lie within every row."""

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        records = list(records)
        if len(records) == 1:
            return await super().append(partition, records)
        first, _ = await super().append(partition, records[:1])
        await super().append(partition, records[:1])
        _, last = await super().append(partition, records[1:])
        return first, last


async def filled_again(log: type[Watched]) -> World:
    world = World(1, Rules(log=log))
    world.chaos.calm = True
    for _ in range(EVENTS):
        await world.write(1)
        await world.drained()
    before = {p: [number_of(r.headers) for r in records] for p, records in world.log.partitions.items()}
    world.log.lose_the_cluster()
    world.log.rows.clear()

    async def connect() -> WorldLog:
        return world.log

    relay = Relay(world.journal, connect, PARTITIONS)
    while await relay.drain():
        pass
    for partition, numbers in before.items():
        there = [number_of(r.headers) for r in world.log.partitions[partition]]
        assert sorted(set(there)) == numbers
    for batch in world.journal.taken.values():
        assert batch.offset is not None
        assert await world.log.holds(batch.partition, batch.offset, batch.next - 1), batch
    return world


async def test_small_batches_are_sent_again_in_rows() -> None:
    world = await filled_again(Watched)
    assert len(world.log.rows) == sum(bool(records) for records in world.log.partitions.values())
    assert sum(world.log.rows) == EVENTS


async def test_where_others_lie_between_every_batch_still_knows_its_place() -> None:
    await filled_again(Shared)


async def test_batches_come_a_few_at_a_time_and_are_finished_together(
    opened: Callable[[str], Awaitable[Runtime]],
) -> None:
    journal = (await opened("source")).journal
    partition = Partition("feedback.wave", 0)
    batches = [Batch(partition, 1, ("a", "b")), Batch(partition, 3, ("c", "d", "e")), Batch(partition, 6, ("f",))]
    for batch in batches:
        assert await journal.reserve(batch)
    assert await journal.batches(partition, first_from=1, limit=2) == batches[:2]
    assert await journal.batches(partition, first_from=4, limit=1) == batches[1:2]
    assert await journal.batches(partition, first_from=6, limit=5) == batches[2:]
    assert await journal.batches(partition, first_from=7, limit=5) == []
    finished = [Batch(b.partition, b.first, b.ids, b.next - 2, "a log") for b in batches[:2]]
    await journal.finish(*finished)
    assert await journal.batches(partition, first_from=1, limit=9) == [*finished, batches[2]]
