"""The rest of the naive stack, each half a process as it would be deployed: the polling outbox, and the consumer.

`PEER_MONGO=mongodb://… PEER_KAFKA={…} python -m benchmarks.peers.naive relay|consumer DATABASE TOPIC`

The relay polls again at once while it finds something, else after 50 ms. The consumer is FastStream's single handler
with its inbox and its tallies in one transaction an event, acknowledged afterwards.
"""

import argparse
import asyncio
import json
import os
from typing import Any

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka.annotations import KafkaMessage
from pymongo import AsyncMongoClient
from rapport_events.feedback import ResponseReceived

from benchmarks.peers.faststream_single import TalliesWithInbox, broker_of
from benchmarks.peers.outbox import PollingOutbox, producer

PAUSE = 0.05


def kafka() -> dict[str, Any]:
    """aiokafka's connection arguments."""
    found: dict[str, Any] = json.loads(os.environ["PEER_KAFKA"])
    return found


async def relay(options: argparse.Namespace) -> None:
    async with AsyncMongoClient[dict[str, Any]](os.environ["PEER_MONGO"]) as client, producer(kafka()) as sending:
        outbox = PollingOutbox(client[options.database], sending)
        while True:
            if not await outbox.poll():
                await asyncio.sleep(PAUSE)


async def consumer(options: argparse.Namespace) -> None:
    async with AsyncMongoClient[dict[str, Any]](os.environ["PEER_MONGO"]) as client:
        store = TalliesWithInbox(client, options.database)
        await store.prepare()
        broker = broker_of(kafka())

        @broker.subscriber(
            options.topic, group_id="naive", auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
        )
        async def handle(response: ResponseReceived, message: KafkaMessage) -> None:
            await store(response, message.headers["ce_id"])

        await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", choices=("relay", "consumer"))
    parser.add_argument("database")
    parser.add_argument("topic")
    chosen = parser.parse_args()
    uvloop.run((relay if chosen.half == "relay" else consumer)(chosen))
