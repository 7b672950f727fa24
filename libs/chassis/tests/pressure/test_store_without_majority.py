"""Without a majority nothing is acknowledged and nobody waits for long; with it again, everything goes on by itself."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient, MongoClient
from rapport_stack.mongo import MongoServer
from rapport_stack.workbench import Workbench

from libs.chassis.tests.pressure.program import Answer, Premises, Program, until

PATIENCE = 10.0
MARGIN = 5.0
"""For a machine that is busy with other tests."""


@pytest.fixture
def three(tmp_path: Path) -> Iterator[MongoServer]:
    with MongoServer(tmp_path / "mongo", members=3) as server:
        yield server


def secondaries(server: MongoServer) -> list[int]:
    """Which members are not the primary now."""
    with MongoClient(server.uri) as client:
        _, port = client.admin.command("hello")["primary"].split(":")
    return [n for n, each in enumerate(server.ports) if each != int(port)]


async def write(api: Program, key: str) -> Answer | None:
    begun = time.monotonic()
    answer = await api.register(key)
    took = time.monotonic() - begun
    assert took < PATIENCE + MARGIN, f"{answer.status} after {took:.1f} s"
    return answer


async def test_writes_are_refused_in_time_and_none_is_half_done(
    three: MongoServer, bench: Workbench, database_name: str, tmp_path: Path
) -> None:
    premises = Premises(three.uri, bench, database_name, tmp_path)
    try:
        api = await premises.start(commit_patience_seconds=PATIENCE)
        assert (await api.register("before")).status == 201
        frozen = secondaries(three)
        for number in frozen:
            three.members[number].freeze()
        keys = [uuid.uuid4().hex for _ in range(20)]
        answers = await asyncio.gather(*(write(api, key) for key in keys))
        # The same again: the first may be stored by the one that is left, and must not be acknowledged for that.
        answers += await asyncio.gather(*(write(api, key) for key in keys))
        assert all(answer.is_refusal() for answer in answers)
        for number in frozen:
            three.members[number].thaw()

        async def taken_again() -> bool:
            return (await api.register("after")).status == 201

        await until(taken_again)
        again = [await api.register(key) for key in keys]
        assert {answer.status for answer in again} == {201}
        async with AsyncMongoClient(three.uri) as client:
            for collection in ("stakeholders", "journal"):
                assert await client[premises.database][collection].count_documents({}) == len(keys) + 2, collection
        print(f"refused after at most {max(a.seconds for a in answers):.1f} s")  # noqa: T201 - seen with -s
    finally:
        premises.stop()
