"""Apache Kafka: topics made as the catalogue says, and the log that the relay appends to."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from rapport_events.catalog import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rapport_chassis.journal import Partition
    from rapport_chassis.relay import Record
    from rapport_chassis.settings import ServiceSettings

log = structlog.get_logger(__name__)

BATCH_BYTES = 950_000


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


async def cluster_id(settings: ServiceSettings) -> str:
    """The id of the cluster that answers now. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**connection(settings), client_id=f"{settings.service}-consumer")
    await admin.start()
    try:
        return await _cluster_id(admin)
    finally:
        await admin.close()


async def _cluster_id(admin: AIOKafkaAdminClient) -> str:
    described: dict[str, Any] = await admin.describe_cluster()
    return str(described["cluster_id"])


class KafkaLog:
    """One producer: `acks=all`, one record batch per send. Not idempotent: consumers drop what they have by number."""

    def __init__(self, producer: AIOKafkaProducer, reader: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin
        self._producer = producer
        self._reader = reader

    @classmethod
    async def connect(cls, settings: ServiceSettings, topics: Iterable[str]) -> KafkaLog:
        """Raises KafkaError where the brokers do not answer."""
        await ensure_topics(settings, topics)
        producer = AIOKafkaProducer(
            **connection(settings),
            client_id=f"{settings.service}-relay",
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=1_048_576,
            request_timeout_ms=15_000,
        )
        # Only a consumer can ask for the end of a log; this one belongs to no group and reads no record.
        reader = AIOKafkaConsumer(**connection(settings), client_id=f"{settings.service}-relay", group_id=None)
        admin = AIOKafkaAdminClient(**connection(settings), client_id=f"{settings.service}-relay")
        made = cls(producer, reader, admin)
        try:
            await admin.start()
            await producer.start()
            await reader.start()
        except BaseException:
            await made.close()
            raise
        return made

    async def append(self, partition: Partition, records: Sequence[Record]) -> int:
        first: int | None = None
        position = 0
        while position < len(records):
            batch = self._producer.create_batch()
            while position < len(records):
                record = records[position]
                added = batch.append(
                    key=record.key, value=record.value, timestamp=record.timestamp, headers=record.headers
                )
                if added is None:
                    break
                position += 1
            if not batch.record_count():
                raise KafkaError("a record is larger than a batch may be")
            sent = await self._producer.send_batch(batch, partition.topic, partition=partition.number)
            written = await sent
            first = written.offset if first is None else first
        if first is None:
            raise ValueError("there was nothing to append")
        return first

    async def end(self, partition: Partition) -> int:
        place = TopicPartition(partition.topic, partition.number)
        ends: dict[TopicPartition, int] = await self._reader.end_offsets([place])
        return ends[place]

    async def identity(self) -> str:
        """The cluster's id, which is made when a cluster is made. Raises KafkaError."""
        return await _cluster_id(self._admin)

    async def close(self) -> None:
        try:
            await self._admin.close()
            await self._reader.stop()
        finally:
            await self._producer.stop()
