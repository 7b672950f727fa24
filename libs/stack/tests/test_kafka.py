"""A real Apache Kafka that keeps what it was given."""

import uuid
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rapport_stack import KafkaServer


async def create(bootstrap: str, topic: str, copies: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=copies)])
    finally:
        await admin.close()


async def topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(bootstrap: str, topic: str, count: int, group: str | None = None) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest")
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_produced_is_consumed_by_a_group(kafka_bootstrap: str) -> None:
    topic = f"things.{uuid.uuid4().hex}"
    await create(kafka_bootstrap, topic)
    await produce(kafka_bootstrap, topic, b"1", b"2")
    assert await consume(kafka_bootstrap, topic, 2, group=topic) == [b"1", b"2"]


async def test_data_and_ports_stay_until_wiped(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    with server:
        bootstrap, cluster = server.bootstrap, server.cluster_id
        await create(bootstrap, "kept")
        await produce(bootstrap, "kept", b"1")
        server.kill()
        server.start()
        await produce(bootstrap, "kept", b"2")
    with KafkaServer(tmp_path) as again:  # a new handle, as after a new start of the command line
        assert (again.bootstrap, again.cluster_id) == (bootstrap, cluster)
        assert await consume(bootstrap, "kept", 2) == [b"1", b"2"]
    server.wipe()
    with server:
        assert server.bootstrap == bootstrap
        assert server.cluster_id != cluster
        assert "kept" not in await topics(bootstrap)


async def test_three_brokers_serve_while_one_is_lost(tmp_path: Path) -> None:
    with KafkaServer(tmp_path, brokers=3) as server:
        assert len(server.pids) == server.bootstrap.count("127.0.0.1:") == 3
        await create(server.bootstrap, "kept", copies=3)
        await produce(server.bootstrap, "kept", b"1")
        server.brokers[0].kill()
        assert not server.running
        await produce(server.bootstrap, "kept", b"2")
        server.start()
        assert server.running
        assert await consume(server.bootstrap, "kept", 2) == [b"1", b"2"]
