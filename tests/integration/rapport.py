"""The running platform as the world sees it: its APIs, its mailbox and traces, its databases and topics from outside."""

import asyncio
import importlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pymongo import AsyncMongoClient
from rapport_chassis.records import number_of
from rapport_chassis.service import Service
from rapport_cli.running.platform import Platform
from rapport_cli.running.process import KeptProcess
from rapport_cli.running.state import SERVICES
from rapport_events.catalog import TOPICS
from rapport_stack.mailbox import Mailbox
from rapport_stack.spans import SpanStore

T = TypeVar("T")
Place = tuple[str, int]
"""Topic and partition."""

ROLES = ("engagement-officer", "researcher", "collector", "analyst", "operator", "auditor", "director")


async def until(condition: Callable[[], Awaitable[T]], *, seconds: float = 30, what: str = "") -> T:
    """Wait for a condition, not for a time; what made it true."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what or condition.__name__}"
        await asyncio.sleep(pause)
        pause = min(1.3 * pause, 0.2)  # what takes seconds is not asked twenty times in each
    return found


def declared(service: str) -> Service:
    """The wiring of a service: what it hears and tells."""
    found: Service = importlib.import_module(f"{service}.main").SERVICE
    return found


class Rapport:
    """One running platform. Everything in here goes through a public surface, or reads what lies on the disks."""

    def __init__(self, platform: Platform, mongo: AsyncMongoClient[dict[str, Any]]) -> None:
        self.platform = platform
        self.mongo = mongo
        self._clients: dict[str, httpx.AsyncClient] = {}
        self.consumed = {service: sorted({e.topic for e in declared(service).consumes}) for service in SERVICES}
        """Topics by who hears of them."""

    @classmethod
    @asynccontextmanager
    async def of(cls, platform: Platform) -> AsyncIterator["Rapport"]:
        async with AsyncMongoClient[dict[str, Any]](platform.stack.endpoints.mongo_uri, tz_aware=True) as mongo:
            rapport = cls(platform, mongo)
            yield rapport
            await rapport.hang_up()

    # Over HTTP --------------------------------------------------------------------------------------------------------

    def http(self, service: str) -> httpx.AsyncClient:
        """The API of a service for somebody with every role: access is proved elsewhere."""
        if service not in self._clients:
            token = self.platform.bench.issuer().token("journey", ROLES)
            self._clients[service] = httpx.AsyncClient(
                base_url=self.platform.state.urls[service],
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
                trust_env=False,
            )
        return self._clients[service]

    async def hang_up(self) -> None:
        """Close all connections, of which some lead to an API that was killed: the next request would meet its end."""
        while self._clients:
            _, client = self._clients.popitem()
            await client.aclose()

    async def get(self, service: str, path: str, **params: Any) -> Any:
        answer = await self.http(service).get(path, params=params)
        assert answer.is_success, f"GET {service} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def post(self, service: str, path: str, body: Any, **headers: str) -> Any:
        """With an Idempotency-Key of its own, unless one is given."""
        answer = await self.http(service).post(path, json=body, headers={"Idempotency-Key": new_key(), **headers})
        assert answer.is_success, f"POST {service} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def pages(self, service: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = await self.get(service, path, limit=200, **params, **more)
            items += page["items"]
            if page["next"] is None:
                return items
            more = {"cursor": page["next"]}

    # What arrives outside ---------------------------------------------------------------------------------------------

    def mailbox(self) -> Mailbox:
        return self.platform.bench.mailbox()

    def spans(self) -> SpanStore:
        return self.platform.bench.spans()

    def hook(self, name: str) -> str:
        """The URL of a webhook that the mailbox takes in."""
        return f"{self.platform.bench.url}/hooks/{name}"

    # Processes --------------------------------------------------------------------------------------------------------

    def process(self, name: str) -> KeptProcess:
        return next(each for each in self.platform.kept if each.name == name)

    async def all_ready(self, *, seconds: float = 60) -> None:
        async def ready() -> bool:
            return all(each.pid and each.ready for each in self.platform.kept)

        await until(ready, seconds=seconds, what=f"all ready: { {e.name: e.said for e in self.platform.kept} }")

    # On the disks -----------------------------------------------------------------------------------------------------

    async def heads(self) -> dict[Place, int]:
        """The last number that each service gave in each of its partitions."""
        found: dict[Place, int] = {}
        last = {"$subtract": [{"$add": ["$first", {"$size": "$ids"}]}, 1]}
        each = {"_id": {"topic": "$topic", "partition": "$partition"}, "last": {"$max": last}}
        for service in SERVICES:
            async for place in await self.mongo[service]["journal_batches"].aggregate([{"$group": each}]):
                found[place["_id"]["topic"], place["_id"]["partition"]] = place["last"]
        return found

    async def generation(self, service: str) -> int:
        """The number of the generation of a service's projection that is in force."""
        found = await self.mongo[service]["generations"].find_one({"_id": "current"})
        return found["version"] if found else 1

    async def cursors(self, service: str) -> dict[Place, dict[str, Any]]:
        """How far a service has heard."""
        name = of_generation("cursors", await self.generation(service))
        return {(c["topic"], c["partition"]): c async for c in self.mongo[service][name].find({})}

    async def unheard(self) -> list[str]:
        """Where events wait: in a journal, or on a topic."""
        unsent = {s: await self.mongo[s]["journal"].count_documents({"unsent": True}) for s in SERVICES}
        waiting = [f"{service} has {count} events unsent" for service, count in unsent.items() if count]
        heads = await self.heads()
        for service in SERVICES:
            cursors = await self.cursors(service)
            for (topic, partition), head in heads.items():
                number = cursors.get((topic, partition), {"number": 0})["number"]
                if topic in self.consumed[service] and number < head:
                    waiting.append(f"{service} is at {number} of {head} in {topic}/{partition}")
        if count := await self.mongo["notifications"]["messages"].count_documents({"due": {"$ne": None}}):
            waiting.append(f"{count} messages are not settled")
        return waiting

    async def settled(self, *, seconds: float = 60) -> None:
        """Wait until nothing is under way any more: all told, all heard, all messages at their end."""
        last: dict[Place, int] | None = None
        deadline = time.monotonic() + seconds
        while True:
            waiting = await self.unheard()
            heads = await self.heads()
            if not waiting and heads == last:
                return
            assert time.monotonic() < deadline, f"not settled within {seconds:.0f} s: {waiting}"
            last = None if waiting else heads
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A stranger who reads the topics, and belongs to no group."""
        reader = AIOKafkaConsumer(**self.platform.stack.endpoints.kafka, auto_offset_reset="earliest", group_id=None)
        await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """The offset behind the last record of each partition; of a topic that is not there, none."""
        async with self.reader() as reader:
            found = await reader.end_offsets(_places(await reader.topics() & set(topics)))
        return {(place.topic, place.partition): end for place, end in found.items()}

    async def records(self, topics: Iterable[str] = TOPICS) -> dict[Place, list[Any]]:
        """Every record on these topics, as it lies there; of a topic that is not there, none."""
        found: dict[Place, list[Any]] = {(place.topic, place.partition): [] for place in _places(topics)}
        async with self.reader() as reader:
            places = _places(await reader.topics() & set(topics))
            reader.assign(places)
            ends = await reader.end_offsets(places)
            waiting = {place for place, end in ends.items() if end}
            while waiting:
                for place, records in (await reader.getmany(*waiting, timeout_ms=500)).items():
                    found[place.topic, place.partition] += records
                for place in list(waiting):
                    if await reader.position(place) >= ends[place]:
                        waiting.remove(place)
        return found

    async def told(self, topics: Iterable[str] = TOPICS) -> dict[Place, list[tuple[int, str]]]:
        """(number, event id) of every event on the topics, first occurrences only, in the order they lie there."""
        found: dict[Place, list[tuple[int, str]]] = {}
        for place, records in (await self.records(topics)).items():
            numbered = [(number, r) for r in records if (number := number_of(r.headers)) is not None]
            found[place] = list(dict.fromkeys((number, dict(r.headers)["ce_id"].decode()) for number, r in numbered))
        return found

    async def put(self, topic: str, partition: int, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        """Put a record on a topic that no relay sent."""
        producer = AIOKafkaProducer(**self.platform.stack.endpoints.kafka)
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, key=b"stray", headers=headers, partition=partition)
        finally:
            await producer.stop()

    async def documents(self, *, without: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Any]]:
        """Every document of every service: "database/collection" -> id -> document.

        `without`: collection -> names of fields to leave out, none named: all of it.
        """
        found: dict[str, dict[str, Any]] = {}
        for database in (*SERVICES, "keyring"):
            for name in sorted(await self.mongo[database].list_collection_names()):
                hidden = dict.fromkeys(without.get(name, ()), 0)
                if name in without and not hidden:
                    continue
                found[f"{database}/{name}"] = {
                    str(d["_id"]): d async for d in self.mongo[database][name].find({}, hidden or None)
                }
        return found


def of_generation(collection: str, generation: int) -> str:
    """Where a collection of a projection stands."""
    return collection if generation == 1 else f"{collection}@{generation}"


def new_key() -> str:
    return uuid.uuid4().hex


def _places(topics: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(TOPICS[topic].partitions)]
