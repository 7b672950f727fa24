"""Dead letters: events that could not be applied, and those parked behind them so that their order holds.

One document a letter in `dead_letters`: where it stood (topic, partition, offset, number), whose it is (key), its
state (`dead`: it failed; `parked`: it waits, behind another or for an upgrade; `replay`: asked for), a reason without
content, the envelope in structured form where it could be read, and the raw bytes where not.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rapport_events.catalog import InvalidData, NewerVersion
from rapport_events.envelope import Envelope as _Envelope
from rapport_events.envelope import EnvelopeError

from rapport_chassis.documents import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pymongo.asynchronous.database import AsyncDatabase

    from rapport_chassis.consumer import RawRecord
    from rapport_chassis.documents import Document, Documents
    from rapport_chassis.journal import Partition

LETTERS = "dead_letters"
DEAD, PARKED, REPLAY = "dead", "parked", "replay"
NEWER_VERSION = "newer-version"

INDEXES = (Index(LETTERS, ("topic", "key", "number")), Index(LETTERS, ("state", "topic")))

Blocked = dict[tuple[str, str], str]
"""(topic, aggregate id) -> the id of the first letter that holds it up."""


def letter(
    record: RawRecord,
    number: int,
    envelope: _Envelope | None,
    *,
    state: str,
    error: Exception | None = None,
    behind: str | None = None,
) -> Document:
    """The document of a record that is not applied."""
    key = envelope.partitionkey if envelope else None
    return {
        "_id": _id(record, number, envelope),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "number": number,
        "key": key,
        "type": envelope.type if envelope else None,
        "state": state,
        "reason": "behind" if behind else _reason(error),
        "detail": _detail(error),
        "behind": behind,
        "at": datetime.now(UTC).isoformat(),
        "envelope": envelope.structured() if envelope else None,
        "raw": None if envelope else _raw(record),
        "version": 1,
    }


def failed_again(document: Document, error: Exception) -> Document:
    """The letter after a replay that did not help."""
    return {
        **document,
        "state": PARKED if isinstance(error, NewerVersion) else DEAD,
        "reason": _reason(error),
        "detail": _detail(error),
        "at": datetime.now(UTC).isoformat(),
        "version": document["version"] + 1,
    }


async def blocked(documents: Documents, topics: Collection[str]) -> Blocked:
    """The aggregates whose events have to wait, by topic and id."""
    found = await documents.find(LETTERS, {"topic": {"in": list(topics)}}, sort="number", limit=10_000)
    held: Blocked = {}
    for document in found:
        if document["key"] is not None:
            held.setdefault((document["topic"], document["key"]), document["_id"])
    return held


async def to_replay(
    documents: Documents,
    partitions: Iterable[Partition],
    readable: Callable[[Document], bool],
) -> list[list[Document]]:
    """Letters to try again, one list an aggregate in the order of their numbers, of these partitions only."""
    ours = {(p.topic, p.number) for p in partitions}
    asked = await documents.find(LETTERS, {"state": REPLAY})
    newer = await documents.find(LETTERS, {"state": PARKED, "reason": NEWER_VERSION})
    wanted = {
        (d["topic"], d["key"])
        for d in [*asked, *(d for d in newer if readable(d))]
        if (d["topic"], d["partition"]) in ours and d["key"] is not None
    }
    return [await documents.find(LETTERS, {"topic": topic, "key": key}, sort="number") for topic, key in sorted(wanted)]


class DeadLetters:
    """What an operator can do with the letters of one service."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._letters = database[LETTERS]

    async def all(self, limit: int = 200) -> list[Document]:
        """The first letters by topic, partition and number, without their content."""
        hidden = {"envelope": 0, "raw": 0}
        return await self._letters.find({}, hidden).sort([("topic", 1), ("number", 1)]).limit(limit).to_list()

    async def one(self, id_: str) -> Document | None:
        return await self._letters.find_one({"_id": id_})

    async def counts(self) -> dict[str, int]:
        """How many letters there are by state."""
        found = await (await self._letters.aggregate([{"$group": {"_id": "$state", "n": {"$sum": 1}}}])).to_list()
        return {DEAD: 0, PARKED: 0, REPLAY: 0, **{d["_id"]: d["n"] for d in found}}

    async def ask_replay(self, id_: str | None = None) -> int:
        """Mark one letter, or all, for replay; the worker that owns the partition does it, in order."""
        which: dict[str, Any] = {"state": {"$ne": REPLAY}, "key": {"$ne": None}}
        if id_ is not None:
            which["_id"] = id_
        result = await self._letters.update_many(which, {"$set": {"state": REPLAY}, "$inc": {"version": 1}})
        return result.modified_count


def _id(record: RawRecord, number: int, envelope: _Envelope | None) -> str:
    """By its number, which no other event of the partition ever has; what has none, by its place in the log."""
    numbered = envelope is not None and envelope.sequence == number
    place = f"{number}" if numbered else f"@{record.offset}"
    return f"{record.topic}/{record.partition}/{place}"


def _reason(error: Exception | None) -> str:
    if isinstance(error, NewerVersion):
        return NEWER_VERSION
    if isinstance(error, InvalidData):
        return "invalid-data"
    if isinstance(error, EnvelopeError):
        return "unreadable"
    return type(error).__name__


def _detail(error: Exception | None) -> str | None:
    """What may be said of an error: our own errors name fields and rules; the words of others may hold content."""
    return str(error)[:500] if isinstance(error, NewerVersion | InvalidData | EnvelopeError) else None


def _raw(record: RawRecord) -> Document:
    def text(value: bytes | None) -> str | None:
        return b64encode(value).decode() if value is not None else None

    return {
        "key": text(record.key),
        "value": text(record.value),
        "headers": [[name, text(value)] for name, value in record.headers],
    }
