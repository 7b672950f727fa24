"""The consumer: applies number n+1, drops anything up to n, stops and alarms on a gap.

The cursor (offset and last number of each partition) is written in the transaction that holds what the events
changed, conditional on the version it was read with; so every event takes effect once, and a consumer that lost its
partition without knowing it cannot commit. Kafka's own committed offsets are for lag displays only.

An event that can never be applied becomes a dead letter in the same transaction that advances the cursor; later
events of its aggregate are parked behind it, all others flow. What may pass (a store or keyring that is away) is
tried again in place.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from rapport_events.catalog import InvalidData, NewerVersion, UnknownFamily, decode
from rapport_events.envelope import Envelope, EnvelopeError

from rapport_chassis import dead_letters, metrics, telemetry
from rapport_chassis.committer import is_transient
from rapport_chassis.errors import Conflict
from rapport_chassis.journal import Partition
from rapport_chassis.keyring import KeyringUnavailable
from rapport_chassis.unit_of_work import Circumstances
from rapport_chassis.write_set import ABSENT, ANY, Write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from rapport_events.event import Event

    from rapport_chassis.dead_letters import Blocked
    from rapport_chassis.documents import Document, Documents
    from rapport_chassis.unit_of_work import UnitOfWork
    from rapport_chassis.write_set import WriteSet

log = structlog.get_logger(__name__)

CURSORS = "cursors"


class RawRecord(Protocol):
    """A Kafka record as the client library gives it."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a partition stands: the offset to read next, the last number applied, the version of this document.

    `log` names the cluster that the offset is one of; in another one it means nothing, and the numbers decide.
    """

    offset: int = 0
    number: int = 0
    version: int = ABSENT
    log: str = ""


@dataclass(slots=True)
class Gap:
    """A partition that waits for a number; `offset` is where its later numbers begin."""

    missing: int
    offset: int
    since: float = field(default_factory=time.monotonic)
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A record to apply, and the cursor of its partition once it is."""

    record: RawRecord
    partition: Partition
    after: Cursor


class Halted(Exception):
    """Too many dead letters in a row: something other than the data is wrong, and going on would hide it."""


@dataclass(slots=True)
class Consumer:
    """Applies records to one service's state. Knows nothing of FastStream or aiokafka: see `subscription`."""

    group: str
    handlers: Mapping[type[Event], Callable[[Any, Any], Awaitable[Any]]]
    new_unit: Callable[[Circumstances], UnitOfWork]
    commit: Callable[[WriteSet], Awaitable[None]]
    documents: Documents
    after_batch: Callable[[Any], Awaitable[None]] | None = None
    back_off: float = 0.05
    most_back_off: float = 5.0
    most_in_a_row: int = 100
    progress: float = field(default_factory=time.monotonic)
    halted: bool = False
    positions: dict[Partition, Cursor] = field(default_factory=dict)
    gaps: dict[Partition, Gap] = field(default_factory=dict)
    _in_a_row: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _families: frozenset[str] = frozenset()
    _log: str = ""

    def __post_init__(self) -> None:
        self._families = frozenset(event.family for event in self.handlers)

    async def assigned(self, partitions: Iterable[Partition], log_identity: str) -> dict[Partition, int]:
        """Load the cursors of partitions that are ours now; the offsets to read on from in this log."""
        async with self._turn:
            self._log = log_identity
            self.positions = await self._cursors(partitions)
            self.gaps = {}
        return {partition: cursor.offset for partition, cursor in self.positions.items()}

    async def handle(self, records: Sequence[RawRecord]) -> dict[Partition, int]:
        """Apply a batch, whatever it takes. Where to seek afterwards, for partitions that do not simply go on."""
        pause = self.back_off
        while True:
            try:
                async with self._turn:
                    seeks = await self._handle(records)
            except Conflict:
                moved = await self._reload()
                if moved is not None:
                    return moved
            except Exception as error:
                if not (is_transient(error) or isinstance(error, KeyringUnavailable | Halted)):
                    raise
                log.warning("batch waits", error=type(error).__name__, pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.most_back_off)
            else:
                self.progress = time.monotonic()
                return seeks

    async def replay(self) -> int:
        """Apply what an operator marked for replay, or an upgrade made readable. How many letters went through."""
        async with self._turn:
            done = 0
            for letters in await dead_letters.to_replay(self.documents, self.positions, self._readable):
                done += await self._replay_aggregate(letters)
            return done

    # ------------------------------------------------------------------------------------------------------------------

    async def _handle(self, records: Sequence[RawRecord]) -> dict[Partition, int]:
        cursors = dict(self.positions)
        gaps = dict(self.gaps)
        seeks: dict[Partition, int] = {}
        items = self._plan(records, cursors, gaps, seeks)
        start = 0
        while start < len(items):
            start += await self._apply_some(items[start:])
        tails = {p: c for p, c in cursors.items() if c.offset != self.positions[p].offset}
        if tails and not any(tails[p].number != self.positions[p].number for p in tails):
            # Only duplicates at the end: worth a move of the offset, not of the number.
            await self._commit_cursors(tails)
        self.gaps = gaps
        metrics.GAPS.set(len(gaps))
        return seeks

    def _plan(  # noqa: C901 - the rules of numbers, in one place
        self,
        records: Sequence[RawRecord],
        cursors: dict[Partition, Cursor],
        gaps: dict[Partition, Gap],
        seeks: dict[Partition, int],
    ) -> list[Item]:
        """What of these records is to be applied, by number alone."""
        items: list[Item] = []
        done: set[Partition] = set()
        for record in records:
            partition = Partition(record.topic, record.partition)
            cursor = cursors.get(partition)
            if cursor is None or partition in done:
                continue  # no longer ours, or read again from another place
            number = number_of(record.headers)
            gap = gaps.get(partition)
            if number is None or number <= cursor.number:
                if gap is None and record.offset >= cursor.offset:
                    cursors[partition] = after = replace(cursor, offset=record.offset + 1)
                    if number is None:  # nothing a relay sent: it becomes a dead letter, and no number is used up
                        items.append(Item(record, partition, after))
                if number is not None:
                    metrics.DROPPED.labels(record.topic).inc()
            elif number == cursor.number + 1:
                offset = gap.offset if gap else record.offset + 1
                cursors[partition] = after = replace(cursor, offset=offset, number=number)
                items.append(Item(record, partition, after))
                if gap:
                    log.info("gap closed", partition=str(partition), number=number)
                    del gaps[partition]
                    seeks[partition] = offset
                    done.add(partition)
            elif gap is None:
                gaps[partition] = gap = Gap(cursor.number + 1, min(cursor.offset, record.offset))
                log.error("gap: numbers are missing", partition=str(partition), missing=gap.missing, found=number)
                if gap.offset < record.offset:  # something lies between: read it again; see also `look_again`
                    seeks[partition] = gap.offset
                    done.add(partition)
        return items

    def look_again(self, partition: Partition) -> int | None:
        """For a partition that waits for a number and has read all there is: where to look, None for nowhere."""
        gap = self.gaps.get(partition)
        if gap is None:
            return None
        gap.from_start = not gap.from_start
        return 0 if gap.from_start else gap.offset

    async def _apply_some(self, items: Sequence[Item]) -> int:
        """Apply as many of the items as one transaction can take; how many were dealt with."""
        blocked = await dead_letters.blocked(self.documents, {item.partition.topic for item in items})
        unit = self._unit()
        first = items[0].partition
        contexts = [c for item in items if (c := telemetry.context_of(*_trace(item.record)))]
        with telemetry.process_span(first.topic, first.number, self.group, contexts, len(items)):
            for done, item in enumerate(items):
                try:
                    await self._apply(unit, item, blocked)
                except Exception as error:
                    if is_transient(error) or isinstance(error, KeyringUnavailable | Conflict):
                        raise
                    if done:
                        # What the failed event half changed must go: apply those before it once more, alone.
                        return await self._apply_some(items[:done])
                    await self._bury(item, error)
                    return 1
            try:
                if self.after_batch is not None:
                    unit.consumed = None
                    await self.after_batch(unit)
                write_set = await unit.write_set()
            except Exception as error:
                if is_transient(error) or isinstance(error, KeyringUnavailable | Conflict):
                    raise
                if len(items) > 1:
                    return await self._apply_some(items[:1])
                await self._bury(items[0], error)
                return 1
            await self._commit(write_set, items)
        unit.committed()
        self._in_a_row = 0
        metrics.BATCH_SIZE.observe(len(items))
        return len(items)

    async def _apply(self, unit: UnitOfWork, item: Item, blocked: Blocked) -> None:
        record = item.record
        type_ = header(record.headers, "ce_type")
        if type_ is not None and self._foreign(type_):
            metrics.SKIPPED.labels(record.topic).inc()
            return
        envelope = read(record)
        event = decode(envelope)
        handler = self.handlers.get(type(event))
        if handler is None:
            metrics.SKIPPED.labels(record.topic).inc()
            return
        behind = blocked.get((record.topic, envelope.partitionkey))
        if behind is not None:
            letter = dead_letters.letter(record, item.after.number, envelope, state=dead_letters.PARKED, behind=behind)
            unit.extra.append(Write(dead_letters.LETTERS, letter["_id"], letter, ANY))
            return
        unit.consumed = envelope
        await handler(event, unit)
        metrics.APPLIED.labels(record.topic).inc()

    def _foreign(self, type_: str) -> bool:
        """Whether a type is of a family that this service does not list: to be skipped, whatever its version."""
        family, _, version = type_.rpartition(".v")
        return version.isdecimal() and family not in self._families

    async def _bury(self, item: Item, error: Exception) -> None:
        """Make the event a dead letter, in the transaction that moves the cursor past it."""
        self._in_a_row += 1
        if self._in_a_row > self.most_in_a_row:
            self.halted = True
            raise Halted(f"{self._in_a_row} dead letters in a row")
        try:
            envelope = read(item.record)
        except EnvelopeError:
            envelope = None
        state = dead_letters.PARKED if isinstance(error, NewerVersion) else dead_letters.DEAD
        letter = dead_letters.letter(item.record, item.after.number, envelope, state=state, error=error)
        log.error(
            "dead letter",
            partition=str(item.partition),
            number=item.after.number,
            type=letter["type"],
            reason=letter["reason"],
        )
        unit = self._unit()
        unit.extra.append(Write(dead_letters.LETTERS, letter["_id"], letter, ANY))
        await self._commit(await unit.write_set(), [item])

    async def _replay_aggregate(self, letters: list[Document]) -> int:
        """Apply the letters of one aggregate in their order; the first that fails stays, and the rest behind it."""
        done = 0
        for letter in letters:
            unit = self._unit()
            try:
                envelope = Envelope.from_structured(letter["envelope"] or {})
                event = decode(envelope)
                unit.consumed = envelope
                await self.handlers[type(event)](event, unit)
                if self.after_batch is not None:
                    unit.consumed = None
                    await self.after_batch(unit)
                write_set = await unit.write_set()
                write_set.writes.append(Write(dead_letters.LETTERS, letter["_id"], None, letter["version"]))
            except Exception as error:
                if is_transient(error) or isinstance(error, KeyringUnavailable):
                    raise
                stays = dead_letters.failed_again(letter, error)
                unit = self._unit()
                unit.extra.append(Write(dead_letters.LETTERS, letter["_id"], stays, letter["version"]))
                await self.commit(await unit.write_set())
                return done
            await self.commit(write_set)
            unit.committed()
            metrics.APPLIED.labels(letter["topic"]).inc()
            done += 1
        return done

    def _readable(self, letter: Document) -> bool:
        """Whether a letter that was parked for its version can be read by now."""
        try:
            return type(decode(Envelope.from_structured(letter["envelope"] or {}))) in self.handlers
        except (EnvelopeError, UnknownFamily, NewerVersion, InvalidData):
            return False

    async def _commit(self, write_set: WriteSet, items: Sequence[Item]) -> None:
        moved = {item.partition: item.after for item in items}
        write_set.writes.extend(self._cursor_write(p, c) for p, c in moved.items())
        await self.commit(write_set)
        self._moved(moved)

    async def _commit_cursors(self, moved: dict[Partition, Cursor]) -> None:
        write_set = await self._unit().write_set()
        write_set.writes.extend(self._cursor_write(p, c) for p, c in moved.items())
        await self.commit(write_set)
        self._moved(moved)

    def _cursor_write(self, partition: Partition, cursor: Cursor) -> Write:
        version = self.positions[partition].version
        document = {
            "_id": str(partition),
            "topic": partition.topic,
            "partition": partition.number,
            "offset": cursor.offset,
            "number": cursor.number,
            "log": self._log,
            "version": version + 1,
        }
        return Write(CURSORS, str(partition), document, version)

    def _moved(self, moved: dict[Partition, Cursor]) -> None:
        for partition, cursor in moved.items():
            self.positions[partition] = replace(cursor, version=self.positions[partition].version + 1)
            metrics.NUMBER.labels(partition.topic, partition.number).set(cursor.number)

    async def _reload(self) -> dict[Partition, int] | None:
        """After a lost race: None to try the batch again, or where to read on because another moved the cursors."""
        async with self._turn:
            stored = await self._cursors(self.positions)
            if stored == self.positions:
                await asyncio.sleep(self.back_off)
                return None
            log.warning("cursors were moved by another consumer: reading on from there")
            self.positions = stored
            self.gaps = {}
            return {partition: cursor.offset for partition, cursor in stored.items()}

    async def _cursors(self, partitions: Iterable[Partition]) -> dict[Partition, Cursor]:
        wanted = {str(p): p for p in partitions}
        found = await self.documents.find(CURSORS, {"_id": {"in": list(wanted)}})
        stored = {
            d["_id"]: Cursor(d["offset"] if d["log"] == self._log else 0, d["number"], d["version"], self._log)
            for d in found
        }
        return {p: stored.get(id_, Cursor(log=self._log)) for id_, p in wanted.items()}

    def _unit(self) -> UnitOfWork:
        return self.new_unit(Circumstances(source=f"urn:rapport:{self.group}", actor=self.group))


def read(record: RawRecord) -> Envelope:
    """The envelope of a record. Raises EnvelopeError."""
    return Envelope.from_kafka(record.key, record.value, record.headers)


def header(headers: Sequence[tuple[str, bytes]], name: str) -> str | None:
    """A header as text, None where it is absent or no UTF-8."""
    for key, value in headers:
        if key == name:
            try:
                return value.decode()
            except (UnicodeDecodeError, AttributeError):
                return None
    return None


def number_of(headers: Sequence[tuple[str, bytes]]) -> int | None:
    """The relay's number of a record, None where there is none: then it did not come from a relay."""
    text = header(headers, "ce_sequence")
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 20):  # noqa: PLR2004 - width on the wire
        return None
    return int(text) or None


def _trace(record: RawRecord) -> tuple[str | None, str | None]:
    return header(record.headers, "traceparent"), header(record.headers, "tracestate")
