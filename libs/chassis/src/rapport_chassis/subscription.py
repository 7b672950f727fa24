"""FastStream around the consumer: batches of raw records in, seeks out.

FastStream's defaults are at most once; here nothing is acknowledged by it (AckPolicy.MANUAL), its parser never looks
into a record (a header that is no UTF-8 would lose the batch), and the place to read from is the cursor's.
`auto_offset_reset` may be "earliest": wherever a reset leads, the numbers decide what is applied.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from rapport_chassis import metrics
from rapport_chassis.brokers import cluster_id, connection
from rapport_chassis.journal import Partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiokafka import AIOKafkaConsumer, ConsumerRecord

    from rapport_chassis.consumer import Consumer
    from rapport_chassis.settings import ServiceSettings

log = structlog.get_logger(__name__)

WATCH_EVERY = 0.5
"""Seconds between looks at lag, gaps and letters to replay."""

METADATA_AGE_MS = 5_000
"""How soon a topic that is made anew, as its owner does on an empty cluster, is found and assigned."""


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """One service's subscription to all the topics it consumes, as one member of its consumer group."""

    def __init__(self, settings: ServiceSettings, consumer: Consumer, topics: Iterable[str]) -> None:
        arguments = connection(settings)
        self._settings = settings
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
            *sorted(topics),
            batch=True,
            batch_timeout_ms=settings.consumer_poll_ms,
            max_records=settings.consumer_batch,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            group_id=settings.service,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            session_timeout_ms=settings.consumer_session_timeout_ms,
            listener=self,
            parser=_parse,
            decoder=_decode,
        )
        self._subscriber(self._handle)
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._broker.start()
        self._watcher = asyncio.create_task(self._watch(), name="subscription-watch")

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._broker.stop()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to save: the cursor is in the transaction."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        pause = 0.1
        while True:
            try:
                partitions = [Partition(tp.topic, tp.partition) for tp in assigned]
                places = await self._consumer.assigned(partitions, await cluster_id(self._settings))
            except Exception as error:  # noqa: BLE001 - without cursors nothing may be read
                log.warning("cursors not readable yet", error=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                self._seek(places)
                return

    async def _handle(self, records: tuple[ConsumerRecord, ...]) -> None:
        self._seek(await self._consumer.handle(records))

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
        """Lag for people and autoscalers, another look for missing numbers, letters to be replayed."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                await self._consumer.replay()
                await self._look()
            except Exception as error:  # noqa: BLE001 - the next look may do better
                log.info("looking after the subscription failed", error=type(error).__name__)

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
            metrics.LAG.labels(place.topic, place.partition).set(max(0, end - cursor.offset))
            if cursor.offset:
                offsets[place] = cursor.offset
            if partition in self._consumer.gaps and await kafka.position(place) >= end:
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
