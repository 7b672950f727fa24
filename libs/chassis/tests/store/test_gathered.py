"""Reads that wait together share a query; each gets what is there when it asks, and hears of what goes wrong."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pymongo import AsyncMongoClient, monitoring
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ServerSelectionTimeoutError
from rapport_chassis.gathered import GatheredReads


class Finds(monitoring.CommandListener):
    """Counts queries as the server sees them."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count += event.command_name == "find"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture
def finds() -> Finds:
    return Finds()


@pytest.fixture
async def reads(mongo_uri: str, database: AsyncDatabase, finds: Finds) -> AsyncIterator[GatheredReads]:
    await database["things"].insert_many([{"_id": f"t{n}", "tags": [n]} for n in range(700)])
    async with AsyncMongoClient(mongo_uri, event_listeners=[finds]) as client:
        yield GatheredReads(client[database.name])


async def test_what_waits_shares_a_query(reads: GatheredReads, finds: Finds) -> None:
    found = await asyncio.gather(*(reads.get("things", f"t{n}") for n in range(700)))
    assert found == [{"_id": f"t{n}", "tags": [n]} for n in range(700)]
    assert finds.count <= 3


async def test_everybody_gets_a_document_of_his_own(reads: GatheredReads, finds: Finds) -> None:
    one, other, none = await asyncio.gather(
        reads.get("things", "t1"), reads.get("things", "t1"), reads.get("things", "absent")
    )
    assert none is None
    assert one is not None
    one["tags"].append("changed")
    assert other == {"_id": "t1", "tags": [1]}
    assert finds.count == 1


async def test_a_read_sees_what_was_written_before_it_was_asked_for(
    reads: GatheredReads, database: AsyncDatabase
) -> None:
    under_way = asyncio.create_task(reads.get("things", "t1"))
    await asyncio.sleep(0)
    await database["things"].insert_one({"_id": "new"})
    assert await reads.get("things", "new") == {"_id": "new"}
    assert (await under_way or {})["_id"] == "t1"


async def test_a_client_that_goes_away_holds_up_nobody(reads: GatheredReads) -> None:
    gone, stays = (asyncio.create_task(reads.get("things", id_)) for id_ in ("t1", "t2"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays or {})["_id"] == "t2"
    assert gone.cancelled()


async def test_a_store_that_is_away_is_told_to_everybody() -> None:
    async with AsyncMongoClient("mongodb://127.0.0.1:9/?replicaSet=none", serverSelectionTimeoutMS=100) as client:
        reads = GatheredReads(client["nowhere"])
        outcomes = await asyncio.gather(reads.get("a", "1"), reads.get("a", "2"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServerSelectionTimeoutError] * 2
