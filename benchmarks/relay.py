"""G4, G5: our relay over the real journal and Kafka beside a polling outbox and beside publishing right after commit.

Beside the relay of the product stands choice (b), a change stream read batch by batch (see `peers/streamed.py`): it is
in the product only if it wins by 1.3 (docs/adr/0016-relay-choice.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import AsyncMongoClient
from rapport_chassis import journal
from rapport_chassis.brokers import KafkaLog, ensure_topics
from rapport_chassis.journal import Partition
from rapport_chassis.records import header, number_of
from rapport_chassis.relay import Relay
from rapport_chassis.settings import ServiceSettings
from rapport_chassis.unit_of_work import UnitOfWork
from rapport_chassis.write_set import ABSENT, Write, WriteSet

from benchmarks import reading
from benchmarks.consumer import ratio
from benchmarks.harness import (
    Bound,
    Contestant,
    Goal,
    Measured,
    Meter,
    Sample,
    Scale,
    Servers,
    check,
    interleaved,
    this_process,
)
from benchmarks.peers import outbox
from benchmarks.peers.streamed import StreamedJournal
from benchmarks.responses import PARTITIONS, TOPIC, envelopes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from rapport_chassis.runtime import Runtime
    from rapport_events.envelope import Envelope

POLL, STREAM, OUTBOX = "relay", "relay, choice (b): stream", "polling outbox"
SOON, SOON_STREAM, AFTER = "relay with its bell", "relay, choice (b), one by one", "publish after commit"
RATE = 50.0
"""Commits a second where latency is measured: work that comes one by one."""
PLACES = [Partition(TOPIC, number) for number in range(PARTITIONS)]
PATIENCE = 60.0

GOALS = (
    Goal(
        "G4",
        "relay drains a backlog",
        "polling outbox: find 500, send, update",
        (
            Bound("rate", "≥", 1.6, ratio(POLL, OUTBOX)),
            Bound("CPU per event", "≤", None, ratio(POLL, OUTBOX, "cpu")),
            Bound("choice (b) beside the relay, rate", "≥", None, ratio(STREAM, POLL)),
            Bound("choice (b) beside the relay, CPU per event", "≤", None, ratio(STREAM, POLL, "cpu")),
        ),
    ),
    Goal(
        "G5",
        f"from commit to consumed, in order, {RATE:.0f} commits a second",
        "publish right after commit",
        (
            Bound("p50", "≤", 1.3, ratio(SOON, AFTER, "p50")),
            Bound("p99", "≤", 2, ratio(SOON, AFTER, "p99")),
            Bound("choice (b) beside the relay, p50", "≤", None, ratio(SOON_STREAM, SOON, "p50")),
            Bound("choice (b) beside the relay, CPU per event", "≤", None, ratio(SOON_STREAM, SOON, "cpu")),
        ),
    ),
)

NUMBERED = "At least once, numbered in order; fenced against a second relay; an empty cluster is filled again."


async def measure(servers: Servers, scale: Scale) -> Measured:
    await ensure_topics(ServiceSettings(**servers.settings), [TOPIC])
    bench = _Bench(servers)
    at_least_once = "At least once; nobody sees a loss or a double."
    found = await interleaved(
        (
            Contestant(POLL, bench.drains(streamed=False), NUMBERED),
            Contestant(STREAM, bench.drains(streamed=True), NUMBERED),
            Contestant(OUTBOX, bench.outbox, at_least_once, "Numbers, a fence, order after a failure, a refill."),
        ),
        scale,
        scale.size(20_000, 300),
    )
    found.add(
        await interleaved(
            (
                Contestant(SOON, bench.soon(streamed=False), NUMBERED),
                Contestant(SOON_STREAM, bench.soon(streamed=True), NUMBERED),
                Contestant(
                    AFTER, bench.after, "Nothing: a crash after the commit loses the event.", "Everything of ours."
                ),
            ),
            scale,
            scale.size(400, 20),
            warmup=0.1,
        ),
    )
    return found


@dataclass(slots=True)
class _Bench:
    servers: Servers

    def drains(self, *, streamed: bool) -> Callable[[int], Awaitable[Sample]]:
        async def run(size: int) -> Sample:
            made = [journal.entry(e, TOPIC, time.time_ns() // 1_000 + n) for n, e in enumerate(_some(size))]
            async with reading.runtime(self.servers, UnitOfWork, ()) as running, _relay(running, streamed) as relay:
                await relay.drain()  # connects
                await running.database[journal.JOURNAL].insert_many(made)
                with Meter(this_process(), self.servers.pids) as meter:
                    while await relay.drain():
                        pass
                unsent, _ = await running.journal.backlog(size)
                batches = await running.database[journal.BATCHES].find().to_list()
                told = {id_ for batch in batches for id_ in batch["ids"]}
                check(unsent == 0 and len(told) == size, f"{unsent} unsent, {len(told)} of {size} have numbers")
            return meter.sample(size)

        return run

    async def outbox(self, size: int) -> Sample:
        rows = [outbox.row(envelope, TOPIC) for envelope in _some(size)]
        async with AsyncMongoClient[dict[str, Any]](self.servers.mongo_uri, tz_aware=True) as client:
            database = client[f"bench-{uuid.uuid4().hex[:8]}"]
            producer = outbox.producer(self.servers.kafka)
            await producer.start()
            try:
                peer = outbox.PollingOutbox(database, producer)
                await peer.prepare()
                await database["outbox"].insert_many(rows)
                with Meter(this_process(), self.servers.pids) as meter:
                    while await peer.poll():
                        pass
                unsent = await database["outbox"].count_documents({"sent": False})
                check(unsent == 0, f"{unsent} of {size} are unsent")
            finally:
                await producer.stop()
                await client.drop_database(database)
        return meter.sample(size)

    def soon(self, *, streamed: bool) -> Callable[[int], Awaitable[Sample]]:
        async def run(size: int) -> Sample:
            async with reading.runtime(self.servers, UnitOfWork, ()) as running, _relay(running, streamed) as relay:
                await relay.drain()
                running.committer.committed = lambda _: relay.bell.set()
                working = asyncio.create_task(relay.run())
                try:
                    return await self._one_by_one(running, size, journalled=True)
                finally:
                    working.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await working

        return run

    async def after(self, size: int) -> Sample:
        producer = outbox.producer(self.servers.kafka)
        await producer.start()

        async def publish(envelope: Envelope) -> None:
            key, value, headers = envelope.to_kafka()
            await producer.send_and_wait(TOPIC, value, key=key, headers=headers)

        try:
            async with reading.runtime(self.servers, UnitOfWork, ()) as running:
                return await self._one_by_one(running, size, journalled=False, publish=publish)
        finally:
            await producer.stop()

    async def _one_by_one(
        self,
        running: Runtime,
        size: int,
        *,
        journalled: bool,
        publish: Callable[[Envelope], Awaitable[None]] | None = None,
    ) -> Sample:
        """Commit at a steady rate; each event's time from its commit's answer until a consumer has it."""
        await running.database.create_collection("responses")
        made = _some(size)
        committed: dict[str, float] = {}

        async def commit(place: int, envelope: Envelope) -> None:
            document = {"_id": envelope.subject, "version": 1, "data": envelope.data}
            written = WriteSet([Write("responses", envelope.subject, document, ABSENT)])
            if journalled:
                written.journal.append(journal.entry(envelope, TOPIC, time.time_ns() // 1_000 + place))
            await running.commit(written)
            committed[envelope.id] = time.perf_counter()
            if publish is not None:
                await publish(envelope)

        async with _listening(self.servers) as consumer:
            waiting = asyncio.create_task(_consumed(consumer, {envelope.id for envelope in made}, ordered=journalled))
            with Meter(this_process(), self.servers.pids) as meter:
                began = time.perf_counter()
                commits = []
                for place, envelope in enumerate(made):
                    await asyncio.sleep(max(0.0, began + place / RATE - time.perf_counter()))
                    commits.append(asyncio.create_task(commit(place, envelope)))
                await asyncio.gather(*commits)
                consumed = await asyncio.wait_for(waiting, PATIENCE)
        # An event may be there before the task that committed it has its turn.
        return meter.sample(size, [max(0.0, consumed[id_] - at) for id_, at in committed.items()])


def _some(size: int) -> list[Envelope]:
    return list(envelopes(size, seed=time.monotonic_ns()))


@contextlib.asynccontextmanager
async def _relay(running: Runtime, streamed: bool) -> AsyncIterator[Relay]:  # noqa: FBT001 - one of two
    async with running.client.start_session() as session:
        entries = StreamedJournal(running.database, session) if streamed else running.journal
        relay = Relay(
            entries,
            lambda: KafkaLog.connect(running.settings, [TOPIC]),
            PLACES,
            limit=running.settings.relay_batch,
            poll=0.0 if streamed else running.settings.relay_poll_seconds,  # a stream waits on the server
        )
        try:
            yield relay
        finally:
            await relay.disconnect()


@contextlib.asynccontextmanager
async def _listening(servers: Servers) -> AsyncIterator[AIOKafkaConsumer]:
    """At the end of every partition."""
    consumer = AIOKafkaConsumer(**servers.kafka, group_id=None)
    await consumer.start()
    try:
        places = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        for place in places:
            await consumer.position(place)
        yield consumer
    finally:
        await consumer.stop()


async def _consumed(consumer: AIOKafkaConsumer, ids: set[str], *, ordered: bool) -> dict[str, float]:
    """When each of these events was there. Raises WrongOutcomeError where numbers are not in order."""
    seen: dict[str, float] = {}
    last: dict[int, int] = defaultdict(int)
    while len(seen) < len(ids):
        for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
            now = time.perf_counter()
            for record in records:
                id_ = header(record.headers, "ce_id") or ""
                if id_ not in ids or id_ in seen:
                    continue
                seen[id_] = now
                if ordered:
                    number = number_of(record.headers)
                    check(number == last[place.partition] + 1, f"{number} came after {last[place.partition]}")
                    last[place.partition] += 1
    return seen
