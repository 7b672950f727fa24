"""Topic ids (KIP-516): which topic of a name this is, asked with Metadata v10, which aiokafka does not speak yet."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

from aiokafka.errors import LeaderNotAvailableError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BytesIO

    from aiokafka.admin import AIOKafkaAdminClient

PATIENCE = 3.0
"""Seconds that a topic just made may need until every broker knows of it."""


class Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc] # aiokafka is not typed for others
    """16 bytes."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class MetadataResponseV10(Response):  # type: ignore[misc] # as above
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequestV10(RequestStruct):  # type: ignore[misc] # as above
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponseV10
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class MetadataRequest(Request[MetadataRequestV10]):  # type: ignore[misc] # as above
    """Asks for topics by name. Brokers since Kafka 2.8 answer with ids."""

    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        tags: dict[int, bytes] = {}
        self._topics = [(uuid.UUID(int=0), name, tags) for name in topics]

    def build(self, request_struct_class: type[MetadataRequestV10]) -> MetadataRequestV10:
        return request_struct_class(self._topics, False, False, False, {})


async def logs_of(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, str]:
    """Topic -> "cluster id/topic id": the name of the log that the topic's offsets are places of. Raises KafkaError."""
    names = sorted(topics)
    deadline = time.monotonic() + PATIENCE
    while True:
        answer: Any = await admin._send_request(MetadataRequest(names))  # noqa: SLF001 - its public calls speak v5 only
        found = answer.to_object()
        errors = {for_code(topic["error_code"]) for topic in found["topics"] if topic["error_code"]}
        if not errors:
            return {topic["topic"]: f"{found['cluster_id']}/{topic['topic_id']}" for topic in found["topics"]}
        if errors - {UnknownTopicOrPartitionError, LeaderNotAvailableError} or time.monotonic() > deadline:
            raise errors.pop()(f"topics {names}")
        await asyncio.sleep(0.05)
