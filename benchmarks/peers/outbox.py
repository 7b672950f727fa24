"""The polling outbox as commonly taught: find what is unsent, send it, mark it sent.

Same durability as ours: majority and journal, acks=all, and the idempotent producer. `send` returns once a record is
in the producer's buffer, so that a poll's records travel together; the poll waits for all of their acknowledgements.
It guarantees at least once. It does not number events, so nobody sees a loss or a double; a second relay sends
everything twice and out of order; a failure in the middle of a poll repeats records behind later ones; and what a lost
cluster held cannot be sent again with the same places.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from pymongo import ASCENDING
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase
    from rapport_events.envelope import Envelope

POLL = 500


def producer(kafka: dict[str, Any]) -> AIOKafkaProducer:
    return AIOKafkaProducer(**kafka, acks="all", enable_idempotence=True, max_batch_size=256 * 1024, linger_ms=0)


def row(envelope: Envelope, topic: str) -> dict[str, Any]:
    """The outbox's document: the record as it will be sent."""
    key, value, headers = envelope.to_kafka()
    return {
        "_id": envelope.id,
        "topic": topic,
        "key": key,
        "payload": value,
        "headers": [[name, text] for name, text in headers],
        "created_at": datetime.now(UTC),
        "sent": False,
    }


class PollingOutbox:
    def __init__(self, database: AsyncDatabase[dict[str, Any]], producer: AIOKafkaProducer) -> None:
        self._outbox = database["outbox"].with_options(
            read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority", j=True)
        )
        self._producer = producer

    async def prepare(self) -> None:
        await self._outbox.create_index(
            [("created_at", ASCENDING), ("_id", ASCENDING)], partialFilterExpression={"sent": False}
        )

    async def poll(self) -> int:
        """Send the oldest rows that are unsent. How many they were."""
        rows = await self._outbox.find({"sent": False}).sort([("created_at", 1), ("_id", 1)]).limit(POLL).to_list()
        acknowledged = [
            await self._producer.send(
                row["topic"], row["payload"], key=row["key"], headers=[(name, text) for name, text in row["headers"]]
            )
            for row in rows
        ]
        await asyncio.gather(*acknowledged)
        if rows:
            await self._outbox.update_many(
                {"_id": {"$in": [row["_id"] for row in rows]}}, {"$set": {"sent": True, "sent_at": datetime.now(UTC)}}
            )
        return len(rows)
