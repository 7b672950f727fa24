"""Servers in containers: as real, as killable and as fleeting as the embedded ones. Run by `--stack containers` only."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient
from rapport_stack import PortTakenError, Stack, StackError
from rapport_stack.containers import ContainerKafka, ContainerMongo
from rapport_stack.process import until
from rapport_stack.reaper import LABEL, engine, sweep

FORGETFUL = """
import json, signal, sys
from rapport_stack.containers import ContainerMongo

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background hand on that it is ignored
mongo = ContainerMongo()
mongo.start()
print(json.dumps(mongo.port), flush=True)
sys.stdin.read()
"""


async def topics(kafka: ContainerKafka) -> set[str]:
    admin = AIOKafkaAdminClient(**kafka.connection)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def write(kafka: ContainerKafka, topic: str, value: bytes) -> None:
    """In a transaction: one that the broker cannot finish because it does not find itself would hang."""
    async with (
        AIOKafkaProducer(**kafka.connection, transactional_id=topic) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(topic, value)


async def read(kafka: ContainerKafka, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, **kafka.connection, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def owners() -> set[str]:
    """Whose containers there are."""
    with engine() as client:
        found = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        return {container.labels[LABEL] for container in found}


async def test_kafka_keeps_its_data_until_it_loses_them() -> None:
    with ContainerKafka() as kafka:
        bootstrap, cluster = kafka.bootstrap, kafka.cluster_id
        admin = AIOKafkaAdminClient(**kafka.connection)
        await admin.start()
        await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
        await admin.close()
        await write(kafka, "kept", b"1")
        kafka.kill()
        assert not kafka.running
        kafka.start()
        await write(kafka, "kept", b"2")
        kafka.stop()
        kafka.start()
        assert (kafka.bootstrap, kafka.cluster_id) == (bootstrap, cluster)
        assert await read(kafka, "kept", 2) == [b"1", b"2"]
        kafka.lose()
        assert not kafka.running
        kafka.start()
        assert kafka.bootstrap == bootstrap
        assert kafka.cluster_id != cluster
        assert "kept" not in await topics(kafka)


async def test_mongo_has_transactions_and_keeps_them() -> None:
    with ContainerMongo(parameters={"maxTransactionLockRequestTimeoutMillis": "20"}) as mongo:
        async with AsyncMongoClient(mongo.uri) as client:
            async with client.start_session() as session, await session.start_transaction():
                await client["house"]["things"].insert_one({"_id": 1}, session=session)
            asked = await client.admin.command(
                {"getParameter": 1, "transactionLifetimeLimitSeconds": 1, "maxTransactionLockRequestTimeoutMillis": 1}
            )
        assert asked["transactionLifetimeLimitSeconds"] == 10
        assert asked["maxTransactionLockRequestTimeoutMillis"] == 20
        mongo.kill()
        mongo.start()
        async with AsyncMongoClient(mongo.uri) as client:
            assert await client["house"]["things"].find_one() == {"_id": 1}
        with pytest.raises(StackError, match="cannot be wiped"):
            mongo.wipe()
        with pytest.raises(PortTakenError, match=str(mongo.port)):
            ContainerMongo(port=mongo.port).start()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_no_container_outlives_its_owner(ending: signal.Signals) -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", FORGETFUL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        json.loads(program.stdout.readline())
        assert any(owner.endswith(f"/{program.pid}") for owner in owners())
        program.send_signal(ending)
    assert until(lambda: not any(owner.endswith(f"/{program.pid}") for owner in owners()), seconds=30, every=0.2)


def test_what_a_killed_reaper_left_is_swept() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as nobody:
        nobody.wait()
    with engine() as client:
        left = client.volumes.create(labels={LABEL: f"{socket.gethostname()}/{nobody.pid}"})
        mine = client.volumes.create(labels={LABEL: f"{socket.gethostname()}/{os.getpid()}"})
        sweep(client)
        names = {volume.name for volume in client.volumes.list()}
        mine.remove()
    assert left.name not in names
    assert mine.name in names


def test_where_no_engine_answers_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(StackError, match="No Docker engine answers"):
        ContainerMongo().start()


def test_there_are_no_three_of_them() -> None:
    with pytest.raises(StackError, match="has one"):
        Stack("containers", brokers=3)
