"""G12: responses posted as fast as they are taken, until the last one is in the read model; beside the naive stack.

Five steps on both sides: HTTP and transaction, relay, Kafka, consumer and transaction, read model.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient

from benchmarks import responses
from benchmarks.client import load
from benchmarks.harness import Bound, Contestant, Goal, Measured, Meter, Sample, Scale, Servers, check, interleaved
from benchmarks.peers.api import TOPIC
from benchmarks.post import bodies, open_wave, peer_api
from benchmarks.processes import House, Processes, house, processes, until, without_topics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from benchmarks.harness import Round

OURS, PEER = "ours, feedback and measures", "naive stack"
CONNECTIONS = 64


def _ratio(figure: str) -> Callable[[Round], float]:
    return lambda samples: getattr(samples[OURS], figure) / getattr(samples[PEER], figure)


GOALS = (
    Goal(
        "G12",
        "sustained POST to read model, 64 connections",
        "the naive stack, same five steps",
        (
            Bound("events a second, all of them in the read model", "≥", 8, _ratio("rate")),
            Bound("CPU per event, all Python processes", "≤", 0.15, _ratio("cpu")),
            Bound(
                "seconds behind at the end (not a ratio)", "≤", 0.5, lambda samples: samples[OURS].figures["behind s"]
            ),
        ),
    ),
)


async def measure(servers: Servers, scale: Scale) -> Measured:
    async with processes(servers) as running, AsyncMongoClient[dict[str, Any]](servers.mongo_uri) as client:
        ours = await platform(running)
        wave = await open_wave(ours)
        seen = 0
        peer = await _naive(running)

        async def run_ours(size: int) -> Sample:
            nonlocal seen
            seen += size
            expected = seen

            async def counted() -> int:
                found = await client[f"{ours.prefix}-measures"]["intakes"].find_one({"_id": f"{wave}/synthetic"})
                return found["responses"] if found else 0

            url = f"{ours.urls['feedback']}/waves/{wave}/responses"
            return await _sustained(servers, ours.pids, url, running.authorised(), size, counted, expected)

        async def run_peer(size: int) -> Sample:
            inbox = client[peer.database]["inbox"]
            had = await inbox.count_documents({})

            async def counted() -> int:
                return await inbox.estimated_document_count()

            pids = {name: running.pids[f"peer {name}"] for name in ("api", "relay", "consumer")}
            url = f"{peer.origin}/waves/{responses.WAVE}/responses"
            sample = await _sustained(servers, pids, url, {}, size, counted, had + size)
            tallied = await _tallied(client[peer.database]["answers"])
            check(tallied == had + size, f"{tallied} of {had + size} responses are in the peer's tallies")
            return sample

        try:
            return await interleaved(
                (
                    Contestant(
                        OURS,
                        run_ours,
                        "Every duty of G1; every event takes effect exactly once and in order, loss and disorder are "
                        "seen; the read model has cells by group and region, evidence, figures and verdicts.",
                    ),
                    Contestant(
                        PEER,
                        run_peer,
                        "At least once from POST to handler, each event once in the tallies (inbox).",
                        "Order after a failure, sight of a loss, a second relay, refilling a lost topic; no token, "
                        "Idempotency-Key, evidence, figures or verdicts.",
                        share=0.15,
                    ),
                ),
                scale,
                scale.size(8_000, 300),
                warmup=0.1,
            )
        finally:
            await without_topics(servers, [TOPIC])


async def platform(running: Processes) -> House:
    """Feedback and measures with both halves, and the definitions of the measures."""
    found = house(running)
    await found.start("feedback api", "feedback worker", "measures api", "measures worker", sampling=0.1)
    await found.post("measures", "/definitions/load", None)
    return found


class _Naive:
    def __init__(self, database: str, origin: str) -> None:
        self.database = database
        self.origin = origin


async def _naive(running: Processes) -> _Naive:
    servers = running.servers
    await without_topics(servers, [TOPIC])
    admin = AIOKafkaAdminClient(**servers.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, responses.PARTITIONS, 1)])
    await admin.close()
    api = await peer_api(running)
    where = {"PEER_MONGO": servers.mongo_uri, "PEER_KAFKA": json.dumps(servers.kafka)}
    for half in ("relay", "consumer"):
        running.start(f"peer {half}", ["-m", "benchmarks.peers.naive", half, api.database, TOPIC], where)
    return _Naive(api.database, api.origin)


async def _sustained(
    servers: Servers,
    pids: Mapping[str, int],
    url: str,
    headers: Mapping[str, str],
    size: int,
    counted: Callable[[], Awaitable[int]],
    expected: int,
) -> Sample:
    async def there() -> bool:
        return await counted() >= expected

    content = bodies(size)
    with Meter(pids, servers.pids) as meter:
        done = await load(url, CONNECTIONS, content, headers)
        acknowledged = time.perf_counter()
        await until(there, f"{expected} responses are in the read model", seconds=120)
        behind = time.perf_counter() - acknowledged
    found = await counted()
    check(found == expected, f"the read model has {found} responses, {expected} were sent")
    meter.cpu_beside["client"] = done.cpu_seconds
    return meter.sample(
        size,
        done.latencies,
        seconds=done.seconds + behind,
        figures={"behind s": behind, "POSTs/s": size / done.seconds},
    )


async def _tallied(answers: Any) -> int:
    """How many responses the peer's tallies hold, by their first question."""
    question = next(iter(responses.ANSWERS))
    found = await answers.find_one({"_id": f"{responses.WAVE}/{question}"})
    return sum(tally["n"] for tally in found["cells"]["all"].values()) if found else 0
