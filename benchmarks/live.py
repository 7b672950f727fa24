"""G11: from the POST of a response until its figure is in the stream, beside the sum of the raw parts.

The raw parts, one after another for each response: insert with majority, produce and consume, update with majority,
change stream. Both are paced: requests go out on time whether or not earlier ones are answered, and delay counts from
the moment a request was due.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

from benchmarks.client import Connection, listen, request
from benchmarks.harness import (
    Bound,
    Contestant,
    Goal,
    Measured,
    Meter,
    Sample,
    Scale,
    Servers,
    check,
    interleaved,
    this_process,
)
from benchmarks.post import bodies, open_wave
from benchmarks.processes import House, processes, until, without_topics
from benchmarks.sustained import platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from benchmarks.harness import Round

OURS, PARTS = "ours", "raw parts"
MEASURE = "PPT-1a"
SHOWN_FROM = 30
"""Figures on fewer responses are suppressed."""
PATIENCE = 30.0


def _ratio(figure: str, rate: int) -> Callable[[Round], float]:
    return lambda samples: (
        getattr(samples[f"{OURS}, {rate}/s"], figure) / getattr(samples[f"{PARTS}, {rate}/s"], figure)
    )


GOALS = (
    Goal(
        "G11",
        "POST to visible in the stream",
        "sum of the raw parts",
        (
            Bound("p50 at 50/s", "≤", 1.5, _ratio("p50", 50)),
            Bound("p99 at 50/s", "≤", 2, _ratio("p99", 50)),
            Bound("p99 at 200/s", "≤", 3, _ratio("p99", 200)),
            Bound("p50 at 200/s", "≤", None, _ratio("p50", 200)),
        ),
    ),
)


async def measure(servers: Servers, scale: Scale) -> Measured:
    found = Measured()
    async with processes(servers) as running, _Parts.of(servers) as parts:
        at = await platform(running)
        ours = _Ours(at, await open_wave(at))
        await ours.fill()
        for rate, full in ((50, 300), (200, 800)):
            contestants = (
                Contestant(
                    f"{OURS}, {rate}/s",
                    ours.runner(rate),
                    "Every duty of G1 and G12; the stream tells the figure with its interval and verdict, as it is "
                    "stored. Responses are counted, not recognised: the n-th is visible once n are in the figure.",
                ),
                Contestant(
                    f"{PARTS}, {rate}/s",
                    parts.runner(rate),
                    "Each part is durable (majority and journalled, acks=all).",
                    "Everything else: no HTTP, no transaction, no event beside its state, nothing counted twice is seen.",
                ),
            )
            found.add(await interleaved(contestants, scale, scale.size(full, 40), warmup=0.2))
    return found


async def paced(rate: int, due: list[float], send: Callable[[int], Awaitable[None]], size: int) -> None:
    """Send on time; `due` is filled with when each was due."""
    started = time.perf_counter() + 0.05
    due.extend(started + n / rate for n in range(size))
    async with asyncio.TaskGroup() as group:
        for n in range(size):
            await asyncio.sleep(max(0.0, due[n] - time.perf_counter()))
            group.create_task(send(n))


class _Ours:
    def __init__(self, at: House, wave: str) -> None:
        self._house = at
        self._wave = wave
        self._url = f"{at.urls['feedback']}/waves/{wave}/responses"
        self._headers = at.processes.authorised()
        self._keys = itertools.count()
        self._sent = 0

    async def fill(self) -> None:
        """As many as a figure needs to be shown, and until it is."""
        async with self._listening() as seen:
            await self._post_all(1_000, SHOWN_FROM, [])
            await until(lambda: _reached(seen, self._sent), f"a figure of {self._sent} responses is in the stream")

    def runner(self, rate: int) -> Callable[[int], Awaitable[Sample]]:
        async def run(size: int) -> Sample:
            due: list[float] = []
            before = self._sent
            async with self._listening() as seen:
                with Meter(self._house.pids, self._house.processes.servers.pids) as meter:
                    await self._post_all(rate, size, due)
                    await until(lambda: _reached(seen, before + size), "all responses are in the stream's figure")
            check(seen[-1][1] == before + size, f"the figure has {seen[-1][1]} responses, {before + size} were sent")
            return meter.sample(size, _delays(due, seen, before), seconds=size / rate)

        return run

    async def _post_all(self, rate: int, size: int, due: list[float]) -> None:
        content = [
            request(self._url, body, {**self._headers, "Idempotency-Key": f"{self._wave}-{next(self._keys)}"})
            for body in bodies(size)
        ]
        idle = [await Connection.open(self._url) for _ in range(8)]
        everybody = list(idle)

        async def send(n: int) -> None:
            if not idle:
                everybody.append(await Connection.open(self._url))
                idle.append(everybody[-1])
            connection = idle.pop()
            status, body = await connection.send(content[n])
            check(status == httpx.codes.CREATED, f"POST: {status} {body.decode(errors='replace')}")
            idle.append(connection)

        await paced(rate, due, send, size)
        self._sent += size
        for each in everybody:
            each.close()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[list[tuple[float, int]]]:
        """(when, how many responses) of every figure of the measure that the stream tells."""
        seen: list[tuple[float, int]] = []
        ready = asyncio.Event()
        wanted = f'"measure":"{MEASURE}"'.encode()

        def hear(line: bytes) -> None:
            if line == b"event: ready":
                ready.set()
            elif line.startswith(b"data: ") and wanted in line:
                now, told = time.perf_counter(), json.loads(line.removeprefix(b"data: "))
                if (told["measure"], told["wave_id"]) == (MEASURE, self._wave) and not told.get("region"):
                    seen.append((now, told["responses"]))

        url = f"{self._house.urls['measures']}/measures/stream?synthetic=true"
        listening = await listen(url, self._headers, hear)
        try:
            await asyncio.wait_for(ready.wait(), PATIENCE)
            yield seen
        finally:
            listening.close()


async def _reached(seen: list[tuple[float, int]], count: int) -> bool:
    return bool(seen) and seen[-1][1] >= count


def _delays(due: list[float], seen: list[tuple[float, int]], before: int) -> list[float]:
    """Seconds from when the n-th was due until n were visible."""
    found, place = [], 0
    for n, moment in enumerate(due, before + 1):
        while seen[place][1] < n:
            place += 1
        found.append(seen[place][0] - moment)
    return found


class _Parts:
    """Raw driver, raw aiokafka, raw change stream: the least that durable steps can take, one after another."""

    def __init__(self, servers: Servers, client: AsyncMongoClient[dict[str, Any]], producer: AIOKafkaProducer) -> None:
        self._servers = servers
        self._producer = producer
        self.topic = f"raw-{uuid.uuid4().hex[:8]}"
        database = client[self.topic].with_options(write_concern=WriteConcern("majority", j=True))
        self.inbound, self.outbound = database["inbound"], database["outbound"]
        self._consumed: dict[str, asyncio.Future[None]] = {}
        self._seen: dict[str, asyncio.Future[None]] = {}

    @classmethod
    @asynccontextmanager
    async def of(cls, servers: Servers) -> AsyncIterator[_Parts]:
        async with (
            AsyncMongoClient[dict[str, Any]](servers.mongo_uri) as client,
            AIOKafkaProducer(**servers.kafka, acks="all") as producer,
        ):
            parts = cls(servers, client, producer)
            admin = AIOKafkaAdminClient(**servers.kafka)
            await admin.start()
            await admin.create_topics([NewTopic(parts.topic, 6, 1)])
            await admin.close()
            await parts.outbound.insert_one({"_id": "figure", "n": 0})
            ready = asyncio.Event()
            listeners = [asyncio.create_task(parts._consume()), asyncio.create_task(parts._watch(ready))]
            await asyncio.wait_for(ready.wait(), PATIENCE)
            try:
                await parts._one()
                yield parts
            finally:
                for each in listeners:
                    each.cancel()
                await asyncio.wait(listeners)
                await client.drop_database(parts.topic)
                await without_topics(servers, [parts.topic])

    def runner(self, rate: int) -> Callable[[int], Awaitable[Sample]]:
        async def run(size: int) -> Sample:
            due: list[float] = []
            delays: list[float] = []

            async def send(n: int) -> None:
                await self._one()
                delays.append(time.perf_counter() - due[n])

            with Meter(this_process(), self._servers.pids) as meter:
                await paced(rate, due, send, size)
            check(len(delays) == size, f"{len(delays)} of {size} came through")
            return meter.sample(size, delays, seconds=size / rate)

        return run

    async def _one(self) -> None:
        id_ = uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        self._consumed[id_], self._seen[id_] = consumed, seen = loop.create_future(), loop.create_future()
        await self.inbound.insert_one({"_id": id_, "answers": {"question": "yes"}})
        await self._producer.send_and_wait(self.topic, id_.encode(), key=id_.encode())
        await asyncio.wait_for(consumed, PATIENCE)
        await self.outbound.update_one({"_id": f"figure-{id_}"}, {"$set": {"last": id_}, "$inc": {"n": 1}}, upsert=True)
        await asyncio.wait_for(seen, PATIENCE)

    async def _consume(self) -> None:
        async with AIOKafkaConsumer(
            self.topic, **self._servers.kafka, auto_offset_reset="earliest", group_id=None
        ) as consumer:
            async for record in consumer:
                _done(self._consumed, record.value.decode())

    async def _watch(self, ready: asyncio.Event) -> None:
        async with await self.outbound.watch() as stream:
            ready.set()
            async for change in stream:
                _done(self._seen, change["fullDocument"]["last"])


def _done(waiting: dict[str, asyncio.Future[None]], id_: str) -> None:
    found = waiting.pop(id_, None)
    if found is not None and not found.done():
        found.set_result(None)
