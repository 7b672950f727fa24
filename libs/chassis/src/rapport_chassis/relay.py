"""The relay: gives the events of each Kafka partition the numbers 1, 2, 3 … and sends them in that order.

Per partition it takes what is unsent in the order of `pos`, reserves the numbers of the whole batch by inserting the
batch under its first number (the unique id is the compare-and-set that fences a second relay), sends one record batch
and waits for the acknowledgement. That it has it is noted while the next pass goes on. On start it resends what was not
noted with the same numbers. So the log holds every event at least once, first occurrences in the order of their
numbers, whatever dies and however many relays run.
The argument in full: a batch is inserted only behind one that is noted, or that the same relay saw acknowledged and is
about to note. What is unsent is read, as it was at one moment, after the former were noted, and without what is in its
own batches that are not noted yet; so what was read is in no earlier batch, and in no later one either, or the insertion
would have failed. Once a relay learns of another's batch, it reads again. Batches are noted in their order: where the
last one is noted, all are; where it is not, whoever finds it so sends all that are not noted again, oldest first, before
anything new.

What the brokers have lost is found in two ways: every batch remembers which log took it (the cluster's and the topic's
id), so another cluster, or a topic made anew, gets all of them again; and where the record at the place of an
acknowledged batch is gone or another one (a truncation), that batch and all behind it are sent again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from rapport_events.envelope import kafka_record

from rapport_chassis import metrics, telemetry
from rapport_chassis.journal import MAX_EVENT_BYTES, Batch, Partition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence

log = structlog.get_logger(__name__)
T = TypeVar("T")


PROOFS = 8
"""Batches in a row that must be where they were put, until what is before them is believed to be there too. One is not
enough: while several relays fill up a log that was cut off, the last of a row may stand where it did without the others."""


DAY = 86_400
"""Seconds. A record's time is the event's, and never finer than the day where the event's is not."""


AGAIN = 250
"""Events sent again at once, or the batches of so many: they were sent one by one, perhaps, and there may be millions."""


ASK_EVERY = 0.5
"""Seconds between looks whether an operator wants events sent again: a new event shall not wait for the question."""


SLOW = 1.0
"""Seconds after which a send is doubted, and again after as many more."""


class RecordsLost(Exception):
    """The brokers lost what they had acknowledged: the relay starts anew, and so finds what to send again."""


class Entries(Protocol):
    """The journal as the relay sees it (see `journal.Journal`)."""

    async def unsent(self, limit: int, *, without: Collection[str] = ()) -> list[dict[str, Any]]: ...

    async def entries(self, ids: Sequence[str]) -> list[dict[str, Any]]: ...

    async def last_batch(self, partition: Partition, *, below: int | None = None) -> Batch | None: ...

    async def batches(self, partition: Partition, *, first_from: int, limit: int) -> list[Batch]: ...

    async def reserve(self, batch: Batch) -> bool: ...

    async def first_elsewhere(self, partition: Partition, log: str) -> int | None: ...

    async def finish(self, *batches: Batch) -> None: ...

    async def backlog(self, cap: int) -> tuple[int, int | None]: ...

    async def asked_republish(self) -> list[tuple[Partition, int]]: ...

    async def republished(self, partition: Partition, first: int) -> None: ...


@dataclass(slots=True)
class Record:
    """What goes into the log."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int


class Log(Protocol):
    """The brokers as the relay sees them. Every call may raise; the relay then throws the log away and connects anew."""

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        """Append in order, acknowledged by all in-sync replicas; the offsets of the first and of the last."""
        ...

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The offsets that the next records will get."""
        ...

    async def holds(self, partition: Partition, offset: int, number: int) -> bool:
        """Whether the record at this offset has this number; one that retention has taken is believed to have had."""
        ...

    async def identities(self) -> dict[str, str]:
        """Names the log of each topic: another cluster, though at the same address, or a topic made anew has another."""
        ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class Relay:
    """Sends the journal of one service. `connect` gives a fresh log; `partitions` are all those the service emits to."""

    journal: Entries
    connect: Callable[[], Awaitable[Log]]
    partitions: Sequence[Partition]
    limit: int = 2_000
    """Events taken in one pass, and with how many not yet noted the relay goes on."""
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by whoever knows of new events; without it the relay looks every `poll` seconds."""
    poll: float = 0.5
    look_every: float = 5.0
    """Seconds between looks whether the brokers still have what they took."""
    back_off: float = 0.1
    most_back_off: float = 5.0
    failing: bool = False
    """Whether the last pass failed."""
    _log: Log | None = None
    _identities: dict[str, str] = field(default_factory=dict)
    _looked: float = float("-inf")
    _doubting: asyncio.Task[bool] | None = None
    _asked: float = float("-inf")
    _tails: dict[Partition, Batch | None] = field(default_factory=dict)
    _unnoted: list[Batch] = field(default_factory=list)
    """Acknowledged, in order; the journal does not know it yet."""
    _noting: asyncio.Task[None] | None = None
    _ahead: asyncio.Task[list[dict[str, Any]]] | None = None
    """What the next pass sends, read while this one is sent. Of no use once a tail was read from the journal since."""

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
        """One pass: everything unsent up to `limit`. How many events were sent; 0 once all of them are noted, too."""
        if self._log is None:
            self._log = await self.connect()
            self._identities = {}
        await self._look()
        await self._ask()
        for partition in self.partitions:
            # Before looking for what is unsent, never after: a batch finished in between would be sent under two numbers.
            await self._tail(partition)
        ahead, self._ahead = self._ahead, None
        waiting = await (ahead or self._unsent())
        if not waiting:
            return await self._noted_or_rung()
        by_partition: dict[Partition, list[dict[str, Any]]] = {}
        for entry in waiting:
            by_partition.setdefault(Partition(entry["topic"], entry["partition"]), []).append(entry)
        reserved = await _all(self._reserve(p, its) for p, its in by_partition.items())
        batches = [batch for batch in reserved if isinstance(batch, Batch)]
        if len(batches) == len(reserved) and len(waiting) == self.limit:
            self._ahead = asyncio.create_task(self._unsent(batches))
        sent = await _all(self._send_new(batch, by_partition[batch.partition]) for batch in batches)
        acknowledged = [batch for batch in sent if isinstance(batch, Batch)]
        await self._note(acknowledged)
        for outcome in (*reserved, *sent):  # only now: no send may be under way when the producer is replaced
            if isinstance(outcome, BaseException):
                raise outcome
        # Not idle, even where another relay was faster: look again at once.
        return sum(len(batch.ids) for batch in acknowledged) or 1

    async def resend(self, partition: Partition, first: int) -> int:
        """Send again, with the numbers they have, all events of a partition from number `first` on."""
        count, wanted = 0, first
        most = min(self.limit, AGAIN)
        while batches := await self.journal.batches(partition, first_from=wanted, limit=most):
            wanted = batches[-1].next
            for together in _together(batches, most):
                await self.journal.finish(*await self._send(together))
                events = sum(len(batch.ids) for batch in together)
                metrics.RESENT.labels(partition.topic).inc(events)
                count += events
        if count:
            log.info("events sent again", partition=str(partition), first=first, events=count)
        return count

    async def disconnect(self) -> None:
        """Throw the producer away: after a failure its state is not to be trusted (aio-libs/aiokafka#1017)."""
        if self._noting is not None:
            await asyncio.wait({self._noting}, timeout=5)
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)  # whoever starts anew finds what it left
            self._noting = None
        self._forget_ahead()
        if self._doubting is not None:
            _forget(self._doubting)
            self._doubting = None
        self._unnoted.clear()
        self._tails.clear()
        if self._log is not None:
            old, self._log = self._log, None
            try:
                await asyncio.wait_for(old.close(), 5)
            except Exception as error:  # noqa: BLE001 - it is being thrown away
                log.info("closing the producer failed", error=type(error).__name__)

    async def _look(self) -> None:
        """On connecting, and where it is doubted: do the brokers still have what they took?"""
        if self._identities and not self._doubted():
            return
        await self._noted()
        identities = await self._connected().identities()
        self._looked = time.monotonic()
        if identities != self._identities:
            if self._identities:
                # Another log, which may lack our topics: to ask for their ends would wait in vain; connecting makes them.
                await self.disconnect()
                self._log = await self.connect()
                identities = await self._log.identities()
            self._tails.clear()
            self._identities = identities
            for partition in self.partitions:
                await self._recover(partition)
            return
        ends = await self._connected().ends(self.partitions)
        for partition in self.partitions:
            tail = await self._tail(partition)
            if tail is not None and tail.offset is not None and tail.offset >= ends[partition]:
                await self._recover(partition)

    def _doubted(self) -> bool:
        """Whether something looks gone. Every now and then this is asked beside the passes: new events do not wait for
        the answer, which only says whether to look in earnest. Raises why there was none."""
        if self._doubting is None:
            if time.monotonic() - self._looked >= self.look_every:
                self._doubting = asyncio.create_task(self._gone(dict(self._tails)))
            return False
        if not self._doubting.done():
            return False
        answered, self._doubting = self._doubting, None
        self._looked = time.monotonic()
        return answered.result()

    async def _gone(self, tails: Mapping[Partition, Batch | None]) -> bool:
        """Whether the brokers lack any of these, which they had taken before they were asked."""
        if await self._connected().identities() != self._identities:
            return True
        ends = await self._connected().ends(self.partitions)
        return any(tail and tail.offset is not None and tail.offset >= ends[p] for p, tail in tails.items())

    async def _ask(self) -> None:
        """Every now and then: does an operator want events sent again?"""
        if time.monotonic() - self._asked < ASK_EVERY:
            return
        for partition, first in await self.journal.asked_republish():
            await self.resend(partition, first)
            await self.journal.republished(partition, first)
        self._asked = time.monotonic()

    async def _recover(self, partition: Partition) -> None:
        """Finish what was in flight, and send again what the brokers have lost."""
        self._forget_ahead()
        first = await self.journal.first_elsewhere(partition, self._identities[partition.topic])
        batch = await self.journal.last_batch(partition, below=first)
        proofs = 0
        while proofs < PROOFS and batch is not None and batch.offset is not None:
            if await self._connected().holds(partition, batch.offset, batch.next - 1):
                proofs += 1
            else:
                first, proofs = batch.first, 0
            batch = await self.journal.last_batch(partition, below=batch.first)
        # What is sent now must come to stand behind this one, see `_send`.
        self._tails[partition] = await self.journal.last_batch(partition, below=first)
        if first is not None:
            await self.resend(partition, first)

    async def _unsent(self, reserved: Sequence[Batch] = ()) -> list[dict[str, Any]]:
        """What is in no batch: neither in one that is noted, nor in one of ours that is not yet."""
        self.bell.clear()
        ours = [id_ for batch in (*self._unnoted, *reserved) for id_ in batch.ids]
        return await self.journal.unsent(self.limit, without=ours)

    def _forget_ahead(self) -> None:
        if self._ahead is not None:
            _forget(self._ahead)
            self._ahead = None

    async def _reserve(self, partition: Partition, entries: list[dict[str, Any]]) -> Batch | None:
        """The batch of these, None where another relay's came first."""
        tail = self._tails[partition]
        if tail is not None and tail.offset is None:
            # Another relay's batch, or ours from before a crash: the next one may only follow one that was acknowledged.
            await self._recover(partition)
            return None
        batch = Batch(partition, tail.next if tail else 1, tuple(e["_id"] for e in entries))
        if await self.journal.reserve(batch):
            return batch
        self._tails.pop(partition, None)
        return None

    async def _send_new(self, batch: Batch, entries: list[dict[str, Any]]) -> Batch:
        (acknowledged,) = await self._send([batch], entries)
        metrics.SENT.labels(batch.partition.topic).inc(len(entries))
        return acknowledged

    async def _send(self, batches: Sequence[Batch], entries: list[dict[str, Any]] | None = None) -> list[Batch]:
        """Batches that follow one another, as one. They come back with their places, which are to be noted."""
        partition, begin = batches[0].partition, batches[0].first
        ids = [id_ for batch in batches for id_ in batch.ids]
        if entries is None:
            entries = await self.journal.entries(ids)
        number = {id_: begin + i for i, id_ in enumerate(ids)}
        envelopes = [e["envelope"] for e in entries]
        tail = self._tails.get(partition)
        contexts = [c for e in envelopes if (c := telemetry.context_of(e.get("traceparent"), e.get("tracestate")))]
        with telemetry.send_span(partition.topic, partition.number, contexts, len(envelopes)):
            # One at a time: all of them together are many objects.
            records = (_record(e["envelope"], number[e["_id"]]) for e in entries)
            first, last = await self._appended(partition, records) if entries else (batches[0].offset or 0,) * 2
        follows = tail is not None and tail.next == begin
        if entries and tail is not None and follows and tail.offset is not None and first <= tail.offset:
            # The log is shorter than it was. This batch stays in flight until what is gone was sent before it.
            log.error("the brokers lost acknowledged records", partition=str(partition))
            raise RecordsLost(f"{partition} ends before {tail.offset}")
        if len(batches) > 1 and last - first + 1 != len(ids):
            # Another relay's records lie between ours, or the time of some has passed: then each is sent by itself.
            return [acknowledged for batch in batches for acknowledged in await self._send([batch])]
        log_id = self._identities[partition.topic]
        acknowledged = [replace(batch, offset=last - batches[-1].next + batch.next, log=log_id) for batch in batches]
        if tail is None or tail.first <= begin:
            self._tails[partition] = acknowledged[-1]
        return acknowledged

    async def _appended(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        """The offsets of the first and of the last. Raises RecordsLost.

        What takes long may be for a topic that is no more: aiokafka asks for that again and again, and nobody makes it.
        """
        appending = asyncio.ensure_future(self._connected().append(partition, records))
        try:
            while not (await asyncio.wait({appending}, timeout=SLOW))[0]:
                if await self._connected().identities() != self._identities:
                    raise RecordsLost(f"{partition} is another one by now")
            return appending.result()
        finally:
            if not appending.done():
                appending.cancel()
                await asyncio.wait({appending})

    async def _note(self, acknowledged: Sequence[Batch]) -> None:
        """Note these behind those before them, while the relay goes on. Raises why what went before was not noted."""
        if sum(len(batch.ids) for batch in self._unnoted) >= self.limit or (self._noting and self._noting.done()):
            await self._noted()
        self._unnoted += acknowledged
        if self._noting is None and self._unnoted:
            self._noting = asyncio.create_task(self._note_in_order())

    async def _note_in_order(self) -> None:
        while self._unnoted:
            batches = self._unnoted.copy()
            await self.journal.finish(*batches)
            del self._unnoted[: len(batches)]

    async def _noted(self) -> None:
        """Wait until everything is noted. Raises why it was not."""
        if self._noting is not None:
            await asyncio.wait({self._noting})
            done, self._noting = self._noting, None
            done.result()

    async def _noted_or_rung(self) -> int:
        """Wait until everything is noted, or the bell rings. 0 where the former came first."""
        if self._noting is None:
            return 0
        rung = asyncio.create_task(self.bell.wait())
        try:
            await asyncio.wait({self._noting, rung}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
        if not self._noting.done():
            return 1
        await self._noted()
        return 0

    async def _tail(self, partition: Partition) -> Batch | None:
        if partition not in self._tails:
            self._forget_ahead()
            self._tails[partition] = await self.journal.last_batch(partition)
        return self._tails[partition]

    def _connected(self) -> Log:
        if self._log is None:
            raise ConnectionError("the relay is not connected")
        return self._log

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.poll):  # not `wait_for`: see `ending`
                await self.bell.wait()


def _forget(task: asyncio.Task[Any]) -> None:
    task.cancel()
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody asks any more


async def _all(work: Iterable[Awaitable[T]]) -> list[T | BaseException]:
    """What each came to, once the last of them has ended."""
    return await asyncio.gather(*work, return_exceptions=True)


def _together(batches: Iterable[Batch], most: int) -> Iterator[list[Batch]]:
    """Batches that follow one another, in rows of so many events; one that is larger is a row of its own."""
    row: list[Batch] = []
    events = 0
    for batch in batches:
        if row and (events + len(batch.ids) > most or row[-1].next != batch.first):
            yield row
            row, events = [], 0
        row.append(batch)
        events += len(batch.ids)
    if row:
        yield row


def _record(structured: dict[str, Any], number: int) -> Record:
    """Not older than today, or the brokers' retention would take what fills an empty cluster again before it is read.

    An event that no broker takes, which no request could have put there, would hold up its partition for ever. It is sent
    without its data: whoever reads it makes it a dead letter, and holds up its aggregate alone.
    """
    key, value, headers, timestamp = kafka_record(structured, number)
    if len(value) > MAX_EVENT_BYTES:
        log.error("an event is larger than the brokers take", id=structured["id"], type=structured["type"])
        key, value, headers, timestamp = kafka_record({**structured, "data": {"left_out_bytes": len(value)}}, number)
    return Record(key, value, headers, max(timestamp, int(time.time() // DAY) * DAY * 1000))
