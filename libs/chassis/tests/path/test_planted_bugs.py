"""The simulation finds what it is meant to find: each planted bug breaks one rule of the path, and must be caught.

A mutant that survives means that the simulation has grown blind, or that the rule is no longer needed.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from rapport_chassis.consumer import Consumer, Cursor, Gap, Item
from rapport_chassis.journal import Batch, Partition
from rapport_chassis.records import RawRecord, number_of
from rapport_chassis.relay import Record, Relay, _record
from rapport_chassis.write_set import ANY, Write, WriteSet

from libs.chassis.tests.path.simulation import Killed, Rules, WorldJournal, WorldLog, survives
from libs.chassis.tests.things import Things

MOST_WORLDS = 400
"""In which a mutant has to be found; half of them with brokers that lose what they acknowledged."""

Plan = dict[Partition, Cursor]


class NumbersReservedAfterSending(Relay):
    async def _reserve(self, partition: Partition, entries: list[dict[str, Any]]) -> Batch | None:
        tail = self._tails[partition]
        if tail is not None and tail.offset is None:
            return await super()._reserve(partition, entries)
        return Batch(partition, tail.next if tail else 1, tuple(e["_id"] for e in entries))

    async def _send_new(self, batch: Batch, entries: list[dict[str, Any]]) -> Batch:
        records = [_record(e["envelope"], batch.first + i) for i, e in enumerate(entries)]
        _, last = await self._connected().append(batch.partition, records)
        self._tails.pop(batch.partition)
        if not await self.journal.reserve(batch):
            raise ConnectionError("another relay was faster")
        return replace(batch, offset=last, log=self._identities[batch.partition.topic])


class TailReadAfterTheUnsent(Relay):
    async def _reserve(self, partition: Partition, entries: list[dict[str, Any]]) -> Batch | None:
        self._tails.pop(partition, None)
        await self._tail(partition)
        return await super()._reserve(partition, entries)


class InFlightNotSentAgain(Relay):
    async def _recover(self, partition: Partition) -> None:
        """A successor looks at nothing."""

    async def _tail(self, partition: Partition) -> Batch | None:
        tail = await super()._tail(partition)
        if tail is not None and tail.offset is None:
            self._tails[partition] = replace(tail, offset=-1)
        return self._tails[partition]


class MarkedSentBeforeTheAck(Relay):
    async def _send(self, batches: Sequence[Batch], entries: list[dict[str, Any]] | None = None) -> list[Batch]:
        partition = batches[0].partition
        end = (await self._connected().ends([partition]))[partition]
        for batch in batches:
            end += len(batch.ids)
            await self.journal.finish(replace(batch, offset=end - 1, log=self._identities[partition.topic]))
        return await super()._send(batches, entries)


class LossNotLookedFor(WorldLog):
    async def holds(self, partition: Partition, offset: int, number: int) -> bool:
        await super().holds(partition, offset, number)
        return True


class PlaceOfTheFirstRecordKept(WorldLog):
    """A batch that lost its end only looks whole."""

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        first, _ = await super().append(partition, records)
        return first, first

    async def holds(self, partition: Partition, offset: int, number: int) -> bool:
        await self.chaos.moment()
        return offset < len(self.partitions[partition])


class TopicsHaveNoIdentity(WorldLog):
    def named(self) -> dict[str, str]:
        return dict.fromkeys(super().named(), f"cluster {self.cluster}")


class SecondRelayNotFenced(WorldJournal):
    async def reserve(self, batch: Batch) -> bool:
        if (batch.partition, batch.first) in self.taken:
            await self.chaos.moment()
            self.taken[batch.partition, batch.first] = batch
            return True
        return await super().reserve(batch)


class ReadAgainBeforeItIsNoted(WorldJournal):
    async def unsent(self, limit: int, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        return await super().unsent(limit)


class NotedInAnyOrder(Relay):
    async def _note(self, acknowledged: Sequence[Batch]) -> None:
        self._unnoted += acknowledged
        for batch in acknowledged:
            asyncio.get_running_loop().create_task(self._note_one(batch))

    async def _note_one(self, batch: Batch) -> None:
        with suppress(Killed, ConnectionError):
            await self.journal.finish(batch)
            if batch in self._unnoted:
                self._unnoted.remove(batch)


class LooksAheadPastAnother(Relay):
    """Sends what it had read before it learnt of another relay's batch."""

    def _forget_ahead(self) -> None:
        """It is kept."""


class OnlyTheLastSentAgain(WorldJournal):
    """Of several that were not noted."""

    async def first_elsewhere(self, partition: Partition, log: str) -> int | None:
        await self.chaos.moment()
        last = self._batches(partition)[-1:]
        if last and last[0].offset is None:
            return last[0].first
        return await super().first_elsewhere(partition, log)


class SortedByWallClock(Things):
    async def write_set(self) -> WriteSet:
        self.positions.clear()
        return await super().write_set()


class CursorOutsideTheTransaction(Consumer):
    async def _commit(self, write_set: WriteSet, items: Sequence[Item]) -> None:
        await self.commit(write_set)
        await super()._commit(WriteSet(), items)


class CursorBeforeTheTransaction(Consumer):
    async def _commit(self, write_set: WriteSet, items: Sequence[Item]) -> None:
        await super()._commit(WriteSet(), items)
        await self.commit(write_set)


class CursorWrittenWithoutItsVersion(Consumer):
    def _cursor_write(self, partition: Partition, cursor: Cursor) -> Write:
        return replace(super()._cursor_write(partition, cursor), expected=ANY)


class PlansDifferently(Consumer):
    """Changes what the consumer believes of its place before each record."""

    def believed(self, cursor: Cursor, number: int) -> Cursor:
        return cursor

    def _plan(
        self,
        records: Sequence[RawRecord],
        cursors: Plan,
        gaps: dict[Partition, Gap],
        seeks: dict[Partition, int],
    ) -> list[Item]:
        items: list[Item] = []
        for record in records:
            partition = Partition(record.topic, record.partition)
            number = number_of(record.headers)
            if partition in seeks:
                continue
            if partition in cursors and number is not None:
                cursors[partition] = self.believed(cursors[partition], number)
            items += super()._plan([record], cursors, gaps, seeks)
        return items


class NumberLeftOutIsAccepted(PlansDifferently):
    def believed(self, cursor: Cursor, number: int) -> Cursor:
        return replace(cursor, number=number - 1) if number == cursor.number + 2 else cursor


class SameNumberIsAppliedAgain(PlansDifferently):
    def believed(self, cursor: Cursor, number: int) -> Cursor:
        return replace(cursor, number=number - 1) if number == cursor.number else cursor


class PlaceNotProven(Consumer):
    def _places(self) -> dict[Partition, int]:
        super()._places()
        self._unproven.clear()
        return {partition: cursor.offset for partition, cursor in self.positions.items()}


class OffsetsOfAnotherLogTrusted(PlaceNotProven):
    async def _cursors(self, partitions: Any) -> Plan:
        found = await super()._cursors(partitions)
        stored = self.documents.collections.get("cursors", {})
        return {p: replace(c, offset=stored[str(p)]["offset"]) if str(p) in stored else c for p, c in found.items()}


MUTANTS = {
    "numbers reserved after sending": Rules(relay=NumbersReservedAfterSending),
    "tail read after the unsent": Rules(relay=TailReadAfterTheUnsent),
    "batch in flight not sent again on start": Rules(relay=InFlightNotSentAgain),
    "marked sent before the acknowledgement": Rules(relay=MarkedSentBeforeTheAck),
    "numbers taken without compare-and-set": Rules(journal=SecondRelayNotFenced),
    "read again before it is noted": Rules(journal=ReadAgainBeforeItIsNoted),
    "looks ahead past another's batch": Rules(relay=LooksAheadPastAnother),
    "noted in any order": Rules(relay=NotedInAnyOrder),
    "only the last of several not noted sent again": Rules(journal=OnlyTheLastSentAgain),
    "sorted by wall clock": Rules(unit=SortedByWallClock),
    "records of the brokers not looked at": Rules(log=LossNotLookedFor),
    "place of a batch's first record kept": Rules(log=PlaceOfTheFirstRecordKept),
    "topics have no identity": Rules(log=TopicsHaveNoIdentity, consumer=PlaceNotProven),
    "cursor outside the transaction": Rules(consumer=CursorOutsideTheTransaction),
    "cursor before the transaction": Rules(consumer=CursorBeforeTheTransaction),
    "cursor written without its version": Rules(consumer=CursorWrittenWithoutItsVersion),
    "number left out is accepted": Rules(consumer=NumberLeftOutIsAccepted),
    "same number is applied again": Rules(consumer=SameNumberIsAppliedAgain),
    "offsets of another log trusted": Rules(consumer=OffsetsOfAnotherLogTrusted),
}


def worlds_until_found(rules: Rules) -> int | None:
    """How many worlds it takes, None where the bug survives all of them."""
    for seed in range(MOST_WORLDS):
        try:
            asyncio.run(survives(seed, lossy=seed % 2 == 1, rules=rules))
        except AssertionError:
            return seed + 1
    return None


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("bug", MUTANTS)
def test_the_simulation_finds(bug: str) -> None:
    found = worlds_until_found(MUTANTS[bug])
    assert found is not None, f"survived {MOST_WORLDS} worlds"
    print(f"{bug}: found in world {found}")  # noqa: T201 - seen with -s
