import asyncio
import os
from dataclasses import dataclass

import pytest
from pymongo import AsyncMongoClient
from rapport_chassis.keyring import Keyring, KeyringUnavailable, MemoryKeyring, SubjectErased, SubjectKeys
from uuid_utils import uuid7

MASTER = {"local": {"key": os.urandom(96)}}


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self):
        return self.now


@dataclass
class Ring:
    """A keyring and what a committer does with its documents."""

    keyring: SubjectKeys

    async def commit(self, document):
        match self.keyring:
            case MemoryKeyring(documents=documents):
                documents[document["_id"]] = document
            case Keyring(collection=collection):
                await collection.replace_one({"_id": document["_id"]}, document, upsert=True)

    async def give(self, subject):
        key, document = await self.keyring.fresh(subject)
        await self.commit(document)
        return key


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database():
    return f"keyring-{uuid7()}"


@pytest.fixture(params=["memory", "mongodb"])
async def ring(request, clock, database):
    if request.param == "memory":
        keyring: SubjectKeys = MemoryKeyring(clock=clock, cache_size=100)
        await keyring.open()
        yield Ring(keyring)
        return
    client = AsyncMongoClient(request.getfixturevalue("mongo_uri"))
    keyring = Keyring(client, database, kms_providers=MASTER, clock=clock, cache_size=100)
    await keyring.open()
    yield Ring(keyring)
    await keyring.close()
    await client.drop_database(database)
    await client.close()


@pytest.fixture
async def client(mongo_uri, database):
    async with AsyncMongoClient(mongo_uri) as client:
        yield client
        await client.drop_database(database)


async def test_a_subject_without_a_key_reads_as_none(ring):
    assert await ring.keyring.key("nobody") is None
    assert await ring.keyring.keys([]) == {}


async def test_a_fresh_key_is_there_once_its_document_is_committed(ring):
    key, document = await ring.keyring.fresh("a")
    assert len(key) == 32
    assert document["_id"] == "a"
    assert await ring.keyring.key("a") is None  # nothing is cached or stored before the commit
    await ring.commit(document)
    assert await ring.keyring.key("a") == key
    assert await ring.keyring.fresh("a") == (key, None)


async def test_keys_differ_between_subjects_and_come_together(ring):
    expected = {subject: await ring.give(subject) for subject in ("a", "b", "c")}
    assert await ring.keyring.keys(["a", "b", "c", "d", "a"]) == {**expected, "d": None}
    assert len(set(expected.values())) == 3


async def test_an_erased_subject_has_no_key_and_gets_no_other(ring):
    await ring.give("a")
    assert await ring.keyring.key("a") is not None
    await ring.commit(ring.keyring.tombstone("a"))
    ring.keyring.forget("a")
    assert await ring.keyring.key("a") is None
    with pytest.raises(SubjectErased):
        await ring.keyring.fresh("a")


async def test_a_subject_erased_before_it_ever_had_a_key_gets_none(ring):
    await ring.commit(ring.keyring.tombstone("a"))
    with pytest.raises(SubjectErased):
        await ring.keyring.fresh("a")
    assert await ring.keyring.key("a") is None


async def test_keys_for_many_subjects_come_together(ring):
    kept = await ring.give("a")
    made = await ring.keyring.fresh_all(["a", "b", "c", "b"])
    assert made["a"] == (kept, None)
    assert [made[subject][1]["_id"] for subject in "bc"] == ["b", "c"]
    await ring.commit(ring.keyring.tombstone("c"))
    with pytest.raises(SubjectErased):
        await ring.keyring.fresh_all(["a", "b", "c"])


async def test_an_erased_subject_gets_no_key_even_where_nothing_is_cached():
    keyring = MemoryKeyring(cache_seconds=0)
    keyring.documents["a"] = keyring.tombstone("a")
    with pytest.raises(SubjectErased):
        await keyring.fresh("a")


async def test_an_erasure_takes_effect_within_a_minute_where_nobody_tells_of_it(ring, clock):
    key = await ring.give("a")
    assert await ring.keyring.key("a") == key
    await ring.commit(ring.keyring.tombstone("a"))
    clock.now += 59.9
    assert await ring.keyring.key("a") == key
    clock.now += 0.1
    assert await ring.keyring.key("a") is None


async def test_being_read_does_not_lengthen_a_key_s_life_in_the_cache(ring, clock):
    await ring.give("a")
    await ring.keyring.key("a")
    await ring.commit(ring.keyring.tombstone("a"))
    for _ in range(6):
        clock.now += 10
        last = await ring.keyring.key("a")
    assert last is None


async def test_a_remembered_key_needs_no_reading(ring):
    ring.keyring.remember("a", bytes(32))
    assert await ring.keyring.key("a") == bytes(32)


async def test_the_cache_is_bounded_and_drops_what_was_used_least_lately(ring):
    for number in range(101):
        ring.keyring.remember(f"s{number}", bytes([number]) * 32)
        assert await ring.keyring.key("s0") is not None
    assert await ring.keyring.key("s1") is None
    assert await ring.keyring.key("s100") is not None


async def test_a_blind_hash_is_stable_and_tells_texts_apart(ring):
    keyring = ring.keyring
    assert keyring.blind("name:ex") == keyring.blind("name:ex")
    assert len(keyring.blind("name:ex")) == 22
    assert keyring.blind("name:ex") != keyring.blind("name:exa")
    assert len(await keyring.blind_key()) == 32


def test_a_cache_longer_than_a_minute_is_refused():
    with pytest.raises(ValueError, match="60 s"):
        MemoryKeyring(cache_seconds=61)


async def test_what_was_read_before_an_erasure_does_not_stay_in_the_cache():
    class Slow(MemoryKeyring):
        """Reads, and answers only when told to, as a reply that is still on the wire does."""

        read, answer = asyncio.Event(), asyncio.Event()

        async def _stored(self, subjects):
            documents = await super()._stored(subjects)
            self.read.set()
            await self.answer.wait()
            return documents

    keyring = Slow()
    keyring.documents["a"] = {"_id": "a", "key": bytes(32)}
    reading = asyncio.create_task(keyring.key("a"))
    await keyring.read.wait()
    keyring.documents["a"] = keyring.tombstone("a")
    keyring.forget("a")
    keyring.answer.set()
    assert await reading == bytes(32)
    assert await keyring.key("a") is None


async def test_neither_key_nor_secret_lies_in_clear(client, database):
    keyring = Keyring(client, database, kms_providers=MASTER)
    await keyring.open()
    key, document = await keyring.fresh("a")
    await keyring.collection.insert_one(document)
    stored = await client[database]["keys"].find_one({"_id": "a"})
    assert set(stored) == {"_id", "key", "wrapped_by"}
    assert stored["key"].subtype == 6
    assert key not in bytes(stored["key"])
    secret = await client[database]["secrets"].find_one({"_id": "blind"})
    assert await keyring.blind_key() not in bytes(secret["key"])
    await keyring.close()


async def test_many_processes_may_open_a_new_keyring_at_once(mongo_uri, client, database):
    clients = [AsyncMongoClient(mongo_uri) for _ in range(8)]
    keyrings = [Keyring(one, database, kms_providers=MASTER) for one in clients]
    await asyncio.gather(*(keyring.open() for keyring in keyrings))
    await asyncio.gather(*(keyring.open() for keyring in keyrings))
    assert await client[database]["vault"].count_documents({}) == 1
    assert len({keyring.blind("x") for keyring in keyrings}) == 1
    key, document = await keyrings[0].fresh("a")
    await keyrings[0].collection.insert_one(document)
    assert [await keyring.key("a") for keyring in keyrings] == [key] * 8
    for keyring, one in zip(keyrings, clients, strict=True):
        await keyring.close()
        await one.close()


async def test_rotation_rewraps_and_the_old_master_key_can_go(client, database):
    old, new = {"key": os.urandom(96)}, {"key": os.urandom(96)}
    before = Keyring(client, database, kms_providers={"local": old})
    await before.open()
    key, document = await before.fresh("a")
    await before.collection.insert_one(document)
    await before.close()

    during = Keyring(client, database, kms_providers={"local": old, "local:next": new})
    assert await during.rewrap("local:next") == 1
    await during.close()

    after = Keyring(client, database, kms_providers={"local:next": new})
    await after.open()
    assert await after.key("a") == key
    assert (await after.fresh("b"))[1] is not None
    await after.close()

    stale = Keyring(client, database, kms_providers={"local": old})
    with pytest.raises(KeyringUnavailable):
        await stale.key("a")
    await stale.close()


async def test_a_wrong_master_key_is_an_error_and_never_an_erasure(client, database):
    right = Keyring(client, database, kms_providers=MASTER)
    await right.open()
    _, document = await right.fresh("a")
    await right.collection.insert_one(document)
    await right.close()
    wrong = Keyring(client, database, kms_providers={"local": {"key": os.urandom(96)}})
    with pytest.raises(KeyringUnavailable):
        await wrong.key("a")
    with pytest.raises(KeyringUnavailable):
        await wrong.open()
    await wrong.close()


async def test_a_database_out_of_reach_is_an_error_and_never_an_erasure(mongo_uri):
    client = AsyncMongoClient(mongo_uri)
    keyring = Keyring(client, kms_providers=MASTER)
    await client.close()
    with pytest.raises(KeyringUnavailable):
        await keyring.key("a")
    with pytest.raises(KeyringUnavailable):
        await keyring.fresh("a")
    with pytest.raises(KeyringUnavailable):
        await keyring.open()
    with pytest.raises(KeyringUnavailable):
        keyring.blind("x")
    await keyring.close()
