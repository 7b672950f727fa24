"""Apache Kafka: topics made as the catalogue says, and the log that the relay appends to."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from rapport_events.catalog import TOPICS

from rapport_chassis.records import number_of
from rapport_chassis.topic_ids import logs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiokafka.producer.message_accumulator import BatchBuilder

    from rapport_chassis.journal import Partition
    from rapport_chassis.relay import Record
    from rapport_chassis.settings import ServiceSettings

log = structlog.get_logger(__name__)

BATCH_BYTES = 950_000
READ_PATIENCE = 5.0
"""Seconds for one record that is known to be there."""
ANSWER_PATIENCE = 15.0
"""Seconds for an answer, or a connection. aiokafka waits 40 for an answer, and without end for parts of a connection."""


def connection(settings: ServiceSettings) -> dict[str, Any]:
    """aiokafka's connection arguments; SASL and TLS where the settings say so."""
    arguments: dict[str, Any] = {"bootstrap_servers": settings.kafka_bootstrap.split(",")}
    if settings.kafka_username:
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    if settings.kafka_tls:
        arguments["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
    arguments["security_protocol"] = ("SASL_" if settings.kafka_username else "") + (
        "SSL" if settings.kafka_tls else "PLAINTEXT"
    )
    return arguments


async def ensure_topics(settings: ServiceSettings, topics: Iterable[str]) -> None:
    """Make the topics that are missing, with the partitions of the catalogue. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**connection(settings), client_id=f"{settings.service}-topics")
    await admin.start()
    try:
        response = await admin.create_topics(
            [NewTopic(name, TOPICS[name].partitions, settings.kafka_replication) for name in sorted(set(topics))],
        )
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                log.warning("topic not made", topic=name, error=error.__name__)
                raise error(name)
    finally:
        await admin.close()


async def logs(settings: ServiceSettings, topics: Iterable[str]) -> dict[str, str]:
    """Which log each topic is now (see `topic_ids.logs_of`). Raises KafkaError."""
    admin = AIOKafkaAdminClient(**connection(settings), client_id=f"{settings.service}-consumer")
    await admin.start()
    try:
        return await logs_of(admin, topics)
    finally:
        await admin.close()


class KafkaLog:
    """One producer: `acks=all`, one record batch per send. Not idempotent: consumers drop what they have by number."""

    def __init__(
        self,
        topics: Iterable[str],
        producer: AIOKafkaProducer,
        reader: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
    ) -> None:
        self._topics = tuple(topics)
        self._admin = admin
        self._producer = producer
        self._reader = reader

    @classmethod
    async def connect(cls, settings: ServiceSettings, topics: Iterable[str]) -> KafkaLog:
        """Raises KafkaError or TimeoutError where the brokers do not answer."""
        async with asyncio.timeout(ANSWER_PATIENCE):
            await ensure_topics(settings, topics)
        producer = AIOKafkaProducer(
            **connection(settings),
            client_id=f"{settings.service}-relay",
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=1_048_576,
            request_timeout_ms=15_000,
        )
        # Only a consumer can ask what is at a place of a log; this one belongs to no group.
        reader = AIOKafkaConsumer(
            **connection(settings), client_id=f"{settings.service}-relay", group_id=None, auto_offset_reset="none"
        )
        admin = AIOKafkaAdminClient(**connection(settings), client_id=f"{settings.service}-relay")
        made = cls(topics, producer, reader, admin)
        try:
            async with asyncio.timeout(ANSWER_PATIENCE):
                await admin.start()
                await producer.start()
                await reader.start()
        except BaseException:
            await made.close()
            raise
        return made

    async def append(self, partition: Partition, records: Iterable[Record]) -> tuple[int, int]:
        first: int | None = None
        last = 0
        batch = self._producer.create_batch()

        async def send() -> None:
            nonlocal first, last
            sent = await self._producer.send_batch(batch, partition.topic, partition=partition.number)
            written = await sent
            first = written.offset if first is None else first
            last = written.offset + batch.record_count() - 1

        for record in records:
            if not _added(batch, record):
                if batch.record_count():
                    await send()
                    batch = self._producer.create_batch()
                if not _added(batch, record):
                    raise KafkaError("a record is larger than a batch may be")
        if batch.record_count():
            await send()
        if first is None:
            raise ValueError("there was nothing to append")
        return first, last

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        places = {TopicPartition(p.topic, p.number): p for p in partitions}
        async with asyncio.timeout(ANSWER_PATIENCE):
            found = await self._reader.end_offsets(list(places))
        return {places[place]: end for place, end in found.items()}

    async def holds(self, partition: Partition, offset: int, number: int) -> bool:
        place = TopicPartition(partition.topic, partition.number)
        begin = (await self._reader.beginning_offsets([place]))[place]
        end = (await self._reader.end_offsets([place]))[place]
        if not begin <= offset < end:
            return bool(offset < begin)
        self._reader.assign([place])
        self._reader.seek(place, offset)
        record = await asyncio.wait_for(self._reader.getone(place), READ_PATIENCE)
        return record.offset == offset and number_of(record.headers) == number

    async def identities(self) -> dict[str, str]:
        async with asyncio.timeout(ANSWER_PATIENCE):
            return await logs_of(self._admin, self._topics)

    async def close(self) -> None:
        try:
            await self._admin.close()
            await self._reader.stop()
        finally:
            await self._producer.stop()


def _added(batch: BatchBuilder, record: Record) -> bool:
    """False where the batch is full."""
    added = batch.append(key=record.key, value=record.value, timestamp=record.timestamp, headers=record.headers)
    return added is not None
