"""Making a service's projection anew: the next generation, from the first event on, compared with the one in force,
then put in its place by one transaction.

The events come from the topics, through the same use cases and the same consumer, into collections of their own; what a
topic has lost its owner's journal still has, and `republish` puts back. Events of several partitions are applied in the
order of their times. Nothing is emitted meanwhile, and nothing but the new generation is written.

- The comparison is exact although responses keep coming: the old generation is read as of one moment (a snapshot of
  the store), and the new one is brought to just the numbers that the cursors had at that moment.
- The swap first holds the consumers: their cursors get a new version, so that none of them can commit. It takes
  milliseconds, and who dies in between holds them for `consumer.HOLD` seconds at most. Then, in one transaction, all
  of it: the number of the generation in force, provided that no cursor moved and no command wrote since the comparison.
- A process that dies leaves a generation that was never in force; the next rebuild deletes it and begins again.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import secrets
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from rapport_events.catalog import TOPICS

from rapport_chassis import dead_letters
from rapport_chassis.brokers import connection, ensure_topics, logs
from rapport_chassis.consumer import Consumer, Cursor, beginning
from rapport_chassis.ending import end
from rapport_chassis.errors import Conflict
from rapport_chassis.generation import (
    BEGINNINGS,
    CURRENT,
    CURSORS,
    GENERATIONS,
    LETTERS,
    REBUILD,
    TOUCHED,
    Generation,
    Projection,
    others,
)
from rapport_chassis.journal import Partition
from rapport_chassis.records import number_of
from rapport_chassis.runtime import CHASSIS_INDEXES, prepare
from rapport_chassis.unit_of_work import Circumstances, UnitOfWork
from rapport_chassis.write_set import ABSENT, Write, WriteSet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from rapport_chassis.documents import Document
    from rapport_chassis.records import RawRecord
    from rapport_chassis.runtime import Runtime
    from rapport_chassis.service import Service

log = structlog.get_logger(__name__)

BATCH = 2_000
"""Records applied at once."""
CLOSE = 5_000
"""Events behind the live consumer from which the moment of comparison may be chosen."""
MOST_TOLD = 500
"""Differences that are told one by one; all are counted."""
ALIVE_EVERY, GONE_AFTER = 2.0, 10.0
"""Seconds: how often a rebuild says that it is at work, and when another one may take its place."""
SETTLED = 10.0
"""Seconds after a swap until the old generation may be deleted: a process looks for the one in force every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`compare_only`: never swap. `accept`: swap although figures differ; takes up a rebuild that ended with that."""

    compare_only: bool = False
    accept: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that two generations do not agree on; `field` is empty where one of them lacks the document."""

    collection: str
    id: str
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rebuild ended: `swapped`, `equal` (and not swapped, as was wished) or `differs` (and therefore not swapped)."""

    state: str
    generation: int
    events: int
    differences: int


class Reader:
    """Partitions read from given places on: each number once, in order, and all of them merged by time.

    A record that no relay numbered is given where it lies. `lacks(partition, number)` is called when all there is has
    been read and a number is not among it; it is waited for.
    """

    def __init__(
        self, kafka: AIOKafkaConsumer, cursors: Mapping[Partition, Cursor], lacks: Callable[[Partition, int], None]
    ) -> None:
        self._kafka = kafka
        self._lacks = lacks
        self._places = {partition: TopicPartition(partition.topic, partition.number) for partition in cursors}
        self._wanted = {partition: cursor.number + 1 for partition, cursor in cursors.items()}
        self._given = {partition: cursor.number for partition, cursor in cursors.items()}
        self._waiting: dict[Partition, deque[RawRecord]] = {partition: deque() for partition in cursors}
        self._whole = {partition: cursor.offset == 0 for partition, cursor in cursors.items()}
        self._ends: dict[Partition, int] = {}
        kafka.assign(list(self._places.values()))
        for partition, cursor in cursors.items():
            kafka.seek(self._places[partition], cursor.offset)

    async def up_to(self, targets: Mapping[Partition, int]) -> AsyncIterator[list[RawRecord]]:
        """Batches of records until the last number given of each partition is its target. Raises KafkaError."""
        batch: list[RawRecord] = []
        while due := [p for p, number in targets.items() if self._given[p] < number]:
            empty = [p for p in due if not self._waiting[p]]
            if empty:
                if batch:
                    yield batch
                    batch = []
                await self._fetch(empty)
                continue
            heads = [(self._time(p), p) for p in due]
            heapq.heapify(heads)
            while heads and len(batch) < BATCH:
                _, partition = heapq.heappop(heads)
                record = self._waiting[partition].popleft()
                batch.append(record)
                self._given[partition] = number_of(record.headers) or self._given[partition]
                if self._given[partition] < targets[partition]:
                    if not self._waiting[partition]:
                        break  # what comes next on it may be earlier than what waits on the others
                    heapq.heappush(heads, (self._time(partition), partition))
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _time(self, partition: Partition) -> int:
        return int(getattr(self._waiting[partition][0], "timestamp", 0))

    async def _fetch(self, partitions: Sequence[Partition]) -> None:
        found = await self._kafka.getmany(*(self._places[p] for p in partitions), timeout_ms=200)
        for place, records in found.items():
            self._take(Partition(place.topic, place.partition), records)
        if any(self._waiting[p] for p in partitions):
            return
        ends = await self._kafka.end_offsets([self._places[p] for p in partitions])
        for partition in partitions:
            place = self._places[partition]
            if await self._kafka.position(place) < ends[place]:
                continue
            if not self._whole[partition] or self._ends.get(partition, ends[place]) != ends[place]:
                self._whole[partition] = True
                self._ends.pop(partition, None)
                self._kafka.seek(place, 0)
            elif partition not in self._ends:
                self._ends[partition] = ends[place]
                self._lacks(partition, self._wanted[partition])

    def _take(self, partition: Partition, records: Iterable[RawRecord]) -> None:
        for record in records:
            number = number_of(record.headers)
            if number == self._wanted[partition]:
                self._wanted[partition] += 1
                self._whole[partition] = False  # what comes next may lie before it
                self._ends.pop(partition, None)
            elif number is not None:
                continue  # had it, or cannot have it yet: then another pass will
            self._waiting[partition].append(record)


@dataclass(slots=True)
class Rebuild:
    """One rebuild. `tell` hears what it does: {"stage": …} with figures, {"lacks": …}, {"difference": …}."""

    service: Service
    runtime: Runtime
    projection: Projection
    tell: Callable[[dict[str, Any]], None]
    generation: Generation = field(init=False)
    consumer: Consumer = field(init=False)
    reader: Reader = field(init=False)
    events: int = 0
    _heads: dict[Partition, int] = field(default_factory=dict)
    """Of partitions whose cursors are lost: nobody knows how far they were applied, so all of it is."""
    _claim: int = 0
    _told: float = 0.0

    async def run(self, wish: Wish) -> Outcome:
        """Raises KafkaError, PyMongoError; then nothing has changed."""
        last = await self._claimed()
        alive = asyncio.create_task(self._stay_alive(), name="rebuild-alive")
        try:
            async with self._begun(last, wish):
                return await self._made(wish)
        except Exception:
            with contextlib.suppress(PyMongoError):
                await self._note("failed")
            raise
        finally:
            await end([alive])

    async def drop_old(self) -> list[int]:
        """Delete every generation but the one in force; their numbers."""
        await self._claimed()
        dropped = await self._drop_others((await self.runtime.renew()).generation)
        await self._note("idle")
        return dropped

    # ------------------------------------------------------------------------------------------------------------------

    async def _made(self, wish: Wish) -> Outcome:
        while True:
            await self._come_close()
            async with self.runtime.client.start_session(snapshot=True) as session:
                touched = await self._at_one_moment(session)
                await self._finish()
                differences = await self._compare(session)
            if differences and not wish.accept:
                return await self._ended("differs", differences)
            if wish.compare_only:
                return await self._ended("equal" if not differences else "differs", differences)
            self._say("swapping", now=True)
            if await self._swapped(touched, differences):
                log.info("another generation is in force", generation=self.generation.number, differences=differences)
                return Outcome("swapped", self.generation.number, self.events, differences)
            self._say("a command wrote meanwhile: comparing again", now=True)

    @contextlib.asynccontextmanager
    async def _begun(self, last: Document, wish: Wish) -> AsyncIterator[None]:
        """The new generation, its consumer and its reader."""
        current = (await self.runtime.renew()).generation
        if wish.accept and last.get("state") == "differs" and last["generation"] > current.number:
            self.generation = replace(current, number=last["generation"])
        else:
            self.generation = replace(current, number=max(current.number, last.get("generation", 0)) + 1)
            await self._drop_others(current)
        await self._note("building")
        settings = self.runtime.settings
        await prepare(
            self.runtime.client, settings, self.service.unit, (*CHASSIS_INDEXES, *self.service.indexes), self.generation
        )
        topics = sorted({event.topic for event in self.service.consumes})
        await ensure_topics(settings, topics)
        self.consumer = Consumer(
            group=self.service.name,
            handlers=self.service.consumes,
            new_unit=self.runtime.unit,
            commit=self._commit,
            documents=self.runtime.documents.of(self.generation),
            after_batch=self.service.after_batch,
            proving=False,  # the reader looks at every number
            most_in_a_row=1_000_000_000,  # a release that understands nothing shows in the comparison
        )
        partitions = [Partition(topic, n) for topic in topics for n in range(TOPICS[topic].partitions)]
        await self.consumer.assigned(partitions, await logs(settings, topics))
        kafka = AIOKafkaConsumer(
            **connection(settings),
            client_id=f"{settings.service}-rebuild",
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await kafka.start()
        try:
            self._heads = {p: await _head(kafka, p) for p in await self._lost()}
            self.reader = Reader(kafka, self.consumer.positions, self._lacks)
            yield
        finally:
            await kafka.stop()

    async def _come_close(self) -> None:
        """Apply what the live consumer has applied, until little is missing."""
        while True:
            targets = self._heads | _numbers(await self._live())
            behind = sum(max(0, n - self.consumer.positions[p].number) for p, n in targets.items())
            await self._apply(targets)
            if behind <= CLOSE:
                return

    async def _at_one_moment(self, session: AsyncClientSession) -> int:
        """Bring the new generation to where the old one was when the session began; the version of `touched` then."""
        mark = await self.runtime.database[GENERATIONS].find_one({"_id": TOUCHED}, session=session)
        await self._apply(self._heads | _numbers(await self._live(session)))
        return int(mark["version"]) if mark else ABSENT

    async def _finish(self) -> None:
        self._say("judging", now=True)
        unit = self._unit(self.generation)
        await self.projection.finish(unit, self._unit(self._current))
        await self._commit(await unit.write_set())

    async def _compare(self, session: AsyncClientSession) -> int:
        """How many values differ; each is told, up to a limit."""
        self._say("comparing", now=True)
        database = self.runtime.database
        found = 0
        for collection, ignored in sorted(self.projection.compared.items()):
            old = database[self._current.name(collection)].find({}, session=session).sort("_id", 1)
            new = _majority(database, self.generation.name(collection)).find({}).sort("_id", 1)
            async for difference in _differences(collection, old, new, ignored):
                found += 1
                if found <= MOST_TOLD:
                    self.tell(
                        {
                            "difference": {
                                "collection": difference.collection,
                                "id": difference.id,
                                "field": difference.field,
                                "old": difference.old,
                                "new": difference.new,
                            }
                        }
                    )
        return found

    async def _swapped(self, touched: int, differences: int) -> bool:
        """Put the new generation in force. False where a command wrote to the old one since it was compared."""
        while True:
            try:
                held = await self._hold()
                await self._apply(_numbers(held))
                await self._commit_swap(held, touched, differences)
            except Conflict:
                if await self._states().find_one({"_id": REBUILD, "version": self._claim}) is None:
                    raise  # another rebuild took our place
                if await self._states().find_one({"_id": TOUCHED, "version": touched}) is None:
                    return False
            else:
                return True

    async def _hold(self) -> dict[Partition, Document]:
        """Keep the live consumers from committing, for some seconds; their cursors."""
        while True:
            live = await self._live()
            lost = await self._lost()  # nobody applies them any more, and they are not to begin here
            held = {p: {**_cursor(p), **live.get(p, {})} for p in self.consumer.positions if p not in lost}
            writes = [replace(beginning(p), collection=self._current.name(BEGINNINGS)) for p in held if p not in live]
            for document in held.values():
                expected = document["version"]
                document.update(version=expected + 1, held=True)
                writes.append(Write(self._current.name(CURSORS), document["_id"], document, expected))
            try:
                await self.runtime.committer.commit(WriteSet(writes))
            except Conflict:
                continue  # a consumer was faster
            return held

    async def _commit_swap(self, held: Mapping[Partition, Document], touched: int, differences: int) -> None:
        """All of it in one transaction. Raises Conflict."""
        unit = self._unit(self.generation)
        await self.projection.announce(unit, self._unit(self._current))
        told = await unit.write_set()
        outside = [w for w in told.writes if w.collection not in self.generation.collections]
        pointer = {"_id": CURRENT, "version": self.generation.number}
        ended = {**self._state("swapped"), "differences": differences, "version": self._claim + 1}
        ended["swapped_at"] = ended["alive_at"] = unit.now
        writes = [
            *outside,
            Write(GENERATIONS, CURRENT, pointer, self._current.number),
            Write(GENERATIONS, TOUCHED, {"_id": TOUCHED, "version": 1 + secrets.randbits(48)}, touched),
            Write(GENERATIONS, REBUILD, ended, self._claim),
            *await self._letters_to_try(),
        ]
        for document in held.values():
            moved = {**document, "version": document["version"] + 1}
            writes.append(Write(self._current.name(CURSORS), document["_id"], moved, document["version"]))
        await self.runtime.committer.commit(WriteSet(writes, told.journal))

    async def _letters_to_try(self) -> list[Write]:
        """Letters that the old generation has no more: they were replayed there, so they are here."""
        database = self.runtime.database
        old = {each["_id"] async for each in _majority(database, self._current.name(LETTERS)).find({}, {"_id": 1})}
        name = self.generation.name(LETTERS)
        writes = []
        async for letter in _majority(database, name).find({"key": {"$ne": None}}):
            if letter["_id"] not in old:
                again = {**letter, "state": dead_letters.REPLAY, "version": letter["version"] + 1}
                writes.append(Write(name, letter["_id"], again, letter["version"]))
        return writes

    async def _apply(self, targets: Mapping[Partition, int]) -> None:
        whole = sum(targets.values())
        async for records in self.reader.up_to(targets):
            if await self.consumer.handle(records):
                raise Conflict("another rebuild writes to this generation")
            self.events += len(records)
            self._say("applying", applied=sum(c.number for c in self.consumer.positions.values()), of=whole)

    async def _commit(self, write_set: WriteSet) -> None:
        """Of what a use case changes the new generation only, and of what it tells nothing: the world knows it."""
        own = [w for w in write_set.writes if w.database is None and w.collection in self.generation.collections]
        await self.runtime.committer.commit(WriteSet(own, generation=self.generation))

    async def _live(self, session: AsyncClientSession | None = None) -> dict[Partition, Document]:
        """The cursors of the generation in force."""
        name = self._current.name(CURSORS)
        found = (
            self.runtime.database[name].find({}, session=session)
            if session is not None
            else _majority(self.runtime.database, name).find({})
        )
        cursors = {Partition(each["topic"], each["partition"]): each async for each in found}
        return {partition: each for partition, each in cursors.items() if partition in self.consumer.positions}

    async def _lost(self) -> set[Partition]:
        """Partitions that were begun in the generation in force, and have no cursor any more."""
        beginnings = _majority(self.runtime.database, self._current.name(BEGINNINGS))
        begun = {each["_id"] async for each in beginnings.find({})}
        live = await self._live()
        return {p for p in self.consumer.positions if str(p) in begun and p not in live}

    @property
    def _current(self) -> Generation:
        return self.runtime.documents.generation

    def _unit(self, generation: Generation) -> UnitOfWork:
        unit = self.runtime.unit(Circumstances(source=f"urn:rapport:{self.service.name}", actor=self.service.name))
        unit.documents = self.runtime.documents.of(generation)
        return unit

    # Who is at work --------------------------------------------------------------------------------------------------

    async def _claimed(self) -> Document:
        """Be the one rebuild of this service, once no other is at work; what the last one left."""
        state = self._states()
        free = [
            {"state": {"$ne": "building"}},
            {"$expr": {"$lt": ["$alive_at", {"$subtract": ["$$NOW", int(GONE_AFTER * 1000)]}]}},
        ]
        await state.update_one({"_id": REBUILD}, {"$setOnInsert": {"version": 1, "state": "idle"}}, upsert=True)
        while True:
            with contextlib.suppress(DuplicateKeyError):
                last: Document | None = await state.find_one_and_update(
                    {"_id": REBUILD, "$or": free},
                    {"$inc": {"version": 1}, "$set": {"state": "building"}, "$currentDate": {"alive_at": True}},
                    return_document=ReturnDocument.BEFORE,
                )
                if last is not None:
                    self._claim = last["version"] + 1
                    return last
            self._say("waiting for another rebuild, at work or just dead")
            await asyncio.sleep(0.5)

    async def _stay_alive(self) -> None:
        while True:
            await self._states().update_one(
                {"_id": REBUILD, "version": self._claim}, {"$currentDate": {"alive_at": True}}
            )
            await asyncio.sleep(ALIVE_EVERY)

    async def _ended(self, state: str, differences: int) -> Outcome:
        await self._note(state, differences=differences)
        return Outcome(state, self.generation.number, self.events, differences)

    async def _note(self, state: str, **more: Any) -> None:
        changed = {**self._state(state), **more}
        await self._states().update_one({"_id": REBUILD, "version": self._claim}, {"$set": changed})

    def _state(self, state: str) -> Document:
        made = getattr(self, "generation", None)
        return {"_id": REBUILD, "state": state} | ({"generation": made.number} if made else {})

    def _states(self) -> Any:
        return _majority(self.runtime.database, GENERATIONS)

    async def _drop_others(self, current: Generation) -> list[int]:
        """Delete all generations but this one; the one before only once nobody can be reading it any more."""
        names = await self.runtime.database.list_collection_names()
        old = {number: found for number, found in others(names, current).items() if number != current.number}
        if any(number < current.number for number in old):
            recent = {
                "_id": REBUILD,
                "$expr": {"$gt": ["$swapped_at", {"$subtract": ["$$NOW", int(SETTLED * 1000)]}]},
            }
            while await self._states().find_one(recent):
                self._say("waiting until nobody reads the old generation")
                await asyncio.sleep(0.5)
        for found in old.values():
            for name in found:
                await self.runtime.database.drop_collection(name)
        return sorted(old)

    def _say(self, stage: str, *, now: bool = False, **figures: int) -> None:
        """Twice a second at most, unless it matters."""
        if now or time.monotonic() - self._told > 0.5:  # noqa: PLR2004 - said above
            self._told = time.monotonic()
            self.tell({"stage": stage, **figures})

    def _lacks(self, partition: Partition, number: int) -> None:
        log.error("the topic lacks an event: republish it", partition=str(partition), number=number)
        self.tell({"lacks": {"topic": partition.topic, "partition": partition.number, "first": number}})


async def rebuild(service: Service, runtime: Runtime, wish: Wish, tell: Callable[[dict[str, Any]], None]) -> Outcome:
    """Make a service's projection anew. Raises ValueError where it has none, KafkaError, PyMongoError."""
    return await _of(service, runtime, tell).run(wish)


async def drop_old(service: Service, runtime: Runtime, tell: Callable[[dict[str, Any]], None]) -> list[int]:
    """Delete the generations that are no longer in force, and those that never were; their numbers."""
    return await _of(service, runtime, tell).drop_old()


def _of(service: Service, runtime: Runtime, tell: Callable[[dict[str, Any]], None]) -> Rebuild:
    if service.projection is None:
        raise ValueError(f"{service.name} declares no projection that could be made anew")
    return Rebuild(service, runtime, service.projection, tell)


def _majority(database: Any, collection: str) -> Any:
    return database[collection].with_options(
        read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", j=True)
    )


async def _head(kafka: AIOKafkaConsumer, partition: Partition) -> int:
    """The highest number on a partition. What was sent again lies behind it, so all of it is read."""
    place = TopicPartition(partition.topic, partition.number)
    kafka.assign([place])
    kafka.seek(place, 0)
    head = 0
    end = (await kafka.end_offsets([place]))[place]
    while await kafka.position(place) < end:
        found = await kafka.getmany(place, timeout_ms=200)
        head = max([head, *(number_of(record.headers) or 0 for record in found.get(place, ()))])
    return head


def _numbers(cursors: Mapping[Partition, Document]) -> dict[Partition, int]:
    return {partition: cursor["number"] for partition, cursor in cursors.items()}


def _cursor(partition: Partition) -> Document:
    """Of a partition from which nothing was heard yet."""
    return {
        "_id": str(partition),
        "topic": partition.topic,
        "partition": partition.number,
        "offset": 0,
        "number": 0,
        "seen": 0,
        "log": "",
        "version": ABSENT,
    }


async def _differences(collection: str, old: Any, new: Any, ignored: frozenset[str]) -> AsyncIterator[Difference]:
    """Two collections side by side, both sorted by id."""
    left: Any = await anext(old, None)
    right: Any = await anext(new, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left["_id"] < right["_id"]):
            yield Difference(collection, left["_id"], "", "there", None)
            left = await anext(old, None)
        elif left is None or right["_id"] < left["_id"]:
            yield Difference(collection, right["_id"], "", None, "there")
            right = await anext(new, None)
        else:
            for path, one, other in _unequal(_without(left, ignored), _without(right, ignored)):
                yield Difference(collection, left["_id"], path, one, other)
            left, right = await anext(old, None), await anext(new, None)


def _without(document: Document, ignored: frozenset[str]) -> Document:
    return {name: value for name, value in document.items() if name not in ignored}


def _unequal(one: Any, other: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if one == other:
        return []
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [(path, one, other)]
    found = []
    for name in sorted(one.keys() | other.keys()):
        found += _unequal(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    return found
