"""Dead letters: events that could not be applied, and those parked behind them so that their order holds.

Each attempt to replay one leaves an entry in `replays`, in the transaction of the attempt: who asked, when, what came of
it. Where an operator mended the event's data, they are kept in `mended` under the event's id, so that a projection that
is made anew reads them too.

One document a letter in `dead_letters`: where it stood (topic, partition, offset, number), whose it is (key), its
state (`dead`: it failed; `parked`: it waits, behind another or for an upgrade; `replay`: asked for), a reason without
content, the envelope in structured form where it could be read, and the raw bytes where not.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rapport_events.catalog import InvalidData, NewerVersion, UnknownFamily, decode
from rapport_events.envelope import Envelope as _Envelope
from rapport_events.envelope import EnvelopeError

from rapport_chassis.documents import Index
from rapport_chassis.errors import Conflict
from rapport_chassis.generation import LETTERS
from rapport_chassis.write_set import ABSENT, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pymongo.asynchronous.database import AsyncDatabase

    from rapport_chassis.documents import Document, Documents
    from rapport_chassis.generation import Generation
    from rapport_chassis.journal import Partition
    from rapport_chassis.records import RawRecord

REPLAYS = "replays"
MENDED = "mended"
COLLECTIONS = (LETTERS, REPLAYS, MENDED)
DEAD, PARKED, REPLAY = "dead", "parked", "replay"
NEWER_VERSION = "newer-version"

INDEXES = (
    Index(LETTERS, ("topic", "key", "number")),
    Index(LETTERS, ("state", "topic")),
    Index(REPLAYS, ("at",)),
)

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
        "asked": None,
        "version": document["version"] + 1,
    }


def parked_again(documents: Iterable[Document], *, behind: Document) -> Iterable[Write]:
    """Those that were to be replayed after one that failed again: they wait on, or it would be tried for ever."""
    for document in documents:
        if document["state"] == REPLAY:
            waits = {"state": PARKED, "behind": document["behind"] or behind["_id"], "asked": None}
            version = document["version"]
            yield Write(LETTERS, document["_id"], {**document, **waits, "version": version + 1}, version)


def replayed(document: Document, *, by: str, reason: str | None = None) -> Write:
    """The entry that tells of an attempt. `by`: who makes it where nobody asked; `reason`: why it failed again."""
    asked = document.get("asked") or {"by": by, "at": None, "mended": None}
    entry = {
        "_id": f"{document['_id']}/{document['version']}",
        "letter": document["_id"],
        "event": document["envelope"]["id"] if document["envelope"] else None,
        "type": document["type"],
        "key": document["key"],
        "number": document["number"],
        "was": {"state": document["state"], "reason": document["reason"], "behind": document["behind"]},
        "asked": asked,
        "at": datetime.now(UTC).isoformat(),
        "outcome": "applied" if reason is None else "failed again",
        "reason": reason,
        "version": 1,
    }
    return Write(REPLAYS, entry["_id"], entry, ABSENT)


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


class NotMended(ValueError):
    """Data that do not fit the event they are to mend; the text names fields and rules, never values."""


class DeadLetters:
    """What an operator can do with the letters of one service."""

    def __init__(self, database: AsyncDatabase[Document], generation: Generation) -> None:
        self._letters = database[generation.name(LETTERS)]
        self._replays = database[REPLAYS]
        self._mended = database[MENDED]

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

    async def replays(self, limit: int = 200) -> list[Document]:
        """The newest attempts to replay letters, newest first: who asked for it, when, and what came of it."""
        return await self._replays.find().sort([("at", -1), ("_id", -1)]).limit(limit).to_list()

    async def ask_replay(self, id_: str | None = None, *, by: str, data: Mapping[str, Any] | None = None) -> int:
        """Mark a letter with all of its aggregate, or all there are; the worker that has the partition replays in order.

        `data` replace those of the one event. Raises NotMended where they do not fit it, Conflict where the worker
        has the letter in hand at this moment.
        """
        asked: Document = {"by": by, "at": datetime.now(UTC).isoformat(), "mended": None}
        which: dict[str, Any] = {"state": {"$ne": REPLAY}, "key": {"$ne": None}}
        mended = 0
        if id_ is not None:
            letter = await self._letters.find_one({"_id": id_})
            if letter is None:
                return 0
            if data is not None:
                await self._mend(letter, data, asked)
                mended = 1
            which |= {"topic": letter["topic"], "key": letter["key"] or {"$exists": False}}
        marks = {"$set": {"state": REPLAY, "asked": asked}, "$inc": {"version": 1}}
        return mended + (await self._letters.update_many(which, marks)).modified_count

    async def _mend(self, letter: Document, data: Mapping[str, Any], asked: Document) -> None:
        if letter["envelope"] is None:
            raise NotMended("a record that could not even be read has no event in it to mend")
        envelope = _Envelope.from_structured(letter["envelope"])
        try:
            decode(replace(envelope, data=dict(data)))
        except (InvalidData, NewerVersion, UnknownFamily) as error:
            raise NotMended(str(error)) from error
        # First what is read again later, so that there is no moment at which only the letter knows.
        known = {"data": data, "by": asked["by"], "at": asked["at"]}
        await self._mended.replace_one({"_id": envelope.id}, known, upsert=True)
        told = {**asked, "mended": {"before": envelope.data, "after": data}}
        changed = {"state": REPLAY, "asked": told, "envelope.data": data, "version": letter["version"] + 1}
        same = {"_id": letter["_id"], "version": letter["version"]}
        if not (await self._letters.update_one(same, {"$set": changed})).modified_count:
            raise Conflict("the letter is being replayed at this moment")


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
