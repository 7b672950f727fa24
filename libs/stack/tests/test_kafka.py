"""A real Apache Kafka that keeps what it was given."""

import uuid
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rapport_stack import KafkaServer


async def create(server: dict, topic: str, copies: int = 1) -> None:
    admin = AIOKafkaAdminClient(**server)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=copies)])
    finally:
        await admin.close()


async def topics(server: dict) -> list[str]:
    admin = AIOKafkaAdminClient(**server)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def produce(server: dict, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(**server, enable_idempotence=True, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(server: dict, topic: str, count: int, group: str | None = None) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, **server, group_id=group, auto_offset_reset="earliest")
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_produced_is_consumed_by_a_group(kafka_connection: dict) -> None:
    topic = f"things.{uuid.uuid4().hex}"
    await create(kafka_connection, topic)
    await produce(kafka_connection, topic, b"1", b"2")
    assert await consume(kafka_connection, topic, 2, group=topic) == [b"1", b"2"]


async def test_data_and_ports_stay_until_wiped(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    with server:
        bootstrap, cluster = server.bootstrap, server.cluster_id
        await create(server.connection, "kept")
        await produce(server.connection, "kept", b"1")
        server.kill()
        server.start()
        await produce(server.connection, "kept", b"2")
    with KafkaServer(tmp_path) as again:  # a new handle, as after a new start of the command line
        assert (again.bootstrap, again.cluster_id) == (bootstrap, cluster)
        assert await consume(server.connection, "kept", 2) == [b"1", b"2"]
    server.wipe()
    with server:
        assert server.bootstrap == bootstrap
        assert server.cluster_id != cluster
        assert "kept" not in await topics(server.connection)


async def test_three_brokers_serve_while_one_is_lost(tmp_path: Path) -> None:
    with KafkaServer(tmp_path, brokers=3) as server:
        assert len(server.pids) == server.bootstrap.count("127.0.0.1:") == 3
        await create(server.connection, "kept", copies=3)
        await produce(server.connection, "kept", b"1")
        server.brokers[0].kill()
        assert not server.running
        await produce(server.connection, "kept", b"2")
        server.start()
        assert server.running
        assert await consume(server.connection, "kept", 2) == [b"1", b"2"]
