"""Responses of a wave as the feedback service tells them: the same seed gives the same ones, in a topic or in memory."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rapport_chassis.brokers import BATCH_BYTES
from rapport_chassis.journal import partition_of
from rapport_events.envelope import Envelope
from rapport_events.feedback import ResponseReceived, WaveOpened

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPIC = ResponseReceived.topic
PARTITIONS = 6
PPT = "public-perceptions-tracker"
WAVE = "0190c0de-0000-7000-8000-000000000001"
REGIONS = ("north-east", "north-west", "yorkshire", "midlands", "east", "london", "south-east", "south-west", "wales")
GROUPS = ((), (), (), ("bame",), ("young-18-24",), ("disability",), ("grade-de", "disability"))
ANSWERS = {
    "ppt.heard": ("yes", "no", "dont-know"),
    "ppt.impartial": ("very-confident", "fairly-confident", "not-very-confident", "not-at-all-confident"),
    "ppt.complain": ("very-likely", "fairly-likely", "not-very-likely", "not-at-all-likely", "dont-know"),
}
DAY = date(2026, 1, 5)


def opened() -> WaveOpened:
    """The news of the wave that all these responses belong to."""
    return WaveOpened(
        wave_id=WAVE,
        instrument_id="0190c0de-0000-7000-8000-000000000002",
        instrument_code=PPT,
        instrument_version=1,
        ordinal=1,
        year=1,
        starts_on=date(2026, 1, 1),
        ends_on=date(2026, 2, 1),
        question_versions=dict.fromkeys(ANSWERS, 1),
        synthetic=True,
    )


def responses(count: int, seed: int = 1) -> Iterator[ResponseReceived]:
    """Three questions, a region, at most two groups, a weight."""
    dice = random.Random(seed)
    for _ in range(count):
        yield ResponseReceived(
            response_id=made_up_id(dice),
            wave_id=WAVE,
            instrument_code=PPT,
            answers={question: dice.choice(codes) for question, codes in ANSWERS.items()},
            groups=dice.choice(GROUPS),
            region=dice.choice(REGIONS),
            weight=dice.randint(5_000, 20_000),
            day=DAY,
            synthetic=True,
        )


def envelopes(count: int, seed: int = 1) -> Iterator[Envelope]:
    """As the feedback service's unit of work makes them, one in ten of a sampled trace."""
    dice = random.Random(seed + 1)
    now = datetime.now(UTC)  # records with old times are at once too old for the brokers
    for response in responses(count, seed):
        sampled = dice.random() < 0.1
        yield Envelope.of(
            response,
            id=made_up_id(dice),
            source="urn:rapport:feedback",
            time=now,
            correlationid=made_up_id(dice),
            traceparent=f"00-{dice.getrandbits(128):032x}-{dice.getrandbits(64) | 1:016x}-{'01' if sampled else '00'}",
        )


def made_up_id(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


async def fill(kafka: dict[str, Any], topic: str, count: int, *, by_region: bool = False) -> None:
    """Make the topic with the partitions of the real one, and put the responses there as a relay would, numbered.

    `by_region`: keyed by region instead of by response.
    """
    admin = AIOKafkaAdminClient(**kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    producer = AIOKafkaProducer(**kafka, acks="all", max_batch_size=BATCH_BYTES, max_request_size=1_048_576)
    await producer.start()
    numbers: Counter[int] = Counter()
    batches = {}
    for envelope in envelopes(count):
        key, value, headers = envelope.to_kafka()
        if by_region:
            key = envelope.data["region"].encode()
        partition = partition_of(TOPIC, key.decode())
        numbers[partition] += 1
        headers.append(("ce_sequence", f"{numbers[partition]:020d}".encode()))
        record = {"key": key, "value": value, "headers": headers, "timestamp": int(envelope.time.timestamp() * 1000)}
        batch = batches.get(partition)
        if batch is None or batch.append(**record) is None:
            if batch is not None:
                await producer.send_batch(batch, topic, partition=partition)
            batches[partition] = batch = producer.create_batch()
            batch.append(**record)
    for partition, batch in batches.items():
        await producer.send_batch(batch, topic, partition=partition)
    await producer.flush()
    await producer.stop()
