"""The consumer: applies number n+1, drops anything up to n, stops and alarms on a gap.

The cursor (offset and last number of each partition) is written in the transaction that holds what the events
changed, conditional on the version it was read with; so every event takes effect once, and a consumer that lost its
partition without knowing it cannot commit. Kafka's own committed offsets are for lag displays only. The first cursor
of a partition is written together with a beginning: should the cursor get lost, that stays, and nothing is applied
until the cursor is back; all of it would be applied once more.

An event that can never be applied becomes a dead letter in the same transaction that advances the cursor; later
events of its aggregate are parked behind it, all others flow. What may pass (a store or keyring that is away) is
tried again in place.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog
from rapport_events import short_way
from rapport_events.catalog import InvalidData, NewerVersion, UnknownFamily, decode
from rapport_events.envelope import Envelope, EnvelopeError

from rapport_chassis import dead_letters, metrics, telemetry
from rapport_chassis.committer import TooLarge, is_transient
from rapport_chassis.errors import Conflict
from rapport_chassis.generation import BEGINNINGS, CURSORS, LETTERS
from rapport_chassis.journal import Partition
from rapport_chassis.keyring import KeyringUnavailable
from rapport_chassis.records import header, number_of, read
from rapport_chassis.unit_of_work import Circumstances
from rapport_chassis.write_set import ABSENT, ANY, Write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from opentelemetry.trace import SpanContext
    from prometheus_client import Counter as PrometheusCounter
    from rapport_events.event import Event
    from rapport_events.short_way import Head

    from rapport_chassis.dead_letters import Blocked
    from rapport_chassis.documents import Document, Documents
    from rapport_chassis.records import RawRecord
    from rapport_chassis.unit_of_work import UnitOfWork
    from rapport_chassis.write_set import WriteSet

log = structlog.get_logger(__name__)


UNKNOWN = -1
"""No number: what is expected to be there never is, so the partition is read from its beginning."""


ALONE = 5.0
"""Seconds after a lost race in which each batch reads anew what the one before it left: another writes the same."""


HOLD = 5.0
"""Seconds for which a swap of generations may keep a consumer waiting; then it goes on where it was."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a partition stands: the offset to read next, the last number applied, the version of this document.

    `log` names the log (cluster and topic) that the offset is one of; in another one it means nothing, and the numbers
    decide.
    """

    offset: int = 0
    number: int = 0
    version: int = ABSENT
    log: str = ""
    seen: int = 0
    """The number of the record before `offset`, 0 where it has none: whether the log still is what was read."""


@dataclass(slots=True)
class Gap:
    """A partition that waits for a number; `offset` is where its later numbers begin, `seen` what stands before."""

    missing: int
    offset: int
    seen: int
    since: float = field(default_factory=time.monotonic)
    from_start: bool = False


@dataclass(slots=True)
class Item:
    """A record to apply, and where its partition stands once it is: `offset`, `number` and `seen` of its cursor.

    `head`: where the record can be read the short way. `mended`: its data as an operator mended them.
    """

    record: RawRecord
    partition: Partition
    offset: int
    number: int
    seen: int
    head: Head | None = None
    mended: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The event's, which its envelope says where there is no head."""
        return self.head.id if self.head is not None else self.envelope.id

    @property
    def correlationid(self) -> str:
        return self.head.correlationid if self.head is not None else self.envelope.correlationid

    @property
    def envelope(self) -> Envelope:
        """Raises EnvelopeError."""
        envelope = read(self.record)
        return envelope if self.mended is None else replace(envelope, data=dict(self.mended))


@dataclass(slots=True)
class _Reading:
    """A partition while a batch is gone through, and the place its cursor will have."""

    partition: Partition
    offset: int
    number: int
    seen: int
    gap: Gap | None
    unproven: bool
    done: bool = False
    """Not ours, or read again from another place: nothing more of it in this batch."""


class Halted(Exception):
    """Too many dead letters in a row: something other than the data is wrong, and going on would hide it."""


class CursorLost(Exception):
    """A partition was begun, and nobody knows any more how far it was applied."""


@dataclass(slots=True)
class Consumer:
    """Applies records to one service's state. Knows nothing of FastStream or aiokafka: see `subscription`."""

    group: str
    handlers: Mapping[type[Event], Callable[[Any, Any], Awaitable[Any]]]
    new_unit: Callable[[Circumstances], UnitOfWork]
    commit: Callable[[WriteSet], Awaitable[None]]
    documents: Documents
    after_batch: Callable[[Any], Awaitable[None]] | None = None
    renew: Callable[[], Awaitable[Documents]] | None = None
    """Gives the documents of the generation in force; a consumer without it stays in the one it was given."""
    proving: bool = True
    """Whether to look, on beginning, that the log still holds what was read last."""
    back_off: float = 0.05
    most_back_off: float = 5.0
    most_in_a_row: int = 100
    progress: float = field(default_factory=time.monotonic)
    halted: bool = False
    lost: list[str] = field(default_factory=list)
    """Partitions whose cursors are gone."""
    positions: dict[Partition, Cursor] = field(default_factory=dict)
    gaps: dict[Partition, Gap] = field(default_factory=dict)
    _in_a_row: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _families: frozenset[str] = frozenset()
    _by_type: Mapping[str, Callable[[Any, Any], Awaitable[Any]]] = field(default_factory=dict)
    _logs: Mapping[str, str] = field(default_factory=dict)
    _unproven: set[Partition] = field(default_factory=set)
    _assignment: int = 0
    """How often the places to read from were set anew: what was read before is read again from there."""
    _last: UnitOfWork | None = None
    """The unit of the batch before, where nothing but that batch has happened since."""
    _not_alone_until: float = 0.0

    def __post_init__(self) -> None:
        self._families = frozenset(event.family for event in self.handlers)
        self._by_type = {event.type: handler for event, handler in self.handlers.items()}

    async def assigned(self, partitions: Iterable[Partition], logs: Mapping[str, str]) -> dict[Partition, int]:
        """Load the cursors of partitions that are ours now; the offsets to read on from in these logs (topic: identity)."""
        async with self._turn:
            self._logs = logs
            await self._renewed()
            self.positions = await self._cursors(partitions)
            self.gaps = {}
            self._assignment += 1
            self._last = None
            return self._places()

    async def handle(self, records: Sequence[RawRecord]) -> dict[Partition, int]:
        """Apply a batch, whatever it takes. Where to seek afterwards, for partitions that do not simply go on."""
        pause = self.back_off
        assignment = self._assignment
        beaten = False
        while True:
            try:
                if beaten and (moved := await self._reload()) is not None:
                    return moved
                beaten = False
                async with self._turn:
                    if assignment != self._assignment:
                        return {}
                    seeks = await self._handle(records)
            except Conflict:
                log.info("batch lost a race")
                beaten = True
                self._not_alone_until = time.monotonic() + ALONE
            except Exception as error:
                if not (is_transient(error) or isinstance(error, KeyringUnavailable | Halted | CursorLost)):
                    raise
                log.warning("batch waits", error=type(error).__name__, pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.most_back_off)
            else:
                self.progress = time.monotonic()
                return seeks

    async def follow(self) -> dict[Partition, int]:
        """Go over to the generation that is in force; where to read on from, if it is another one."""
        async with self._turn:
            if not await self._renewed():
                return {}
            log.info("another generation is in force", generation=self.documents.generation.number)
            self.positions = await self._cursors(self.positions)
            self.gaps = {}
            self._assignment += 1
            self._last = None
            return self._places()

    async def replay(self) -> int:
        """Apply what an operator marked for replay, or an upgrade made readable. How many letters went through."""
        done = 0
        async with self._turn:
            try:
                for letters in await dead_letters.to_replay(self.documents, self.positions, self._readable):
                    done += await self._replay_aggregate(letters)
            except Conflict:  # another consumer has the partition, or another generation is in force
                lost = True
            else:
                lost = False
        if lost:
            await self._reload()
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
        self._unproven -= {Partition(*place) for place in {(r.topic, r.partition) for r in records}}
        metrics.GAPS.set(len(gaps))
        return seeks

    def _plan(
        self,
        records: Sequence[RawRecord],
        cursors: dict[Partition, Cursor],
        gaps: dict[Partition, Gap],
        seeks: dict[Partition, int],
    ) -> list[Item]:
        """What of these records is to be applied, by number alone. Moves the cursors."""
        items: list[Item] = []
        readings: dict[tuple[str, int], _Reading] = {}
        dropped: Counter[str] = Counter()
        for record in records:
            place = record.topic, record.partition
            reading = readings.get(place)
            if reading is None:
                reading = readings[place] = self._reading(Partition(*place), cursors, gaps)
            if reading.done:
                continue
            head = short_way.head(record.headers)
            number = head.number if head is not None else number_of(record.headers)
            if number == reading.number + 1 and reading.gap is None and not reading.unproven:
                reading.offset, reading.number, reading.seen = record.offset + 1, number, number
            elif not self._settles(reading, record.offset, number, seeks):
                if number is not None and number <= reading.number and not reading.done:
                    dropped[record.topic] += 1
                continue
            items.append(Item(record, reading.partition, reading.offset, reading.number, reading.seen, head))
        _note(readings.values(), cursors, gaps)
        _count(metrics.DROPPED, dropped)
        return items

    def _reading(
        self, partition: Partition, cursors: Mapping[Partition, Cursor], gaps: Mapping[Partition, Gap]
    ) -> _Reading:
        at = cursors.get(partition)
        if at is None:
            return _Reading(partition, 0, 0, 0, None, unproven=False, done=True)
        return _Reading(partition, at.offset, at.number, at.seen, gaps.get(partition), partition in self._unproven)

    def _settles(self, reading: _Reading, offset: int, number: int | None, seeks: dict[Partition, int]) -> bool:
        """The rules of numbers, for a record that is not simply the next. Whether it is to be applied."""
        partition, gap = reading.partition, reading.gap
        if reading.unproven:
            reading.unproven = False
            if (offset, number or 0) != (reading.offset - 1, reading.seen):
                log.warning("the log is not what was read: from the beginning", partition=str(partition))
                seeks[partition] = 0
                reading.done = True
                return False
        if number is None or number <= reading.number:
            if gap is None and offset >= reading.offset:
                reading.offset, reading.seen = offset + 1, number or 0
                return number is None  # nothing a relay sent: it becomes a dead letter, and no number is used up
            return False
        if number == reading.number + 1:
            reading.offset, reading.seen = (gap.offset, gap.seen) if gap else (offset + 1, number)
            reading.number = number
            if gap:
                log.info("gap closed", partition=str(partition), number=number)
                reading.gap = None
                seeks[partition] = reading.offset
                reading.done = True
            return True
        if gap is None:
            before = reading.seen if reading.offset <= offset else UNKNOWN
            reading.gap = gap = Gap(reading.number + 1, min(reading.offset, offset), before)
            log.error("gap: numbers are missing", partition=str(partition), missing=gap.missing, found=number)
            if gap.offset < offset:  # something lies between: read it again; see also `look_again`
                seeks[partition] = gap.offset
                reading.done = True
        return False

    @property
    def assignment(self) -> int:
        """Another number whenever records that were fetched before mean nothing any more."""
        return self._assignment

    def look_again(self, partition: Partition) -> int | None:
        """For a partition that has read all there is: where to look for what it misses, None where it misses nothing."""
        gap = self.gaps.get(partition)
        if gap is None:
            if partition not in self._unproven or self._turn.locked():
                return None
            self._unproven.discard(partition)  # what it had read is gone: the log was cut off
            return 0
        gap.from_start = not gap.from_start
        return 0 if gap.from_start else gap.offset

    async def _apply_some(self, items: Sequence[Item]) -> int:
        """Apply as many of the items as one transaction can take; how many were dealt with."""
        blocked = await dead_letters.blocked(self.documents, {item.partition.topic for item in items})
        unit, last = self._unit(), self._last
        self._last = None  # whatever fails from here on, the next unit begins with what is stored
        if last is not None:
            unit.follow(last)
        first = items[0].partition
        applied: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        with telemetry.process_span(first.topic, first.number, self.group, _contexts(items), len(items)):
            for done, item in enumerate(items):
                try:
                    outcome = await self._apply(unit, item, blocked)
                except Exception as error:  # noqa: BLE001 - told apart where it is dealt with
                    return await self._apply_fewer(items, done, error)
                if outcome is not None:
                    (applied if outcome else skipped)[item.record.topic] += 1
            try:
                if self.after_batch is not None:
                    unit.consumed = None
                    await self.after_batch(unit)
                write_set = await unit.write_set()
            except Exception as error:  # noqa: BLE001 - as above
                return await self._apply_fewer(items, min(1, len(items) - 1), error)
            try:
                await self._commit(write_set, items)
            except TooLarge as error:
                return await self._apply_fewer(items, len(items) // 2, error)
        unit.committed()
        if time.monotonic() > self._not_alone_until:
            self._last = unit
        self._in_a_row = 0
        metrics.BATCH_SIZE.observe(len(items))
        _count(metrics.APPLIED, applied)
        _count(metrics.SKIPPED, skipped)
        return len(items)

    async def _apply_fewer(self, items: Sequence[Item], count: int, error: Exception) -> int:
        """After an error: so many of the items in a unit of their own, as what it half changed must go.

        Where none is left before the one that failed, that one is buried. Raises the error where it may pass by itself.
        """
        if is_transient(error) or isinstance(error, KeyringUnavailable | Conflict):
            raise error
        return await (self._apply_some(items[:count]) if count else self._bury(items[0], error))

    async def _apply(self, unit: UnitOfWork, item: Item, blocked: Blocked) -> bool | None:
        """Whether it was applied, False where nobody here asks for it, None where it has to wait behind another."""
        record, head = item.record, item.head
        if head is not None and item.mended is None and (record.topic, head.partitionkey) not in blocked:
            handler = self._by_type.get(head.type)
            if handler is not None and (event := short_way.event(head, record.key, record.value)) is not None:
                unit.origin = item
                await handler(event, unit)
                return True
        type_ = header(record.headers, "ce_type")
        if type_ is not None and self._foreign(type_):
            return False
        envelope = item.envelope
        event = decode(envelope)
        handler = self.handlers.get(type(event))
        if handler is None:
            return False
        behind = blocked.get((record.topic, envelope.partitionkey))
        if behind is not None:
            letter = dead_letters.letter(record, item.number, envelope, state=dead_letters.PARKED, behind=behind)
            unit.extra.append(Write(LETTERS, letter["_id"], letter, ANY))
            return None
        unit.consumed = envelope
        await handler(event, unit)
        return True

    def _foreign(self, type_: str) -> bool:
        """Whether a type is of a family that this service does not list: to be skipped, whatever its version."""
        family, _, version = type_.rpartition(".v")
        return version.isdecimal() and family not in self._families

    async def _bury(self, item: Item, error: Exception) -> int:
        """Make the event a dead letter, in the transaction that moves the cursor past it. How many were dealt with.

        Unless it was one before and has been mended: then it is as it was mended, whoever reads it again.
        """
        try:
            envelope = item.envelope
        except EnvelopeError:
            envelope = None
        if envelope is not None and item.mended is None:
            mended = await self.documents.get(dead_letters.MENDED, envelope.id)
            if mended is not None:
                return await self._apply_some([replace(item, mended=mended["data"])])
        self._in_a_row += 1
        if self._in_a_row > self.most_in_a_row:
            self.halted = True
            raise Halted(f"{self._in_a_row} dead letters in a row")
        state = dead_letters.PARKED if isinstance(error, NewerVersion) else dead_letters.DEAD
        letter = dead_letters.letter(item.record, item.number, envelope, state=state, error=error)
        log.error(
            "dead letter",
            partition=str(item.partition),
            number=item.number,
            type=letter["type"],
            reason=letter["reason"],
        )
        unit = self._unit()
        unit.extra.append(Write(LETTERS, letter["_id"], letter, ANY))
        await self._commit(await unit.write_set(), [item])
        return 1

    async def _replay_aggregate(self, letters: list[Document]) -> int:
        """Apply the letters of one aggregate in their order; the first that fails stays, and the rest behind it.

        Each moves the version of its partition's cursor: who lost the partition cannot commit.
        """
        done = 0
        self._last = None
        for place, letter in enumerate(letters):
            partition = Partition(letter["topic"], letter["partition"])
            moved = {partition: self.positions[partition]}
            unit = self._unit()
            try:
                envelope = Envelope.from_structured(letter["envelope"] or {})
                event = decode(envelope)
                unit.consumed = envelope
                await self.handlers[type(event)](event, unit)
                if self.after_batch is not None:
                    unit.consumed = None
                    await self.after_batch(unit)
                unit.extra.append(Write(LETTERS, letter["_id"], None, letter["version"]))
                unit.extra.append(dead_letters.replayed(letter, by=self.group))
                write_set = await unit.write_set()
            except Exception as error:
                if is_transient(error) or isinstance(error, KeyringUnavailable):
                    raise
                stays = dead_letters.failed_again(letter, error)
                unit = self._unit()
                unit.extra.append(Write(LETTERS, letter["_id"], stays, letter["version"]))
                unit.extra.append(dead_letters.replayed(letter, by=self.group, reason=stays["reason"]))
                unit.extra.extend(dead_letters.parked_again(letters[place + 1 :], behind=letter))
                await self._commit_moved(await unit.write_set(), moved)
                return done
            await self._commit_moved(write_set, moved)
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
        last = {item.partition: item for item in items}
        await self._commit_moved(
            write_set,
            {p: replace(self.positions[p], offset=i.offset, number=i.number, seen=i.seen) for p, i in last.items()},
        )

    async def _commit_cursors(self, moved: dict[Partition, Cursor]) -> None:
        await self._commit_moved(await self._unit().write_set(), moved)

    async def _commit_moved(self, write_set: WriteSet, moved: Mapping[Partition, Cursor]) -> None:
        write_set.writes.extend(self._cursor_write(p, c) for p, c in moved.items())
        write_set.writes.extend(beginning(p) for p in moved if self.positions[p].version == ABSENT)
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
            "log": self._logs[partition.topic],
            "seen": cursor.seen,
            "version": version + 1,
        }
        return Write(CURSORS, str(partition), document, version)

    def _moved(self, moved: Mapping[Partition, Cursor]) -> None:
        for partition, cursor in moved.items():
            self.positions[partition] = replace(cursor, version=self.positions[partition].version + 1)
            metrics.NUMBER.labels(partition.topic, partition.number).set(cursor.number)

    async def _reload(self) -> dict[Partition, int] | None:
        """After a lost race: None to try the batch again, or where to read on because another moved the cursors."""
        async with self._turn:
            held = await self._released()
            stored = await self._cursors(self.positions)
            if stored == self.positions:
                await asyncio.sleep(self.back_off)
                return None
            log.warning("cursors were moved by another consumer: reading on from there")
            self.positions = stored
            self._last = None
            self.gaps = {}
            if held:
                with contextlib.suppress(Conflict):
                    await self._commit_cursors({p: stored[p] for p in held})
            return self._places()

    async def _cursors(self, partitions: Iterable[Partition]) -> dict[Partition, Cursor]:
        """Raises CursorLost."""
        wanted = {str(p): p for p in partitions}
        begun = await self.documents.find(BEGINNINGS, {"_id": {"in": list(wanted)}})  # first: others may begin now
        found = await self.documents.find(CURSORS, {"_id": {"in": list(wanted)}})
        cursors = {p: Cursor(log=self._logs[p.topic]) for p in wanted.values()}
        for d in found:
            partition = wanted[d["_id"]]
            here = self._logs[partition.topic]
            offset, seen = (d["offset"], d["seen"]) if d["log"] == here else (0, 0)
            cursors[partition] = Cursor(offset, d["number"], d["version"], here, seen)
        self.lost = sorted({d["_id"] for d in begun} - {d["_id"] for d in found})
        if self.lost:
            log.error("cursors are lost: nothing is applied until they are back", partitions=self.lost)
            raise CursorLost(", ".join(self.lost))
        return cursors

    def _places(self) -> dict[Partition, int]:
        """Where to read on: one record early. Were the log cut off or filled anew since, another one would be there."""
        self._unproven = {p for p, cursor in self.positions.items() if cursor.offset and self.proving}
        return {partition: max(0, cursor.offset - 1) for partition, cursor in self.positions.items()}

    async def _released(self) -> list[Partition]:
        """Learn which generation is in force; while a swap is under way, that is known once it is over.

        The partitions that are held by a swap which must have died.
        """
        deadline = time.monotonic() + HOLD
        ours = {"_id": {"in": [str(p) for p in self.positions]}, "held": True}
        while self.renew is not None and not await self._renewed():
            held = [Partition(d["topic"], d["partition"]) for d in await self.documents.find(CURSORS, ours)]
            if not held or time.monotonic() > deadline:
                return held
            await asyncio.sleep(0.02)
        return []

    async def _renewed(self) -> bool:
        """Whether another generation is in force than before; from here on it is ours."""
        if self.renew is None:
            return False
        before, self.documents = self.documents.generation, await self.renew()
        return self.documents.generation != before

    def _unit(self) -> UnitOfWork:
        unit = self.new_unit(Circumstances(source=f"urn:rapport:{self.group}", actor=self.group))
        unit.documents = self.documents  # of the generation that our cursors are of
        return unit


def beginning(partition: Partition) -> Write:
    """Goes with the first cursor of a partition, and makes a second first one fail."""
    return Write(BEGINNINGS, str(partition), {"_id": str(partition), "version": 1}, ABSENT)


def _note(readings: Iterable[_Reading], cursors: dict[Partition, Cursor], gaps: dict[Partition, Gap]) -> None:
    """Where the partitions stand after a batch."""
    for reading in readings:
        if (cursor := cursors.get(reading.partition)) is None:
            continue  # not ours
        cursors[reading.partition] = replace(cursor, offset=reading.offset, number=reading.number, seen=reading.seen)
        if reading.gap is None:
            gaps.pop(reading.partition, None)
        else:
            gaps[reading.partition] = reading.gap


def _count(counter: PrometheusCounter, by_topic: Mapping[str, int]) -> None:
    for topic, count in by_topic.items():
        counter.labels(topic).inc(count)


def _contexts(items: Iterable[Item]) -> list[SpanContext]:
    """The sampled spans in which the items' events were made."""
    found = []
    for item in items:
        headers = item.record.headers
        traceparent = item.head.traceparent if item.head is not None else header(headers, "traceparent")
        if telemetry.is_sampled(traceparent) and (
            context := telemetry.context_of(traceparent, header(headers, "tracestate"))
        ):
            found.append(context)
    return found
