"""What the benchmarks of consumers share: a topic full of responses, and the time from the first record to the last."""

from __future__ import annotations

import asyncio
import base64
import secrets
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from rapport_chassis.runtime import open_runtime
from rapport_chassis.settings import ServiceSettings
from rapport_chassis.subscription import Subscription

from benchmarks.harness import Meter, this_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from aiokafka import TopicPartition
    from rapport_chassis.consumer import Consumer
    from rapport_chassis.documents import Index
    from rapport_chassis.runtime import Runtime
    from rapport_chassis.unit_of_work import UnitOfWork

    from benchmarks.harness import Sample, Servers

PATIENCE = 120.0
WHOLE = 5_000
"""Records that a poll may bring: what the services are set to."""


@dataclass(slots=True)
class Stretch:
    """Measures from the assignment of partitions, before anything was fetched, until `count` records are dealt with."""

    servers: Servers
    count: int
    dealt_with: int = 0
    meter: Meter = field(init=False)
    _begun: bool = False
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.meter = Meter(this_process(), self.servers.pids)

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.meter.__enter__()

    def add(self, records: int) -> None:
        self.dealt_with += records
        if self.dealt_with >= self.count and not self._over.is_set():
            self.meter.__exit__(None, None, None)
            self._over.set()

    async def over(self) -> Sample:
        """Raises TimeoutError."""
        await asyncio.wait_for(self._over.wait(), PATIENCE)
        return self.meter.sample(self.dealt_with)


class Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    """Begins a stretch."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None: ...

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if assigned:
            self._stretch.begin()


@asynccontextmanager
async def runtime(
    servers: Servers, unit: type[UnitOfWork], indexes: Sequence[Index], **settings: Any
) -> AsyncIterator[Runtime]:
    """A service's runtime over databases of its own, gone afterwards."""
    made = ServiceSettings(
        service=f"bench-{uuid.uuid4().hex[:8]}",
        mongo_database_prefix=f"bench-{uuid.uuid4().hex[:8]}-",
        **servers.settings,
        keyring_master_key=base64.b64encode(secrets.token_bytes(96)).decode(),
        **settings,
    )
    opened = await open_runtime(made, unit, indexes)
    try:
        yield opened
    finally:
        for database in (made.database, made.keyring):
            await opened.client.drop_database(database)
        await opened.close()


async def subscribed(
    running: Runtime, consumer: Consumer, topic: str, finished: Callable[[], Awaitable[Sample]]
) -> Sample:
    """Our own subscription, until it is finished."""
    subscription = Subscription(running.settings, consumer, [topic])
    await subscription.start()
    try:
        return await finished()
    finally:
        await subscription.stop()


async def polled(stretch: Stretch, topic: str, use: Callable[[Sequence[Any]], None] | None = None) -> Sample:
    """The floor: aiokafka's `getmany` in a loop."""
    consumer = AIOKafkaConsumer(
        **stretch.servers.kafka,
        group_id=f"floor-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    consumer.subscribe([topic], listener=Assigned(stretch))
    await consumer.start()
    try:
        while stretch.dealt_with < stretch.count:
            found = await consumer.getmany(timeout_ms=1_000, max_records=WHOLE)
            for records in found.values():
                if use is not None:
                    use(records)
                stretch.add(len(records))
    finally:
        await consumer.stop()
    return await stretch.over()
