"""The relay: gives the events of each Kafka partition the numbers 1, 2, 3 … and sends them in that order.

Per partition it takes what is unsent in the order of `pos`, reserves the numbers of the whole batch by inserting the
batch under its first number (the unique id is the compare-and-set that fences a second relay), sends one record batch
and waits for the acknowledgement. On start it resends what was in flight with the same numbers. So the log holds
every event at least once, first occurrences in the order of their numbers, whatever dies and however many relays run.
The argument in full: a batch is inserted only behind a finished one, and what is unsent is read after that one was
finished; so what was read is in no earlier batch, and in no later one either, or the insertion would have failed.

What the brokers have lost is found in two ways: every batch remembers which cluster took it, so another cluster gets
all of them again; and where a log ends before the place of a batch that was acknowledged (a topic made anew, a
truncation), that batch and all behind it are sent again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from rapport_events.envelope import Envelope

from rapport_chassis import metrics, telemetry
from rapport_chassis.journal import Batch, Partition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

log = structlog.get_logger(__name__)


class Entries(Protocol):
    """The journal as the relay sees it (see `journal.Journal`)."""

    async def unsent(self, limit: int) -> list[dict[str, Any]]: ...

    async def entries(self, ids: Sequence[str]) -> list[dict[str, Any]]: ...

    async def last_batch(self, partition: Partition) -> Batch | None: ...

    async def batches(self, partition: Partition, *, first_from: int = 1) -> list[Batch]: ...

    async def reserve(self, batch: Batch) -> bool: ...

    async def first_elsewhere(self, partition: Partition, log: str) -> int | None: ...

    async def finish(self, batch: Batch) -> None: ...

    async def backlog(self, cap: int) -> tuple[int, int | None]: ...

    async def asked_republish(self) -> list[tuple[Partition, int]]: ...

    async def republished(self, partition: Partition, first: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """What goes into the log."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int


class Log(Protocol):
    """The brokers as the relay sees them. Every call may raise; the relay then throws the log away and connects anew."""

    async def append(self, partition: Partition, records: Sequence[Record]) -> int:
        """Append in order, acknowledged by all in-sync replicas; the offset of the first."""
        ...

    async def end(self, partition: Partition) -> int:
        """The offset that the next record will get."""
        ...

    async def identity(self) -> str:
        """Names this log: another cluster, though at the same address, has another name."""
        ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class Relay:
    """Sends the journal of one service. `connect` gives a fresh log; `partitions` are all those the service emits to."""

    journal: Entries
    connect: Callable[[], Awaitable[Log]]
    partitions: Sequence[Partition]
    limit: int = 2_000
    """Events taken in one pass."""
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by whoever knows of new events; without it the relay looks every `poll` seconds."""
    poll: float = 0.5
    look_every: float = 5.0
    """Seconds between looks whether the brokers still are the ones that took what was sent."""
    back_off: float = 0.1
    most_back_off: float = 5.0
    failing: bool = False
    """Whether the last pass failed."""
    _log: Log | None = None
    _identity: str = ""
    _looked: float = float("-inf")
    _tails: dict[Partition, Batch | None] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled. A failure is never the end: connect again, look what is missing, go on."""
        pause = self.back_off
        while True:
            try:
                sent = await self.drain()
                pause = self.back_off
                self.failing = False
            except Exception as error:  # noqa: BLE001 - whatever happened, the journal still has the events
                self.failing = True
                metrics.RELAY_FAILURES.inc()
                log.warning("relay starts anew", error=type(error).__name__, pause_s=pause)
                await self.disconnect()
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.most_back_off)
                continue
            if not sent:
                await self._idle()

    async def drain(self) -> int:
        """One pass: everything unsent up to `limit`. How many events were sent."""
        if self._log is None:
            self._log = await self.connect()
            self._identity = ""
        await self._look()
        for partition, first in await self.journal.asked_republish():
            await self.resend(partition, first)
            await self.journal.republished(partition, first)
        for partition in self.partitions:
            # Before looking for what is unsent, never after: a batch finished in between would be sent under two numbers.
            await self._tail(partition)
        waiting = await self.journal.unsent(self.limit)
        by_partition: dict[Partition, list[dict[str, Any]]] = {}
        for entry in waiting:
            by_partition.setdefault(Partition(entry["topic"], entry["partition"]), []).append(entry)
        sent = await asyncio.gather(
            *(self._send_new(p, entries) for p, entries in by_partition.items()),
            return_exceptions=True,
        )
        for outcome in sent:  # only now: no partition's send may still be under way when the producer is replaced
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(count for count in sent if isinstance(count, int))

    async def resend(self, partition: Partition, first: int) -> int:
        """Send again, with the numbers they have, all events of a partition from number `first` on."""
        count = 0
        for batch in await self.journal.batches(partition, first_from=first):
            await self._send(batch)
            count += len(batch.ids)
        metrics.RESENT.labels(partition.topic).inc(count)
        if count:
            log.info("events sent again", partition=str(partition), first=first, events=count)
        return count

    async def disconnect(self) -> None:
        """Throw the producer away: after a failure its state is not to be trusted (aio-libs/aiokafka#1017)."""
        self._tails.clear()
        if self._log is not None:
            old, self._log = self._log, None
            try:
                await asyncio.wait_for(old.close(), 5)
            except Exception as error:  # noqa: BLE001 - it is being thrown away
                log.info("closing the producer failed", error=type(error).__name__)

    async def _look(self) -> None:
        """On connecting, and every now and then: is this the log that took what was sent?"""
        if self._identity and time.monotonic() - self._looked < self.look_every:
            return
        identity = await self._connected().identity()
        self._looked = time.monotonic()
        if identity != self._identity:
            if self._identity:
                # Another cluster, which lacks our topics: to ask for their ends would wait in vain; connecting makes them.
                await self.disconnect()
                self._log = await self.connect()
            self._tails.clear()
            self._identity = identity
            for partition in self.partitions:
                await self._recover(partition)

    async def _recover(self, partition: Partition) -> None:
        """Finish what was in flight, and send again what the brokers have lost."""
        tail = await self._tail(partition)
        if tail is None:
            return
        first = await self.journal.first_elsewhere(partition, self._identity)
        end = await self._connected().end(partition)
        if first is None and tail.offset is not None and tail.offset >= end:
            lost = [b.first for b in await self.journal.batches(partition) if b.offset is None or b.offset >= end]
            first = min(lost, default=None)
        if first is not None:
            await self.resend(partition, first)

    async def _send_new(self, partition: Partition, entries: list[dict[str, Any]]) -> int:
        tail = self._tails[partition]
        if tail is not None and tail.offset is None:
            # Another relay's batch, or ours from before a crash: the next one may only follow a finished one.
            await self._send(tail)
            return len(tail.ids)
        batch = Batch(partition, tail.next if tail else 1, tuple(e["_id"] for e in entries))
        if not await self.journal.reserve(batch):
            self._tails.pop(partition, None)
            return 1  # not idle: another relay was faster, look again at once
        await self._send(batch, entries)
        metrics.SENT.labels(partition.topic).inc(len(entries))
        return len(entries)

    async def _send(self, batch: Batch, entries: list[dict[str, Any]] | None = None) -> None:
        if entries is None:
            entries = await self.journal.entries(batch.ids)
        number = {id_: batch.first + i for i, id_ in enumerate(batch.ids)}
        envelopes = [replace(Envelope.from_structured(e["envelope"]), sequence=number[e["_id"]]) for e in entries]
        tail = self._tails.get(batch.partition)
        contexts = [c for e in envelopes if (c := telemetry.context_of(e.traceparent, e.tracestate))]
        with telemetry.send_span(batch.partition.topic, batch.partition.number, contexts, len(envelopes)):
            records = [_record(e) for e in envelopes]
            offset = await self._connected().append(batch.partition, records) if records else batch.offset or 0
        finished = replace(batch, offset=offset, log=self._identity)
        await self.journal.finish(finished)
        if tail is None or tail.first <= batch.first:
            self._tails[batch.partition] = finished
        if tail is not None and tail.offset is not None and tail.next == batch.first and offset <= tail.offset:
            # The log is shorter than it was, so what stood there is gone: a new cluster, or a topic made anew.
            log.error("the brokers lost acknowledged records, sending them again", partition=str(batch.partition))
            await self.resend(batch.partition, 1)

    async def _tail(self, partition: Partition) -> Batch | None:
        if partition not in self._tails:
            self._tails[partition] = await self.journal.last_batch(partition)
        return self._tails[partition]

    def _connected(self) -> Log:
        if self._log is None:
            raise ConnectionError("the relay is not connected")
        return self._log

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for(self.bell.wait(), self.poll)
        except TimeoutError:
            return
        self.bell.clear()


def _record(envelope: Envelope) -> Record:
    key, value, headers = envelope.to_kafka()
    return Record(key, value, headers, int(envelope.time.timestamp() * 1000))
