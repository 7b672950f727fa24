"""G1 and G2: POST a response to the real service, with every duty on, beside bare FastAPI with and without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

from pymongo import AsyncMongoClient
from rapport_stack import ports

from benchmarks import responses
from benchmarks.client import load
from benchmarks.harness import Bound, Contestant, Goal, Measured, Meter, Sample, Scale, Servers, check, interleaved
from benchmarks.processes import House, Processes, house, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pymongo.asynchronous.collection import AsyncCollection

    from benchmarks.harness import Round

OURS, PEER, BARE = "ours, every duty", "FastAPI, transaction per request", "FastAPI, no database"


def _ratio(figure: str, ours: str, other: str) -> Callable[[Round], float]:
    return lambda samples: getattr(samples[ours], figure) / getattr(samples[other], figure)


GOALS = (
    Goal(
        "G1",
        "POST a response with every duty on",
        "bare FastAPI, 2-document transaction per request",
        (
            Bound("rate, 64 connections", "≥", 2.5, _ratio("rate", f"{OURS}, 64", f"{PEER}, 64")),
            Bound("rate, 1 connection", "≥", 0.9, _ratio("rate", f"{OURS}, 1", f"{PEER}, 1")),
            Bound("p99, 64 connections", "≤", 0.5, _ratio("p99", f"{OURS}, 64", f"{PEER}, 64")),
            Bound("CPU per request, 64 connections", "≤", None, _ratio("cpu", f"{OURS}, 64", f"{PEER}, 64")),
        ),
    ),
    Goal(
        "G2",
        "the same POST",
        "bare FastAPI without a database",
        (
            Bound("rate, 64 connections", "≥", 0.45, _ratio("rate", f"{OURS}, 64", f"{BARE}, 64")),
            Bound("CPU per request, 64 connections", "≤", None, _ratio("cpu", f"{OURS}, 64", f"{BARE}, 64")),
        ),
    ),
)

DUTIES = (
    "An acknowledged response is on disk with its event, exactly once however often it is sent (Idempotency-Key); "
    "token checked, body bounded and validated against the instrument, traced at 10 %, metered; 503 while events pile up."
)


async def measure(servers: Servers, scale: Scale) -> Measured:
    found = Measured()
    async with processes(servers) as running, AsyncMongoClient[dict[str, Any]](servers.mongo_uri) as client:
        ours = await feedback(running, sampling=0.1)
        peer = await peer_api(running)
        mine = client[f"{ours.prefix}-feedback"]
        theirs = client[peer.database]
        for connections, full in ((64, 8_000), (1, 800)):
            contestants = [
                Contestant(
                    f"{OURS}, {connections}",
                    ours.runner(mine["responses"], mine["journal"], connections),
                    DUTIES,
                ),
                Contestant(
                    f"{PEER}, {connections}",
                    peer.runner("waves", theirs["responses"], theirs["outbox"], connections),
                    "An acknowledged response is on disk with its outbox row; body validated by the same constraints.",
                    "A request sent again is a second response; no token, no check against the instrument, no bound of "
                    "the body, no trace, no metrics, no admission control.",
                    share=0.25 if connections > 1 else 1.0,
                ),
            ]
            if connections > 1:
                contestants.append(
                    Contestant(
                        f"{BARE}, {connections}",
                        peer.runner("bare", None, None, connections),
                        "Body validated by the same constraints.",
                        "Anything: what was acknowledged is forgotten.",
                        share=1.5,
                    )
                )
            found.add(await interleaved(contestants, scale, scale.size(full, 100 if connections > 1 else 20)))
    return found


def bodies(count: int) -> list[bytes]:
    """Responses as a collector sends them: three questions, a region, groups, a weight."""
    return [
        json.dumps(
            {
                "answers": each.answers,
                "groups": each.groups,
                "region": each.region,
                "weight": f"{each.weight / 10_000:.4f}",
            }
        ).encode()
        for each in responses.responses(count, seed=count)
    ]


class Feedback:
    """The real feedback service with a wave that takes responses."""

    def __init__(self, at: House, wave: str) -> None:
        self.house = at
        self.prefix = at.prefix
        self.wave = wave
        self.url = f"{at.urls['feedback']}/waves/{wave}/responses"
        self.headers = at.processes.authorised()

    def runner(
        self, kept: AsyncCollection[dict[str, Any]], journal: AsyncCollection[dict[str, Any]], connections: int
    ) -> Callable[[int], Any]:
        async def run(size: int) -> Sample:
            # No worker runs beside, and what piles up would be refused: it counts as sent.
            await journal.update_many({"unsent": True}, {"$unset": {"unsent": ""}})
            return await post(
                self.house.processes.servers,
                {"api": self.house.pids["feedback api"]},
                self,
                size,
                connections,
                kept,
                journal,
            )

        return run


class PeerApi:
    """Bare FastAPI, see `peers/api.py`."""

    def __init__(self, running: Processes, database: str, origin: str) -> None:
        self.processes = running
        self.database = database
        self.origin = origin
        self.headers: dict[str, str] = {}

    def runner(
        self,
        path: str,
        kept: AsyncCollection[dict[str, Any]] | None,
        outbox: AsyncCollection[dict[str, Any]] | None,
        connections: int,
    ) -> Callable[[int], Any]:
        async def run(size: int) -> Sample:
            self.url = f"{self.origin}/{path}/{responses.WAVE}/responses"
            if outbox is not None:
                await outbox.update_many({"sent": False}, {"$set": {"sent": True}})
            pid = {"api": self.processes.pids["peer api"]}
            return await post(self.processes.servers, pid, self, size, connections, kept, outbox)

        return run


async def post(
    servers: Servers,
    pids: Mapping[str, int],
    target: Feedback | PeerApi,
    size: int,
    connections: int,
    kept: AsyncCollection[dict[str, Any]] | None,
    told: AsyncCollection[dict[str, Any]] | None,
) -> Sample:
    """One run; every acknowledged response must be stored, and its event beside it."""
    collections = [each for each in (kept, told) if each is not None]
    before = [await each.count_documents({}) for each in collections]
    with Meter(pids, servers.pids) as meter:
        done = await load(target.url, connections, bodies(size), target.headers)
    for collection, had in zip(collections, before, strict=True):
        more = await collection.count_documents({}) - had
        check(more == size, f"{collection.full_name} holds {more} of {size} acknowledged responses")
    meter.cpu_beside["client"] = done.cpu_seconds
    return meter.sample(size, done.latencies, seconds=done.seconds)


async def feedback(running: Processes, *, sampling: float | None) -> Feedback:
    """The API of the feedback service, and a wave in the field."""
    at = house(running)
    await at.start("feedback api", sampling=sampling)
    return Feedback(at, await open_wave(at))


async def open_wave(at: House) -> str:
    """Publish the instrument that `responses` answer, and open a wave of it; the wave's id."""
    catalogue = json.loads((resources.files("measures") / "data" / "instruments.json").read_text("utf-8"))
    tracker = next(each for each in catalogue["instruments"] if each["code"] == responses.PPT)
    asked = ("code", "version", "text", "answers", "counts", "left_out")
    instrument = {
        "code": tracker["code"],
        "version": tracker["version"],
        "title": tracker["title"],
        "weighted": True,
        "questions": [{name: question[name] for name in asked} for question in tracker["questions"]],
        "groups": sorted({group for groups in responses.GROUPS for group in groups}),
        "regions": responses.REGIONS,
        "synthetic": True,
    }
    await at.post("feedback", "/instruments", instrument)
    today = datetime.now(UTC).date()
    wave: dict[str, str] = await at.post(
        "feedback",
        "/waves",
        {
            "instrument_code": responses.PPT,
            "instrument_version": tracker["version"],
            "ordinal": 1,
            "year": 1,
            "starts_on": (today - timedelta(days=1)).isoformat(),
            "ends_on": (today + timedelta(days=30)).isoformat(),
            "synthetic": True,
        },
    )
    return wave["id"]


async def peer_api(running: Processes) -> PeerApi:
    (port,) = ports.choose(1)
    database = f"bench-peer-{port}"
    running.databases.append(database)
    arguments = ["--port", str(port), "--database", database]
    running.start("peer api", ["-m", "benchmarks.peers.api", *arguments], {"PEER_MONGO": running.servers.mongo_uri})
    origin = f"http://{ports.LOOPBACK}:{port}"
    await running.answering("peer api", f"{origin}/openapi.json")
    return PeerApi(running, database, origin)
