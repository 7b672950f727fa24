"""The journal: a service's outbox that is kept.

An event is written here in the transaction that changes the state it tells of. The relay sends what is unsent and
notes every batch it sent, with its numbers; an entry stays after it was sent, so that an empty Kafka cluster can be
filled again with the same numbers, a figure explained and a projection rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from struct import iter_unpack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, ReadPreference, UpdateOne
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from rapport_events.catalog import TOPICS

from rapport_chassis.documents import Index, midnight_after

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import timedelta

    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase
    from rapport_events.envelope import Envelope

JOURNAL = "journal"
BATCHES = "journal_batches"
REPUBLISH = "journal_republish"

INDEXES = (
    Index(JOURNAL, ("pos",), partial={"unsent": True}),
    Index(JOURNAL, ("key", "pos")),
    Index(JOURNAL, ("expires_at",), expire_after=0),
    Index(BATCHES, ("topic", "partition", "-first")),
    Index(BATCHES, ("topic", "partition", "log", "first")),
)

_SEED, _MIX, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF

MAX_EVENT_BYTES = 900_000
"""A record and its headers must stay below the brokers' message.max.bytes (1 MiB)."""


class EventTooLarge(ValueError):
    """An event that no broker would take is refused in the request, so that the relay can never get stuck on it."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


def partition_of(topic: str, key: str) -> int:
    """Kafka's own rule (murmur2 over the key), computed by us so that the journal knows it before the broker does."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % TOPICS[topic].partitions


def murmur2(data: bytes) -> int:
    """The hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils), 32 bits.

    aiokafka has it too, byte by byte: three times as slow, at each event.
    """
    found = _SEED ^ len(data)
    whole = len(data) & ~3
    for (part,) in iter_unpack("<I", data[:whole]):
        part = part * _MIX & _WORD  # noqa: PLW2901 - as the algorithm is written down
        found = (found * _MIX ^ (part ^ part >> 24) * _MIX) & _WORD
    if whole < len(data):
        found = (found ^ int.from_bytes(data[whole:], "little")) * _MIX & _WORD
    found = (found ^ found >> 13) * _MIX & _WORD
    return found ^ found >> 15


def entry(envelope: Envelope, topic: str, pos: int) -> dict[str, Any]:
    """The journal's document of an event. `pos` orders the events of an aggregate: microseconds, never repeating.

    Raises EventTooLarge.
    """
    size = envelope.size()
    if size > MAX_EVENT_BYTES:
        raise EventTooLarge(f"the event would be {size} bytes, {MAX_EVENT_BYTES} are allowed")
    return {
        "_id": envelope.id,
        "topic": topic,
        "partition": partition_of(topic, envelope.partitionkey),
        "pos": pos,
        "key": envelope.partitionkey,
        "envelope": envelope.structured(),
        "unsent": True,
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that were given the numbers `first`, `first` + 1 … of their partition, in the order of `ids`."""

    partition: Partition
    first: int
    ids: tuple[str, ...]
    offset: int | None = None
    """Where the brokers put the last of them; None while the batch is in flight."""
    log: str | None = None
    """Which log that was (see `relay.Log.identities`): a new cluster's, or a new topic's, is another one."""

    @property
    def next(self) -> int:
        return self.first + len(self.ids)


class Journal:
    """The relay's view of a service's journal in MongoDB."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        keep: Mapping[str, timedelta] = MappingProxyType({}),
    ) -> None:
        """`keep`: how long a topic's sent events stay; a topic that is not named keeps them for ever."""
        self._keep = keep

        def majority(name: str) -> AsyncCollection[dict[str, Any]]:
            return database[name].with_options(
                read_concern=ReadConcern("majority"),
                write_concern=WriteConcern("majority", j=True),
                read_preference=ReadPreference.PRIMARY,
            )

        self._entries = majority(JOURNAL)
        self._moment = self._entries.with_options(read_concern=ReadConcern("snapshot"))
        self._batches = majority(BATCHES)
        self._republish = majority(REPUBLISH)

    async def unsent(self, limit: int, *, without: Collection[str] = ()) -> list[dict[str, Any]]:
        """What is committed and not yet sent, in the order of `pos`: one reply of the server, which bounds its bytes.

        As it was at one moment: a longer look sees what was committed meanwhile only where it has yet to come, and so
        might bring an event without the one of the same aggregate before it.
        """
        where: dict[str, Any] = {"unsent": True}
        if without:
            where["_id"] = {"$nin": list(without)}
        # A negative limit is how the driver is told that one reply is enough.
        return await self._moment.find(
            where, sort=[("pos", ASCENDING)], hint="pos_1", batch_size=limit, limit=-limit
        ).to_list()

    async def backlog(self, cap: int) -> tuple[int, int | None]:
        """How many are unsent (counted up to `cap`), and the `pos` (µs) of the oldest."""
        oldest = await self._entries.find_one({"unsent": True}, {"pos": 1}, sort=[("pos", ASCENDING)])
        if oldest is None:
            return 0, None
        return await self._entries.count_documents({"unsent": True}, limit=cap), oldest["pos"]

    async def unsent_of(self, topic: str, cap: int) -> int:
        """How many events of one topic are unsent, counted up to `cap`."""
        return await self._entries.count_documents({"unsent": True, "topic": topic}, limit=cap)

    async def unsent_data(self, topic: str, fields: Iterable[str], limit: int) -> list[dict[str, Any]]:
        """Of the first unsent events of a topic these fields of their data."""
        return await self._data({"unsent": True, "topic": topic}, fields, limit)

    async def data(self, ids: Sequence[str], fields: Iterable[str]) -> list[dict[str, Any]]:
        """Of these events these fields of their data, in any order; what is no longer kept is left out."""
        return await self._data({"_id": {"$in": list(ids)}}, fields, len(ids)) if ids else []

    async def _data(self, where: dict[str, Any], fields: Iterable[str], limit: int) -> list[dict[str, Any]]:
        shown = ["_id", *(f"envelope.data.{name}" for name in fields)]
        found = await self._entries.find(where, shown, limit=limit).to_list()
        return [each.get("envelope", {}).get("data", {}) for each in found]

    async def entries(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The entries of these ids, in this order; one whose time of keeping has passed is left out."""
        found = {e["_id"]: e async for e in self._entries.find({"_id": {"$in": list(ids)}})}
        return [found[i] for i in ids if i in found]

    async def last_batch(self, partition: Partition, *, below: int | None = None) -> Batch | None:
        """The last batch, or the last that begins before the number `below`."""
        where: dict[str, Any] = {"topic": partition.topic, "partition": partition.number}
        if below is not None:
            where["first"] = {"$lt": below}
        found = await self._batches.find_one(where, sort=[("first", DESCENDING)])
        return _batch(found) if found else None

    async def batches(self, partition: Partition, *, first_from: int, limit: int) -> list[Batch]:
        """The next `limit` batches, in order, beginning with the one that holds the number `first_from`."""
        holds = await self.last_batch(partition, below=first_from + 1)
        begin = holds.first if holds is not None and holds.next > first_from else first_from
        where = {"topic": partition.topic, "partition": partition.number, "first": {"$gte": begin}}
        return [_batch(d) async for d in self._batches.find(where).sort("first", ASCENDING).limit(limit)]

    async def first_elsewhere(self, partition: Partition, log: str) -> int | None:
        """The first number that this log does not have for sure: sent to another, or still in flight."""
        found = await self._batches.find_one(
            {"topic": partition.topic, "partition": partition.number, "log": {"$ne": log}},
            {"first": 1},
            sort=[("first", ASCENDING)],
        )
        return found["first"] if found else None

    async def reserve(self, batch: Batch) -> bool:
        """Take the batch's numbers. False where another relay has them: the unique id is the compare-and-set."""
        try:
            await self._batches.insert_one(
                {
                    "_id": f"{batch.partition}/{batch.first:012d}",
                    "topic": batch.partition.topic,
                    "partition": batch.partition.number,
                    "first": batch.first,
                    "ids": list(batch.ids),
                    "offset": None,
                    "log": None,
                },
            )
        except DuplicateKeyError:
            return False
        return True

    async def finish(self, *batches: Batch) -> None:
        """The brokers have these. Their entries leave the index of the unsent first, so a crash only resends.

        Those of one partition are noted in the order in which they are given.
        """
        ids: dict[str, list[str]] = {}
        for batch in batches:
            ids.setdefault(batch.partition.topic, []).extend(batch.ids)
        for topic, its in ids.items():
            sent: dict[str, Any] = {"$unset": {"unsent": ""}}
            if (stay := self._keep.get(topic)) is not None:
                sent["$set"] = {"expires_at": midnight_after(datetime.now(UTC) + stay)}
            await self._entries.update_many({"_id": {"$in": its}}, sent)
        await self._batches.bulk_write([UpdateOne(*_finished(batch)) for batch in batches])

    async def ask_republish(self, partition: Partition, first: int) -> None:
        """Leave word for the relay to send everything from this number again."""
        await self._republish.update_one(
            {"_id": str(partition)},
            {"$set": {"topic": partition.topic, "partition": partition.number}, "$min": {"first": first}},
            upsert=True,
        )

    async def asked_republish(self) -> list[tuple[Partition, int]]:
        return [(Partition(d["topic"], d["partition"]), d["first"]) async for d in self._republish.find()]

    async def republished(self, partition: Partition, first: int) -> None:
        await self._republish.delete_one({"_id": str(partition), "first": first})


def _batch(document: dict[str, Any]) -> Batch:
    return Batch(
        Partition(document["topic"], document["partition"]),
        document["first"],
        tuple(document["ids"]),
        document["offset"],
        document["log"],
    )


def _finished(batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {"_id": f"{batch.partition}/{batch.first:012d}"},
        {"$set": {"offset": batch.offset, "log": batch.log}},
    )
