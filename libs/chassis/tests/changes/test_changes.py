import asyncio

import pytest
from pymongo import AsyncMongoClient
from rapport_chassis.changes import RESET, Change, ChangeFeed, Changes


@pytest.fixture
async def collection(mongo_uri, database_name):
    async with AsyncMongoClient(mongo_uri) as client:
        yield client[database_name]["figures"]
        await client.drop_database(database_name)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 20)


async def test_writes_are_told_with_their_documents(collection):
    async with ChangeFeed(collection) as feed, feed.subscribe() as changes:
        await collection.insert_one({"_id": "a", "n": 1})
        assert await soon(changes.get()) == Change("a", {"_id": "a", "n": 1})
        await collection.update_one({"_id": "a"}, {"$set": {"n": 2}})
        assert await soon(changes.get()) == Change("a", {"_id": "a", "n": 2})
        await collection.delete_one({"_id": "a"})
        assert await soon(changes.get()) == Change("a", None, removed=True)


async def test_documents_need_not_be_read(collection):
    await collection.insert_one({"_id": "a", "n": 1})
    async with ChangeFeed(collection, documents=False) as feed, feed.subscribe() as changes:
        await collection.update_one({"_id": "a"}, {"$set": {"n": 2}})
        assert await soon(changes.get()) == Change("a", None)


async def test_what_was_written_before_is_not_told(collection):
    await collection.insert_one({"_id": "before"})
    async with ChangeFeed(collection) as feed:
        async with feed.subscribe() as changes:
            await collection.insert_one({"_id": "first"})
            assert (await soon(changes.get())).id == "first"
        async with feed.subscribe() as changes:
            await collection.insert_one({"_id": "second"})
            assert (await soon(changes.get())).id == "second"


async def streams(collection):
    operations = collection.database.client.admin.aggregate  # idle cursors are listed as well as running ones
    cursor = await operations(
        [
            {"$currentOp": {"idleCursors": True, "allUsers": True}},
            {"$match": {"ns": collection.full_name, "cursor.originatingCommand.aggregate": collection.name}},
        ]
    )
    return [operation async for operation in cursor]


async def test_many_listeners_share_one_stream_and_all_hear_everything(collection):
    async with ChangeFeed(collection) as feed:
        listeners = [feed.subscribe() for _ in range(50)]
        queues = [await listener.__aenter__() for listener in listeners]
        await collection.insert_many([{"_id": number} for number in range(20)])
        for queue in queues:
            assert [(await soon(queue.get())).id for _ in range(20)] == list(range(20))
        assert len(await streams(collection)) == 1
        for listener in listeners:
            await listener.__aexit__(None, None, None)
        assert feed._listeners == set()


async def test_a_slow_listener_gets_the_newest_of_each_document_and_holds_nobody_up(collection):
    async with ChangeFeed(collection) as feed, feed.subscribe() as slow, feed.subscribe() as quick:
        await collection.insert_many([{"_id": "a", "n": 0}, {"_id": "b", "n": 0}])
        for n in range(1, 101):
            await collection.update_one({"_id": "a"}, {"$set": {"n": n}})
        while (await soon(quick.get())).document != {"_id": "a", "n": 100}:
            pass
        assert len(slow) == 2
        assert (await slow.get()).document == {"_id": "a", "n": 100}
        assert (await slow.get()).document == {"_id": "b", "n": 0}


async def test_a_listener_that_falls_too_far_behind_is_told_to_read_again(collection):
    async with ChangeFeed(collection, waiting=10) as feed, feed.subscribe() as slow, feed.subscribe() as quick:
        for number in range(100):
            await collection.insert_one({"_id": number})
            assert (await soon(quick.get())).id == number
            assert len(slow) <= 10
        assert await slow.get() is RESET
        await collection.insert_one({"_id": "next"})
        heard = await soon(slow.get())
        while heard.id != "next":
            heard = await soon(slow.get())


async def test_a_dropped_collection_is_a_reset_and_the_feed_goes_on(collection):
    await collection.insert_one({"_id": "a"})
    async with ChangeFeed(collection) as feed, feed.subscribe() as changes:
        await collection.drop()
        assert await soon(changes.get()) is RESET
        await heard_of(collection, changes)


async def heard_of(collection, changes):
    """Write until a write is heard: a stream that is being opened anew begins somewhere among them."""
    for number in range(200):
        await collection.insert_one({"_id": f"again {number}"})
        try:
            change = await asyncio.wait_for(changes.get(), 0.1)
        except TimeoutError:
            continue
        if change is not RESET:
            return
    pytest.fail("nothing was heard again")


async def test_a_position_that_the_server_refuses_is_a_reset(collection):
    feed = ChangeFeed(collection)
    async with feed, feed.subscribe() as changes:
        await feed.__aexit__()
        feed._position = {"_data": "8263B1C5D5000000012B0229296F04"}  # of a notice that the collection was dropped
        async with feed:
            assert await soon(changes.get()) is RESET
            await collection.insert_one({"_id": "a"})
            assert (await soon(changes.get())).id == "a"


async def test_a_server_that_comes_back_is_read_from_where_it_was_left(collection, mongo_server):
    async with ChangeFeed(collection) as feed, feed.subscribe() as changes:
        await collection.insert_one({"_id": "before"})
        assert (await soon(changes.get())).id == "before"
        mongo_server.stop()
        mongo_server.start()
        await collection.insert_one({"_id": "after"})
        assert (await soon(changes.get())).id == "after"


async def test_the_marker_takes_the_place_of_what_waits():
    changes = Changes(size=3)
    for number in range(3):
        changes.put(Change(number, {}))
    changes.reset()
    changes.put(Change(4, {}))
    assert len(changes) == 1
    assert await changes.get() is RESET
    changes.put(Change(5, {}))
    assert await changes.get() == Change(5, {})
