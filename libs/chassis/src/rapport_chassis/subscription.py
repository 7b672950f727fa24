"""FastStream around the consumer: batches of raw records in, seeks out.

FastStream's defaults are at most once; here nothing is acknowledged by it (AckPolicy.MANUAL), its parser never looks
into a record (a header that is no UTF-8 would lose the batch), and the place to read from is the cursor's.
`auto_offset_reset` may be "earliest": wherever a reset leads, the numbers decide what is applied.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from rapport_chassis import metrics
from rapport_chassis.brokers import connection, logs
from rapport_chassis.ending import end
from rapport_chassis.journal import Partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiokafka import AIOKafkaConsumer, ConsumerRecord

    from rapport_chassis.consumer import Consumer
    from rapport_chassis.settings import ServiceSettings

log = structlog.get_logger(__name__)

WATCH_EVERY = 0.5
"""Seconds between looks at gaps and letters to replay, and between those at lag."""

REST_PER_RECORD, LONGEST_REST = 0.001, 0.1
"""Seconds between two batches, by the records of the first: what comes often costs less together, what comes seldom must
not wait."""

BEHIND = 500
"""Records in a batch from which there is no rest: so many do not come of one. What follows is fetched meanwhile."""

PORTION = 50
"""Records fetched at once while a batch is applied: half a millisecond for which that is kept waiting."""

FOLLOWING = 0.005
"""Seconds for records to follow those that were fetched ahead: aiokafka fetches no more before these are taken."""

LOGS_EVERY = 5.0
"""Seconds between looks whether the topics still are the ones that the cursors are places of."""

METADATA_AGE_MS = 5_000
"""How soon a topic that is made anew, as its owner does on an empty cluster, is found and assigned."""


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """One service's subscription to all the topics it consumes, as one member of its consumer group."""

    def __init__(self, settings: ServiceSettings, consumer: Consumer, topics: Iterable[str]) -> None:
        arguments = connection(settings)
        self._settings = settings
        self._topics = sorted(topics)
        self._logs: dict[str, str] = {}
        self._looked = 0.0
        self._consumer = consumer
        self._broker = KafkaBroker(
            arguments.pop("bootstrap_servers"),
            client_id=f"{settings.service}-consumer",
            metadata_max_age_ms=METADATA_AGE_MS,
            allow_auto_create_topics=False,
            apply_types=False,
            logger=None,
            graceful_timeout=10,
            security=_security(settings),
        )
        self._subscriber = self._broker.subscriber(
            *self._topics,
            batch=True,
            max_records=settings.consumer_batch,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            group_id=settings.service,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            session_timeout_ms=settings.consumer_session_timeout_ms,
            max_poll_interval_ms=settings.consumer_max_poll_interval_ms,
            listener=self,
            parser=_parse,
            decoder=_decode,
        )
        self._subscriber(self._handle)
        self._subscriber.get_msg = self._records  # type: ignore[method-assign]
        self._brought = 0
        self._ahead: asyncio.Task[tuple[int, list[ConsumerRecord]]] | None = None
        """The records that follow those being applied, and the assignment that they are of."""
        self._failed = False
        self._watchers: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        await self._broker.start()
        self._watchers = (
            asyncio.create_task(self._watch(), name="subscription-watch"),
            asyncio.create_task(self._measure(), name="subscription-lag"),
        )

    async def stop(self) -> None:
        await end(self._watchers)
        await self._broker.stop()
        await self._forget_ahead()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to save: the cursor is in the transaction."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        pause = 0.1
        while True:
            try:
                self._logs = await logs(self._settings, self._topics)
                places = await self._consumer.assigned(
                    [Partition(tp.topic, tp.partition) for tp in assigned], self._logs
                )
            except Exception as error:  # noqa: BLE001 - without cursors nothing may be read
                log.warning("cursors not readable yet", error=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                self._seek(places)
                return

    async def _records(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        """A batch. FastStream's own sleeps after every wait in vain, while records lie there, and never waits for more."""
        several = 1 < self._brought < BEHIND
        if several:
            await asyncio.sleep(min(self._brought * REST_PER_RECORD, LONGEST_REST))
        most = self._settings.consumer_batch
        try:
            batch = await self._fetched_ahead()
            ahead = bool(batch)
            if not ahead:
                found = await consumer.getmany(timeout_ms=self._settings.consumer_poll_ms, max_records=most)
                batch = [*chain.from_iterable(found.values())]
        except KafkaError:
            self._failed = True
            raise
        assignment = self._consumer.assignment
        if (several or ahead) and batch and len(batch) < most:
            patience = 0 if ahead else int(FOLLOWING * 1000)
            found = await consumer.getmany(timeout_ms=patience, max_records=most - len(batch))
            if assignment != self._consumer.assignment:
                batch = []  # they are read again, from where the cursors are
            batch += chain.from_iterable(found.values())
        self._brought = len(batch)
        return tuple(batch)

    async def _handle(self, records: tuple[ConsumerRecord, ...]) -> None:
        kafka = self._kafka()
        if kafka is not None and len(records) >= min(BEHIND, self._settings.consumer_batch):
            self._ahead = asyncio.create_task(self._fetch_ahead(kafka))
        places = await self._consumer.handle(records)
        if places:
            assignment = self._consumer.assignment
            fetched = await self._put_back()
            if assignment == self._consumer.assignment:  # another one has sought its own places
                self._seek(fetched | places)

    async def _fetch_ahead(self, kafka: AIOKafkaConsumer) -> tuple[int, list[ConsumerRecord]]:
        """Never waits for records. Another assignment reads again from where the cursors are: what was before is left."""
        most, assignment = self._settings.consumer_batch, self._consumer.assignment
        batch: list[ConsumerRecord] = []
        while len(batch) < most:
            found = await kafka.getmany(timeout_ms=0, max_records=min(PORTION, most - len(batch)))
            if assignment != self._consumer.assignment:
                batch, assignment = [], self._consumer.assignment
            if not found:
                break
            batch += chain.from_iterable(found.values())
            await asyncio.sleep(0)
        return assignment, batch

    async def _fetched_ahead(self) -> list[ConsumerRecord]:
        """Raises KafkaError."""
        if self._ahead is None:
            return []
        ahead, self._ahead = self._ahead, None
        assignment, batch = await ahead
        return batch if assignment == self._consumer.assignment else []

    async def _put_back(self) -> dict[Partition, int]:
        """Where to read on, so that what was fetched ahead is fetched again."""
        try:
            batch = await self._fetched_ahead()
        except KafkaError:
            self._failed = True
            return {}
        return {Partition(record.topic, record.partition): record.offset for record in reversed(batch)}

    async def _forget_ahead(self) -> None:
        if self._ahead is not None:
            await end([self._ahead])
            self._ahead = None

    def _seek(self, places: dict[Partition, int]) -> None:
        kafka = self._kafka()
        if kafka is None:
            return
        ours = kafka.assignment()
        for partition, offset in places.items():
            place = TopicPartition(partition.topic, partition.number)
            if place in ours:
                kafka.seek(place, offset)

    def _kafka(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer

    async def _watch(self) -> None:
        """Another look for missing numbers, letters to be replayed."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                if self._failed:
                    await self._connect_anew()
                self._seek(await self._consumer.follow())
                await self._consumer.replay()
                await self._look()
                if time.monotonic() - self._looked > LOGS_EVERY:
                    await self._look_at_logs()
                    self._looked = time.monotonic()
            except Exception as error:  # noqa: BLE001 - the next look may do better
                log.info("looking after the subscription failed", error=type(error).__name__)

    async def _connect_anew(self) -> None:
        """aiokafka's routine for the group ends for good where it meets what it does not expect, as a connection that
        uvloop has closed under it; from then on each attempt to fetch tells of that same end, for ever.
        """
        log.warning("fetching failed: connecting anew")
        await self._subscriber.stop()
        await self._forget_ahead()
        await self._subscriber.start()
        self._failed = False

    async def _measure(self) -> None:
        """Lag, for people and autoscalers, as the brokers see it: also while a batch takes long or the group is left."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            kafka, positions = self._kafka(), self._consumer.positions
            if kafka is None or not positions:
                continue
            try:
                ends = await kafka.end_offsets([TopicPartition(p.topic, p.number) for p in positions])
            except KafkaError as error:
                log.info("lag not known", error=type(error).__name__)
                continue
            metrics.LAG.clear()  # of what is another's by now
            for partition, cursor in self._consumer.positions.items():
                if (end := ends.get(TopicPartition(partition.topic, partition.number))) is not None:
                    metrics.LAG.labels(partition.topic, partition.number).set(max(0, end - cursor.offset))

    async def _look_at_logs(self) -> None:
        """Where a topic was made anew under a running consumer, its cursors mean nothing: read from the beginning."""
        kafka = self._kafka()
        if kafka is None or not self._logs or not kafka.assignment():
            return
        now = await logs(self._settings, self._topics)
        if now != self._logs:
            log.warning("a topic was made anew: reading it from the beginning")
            await self.on_partitions_assigned(set(kafka.assignment()))

    async def _look(self) -> None:
        kafka = self._kafka()
        if kafka is None:
            return
        offsets = {}
        for place in kafka.assignment():
            partition = Partition(place.topic, place.partition)
            cursor = self._consumer.positions.get(partition)
            end = kafka.highwater(place)
            if cursor is None or end is None:
                continue
            if cursor.offset:
                offsets[place] = cursor.offset
            if self._ahead is None and await kafka.position(place) >= end:
                again = self._consumer.look_again(partition)
                if again is not None:
                    kafka.seek(place, again)
        if offsets:
            with contextlib.suppress(KafkaError):
                await kafka.commit(offsets)


async def _parse(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    return KafkaMessage(raw_message=records, body=b"", headers={}, consumer=_NoAcks())


async def _decode(message: Any) -> Any:
    return message.raw_message


class _NoAcks:
    """FastStream is not to acknowledge anything."""

    async def commit(self) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...


def _security(settings: ServiceSettings) -> Any:
    if not settings.kafka_username and not settings.kafka_tls:
        return None
    from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512  # noqa: PLC0415

    context = connection(settings).get("ssl_context")
    if not settings.kafka_username:
        return BaseSecurity(ssl_context=context, use_ssl=True)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[settings.kafka_sasl_mechanism](
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value(),
        ssl_context=context,
        use_ssl=settings.kafka_tls,
    )
